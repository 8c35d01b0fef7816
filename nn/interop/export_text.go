package interop

import (
	"slices"

	"github.com/langevin-go/langevin/nn"
)

// textUNetConfig is the configuration of a UNet2DConditionModel.
func textUNetConfig(o nn.UNetOptions, height, width int) (map[string]any, error) {
	down, up := o.Blocks()
	plain := []string{"DownBlock2D", "UpBlock2D", "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"}
	for _, k := range slices.Concat(down, up) {
		if !slices.Contains(plain, k) {
			return nil, cannot("with prompts, a block", k, "want one of "+list(plain))
		}
	}
	switch {
	case o.Prompt != "attention":
		return nil, cannot("prompt", o.Prompt, "want attention")
	case o.MidBlock && !o.MidAttention:
		return nil, cannot("with prompts, mid_attention", false, "want true, or mid_block: false")
	case o.TimeEmbedding != "positional":
		return nil, cannot("with prompts, time_embedding", o.TimeEmbedding, "want positional")
	case o.DivideByTime:
		return nil, cannot("divide_by_time", true, "want false")
	case o.Activation != "silu" && o.Activation != "swish":
		return nil, cannot("with prompts, activation", o.Activation, "want silu")
	case o.Groups == 0:
		return nil, cannot("groups", 0, "want a number that divides all channels")
	}
	v := map[string]any{
		"_class_name": UNet2DConditionModel, "sample_size": sizeOf(height, width),
		"in_channels": o.InChannels, "out_channels": o.OutChannels, "center_input_sample": o.CenterInput,
		"block_out_channels": o.Channels, "layers_per_block": o.Layers, "down_block_types": down, "up_block_types": up,
		"mid_block_type": nil, "mid_block_scale_factor": o.MidScale, "norm_num_groups": o.Groups, "norm_eps": o.NormEps,
		"act_fn": o.Activation, "dropout": o.Dropout, "downsample_padding": o.DownPad, "resnet_time_scale_shift": "default",
		"time_embedding_dim": orNull(o.TimeDim), "time_embedding_type": o.TimeEmbedding, "freq_shift": o.TimeShift, "flip_sin_to_cos": !o.TimeSinFirst,
		"cross_attention_dim": o.TextWidth, "attention_head_dim": oneOrAll(o.Transformer.Heads),
		"transformer_layers_per_block": oneOrAll(o.Transformer.Layers), "use_linear_projection": o.Transformer.Linear,
		"class_embed_type": nil, "num_class_embeds": nil,
	}
	if o.MidBlock {
		v["mid_block_type"] = "UNetMidBlock2DCrossAttn"
	}
	if o.ScaleShift {
		v["resnet_time_scale_shift"] = "scale_shift"
	}
	return v, exportCond(o, v)
}

// oneOrAll is a number for all levels, or a list.
func oneOrAll(values []int) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}
