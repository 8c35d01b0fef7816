package interop

import (
	"fmt"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn"
)

// unetOptions maps the fields of a UNet2DModel (diffusers 0.42).
func unetOptions(f *fields, c *Config) (*nn.UNetOptions, error) {
	o := &nn.UNetOptions{TimeScale: 1, FourierScale: 16}
	o.CondOptions = nn.CondOptions{VectorEmbed: "mlp", Prompt: "attention"}
	o.Transformer.SetDefaults()
	f.sampleSize(c)
	o.InChannels = f.int("in_channels", 3, 1, maxChannels)
	o.OutChannels = f.int("out_channels", 3, 1, maxChannels)
	o.CenterInput = f.bool("center_input_sample", false)
	o.Channels = f.ints("block_out_channels", []int{224, 448, 672, 896}, 1, maxChannels)
	o.Layers = f.int("layers_per_block", 2, 1, maxLayers)
	o.DownBlocks = f.blocks("down_block_types", len(o.Channels), "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
	o.UpBlocks = f.blocks("up_block_types", len(o.Channels), "AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")
	for name, kinds := range map[string][]string{"down_block_types": o.DownBlocks, "up_block_types": o.UpBlocks} {
		if slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "CrossAttn") }) {
			f.fail(name, ErrConfig, "CrossAttn blocks are for a UNet2DConditionModel, is %s", f.show(name))
		}
	}
	f.time(o)
	f.mid(o)
	f.norms(o)
	o.HeadDim = 8
	if f.m["attention_head_dim"] != nil {
		o.HeadDim, _ = f.optInt("attention_head_dim", 1, maxChannels)
	}
	o.Activation = f.activation()
	o.Dropout = f.float("dropout", 0)
	o.DownPad = f.int("downsample_padding", 1, 0, 1)
	o.Downsample = f.resampling("downsample_type")
	o.Upsample = f.resampling("upsample_type")
	f.classes(o)
	if err := f.done(UNet2DModel); err != nil {
		return nil, err
	}
	return o, checkUNet(f, o)
}

// checkUNet finds what no single field is to blame for.
func checkUNet(f *fields, o *nn.UNetOptions) error {
	if err := o.Validate(); err != nil {
		return badfile.New(f.path, ErrConfig, "makes no network: %v", err)
	}
	if o.Groups == 0 && (!all(o.DownBlocks, isSkip) || !all(o.UpBlocks, isSkip)) {
		f.fail("norm_num_groups", ErrConfig, "may be null with Skip blocks only")
	}
	if n := len(o.Channels); n > 1 && slices.ContainsFunc(o.DownBlocks[:n-1], isSkip) && o.InChannels != 3 {
		f.fail("in_channels", ErrConfig, "must be 3 with Skip blocks, is %d", o.InChannels)
	}
	if n := len(o.Channels); n > 1 && slices.ContainsFunc(o.UpBlocks[:n-1], isSkip) && o.OutChannels != 3 {
		f.fail("out_channels", ErrConfig, "must be 3 with Skip blocks, is %d", o.OutChannels)
	}
	return f.err
}

func isSkip(kind string) bool { return strings.Contains(kind, "Skip") }

func all(s []string, f func(string) bool) bool {
	return !slices.ContainsFunc(s, func(x string) bool { return !f(x) })
}

// blocks are kinds of blocks, one a level; a leading UNetRes is an old spelling.
func (f *fields) blocks(name string, levels int, def ...string) []string {
	kinds := f.strings(name, def)
	for i, k := range kinds {
		kinds[i] = strings.TrimPrefix(k, "UNetRes")
	}
	if len(kinds) != levels {
		f.fail(name, ErrConfig, "must be as many as block_out_channels, %d, are %d", levels, len(kinds))
	}
	return kinds
}

func (f *fields) time(o *nn.UNetOptions) {
	o.TimeDim, _ = f.optInt("time_embedding_dim", 0, maxChannels)
	o.TimeShift = f.float("freq_shift", 0)
	o.TimeSinFirst = !f.bool("flip_sin_to_cos", true)
	o.TimeSteps, _ = f.optInt("num_train_timesteps", 1, maxSteps)
	switch kind := f.oneOf("time_embedding_type", "positional", "positional", "fourier", "learned"); kind {
	case "fourier":
		o.TimeEmbedding, o.DivideByTime = "log_fourier", true
	case "learned":
		if o.TimeEmbedding = kind; o.TimeSteps == 0 {
			f.fail("num_train_timesteps", ErrConfig, "must be given with a learned time embedding")
		}
	default:
		o.TimeEmbedding = kind
	}
}

func (f *fields) mid(o *nn.UNetOptions) {
	kind, ok := f.optString("mid_block_type", "UNetMidBlock2D")
	if o.MidBlock = ok; ok && kind != "UNetMidBlock2D" {
		f.refuse("mid_block_type", `must be "UNetMidBlock2D" or null`)
	}
	o.MidScale = f.float("mid_block_scale_factor", 1)
	o.MidAttention = f.bool("add_attention", true)
}

func (f *fields) norms(o *nn.UNetOptions) {
	o.Groups = 32
	if f.m["norm_num_groups"] != nil {
		o.Groups, _ = f.optInt("norm_num_groups", 1, maxChannels)
	}
	o.NormEps = f.float("norm_eps", 1e-5)
	o.ScaleShift = f.oneOf("resnet_time_scale_shift", "default", "default", "scale_shift") == "scale_shift"
	groups, ok := f.optInt("attn_norm_num_groups", 1, maxChannels)
	switch {
	case ok:
		o.MidAttentionGroups = groups
	case o.ScaleShift:
		o.MidAttentionGroups = -1
	}
}

func (f *fields) activation() string {
	act := strings.ToLower(f.string("act_fn", "silu"))
	if words := []string{"silu", "swish", "mish", "gelu", "relu"}; !slices.Contains(words, act) {
		f.refuse("act_fn", "must be %s", list(words))
	}
	return act
}

func (f *fields) resampling(name string) string {
	switch kind, _ := f.optString(name, "conv"); kind {
	case "", "conv":
		return "conv"
	case "resnet":
		return kind
	}
	f.refuse(name, `must be "conv" or "resnet"`)
	return "conv"
}

func (f *fields) classes(o *nn.UNetOptions) {
	rows, ok := f.optInt("num_class_embeds", 1, maxRows)
	kind, _ := f.optString("class_embed_type", "")
	switch {
	case f.isNull("class_embed_type"):
		if ok {
			o.Classes = rows
		}
	case kind == "timestep":
		o.Vector, o.VectorEmbed = 1, "time"
	case kind == "identity":
		o.Vector, o.VectorEmbed = o.TimeDim, "identity"
		if o.TimeDim == 0 && len(o.Channels) > 0 {
			o.Vector = 4 * o.Channels[0]
		}
	default:
		f.refuse("class_embed_type", `must be "timestep", "identity" or null`)
	}
}

// Layers of one kind of block: ours, theirs.
var (
	resRules = []rule{
		{"norm1", []string{"norm1"}, same},
		{"conv1", []string{"conv1"}, conv},
		{"emb", []string{"time_emb_proj"}, linear},
		{"norm2", []string{"norm2"}, same},
		{"conv2", []string{"conv2"}, conv},
		{"shortcut", []string{"conv_shortcut"}, conv},
	}
	attentionRules = []rule{
		{"norm", []string{"group_norm"}, same},
		{"attn.qkv", []string{"to_q", "to_k", "to_v"}, linear},
		{"attn.out", []string{"to_out.0"}, linear},
	}
)

// unetRules is the table of names of a UNet2DModel.
func unetRules(o nn.UNetOptions) []rule {
	rules := []rule{
		{"in", []string{"conv_in"}, conv},
		{"time.features", []string{"time_proj"}, same},
		{"time.fc1", []string{"time_embedding.linear_1"}, linear},
		{"time.fc2", []string{"time_embedding.linear_2"}, linear},
		{"cond.class", []string{"class_embedding.weight"}, same},
		{"cond.time.fc1", []string{"class_embedding.linear_1"}, linear},
		{"cond.time.fc2", []string{"class_embedding.linear_2"}, linear},
		{"down.#.down.conv", []string{"down_blocks.#.downsamplers.0.conv"}, conv},
		{"down.#.skip", []string{"down_blocks.#.skip_conv"}, conv},
		{"up.#.up.conv", []string{"up_blocks.#.upsamplers.0.conv"}, conv},
		{"up.#.skip", []string{"up_blocks.#.skip_conv"}, conv},
		{"up.#.skip_norm", []string{"up_blocks.#.skip_norm"}, same},
		{"norm_out", []string{"conv_norm_out"}, same},
		{"out", []string{"conv_out"}, conv},
	}
	// In Skip blocks the resampling residual block has a name of its own.
	down, up := o.Blocks()
	for i, k := range down {
		theirs := "down_blocks.%d.downsamplers.0"
		if isSkip(k) {
			theirs = "down_blocks.%d.resnet_down"
		}
		rules = append(rules, under(fmt.Sprintf("down.%d.down_res", i), fmt.Sprintf(theirs, i), resRules)...)
	}
	for i, k := range up {
		theirs := "up_blocks.%d.upsamplers.0"
		if isSkip(k) {
			theirs = "up_blocks.%d.resnet_up"
		}
		rules = append(rules, under(fmt.Sprintf("up.%d.up_res", i), fmt.Sprintf(theirs, i), resRules)...)
	}
	return slices.Concat(rules,
		under("down.#.res.#", "down_blocks.#.resnets.#", resRules),
		under("down.#.attn.#", "down_blocks.#.attentions.#", attentionRules),
		under("up.#.res.#", "up_blocks.#.resnets.#", resRules),
		under("up.#.attn.#", "up_blocks.#.attentions.#", attentionRules),
		under("mid.res1", "mid_block.resnets.0", resRules),
		under("mid.res2", "mid_block.resnets.1", resRules),
		under("mid.attn", "mid_block.attentions.0", attentionRules),
		under("down.#.text.#", "down_blocks.#.attentions.#", transformerRules(o)),
		under("up.#.text.#", "up_blocks.#.attentions.#", transformerRules(o)),
		under("mid.text", "mid_block.attentions.0", transformerRules(o)),
	)
}

// unetAliases are names that attention had until diffusers 0.15.
var unetAliases = map[string]string{"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
