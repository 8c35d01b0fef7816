package nn

import "github.com/langevin-go/langevin/internal/invalid"

// TemporalUNetOptions configure a [TemporalUNet].
type TemporalUNetOptions struct {
	InChannels  int    `yaml:"in_channels" doc:"numbers of a step of the sequence; 0: as the data have" range:"[0,inf)"`
	OutChannels int    `yaml:"out_channels" doc:"numbers of a step of the output; 0: as the input" range:"[0,inf)"`
	Channels    []int  `yaml:"channels" doc:"channels of every level, from the full length on; each level has half the length of the one before" range:"[1,inf)"`
	Kernel      int    `yaml:"kernel" doc:"steps that a convolution sees, an odd number" range:"[1,inf)"`
	Groups      int    `yaml:"groups" doc:"groups of the norms, a divisor of all channels" range:"[1,inf)"`
	ScaleShift  bool   `yaml:"scale_shift" doc:"time and conditions scale and shift a block's channels (FiLM), instead of being added to them"`
	Activation  string `yaml:"activation" doc:"activation" oneof:"mish silu gelu relu"`

	TimeDim   int     `yaml:"time_dim" doc:"width of the time embedding" range:"[4,inf)"`
	TimeScale float64 `yaml:"time_scale" doc:"factor on the time: 1000 for times in [0,1], 1 for times that count steps" range:"(0,inf)"`

	CondOptions `yaml:",inline"`
}

// SetDefaults is a small network. diffusion_policy's has channels 512, 1024, 2048 and no scales, or 256, 512, 1024 with them.
func (o *TemporalUNetOptions) SetDefaults() {
	*o = TemporalUNetOptions{Channels: []int{64, 128, 256}, Kernel: 5, Groups: 8, ScaleShift: true, Activation: "mish", TimeDim: 128, TimeScale: 1000}
	o.CondOptions.SetDefaults()
	o.CondOptions.VectorEmbed = "identity"
}

// Validate checks what belongs together.
func (o *TemporalUNetOptions) Validate() error {
	if len(o.Channels) < 2 {
		return invalid.Field("channels", "must be of two levels at least, are of %d", len(o.Channels))
	}
	for i, c := range o.Channels {
		if c < 1 || c%max(1, o.Groups) != 0 {
			return invalid.Field("channels", "must be multiples of the %d groups, number %d is %d", o.Groups, i, c)
		}
	}
	switch {
	case o.Kernel < 1 || o.Kernel%2 == 0:
		return invalid.Field("kernel", "must be odd, is %d", o.Kernel)
	case o.Groups < 1:
		return invalid.Field("groups", "must be at least 1, is %d", o.Groups)
	case activations[o.Activation] == nil:
		return invalid.Field("activation", "is unknown: %q", o.Activation)
	case o.TimeDim < 4 || o.TimeDim%2 != 0:
		return invalid.Field("time_dim", "must be even and at least 4, is %d", o.TimeDim)
	case !(o.TimeScale > 0):
		return invalid.Field("time_scale", "must be positive, is %g", o.TimeScale)
	case o.VectorEmbed == "time":
		return invalid.Field("vector_embed", "must be identity or mlp, is time")
	case o.TextWidth > 0 && o.Prompt != "pooled":
		return invalid.Field("prompt", "must be pooled: the network has no attention; is %s", o.Prompt)
	}
	return o.CondOptions.Validate()
}
