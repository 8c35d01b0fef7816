package nn

import "github.com/langevin-go/langevin/internal/invalid"

// DiTOptions configure a [DiT]. The defaults with width 384, depth 12 and 6 heads
// are DiT-S of facebookresearch/DiT.
type DiTOptions struct {
	InChannels    int     `yaml:"in_channels" doc:"channels of the images; 0: as the data have" range:"[0,inf)"`
	OutChannels   int     `yaml:"out_channels" doc:"channels of the output: twice the input's for a learned variance; 0: as the input" range:"[0,inf)"`
	SampleSize    int     `yaml:"sample_size" doc:"side of the images that positions are counted for; larger and smaller ones stretch them; 0: count patches, whatever the size" range:"[0,inf)"`
	Patch         int     `yaml:"patch" doc:"side of a patch" range:"[1,inf)"`
	Width         int     `yaml:"width" doc:"width of the tokens, a multiple of 4 and of heads" range:"[4,inf)"`
	Depth         int     `yaml:"depth" doc:"number of blocks" range:"[1,inf)"`
	Heads         int     `yaml:"heads" doc:"number of attention heads" range:"[1,inf)"`
	MLPRatio      float64 `yaml:"mlp_ratio" doc:"width of the MLP's hidden layer over the tokens'" range:"(0,inf)"`
	Activation    string  `yaml:"activation" doc:"activation of the MLP; geglu and swiglu are gated (Shazeer 2020)" oneof:"gelu_tanh gelu quick_gelu silu geglu swiglu"`
	Dropout       float64 `yaml:"dropout" doc:"probability of dropping a unit behind attention and in the MLP in training" range:"[0,1)"`
	AttentionBias bool    `yaml:"attention_bias" doc:"biases on queries, keys and values"`
	AffineNorm    bool    `yaml:"affine_norm" doc:"weights and biases on the norm before the MLP"`
	NormEps       float64 `yaml:"norm_eps" doc:"added to the variance in the norm before the MLP; the others have 1e-6" range:"(0,inf)"`
	TimeScale     float64 `yaml:"time_scale" doc:"factor on the time before its features: 1000 for times in [0,1], 1 for times that count 1000 steps" range:"(0,inf)"`
	TimeShift     float64 `yaml:"time_shift" doc:"subtracted from the number of time frequencies: 1 in diffusers, 0 in facebookresearch/DiT" range:"[0,128)"`
	EmbedPerBlock bool    `yaml:"embed_per_block" doc:"an embedding of time and conditions of its own for every block, as diffusers has it"`
	CondOptions   `yaml:",inline"`
}

// SetDefaults is a small network for small images.
func (o *DiTOptions) SetDefaults() {
	*o = DiTOptions{
		Patch: 2, Width: 128, Depth: 6, Heads: 4, MLPRatio: 4, Activation: "gelu_tanh",
		AttentionBias: true, NormEps: 1e-6, TimeScale: 1000, TimeShift: 1,
	}
	o.CondOptions.SetDefaults()
}

// Validate checks the fields one by one and together.
func (o *DiTOptions) Validate() error {
	switch {
	case o.InChannels < 0:
		return invalid.Field("in_channels", "must not be negative, is %d", o.InChannels)
	case o.OutChannels < 0:
		return invalid.Field("out_channels", "must not be negative, is %d", o.OutChannels)
	case o.SampleSize < 0:
		return invalid.Field("sample_size", "must not be negative, is %d", o.SampleSize)
	case o.Patch < 1:
		return invalid.Field("patch", "must be at least 1, is %d", o.Patch)
	case o.SampleSize > 0 && o.SampleSize < o.Patch:
		return invalid.Field("sample_size", "must be at least the patch %d, is %d", o.Patch, o.SampleSize)
	case o.Width < 4 || o.Width%4 != 0:
		return invalid.Field("width", "must be a multiple of 4 (sines and cosines of two axes), is %d", o.Width)
	case o.Depth < 1:
		return invalid.Field("depth", "must be at least 1, is %d", o.Depth)
	case !(o.MLPRatio > 0) || o.hidden() < 1 || o.MLPRatio > 1e6:
		return invalid.Field("mlp_ratio", "must be positive and give a hidden layer, is %g", o.MLPRatio)
	case !(o.Dropout >= 0 && o.Dropout < 1):
		return invalid.Field("dropout", "must be in [0, 1), is %g", o.Dropout)
	case !(o.NormEps > 0):
		return invalid.Field("norm_eps", "must be positive, is %g", o.NormEps)
	case !(o.TimeScale > 0):
		return invalid.Field("time_scale", "must be positive, is %g", o.TimeScale)
	case !(o.TimeShift >= 0 && o.TimeShift < ditTimeFeatures/2):
		return invalid.Field("time_shift", "must be in [0, %d), is %g", ditTimeFeatures/2, o.TimeShift)
	}
	if _, ok := mlpKinds[o.Activation]; !ok {
		return invalid.Field("activation", "must be gelu_tanh, gelu, quick_gelu, silu, geglu or swiglu, is %q", o.Activation)
	}
	if err := checkHeads("heads", o.Width, o.Heads); err != nil {
		return err
	}
	return o.CondOptions.Validate()
}

func (o *DiTOptions) hidden() int { return int(float64(o.Width) * o.MLPRatio) }
