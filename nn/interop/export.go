package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
)

// diffusersVersion is what written configurations say they follow.
const diffusersVersion = "0.42.1"

// Export writes a U-Net or DiT as a folder that diffusers' from_pretrained reads:
// config.json and diffusion_pytorch_model.safetensors. height and width are those
// of its images, 0 for unknown.
//
// The exported network takes timestep = time_scale·t. A null class is the last row of
// the class table. A DiT has such a table, with that row, in any case there: what ours lacks is zeros, so that without classes every
// label says the same. What diffusers has no field for is an error that names ours.
func Export(dir string, m nn.Model, height, width int) error {
	config, err := exportConfig(m, height, width)
	if err != nil {
		return err
	}
	es, err := entries(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := safetensors.WriteFile(filepath.Join(dir, weightsName), es, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, configName), func(w io.Writer) error {
		_, err := w.Write(config)
		return err
	})
}

// exportConfig is the text of config.json, keys in order.
func exportConfig(m nn.Model, height, width int) ([]byte, error) {
	var v map[string]any
	var err error
	switch m := m.(type) {
	case *nn.UNet:
		if m.Options().TextWidth > 0 {
			v, err = textUNetConfig(m.Options(), height, width)
		} else {
			v, err = unetConfig(m.Options(), height, width)
		}
	case *nn.DiT:
		v, err = ditConfig(m.Options(), height, width)
	default:
		err = fmt.Errorf("a %T has no counterpart in diffusers", m)
	}
	if err != nil {
		return nil, err
	}
	v["_diffusers_version"] = diffusersVersion
	return indented(v)
}

// indented is JSON as diffusers writes it, keys in order.
func indented(v map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v) // sorts the keys
	return b.Bytes(), err
}

// cannot is the error of an option without counterpart, and what would be right.
func cannot(option string, value any, right string) error {
	return fmt.Errorf("%w: %s %v has no counterpart in diffusers: %s", ErrUnsupported, option, value, right)
}

// orNull is n, or null for 0.
func orNull(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func unetConfig(o nn.UNetOptions, height, width int) (map[string]any, error) {
	down, up := o.Blocks()
	v := map[string]any{
		"_class_name": UNet2DModel, "sample_size": sizeOf(height, width),
		"in_channels": o.InChannels, "out_channels": o.OutChannels, "center_input_sample": o.CenterInput,
		"block_out_channels": o.Channels, "layers_per_block": o.Layers, "down_block_types": down, "up_block_types": up,
		"mid_block_type": nil, "mid_block_scale_factor": o.MidScale, "add_attention": o.MidAttention,
		"attention_head_dim": orNull(o.HeadDim), "norm_num_groups": orNull(o.Groups), "attn_norm_num_groups": nil, "norm_eps": o.NormEps,
		"act_fn": o.Activation, "dropout": o.Dropout, "downsample_padding": o.DownPad, "downsample_type": o.Downsample, "upsample_type": o.Upsample,
		"resnet_time_scale_shift": "default", "time_embedding_dim": orNull(o.TimeDim), "time_embedding_type": o.TimeEmbedding,
		"freq_shift": o.TimeShift, "flip_sin_to_cos": !o.TimeSinFirst, "num_train_timesteps": orNull(o.TimeSteps),
		"class_embed_type": nil, "num_class_embeds": nil,
	}
	if o.MidBlock {
		v["mid_block_type"] = "UNetMidBlock2D"
	}
	if o.ScaleShift {
		v["resnet_time_scale_shift"] = "scale_shift"
	}
	if err := exportGroups(o, slices.Concat(down, up), v); err != nil {
		return nil, err
	}
	if o.TimeEmbedding == "log_fourier" {
		v["time_embedding_type"] = "fourier"
	}
	if o.TimeEmbedding == "fourier" {
		return nil, cannot("time_embedding", o.TimeEmbedding, "want positional, log_fourier or learned")
	}
	if o.DivideByTime != (o.TimeEmbedding == "log_fourier") {
		return nil, cannot("divide_by_time", o.DivideByTime, "it goes with time_embedding log_fourier, and with that alone")
	}
	return v, exportCond(o, v)
}

func exportGroups(o nn.UNetOptions, kinds []string, v map[string]any) error {
	if o.Groups == 0 && !all(kinds, isSkip) {
		return cannot("groups", 0, "want a number that divides all channels")
	}
	switch g := o.MidAttentionGroups; {
	case !o.MidAttention || !o.MidBlock:
	case g > 0:
		v["attn_norm_num_groups"] = g
	case g < 0 && !o.ScaleShift:
		return cannot("mid_attention_groups", g, "without scale_shift that norm is there: want 0 or above")
	case g == 0 && o.ScaleShift && o.Groups == 0:
		v["attn_norm_num_groups"] = min(o.Channels[len(o.Channels)-1]/4, 32)
	case g == 0 && o.ScaleShift:
		v["attn_norm_num_groups"] = o.Groups
	}
	return nil
}

func exportCond(o nn.UNetOptions, v map[string]any) error {
	switch {
	case o.Jump || o.Scale:
		return cannotTell(o.CondOptions)
	case o.Vector > 0 && (o.Classes > 0 || o.Null):
		return cannot("vector", o.Vector, "it goes without classes, and with null_condition: false")
	case o.Vector > 0 && o.VectorEmbed == "time":
		v["class_embed_type"] = "timestep"
	case o.Vector > 0 && o.VectorEmbed == "identity":
		v["class_embed_type"] = "identity"
	case o.Vector > 0:
		return cannot("vector_embed", o.VectorEmbed, "want identity or time")
	case o.Classes > 0 && o.Null:
		v["num_class_embeds"] = o.Classes + 1
	case o.Classes > 0:
		v["num_class_embeds"] = o.Classes
	}
	return nil
}

// cannotTell refuses networks that are told what diffusers' are not.
func cannotTell(o nn.CondOptions) error {
	if o.Jump {
		return cannot("jump", true, "networks there are told one time, so that objectives of few steps (meanflow, shortcut) cannot be exported")
	}
	return cannot("guidance_scale", true, "networks there are not told how strong guidance is")
}

func ditConfig(o nn.DiTOptions, height, width int) (map[string]any, error) {
	size := o.SampleSize
	switch {
	case size == 0 && height == width:
		size = height // positions that count patches are those of any one size
	case size == 0 || height != width:
		return nil, cannot("image size", fmt.Sprintf("%d×%d", height, width), "a DiT is for square images there; take a unet")
	}
	if size == 0 {
		return nil, cannot("sample_size", "unknown", "a DiT says there how large images are")
	}
	switch {
	case o.MLPRatio != 4:
		return nil, cannot("mlp_ratio", o.MLPRatio, "want 4")
	case o.TimeShift != 1:
		return nil, cannot("time_shift", o.TimeShift, "want 1")
	case o.Jump || o.Scale:
		return nil, cannotTell(o.CondOptions)
	case o.Vector > 0:
		return nil, cannot("vector", o.Vector, "a DiT is conditioned on classes there")
	case o.TextWidth > 0:
		return nil, cannot("text_width", o.TextWidth, "a DiT is conditioned on classes there; prompts need a unet")
	}
	act := ""
	for theirs, ours := range ditActivations {
		if ours == o.Activation {
			act = theirs
		}
	}
	return map[string]any{
		"_class_name": DiTTransformer2DModel, "sample_size": size, "patch_size": o.Patch,
		"in_channels": o.InChannels, "out_channels": o.OutChannels,
		"num_attention_heads": o.Heads, "attention_head_dim": o.Width / o.Heads, "num_layers": o.Depth,
		"activation_fn": act, "dropout": o.Dropout, "attention_bias": o.AttentionBias,
		"norm_elementwise_affine": o.AffineNorm, "norm_eps": o.NormEps, "norm_type": "ada_norm_zero", "norm_num_groups": 32,
		"num_embeds_ada_norm": max(1, o.Classes), "upcast_attention": false,
	}, nil
}

func sizeOf(height, width int) any {
	switch {
	case height == 0 || width == 0:
		return nil
	case height == width:
		return height
	}
	return []int{height, width}
}
