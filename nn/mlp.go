package nn

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// ResidualMLPOptions configure a [ResidualMLP].
type ResidualMLPOptions struct {
	Dim         int     `yaml:"dim" doc:"numbers a sample; 0: as the data have" range:"[0,inf)"`
	OutDim      int     `yaml:"out_dim" doc:"numbers a sample of the output; 0: as of the input" range:"[0,inf)"`
	Width       int     `yaml:"width" doc:"width of the hidden layers" range:"[1,inf)"`
	Depth       int     `yaml:"depth" doc:"number of residual layers" range:"[0,inf)"`
	Activation  string  `yaml:"activation" doc:"activation of the residual layers" oneof:"silu gelu gelu_tanh mish relu selu tanh"`
	Dropout     float64 `yaml:"dropout" doc:"probability of dropping a hidden unit in training" range:"[0,1)"`
	TimeDim     int     `yaml:"time_dim" doc:"number of sinusoidal features of the time" range:"[4,inf)"`
	TimeScale   float64 `yaml:"time_scale" doc:"factor on the time before its features: 1000 for times in [0,1]" range:"(0,inf)"`
	MaxPeriod   float64 `yaml:"max_period" doc:"period of the slowest time feature, in units of 2π" range:"(1,inf)"`
	CondOptions `yaml:",inline"`
}

// SetDefaults is the network of the benchmarks.
func (o *ResidualMLPOptions) SetDefaults() {
	*o = ResidualMLPOptions{Width: 256, Depth: 4, Activation: "silu", TimeDim: 64, TimeScale: 1000, MaxPeriod: 10000}
	o.CondOptions.SetDefaults()
	o.Prompt = "pooled"
}

// Validate checks the fields one by one and together.
func (o *ResidualMLPOptions) Validate() error {
	if err := checkHidden(o.Dim, o.OutDim, o.Width, o.Activation, o.Dropout); err != nil {
		return err
	}
	switch {
	case o.Depth < 0:
		return invalid.Field("depth", "must not be negative, is %d", o.Depth)
	case o.TimeDim < 4:
		return invalid.Field("time_dim", "must be at least 4, is %d", o.TimeDim)
	case !(o.TimeScale > 0):
		return invalid.Field("time_scale", "must be positive, is %g", o.TimeScale)
	case !(o.MaxPeriod > 1):
		return invalid.Field("max_period", "must be more than 1, is %g", o.MaxPeriod)
	}
	return o.CondOptions.validatePooled()
}

func checkHidden(dim, out, width int, activation string, dropout float64) error {
	switch {
	case dim < 0:
		return invalid.Field("dim", "must not be negative, is %d", dim)
	case out < 0:
		return invalid.Field("out_dim", "must not be negative, is %d", out)
	case width < 1:
		return invalid.Field("width", "must be at least 1, is %d", width)
	case !(dropout >= 0 && dropout < 1):
		return invalid.Field("dropout", "must be in [0, 1), is %g", dropout)
	}
	if _, err := ActivationByName(activation); err != nil {
		return invalid.Field("activation", "is not known: %v", err)
	}
	return nil
}

// ResidualMLP is a multilayer perceptron whose hidden layers each add
// act(Linear(h+e)) to h, e an embedding of time and conditions.
type ResidualMLP struct {
	In, Out *Linear
	Time    *TimeEmbedding
	Cond    *CondEmbedding
	Hidden  []*Linear

	opts ResidualMLPOptions
	act  Activation
}

// NewResidualMLP makes the network; Dim must be set.
func NewResidualMLP(in *Init, o ResidualMLPOptions) (m *ResidualMLP, err error) {
	defer catchAlloc(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Dim == 0 {
		return nil, invalid.Field("dim", "must be at least 1, is 0")
	}
	if o.OutDim == 0 {
		o.OutDim = o.Dim
	}
	features := func() TimeFeatures {
		return NewSinusoidal(in.Device(), SinusoidalOptions{Dim: o.TimeDim, MaxPeriod: o.MaxPeriod, Shift: 1, Scale: o.TimeScale})
	}
	m = &ResidualMLP{opts: o}
	m.act, _ = ActivationByName(o.Activation)
	m.Time = NewTimeEmbedding(in, features(), o.Width)
	m.In, m.Out = NewLinear(in, o.Dim, o.Width), NewLinear(in, o.Width, o.OutDim)
	for range o.Depth {
		m.Hidden = append(m.Hidden, NewLinear(in, o.Width, o.Width))
	}
	m.Cond, err = NewCondEmbedding(in, o.CondOptions, o.Width, 1, features)
	return m, err
}

// Options are those that the network was made with, sizes filled in.
func (m *ResidualMLP) Options() ResidualMLPOptions { return m.opts }

// Conditions are what Forward accepts.
func (m *ResidualMLP) Conditions() CondOptions { return m.opts.CondOptions }

// addSiLU is x + silu(h) in one pass.
var addSiLU = tensor.NewPointwise("add silu", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[1].MulAdd(in[1].Sigmoid(), in[0])
})

// Forward maps x (N, …) of Dim numbers a sample, at times t (N) or (1), to
// (N, OutDim), or to x's shape if the sizes are equal.
func (m *ResidualMLP) Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	return s.Release(mark, likeInput(m.Out.Forward(m.Features(x, t, c)), x))
}

// Features are what the last layer is given, (N, Width).
func (m *ResidualMLP) Features(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	m.opts.prompt("MLP", c)
	e := addTo(m.Time.Forward(t), m.Cond.Forward(s, c))
	hidden := s.Mark()
	h := m.In.Forward(x.Reshape(x.Dim(0), -1))
	for _, l := range m.Hidden {
		h = s.Release(hidden, m.residual(h, l.Forward(h.Add(e))))
	}
	return s.Release(mark, h)
}

// FeatureWidth is the last axis of Features.
func (m *ResidualMLP) FeatureWidth() int { return m.opts.Width }

func (m *ResidualMLP) residual(h, r *tensor.Tensor) *tensor.Tensor {
	if isSiLU(m.opts.Activation) && m.opts.Dropout == 0 {
		return addSiLU.Apply(nil, h, r)
	}
	return h.Add(m.act(r).Dropout(m.opts.Dropout))
}

// likeInput gives y (N,D) the shape of x if it has as many elements.
func likeInput(y, x *tensor.Tensor) *tensor.Tensor {
	if x.Rank() == 2 || y.Elems() != x.Elems() {
		return y
	}
	return y.Reshape(x.Shape()...)
}

// MLPOptions configure an [MLP].
type MLPOptions struct {
	Dim         int     `yaml:"dim" doc:"numbers a sample; 0: as the data have" range:"[0,inf)"`
	OutDim      int     `yaml:"out_dim" doc:"numbers a sample of the output; 0: as of the input" range:"[0,inf)"`
	Width       int     `yaml:"width" doc:"width of the hidden layers" range:"[1,inf)"`
	Depth       int     `yaml:"depth" doc:"number of hidden layers" range:"[1,inf)"`
	Activation  string  `yaml:"activation" doc:"activation of the hidden layers" oneof:"silu gelu gelu_tanh mish relu selu tanh"`
	Dropout     float64 `yaml:"dropout" doc:"probability of dropping a hidden unit in training" range:"[0,1)"`
	CondOptions `yaml:",inline"`
}

// SetDefaults is the network of torchcfm's examples: three SELU layers of 64.
func (o *MLPOptions) SetDefaults() {
	*o = MLPOptions{Width: 64, Depth: 3, Activation: "selu"}
	o.CondOptions.SetDefaults()
	o.Prompt = "pooled"
}

// Validate checks the fields one by one and together.
func (o *MLPOptions) Validate() error {
	if o.Depth < 1 {
		return invalid.Field("depth", "must be at least 1, is %d", o.Depth)
	}
	if o.VectorEmbed == "time" && o.Vector > 0 {
		return invalid.Field("vector_embed", "time needs a network that embeds the time, this one appends it to its input")
	}
	if err := checkHidden(o.Dim, o.OutDim, o.Width, o.Activation, o.Dropout); err != nil {
		return err
	}
	return o.CondOptions.validatePooled()
}

// MLP is a plain multilayer perceptron on x with the time as one more input.
// Conditions are added before the first activation.
type MLP struct {
	Layers []*Linear
	Cond   *CondEmbedding

	opts MLPOptions
	act  Activation
}

// NewMLP makes the network; Dim must be set.
func NewMLP(in *Init, o MLPOptions) (m *MLP, err error) {
	defer catchAlloc(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Dim == 0 {
		return nil, invalid.Field("dim", "must be at least 1, is 0")
	}
	if o.OutDim == 0 {
		o.OutDim = o.Dim
	}
	m = &MLP{opts: o}
	m.act, _ = ActivationByName(o.Activation)
	from := o.Dim + 1
	for range o.Depth {
		m.Layers = append(m.Layers, NewLinear(in, from, o.Width))
		from = o.Width
	}
	m.Layers = append(m.Layers, NewLinear(in, from, o.OutDim))
	m.Cond, err = NewCondEmbedding(in, o.CondOptions, o.Width, 1, nil)
	return m, err
}

// Options are those that the network was made with, sizes filled in.
func (m *MLP) Options() MLPOptions { return m.opts }

// Conditions are what Forward accepts.
func (m *MLP) Conditions() CondOptions { return m.opts.CondOptions }

// Forward maps x (N, …) of Dim numbers a sample, at times t (N) or (1), to
// (N, OutDim), or to x's shape if the sizes are equal.
func (m *MLP) Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	return s.Release(mark, likeInput(m.Layers[len(m.Layers)-1].Forward(m.Features(x, t, c)), x))
}

// FeatureWidth is the last axis of Features.
func (m *MLP) FeatureWidth() int { return m.opts.Width }

// Features are what the last layer is given, (N, Width).
func (m *MLP) Features(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	n := x.Dim(0)
	m.opts.prompt("MLP", c)
	e := m.Cond.Forward(s, c)
	hidden := s.Mark()
	h := tensor.Concat(1, x.Reshape(n, -1), t.Reshape(t.Elems(), 1).Expand(n, 1))
	for i, l := range m.Layers[:len(m.Layers)-1] {
		h = l.Forward(h)
		if i == 0 {
			h = addTo(h, e)
		}
		h = s.Release(hidden, m.act(h).Dropout(m.opts.Dropout))
	}
	return s.Release(mark, h)
}
