package nn

import (
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/invalid"
)

// UNetOptions configure a [UNet]. Kinds of blocks have diffusers' names.
type UNetOptions struct {
	InChannels  int      `yaml:"in_channels" doc:"channels of the images; 0: as the data have" range:"[0,inf)"`
	OutChannels int      `yaml:"out_channels" doc:"channels of the output; 0: as the input" range:"[0,inf)"`
	Channels    []int    `yaml:"channels" doc:"channels of every level, from the finest to the coarsest" range:"[1,inf)"`
	Layers      int      `yaml:"layers" doc:"residual blocks a level on the way down; one more on the way up" range:"[1,inf)"`
	DownBlocks  []string `yaml:"down_blocks" doc:"kind of every level on the way down; empty: attention at the coarsest only, to prompts too if there are any; CrossAttn blocks are for prompts" oneof:"DownBlock2D AttnDownBlock2D ResnetDownsampleBlock2D SkipDownBlock2D AttnSkipDownBlock2D CrossAttnDownBlock2D"`
	UpBlocks    []string `yaml:"up_blocks" doc:"kind of every level on the way up, from the coarsest to the finest; empty: attention at the coarsest only" oneof:"UpBlock2D AttnUpBlock2D ResnetUpsampleBlock2D SkipUpBlock2D AttnSkipUpBlock2D CrossAttnUpBlock2D"`

	MidBlock           bool    `yaml:"mid_block" doc:"two residual blocks between the way down and the way up"`
	MidAttention       bool    `yaml:"mid_attention" doc:"attention between these two"`
	MidAttentionGroups int     `yaml:"mid_attention_groups" doc:"groups of that attention's norm; 0: as groups, -1: no norm" range:"[-1,inf)"`
	MidScale           float64 `yaml:"mid_scale" doc:"divisor of the mid block's sums" range:"(0,inf)"`
	HeadDim            int     `yaml:"head_dim" doc:"channels of an attention head; 0: one head" range:"[0,inf)"`

	Groups      int     `yaml:"groups" doc:"groups of the norms, a divisor of all channels; 0: a quarter of the channels, at most 32 (Skip blocks always have that)" range:"[0,inf)"`
	NormEps     float64 `yaml:"norm_eps" doc:"added to the variance in the norms" range:"(0,inf)"`
	Activation  string  `yaml:"activation" doc:"activation of the residual blocks" oneof:"silu swish mish gelu relu"`
	Dropout     float64 `yaml:"dropout" doc:"probability of dropping an activation in the residual blocks in training" range:"[0,1)"`
	ScaleShift  bool    `yaml:"scale_shift" doc:"the time scales and shifts the second norm of a residual block, instead of being added before it"`
	ZeroInit    bool    `yaml:"zero_init" doc:"start residual branches and the output at zero (Ho et al. 2020)"`
	Downsample  string  `yaml:"downsample" doc:"how AttnDownBlock2D halves the resolution" oneof:"conv resnet"`
	Upsample    string  `yaml:"upsample" doc:"how AttnUpBlock2D doubles the resolution" oneof:"conv resnet"`
	DownPad     int     `yaml:"downsample_padding" doc:"padding of downsampling convolutions; 0 pads behind only" range:"[0,1]"`
	CenterInput bool    `yaml:"center_input" doc:"map the input from [0,1] to [-1,1] first"`

	TimeEmbedding string  `yaml:"time_embedding" doc:"features of the time: sines and cosines at fixed frequencies, at random ones, at random ones of its logarithm, or a trained vector a step" oneof:"positional fourier log_fourier learned"`
	TimeDim       int     `yaml:"time_dim" doc:"width of the time embedding; 0: four times the first channels" range:"[0,inf)"`
	TimeScale     float64 `yaml:"time_scale" doc:"factor on the time: 1000 for times in [0,1], 1 for times that count 1000 steps" range:"(0,inf)"`
	TimeShift     float64 `yaml:"time_shift" doc:"subtracted from the number of positional frequencies"`
	TimeSinFirst  bool    `yaml:"time_sin_first" doc:"positional features begin with the sines"`
	TimeSteps     int     `yaml:"time_steps" doc:"rows of the learned time embedding" range:"[0,inf)"`
	FourierScale  float64 `yaml:"fourier_scale" doc:"standard deviation of the random frequencies" range:"(0,inf)"`
	DivideByTime  bool    `yaml:"divide_by_time" doc:"divide the output by the scaled time, as NCSN++ does"`

	Transformer TransformerOptions `yaml:"transformer" doc:"of the CrossAttn blocks, and of the mid block where there are prompts"`
	CondOptions `yaml:",inline"`
}

// SetDefaults is a small network for small images.
func (o *UNetOptions) SetDefaults() {
	*o = UNetOptions{
		Channels: []int{32, 64, 64}, Layers: 2, MidBlock: true, MidAttention: true, MidScale: 1, HeadDim: 32,
		Groups: 8, NormEps: 1e-5, Activation: "silu", ScaleShift: true, ZeroInit: true, Downsample: "conv", Upsample: "conv", DownPad: 1,
		TimeEmbedding: "positional", TimeScale: 1000, FourierScale: 16,
	}
	o.Transformer.SetDefaults()
	o.CondOptions.SetDefaults()
}

// maxSkips bounds the number of skip connections, and with it the network's depth.
const maxSkips = 256

// Validate checks the fields one by one and together; the constructor checks what depends on InChannels.
func (o *UNetOptions) Validate() error {
	levels := len(o.Channels)
	switch {
	case o.InChannels < 0:
		return invalid.Field("in_channels", "must not be negative, is %d", o.InChannels)
	case o.OutChannels < 0:
		return invalid.Field("out_channels", "must not be negative, is %d", o.OutChannels)
	case levels < 1:
		return invalid.Field("channels", "must name the channels of at least one level")
	case slices.Min(o.Channels) < 1:
		return invalid.Field("channels", "must be at least 1, are %v", o.Channels)
	case o.Layers < 1:
		return invalid.Field("layers", "must be at least 1, is %d", o.Layers)
	case o.Layers >= maxSkips || levels >= maxSkips || (o.Layers+1)*levels > maxSkips:
		return invalid.Field("layers", "%d on %d levels are more than %d skip connections", o.Layers, levels, maxSkips)
	case len(o.DownBlocks) != 0 && len(o.DownBlocks) != levels:
		return invalid.Field("down_blocks", "must be as many as channels, %d, are %d", levels, len(o.DownBlocks))
	case len(o.UpBlocks) != 0 && len(o.UpBlocks) != levels:
		return invalid.Field("up_blocks", "must be as many as channels, %d, are %d", levels, len(o.UpBlocks))
	case o.MidAttentionGroups < -1:
		return invalid.Field("mid_attention_groups", "must be at least -1, is %d", o.MidAttentionGroups)
	case !(o.MidScale > 0):
		return invalid.Field("mid_scale", "must be positive, is %g", o.MidScale)
	case o.HeadDim < 0:
		return invalid.Field("head_dim", "must not be negative, is %d", o.HeadDim)
	case o.Groups < 0:
		return invalid.Field("groups", "must not be negative, is %d", o.Groups)
	case !(o.NormEps > 0):
		return invalid.Field("norm_eps", "must be positive, is %g", o.NormEps)
	case !(o.Dropout >= 0 && o.Dropout < 1):
		return invalid.Field("dropout", "must be in [0, 1), is %g", o.Dropout)
	case o.Downsample != "conv" && o.Downsample != "resnet":
		return invalid.Field("downsample", "must be conv or resnet, is %q", o.Downsample)
	case o.Upsample != "conv" && o.Upsample != "resnet":
		return invalid.Field("upsample", "must be conv or resnet, is %q", o.Upsample)
	case o.DownPad != 0 && o.DownPad != 1:
		return invalid.Field("downsample_padding", "must be 0 or 1, is %d", o.DownPad)
	}
	if _, err := ActivationByName(o.Activation); err != nil {
		return invalid.Field("activation", "is not known: %v", err)
	}
	if err := o.checkBlocks(); err != nil {
		return err
	}
	if err := o.checkTime(); err != nil {
		return err
	}
	if err := o.Transformer.validate(levels); err != nil {
		return err
	}
	return o.CondOptions.Validate()
}

func (o *UNetOptions) checkTime() error {
	switch o.TimeEmbedding {
	case "positional", "fourier", "log_fourier":
	case "learned":
		if o.TimeSteps < 1 {
			return invalid.Field("time_steps", "must be at least 1 for a learned time embedding, is %d", o.TimeSteps)
		}
	default:
		return invalid.Field("time_embedding", "must be positional, fourier, log_fourier or learned, is %q", o.TimeEmbedding)
	}
	half := float64(o.Channels[0] / 2)
	switch {
	case o.TimeDim < 0:
		return invalid.Field("time_dim", "must not be negative, is %d", o.TimeDim)
	case !(o.TimeScale > 0):
		return invalid.Field("time_scale", "must be positive, is %g", o.TimeScale)
	case o.Jump && (o.TimeEmbedding == "log_fourier" || o.TimeEmbedding == "learned"):
		return invalid.Field("time_embedding", "must be positional or fourier where the network is told how far a step leads, is %q", o.TimeEmbedding)
	case o.TimeEmbedding == "positional" && (o.TimeShift == half || o.TimeShift != o.TimeShift):
		return invalid.Field("time_shift", "must not be half of the first channels, %g: there would be no frequencies", half)
	case !(o.FourierScale > 0):
		return invalid.Field("fourier_scale", "must be positive, is %g", o.FourierScale)
	}
	return nil
}

// blockKind is what a name of a block says.
type blockKind struct{ attention, resnet, skip, text bool }

var downKinds = map[string]blockKind{
	"DownBlock2D":             {},
	"AttnDownBlock2D":         {attention: true},
	"ResnetDownsampleBlock2D": {resnet: true},
	"SkipDownBlock2D":         {skip: true},
	"AttnSkipDownBlock2D":     {attention: true, skip: true},
	"CrossAttnDownBlock2D":    {text: true},
}

var upKinds = map[string]blockKind{
	"UpBlock2D":             {},
	"AttnUpBlock2D":         {attention: true},
	"ResnetUpsampleBlock2D": {resnet: true},
	"SkipUpBlock2D":         {skip: true},
	"AttnSkipUpBlock2D":     {attention: true, skip: true},
	"CrossAttnUpBlock2D":    {text: true},
}

// Blocks are the kinds of all levels on the way down and up, where DownBlocks and
// UpBlocks may be empty.
func (o *UNetOptions) Blocks() (down, up []string) {
	levels, attn := len(o.Channels), "Attn"
	if o.attends() {
		attn = "CrossAttn"
	}
	if down = slices.Clone(o.DownBlocks); len(down) == 0 {
		down = append(slices.Repeat([]string{"DownBlock2D"}, levels-1), attn+"DownBlock2D")
	}
	if up = slices.Clone(o.UpBlocks); len(up) == 0 {
		up = append([]string{attn + "UpBlock2D"}, slices.Repeat([]string{"UpBlock2D"}, levels-1)...)
	}
	return down, up
}

// kinds are the blocks on the way down and up.
func (o *UNetOptions) kinds() (down, up []blockKind, err error) {
	names, upNames := o.Blocks()
	for _, name := range names {
		k, ok := downKinds[name]
		if !ok {
			return nil, nil, invalid.Field("down_blocks", "no block %q: there are %s", name, kindNames(downKinds))
		}
		k.resnet = k.resnet || k.attention && !k.skip && o.Downsample == "resnet"
		down = append(down, k)
	}
	for _, name := range upNames {
		k, ok := upKinds[name]
		if !ok {
			return nil, nil, invalid.Field("up_blocks", "no block %q: there are %s", name, kindNames(upKinds))
		}
		k.resnet = k.resnet || k.attention && !k.skip && o.Upsample == "resnet"
		up = append(up, k)
	}
	return down, up, nil
}

func kindNames(m map[string]blockKind) string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// checkBlocks refuses lists in which the images that Skip blocks pass along would
// not have the size of what they are added to.
func (o *UNetOptions) checkBlocks() error {
	down, up, err := o.kinds()
	if err != nil {
		return err
	}
	plain := false
	for i, k := range down {
		if k.skip && plain && i < len(down)-1 {
			return invalid.Field("down_blocks", "a Skip block must not come behind a block of another kind, save as the last")
		}
		plain = plain || !k.skip
	}
	skipped := false
	for _, k := range up {
		if skipped && !k.skip {
			return invalid.Field("up_blocks", "behind a Skip block there must be Skip blocks only")
		}
		skipped = skipped || k.skip
	}
	return nil
}
