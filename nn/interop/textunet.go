package interop

import (
	"slices"

	"github.com/langevin-go/langevin/nn"
)

// textUNetOptions maps the fields of a UNet2DConditionModel (diffusers 0.42), as
// Stable Diffusion 1 and 2 have it. What later networks have beside it is refused by name.
func textUNetOptions(f *fields, c *Config) (*nn.UNetOptions, error) {
	o := &nn.UNetOptions{TimeScale: 1, FourierScale: 16, Downsample: "conv", Upsample: "conv", MidAttention: true}
	o.CondOptions = nn.CondOptions{VectorEmbed: "mlp", Prompt: "attention"}
	f.sampleSize(c)
	o.InChannels = f.int("in_channels", 4, 1, maxChannels)
	o.OutChannels = f.int("out_channels", 4, 1, maxChannels)
	o.CenterInput = f.bool("center_input_sample", false)
	o.Channels = f.ints("block_out_channels", []int{320, 640, 1280, 1280}, 1, maxChannels)
	o.Layers = f.int("layers_per_block", 2, 1, maxLayers)
	o.DownBlocks = f.kinds("down_block_types", o, []string{"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}, "DownBlock2D", "CrossAttnDownBlock2D")
	o.UpBlocks = f.kinds("up_block_types", o, []string{"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}, "UpBlock2D", "CrossAttnUpBlock2D")
	kind, ok := f.optString("mid_block_type", "UNetMidBlock2DCrossAttn")
	if o.MidBlock = ok; ok && kind != "UNetMidBlock2DCrossAttn" {
		f.refuse("mid_block_type", `must be "UNetMidBlock2DCrossAttn" or null`)
	}
	o.MidScale = f.float("mid_block_scale_factor", 1)
	o.TimeEmbedding = f.oneOf("time_embedding_type", "positional", "positional")
	o.TimeDim, _ = f.optInt("time_embedding_dim", 0, maxChannels)
	o.TimeShift = f.float("freq_shift", 0)
	o.TimeSinFirst = !f.bool("flip_sin_to_cos", true)
	o.Activation = f.oneOf("act_fn", "silu", "silu", "swish") // the time's layers have it there, SiLU here
	o.Groups = f.int("norm_num_groups", 32, 1, maxChannels)
	o.NormEps = f.float("norm_eps", 1e-5)
	o.ScaleShift = f.oneOf("resnet_time_scale_shift", "default", "default", "scale_shift") == "scale_shift"
	o.Dropout = f.float("dropout", 0)
	o.DownPad = f.int("downsample_padding", 1, 0, 1)
	f.classes(o)
	f.crossAttention(o)
	f.extras()
	if err := f.done(UNet2DConditionModel); err != nil {
		return nil, err
	}
	return o, checkUNet(f, o)
}

// kinds are kinds of blocks, one a level, of a few.
func (f *fields) kinds(name string, o *nn.UNetOptions, def []string, words ...string) []string {
	kinds := f.blocks(name, len(o.Channels), def...)
	for _, k := range kinds {
		if !slices.Contains(words, k) {
			f.refuse(name, "must be %s each", list(words))
		}
	}
	return kinds
}

// perLevel is an integer, or a list of one a level.
func (f *fields) perLevel(name string, def, hi int, o *nn.UNetOptions) []int {
	if v := f.m[name]; v == nil || len(v.raw) == 0 || v.raw[0] != '[' {
		return []int{f.int(name, def, 1, hi)}
	}
	out := f.ints(name, nil, 1, hi)
	if len(out) != len(o.Channels) {
		f.fail(name, ErrConfig, "must be an integer or as many as block_out_channels, %d, is %s", len(o.Channels), f.show(name))
		return []int{def}
	}
	return out
}

// crossAttention reads what CrossAttn blocks are like. attention_head_dim is the number
// of heads there: a name that diffusers cannot take back.
func (f *fields) crossAttention(o *nn.UNetOptions) {
	widths := f.perLevel("cross_attention_dim", 1280, maxChannels, o)
	for _, w := range widths {
		if w != widths[0] {
			f.refuse("cross_attention_dim", "must be the same at all levels")
		}
	}
	o.TextWidth = widths[0]
	o.Transformer.Heads = f.perLevel("attention_head_dim", 8, maxLayers, o)
	o.Transformer.Layers = f.perLevel("transformer_layers_per_block", 1, maxLayers, o)
	o.Transformer.Linear = f.bool("use_linear_projection", false)
	o.HeadDim = 0
}

// extras are fields that must be as they are in Stable Diffusion 1 and 2.
func (f *fields) extras() {
	f.bool("upcast_attention", false) // attention is in float32 anyway
	for _, name := range []string{
		"num_attention_heads", "encoder_hid_dim", "encoder_hid_dim_type", "addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim",
		"reverse_transformer_layers_per_block", "time_embedding_act_fn", "timestep_post_act", "time_cond_proj_dim", "cross_attention_norm",
	} {
		if raw := f.take(name); raw != nil && string(raw) != "null" {
			f.refuse(name, "must be null")
		}
	}
	for _, name := range []string{"only_cross_attention", "dual_cross_attention", "resnet_skip_time_act", "class_embeddings_concat", "mid_block_only_cross_attention"} {
		if raw := f.take(name); raw != nil && string(raw) != "false" && string(raw) != "null" {
			f.refuse(name, "must be false")
		}
	}
	for _, name := range []string{"conv_in_kernel", "conv_out_kernel"} {
		if f.int(name, 3, 1, maxSize) != 3 {
			f.refuse(name, "must be 3")
		}
	}
	f.int("addition_embed_type_num_heads", 64, 1, maxSize) // of an embedding that is not there
	if f.float("resnet_out_scale_factor", 1) != 1 {
		f.refuse("resnet_out_scale_factor", "must be 1")
	}
	f.oneOf("attention_type", "default", "default")
}

// transformerRules are the layers of a Transformer2DModel.
func transformerRules(o nn.UNetOptions) []rule {
	projection := point
	if o.Transformer.Linear {
		projection = linear
	}
	return append([]rule{
		{"norm", []string{"norm"}, same},
		{"in", []string{"proj_in"}, projection},
		{"out", []string{"proj_out"}, projection},
	}, under("blocks.#", "transformer_blocks.#", []rule{
		{"norm1", []string{"norm1"}, same},
		{"attn.qkv", []string{"attn1.to_q", "attn1.to_k", "attn1.to_v"}, linear},
		{"attn.out", []string{"attn1.to_out.0"}, linear},
		{"norm2", []string{"norm2"}, same},
		{"cross.q", []string{"attn2.to_q"}, linear},
		{"cross.kv", []string{"attn2.to_k", "attn2.to_v"}, linear},
		{"cross.out", []string{"attn2.to_out.0"}, linear},
		{"norm3", []string{"norm3"}, same},
		{"mlp.fc1", []string{"ff.net.0.proj"}, linear},
		{"mlp.fc2", []string{"ff.net.2"}, linear},
	})...)
}
