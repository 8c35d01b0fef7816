package interop

import (
	"slices"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn"
)

var ditActivations = map[string]string{
	"gelu-approximate":  "gelu_tanh",
	"gelu":              "gelu",
	"geglu":             "geglu",
	"geglu-approximate": "quick_gelu",
	"swiglu":            "swiglu",
	"linear-silu":       "silu",
}

// ditOptions maps the fields of a DiTTransformer2DModel (diffusers 0.42).
func ditOptions(f *fields, c *Config) (*nn.DiTOptions, error) {
	o := &nn.DiTOptions{MLPRatio: 4, TimeScale: 1, TimeShift: 1, EmbedPerBlock: true}
	o.CondOptions = nn.CondOptions{VectorEmbed: "mlp", Null: true, Prompt: "attention"}
	o.Heads = f.int("num_attention_heads", 16, 1, maxChannels)
	o.Width = o.Heads * f.int("attention_head_dim", 72, 1, maxChannels)
	o.InChannels = f.int("in_channels", 4, 1, maxChannels)
	if n, ok := f.optInt("out_channels", 1, maxChannels); ok {
		o.OutChannels = n
	} else {
		o.OutChannels = o.InChannels
	}
	o.Depth = f.int("num_layers", 28, 1, maxLayers)
	o.Dropout = f.float("dropout", 0)
	o.AttentionBias = f.bool("attention_bias", true)
	o.SampleSize = f.int("sample_size", 32, 1, maxSize)
	c.Height, c.Width = o.SampleSize, o.SampleSize
	o.Patch = f.int("patch_size", 2, 1, maxSize)
	o.Classes = f.int("num_embeds_ada_norm", 1000, 1, maxRows)
	o.AffineNorm = f.bool("norm_elementwise_affine", false)
	o.NormEps = f.float("norm_eps", 1e-5)
	f.oneOf("norm_type", "ada_norm_zero", "ada_norm_zero")
	act := f.string("activation_fn", "gelu-approximate")
	if o.Activation = ditActivations[act]; o.Activation == "" {
		f.refuse("activation_fn", `must be "gelu-approximate", "gelu", "geglu", "geglu-approximate", "swiglu" or "linear-silu"`)
	}
	// These two have no effect there either: no group norm is made, and attention is
	// in float32 anyway.
	f.int("norm_num_groups", 32, 1, maxChannels)
	f.bool("upcast_attention", false)
	if err := f.done(DiTTransformer2DModel); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, badfile.New(f.path, ErrConfig, "makes no network: %v", err)
	}
	return o, nil
}

// ditClassTable is the classes' table of a block.
const ditClassTable = "class_embedder.embedding_table.weight"

// ditEmbedRules are the layers of an embedding of time and class.
var ditEmbedRules = []rule{
	{"time.fc1", []string{"timestep_embedder.linear_1"}, linear},
	{"time.fc2", []string{"timestep_embedder.linear_2"}, linear},
	{"cond.class", []string{ditClassTable}, same},
}

// ditRules is the table of names of a DiTTransformer2DModel. The embedding that our
// blocks may share is written once a block there.
func ditRules(o nn.DiTOptions) []rule {
	return slices.Concat([]rule{
		{"patch", []string{"pos_embed.proj"}, patch},
		{"blocks.#.ada_ln.proj", []string{"transformer_blocks.#.norm1.linear"}, linear},
		{"blocks.#.attn.qkv", []string{"transformer_blocks.#.attn1.to_q", "transformer_blocks.#.attn1.to_k", "transformer_blocks.#.attn1.to_v"}, linear},
		{"blocks.#.attn.out", []string{"transformer_blocks.#.attn1.to_out.0"}, linear},
		{"blocks.#.norm", []string{"transformer_blocks.#.norm3"}, same},
		{"blocks.#.mlp.fc1", []string{"transformer_blocks.#.ff.net.0.proj"}, linear},
		{"blocks.#.mlp.fc2", []string{"transformer_blocks.#.ff.net.2"}, linear},
		{"mod", []string{"proj_out_1"}, linear},
		{"out", []string{"proj_out_2"}, linear},
	},
		under("blocks.#.embed", "transformer_blocks.#.norm1.emb", ditEmbedRules),
		under("embed", "transformer_blocks.*.norm1.emb", ditEmbedRules),
	)
}

// ditIgnored are tensors of old files that are computed: the position embedding.
var ditIgnored = []string{"pos_embed.pos_embed"}
