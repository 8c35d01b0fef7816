package train

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
)

// Network is what experiments train: x (N,…) and t (N) or (1) give x's shape,
// or another number of channels where the objective wants it.
type Network = nn.Model

// ModelArg is what a network is built from besides its config.
type ModelArg struct {
	Device      backend.Device
	Shape       []int   // of what the network is given for a sample, channels last
	Classes     int     // to condition on; 0: none
	Vector      int     // numbers of the vector to condition on; 0: none
	Jump        bool    // the objective tells how far a step leads
	Scale       bool    // the objective tells how strong guidance is to be
	OutChannels int     // of the output
	TextWidth   int     // of encoded prompts to condition on; 0: none
	Init        rng.Key // of the first weights
}

func (a ModelArg) init() *nn.Init { return nn.NewInit(a.Device, a.Init) }

// cond fills in the classes that the data have and the width of encoded prompts, unless the
// config names some, and what the objective tells besides.
func (a ModelArg) cond(o *nn.CondOptions) {
	o.Jump, o.Scale = o.Jump || a.Jump, o.Scale || a.Scale
	if o.TextWidth == 0 {
		o.TextWidth = a.TextWidth
	}
	if o.Classes == 0 {
		o.Classes = a.Classes
	}
	if o.Vector == 0 {
		o.Vector = a.Vector
	}
}

// Models is the registry of networks. A program of one's own adds to it before cli.Main.
var Models = config.NewRegistry[ModelArg, Network]("network", "The network that is trained. Sizes that follow from the data need not be given.")

func init() {
	config.Register(Models, "mlp", "Residual multilayer perceptron, for points.",
		func(c *nn.ResidualMLPOptions, a ModelArg) (Network, error) {
			o := *c
			a.cond(&o.CondOptions)
			a.fillDims(&o.Dim, &o.OutDim)
			return nn.NewResidualMLP(a.init(), o)
		})
	config.Register(Models, "plain_mlp", "Plain multilayer perceptron with the time as one more input, as in torchcfm's examples.",
		func(c *nn.MLPOptions, a ModelArg) (Network, error) {
			o := *c
			a.cond(&o.CondOptions)
			a.fillDims(&o.Dim, &o.OutDim)
			return nn.NewMLP(a.init(), o)
		})
	config.Register(Models, "dit", "Diffusion transformer (Peebles and Xie 2023) with adaLN-Zero, for images.",
		func(c *nn.DiTOptions, a ModelArg) (Network, error) {
			o := *c
			a.cond(&o.CondOptions)
			if err := a.fillChannels(&o.InChannels, &o.OutChannels); err != nil {
				return nil, err
			}
			return nn.NewDiT(a.init(), o)
		})
	config.Register(Models, "unet", "U-Net (Ronneberger et al. 2015; Ho et al. 2020), for images; diffusers' UNet2DModel and UNet2DConditionModel are configurations of it.",
		func(c *nn.UNetOptions, a ModelArg) (Network, error) {
			o := *c
			a.cond(&o.CondOptions)
			if err := a.fillChannels(&o.InChannels, &o.OutChannels); err != nil {
				return nil, err
			}
			return nn.NewUNet(a.init(), o)
		})
	config.Register(Models, "temporal_unet", "U-Net along time (Janner et al. 2022), for trajectories and other sequences (steps, numbers); diffusion_policy's ConditionalUnet1D (Chi et al. 2023) is a configuration of it.",
		func(c *nn.TemporalUNetOptions, a ModelArg) (Network, error) {
			o := *c
			a.cond(&o.CondOptions)
			if len(a.Shape) != 2 {
				return nil, fmt.Errorf("is for sequences (steps, numbers); the data have shape %v", a.Shape)
			}
			if o.InChannels == 0 {
				o.InChannels = a.Shape[1]
			}
			if o.OutChannels == 0 {
				o.OutChannels = a.OutChannels
			}
			m, err := nn.NewTemporalUNet(a.init(), o)
			if err == nil && a.Shape[0]%m.Multiple() != 0 {
				return nil, invalid.Field("channels", "of %d levels are for sequences whose length is a multiple of %d; the data have %d steps", len(o.Channels), m.Multiple(), a.Shape[0])
			}
			return m, err
		})
}

// fillChannels takes channels from the data, which must be images.
func (a ModelArg) fillChannels(in, out *int) error {
	if len(a.Shape) != 3 {
		return fmt.Errorf("is for images (H,W,C); the data have shape %v: use mlp", a.Shape)
	}
	if *in == 0 {
		*in = a.Shape[2]
	}
	if *out == 0 {
		*out = a.OutChannels
	}
	return nil
}

// fillDims takes numbers a sample from the data.
func (a ModelArg) fillDims(in, out *int) {
	if *in == 0 {
		*in = volume(a.Shape)
	}
	if *out == 0 {
		*out = volume(a.Shape[:len(a.Shape)-1]) * a.OutChannels
	}
}

// nullVector reports whether a network that is conditioned on vectors has one that stands for none.
func nullVector(net Network) bool {
	c := net.Conditions()
	return c.Vector > 0 && c.Null
}

// nullLabel is a network's label for no class, −1 if it has none.
func nullLabel(net Network) int {
	if label, ok := net.Conditions().NullLabel(); ok {
		return label
	}
	return -1
}

// network makes the network, with its text encoder if there is one, and names the parameters.
func (l *Loaded) network(a ModelArg) (Network, []*tensor.Param, error) {
	net, err := l.Model.Build(a)
	if err != nil {
		return nil, nil, err
	}
	c := net.Conditions()
	if a.Jump && !c.Jump {
		return nil, nil, invalid.Field("jump", "is not taken by this network, and the objective tells how far a step leads")
	}
	if a.Scale && !c.Scale {
		return nil, nil, invalid.Field("guidance_scale", "is not taken by this network, and the objective tells how strong guidance is to be")
	}
	if err := checkConditions(c, a.Classes, a.Vector); err != nil {
		return nil, nil, err
	}
	if c.TextWidth != a.TextWidth && c.TextWidth != 0 {
		return nil, nil, invalid.Field("text_width", "is %d; the experiment's text encoder has %d (0: there is none)", c.TextWidth, a.TextWidth)
	}
	if net, err = l.withText(net, a); err != nil {
		return nil, nil, err
	}
	return net, nn.Params(net), nil
}

// checkConditions sees that data in so many classes (0: none), with vectors of so many numbers (0: none), give a network the conditions
// it wants.
func checkConditions(c nn.CondOptions, classes, vector int) error {
	_, null := c.NullLabel()
	switch {
	case c.Classes > 0 && c.Classes < classes:
		return invalid.Field("classes", "is %d; the data have %d", c.Classes, classes)
	case c.Classes > 0 && classes == 0 && !null:
		return invalid.Field("classes", "is %d, and the network has no null class; it gets no classes from the data", c.Classes)
	case vector > 0 && c.Vector != vector:
		return invalid.Field("vector", "is %d; the data have vectors of %d numbers", c.Vector, vector)
	case c.Vector > 0 && vector == 0 && !c.Null:
		return invalid.Field("vector", "is %d, and the network has no null vector; it gets no vectors from the data", c.Vector)
	}
	return nil
}
