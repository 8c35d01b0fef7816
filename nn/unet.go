package nn

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// UNet is a convolutional network with skip connections between levels of
// resolution (Ronneberger et al. 2015, Ho et al. 2020): diffusers' UNet2DModel and
// its options, with conditions on a class and a vector; and UNet2DConditionModel, whose
// CrossAttn blocks attend to a prompt.
type UNet struct {
	In      *Conv2D
	Time    *TimeEmbedding
	Cond    *CondEmbedding
	Down    []*DownBlock
	Mid     *MidBlock // nil: none
	Up      []*UpBlock
	NormOut *GroupNorm
	Out     *Conv2D

	opts UNetOptions
}

// NewUNet makes the network with PyTorch's default initialisation; InChannels must be set.
func NewUNet(in *Init, o UNetOptions) (m *UNet, err error) {
	defer catchAlloc(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.InChannels == 0 {
		return nil, invalid.Field("in_channels", "must be at least 1, is 0")
	}
	if o.OutChannels == 0 {
		o.OutChannels = o.InChannels
	}
	if o.TimeDim == 0 {
		o.TimeDim = 4 * o.Channels[0]
	}
	down, up, err := o.kinds()
	if err != nil {
		return nil, err
	}
	if err := o.checkPrompt(down, up); err != nil {
		return nil, err
	}
	b := &unetBuilder{in: in, o: &o, dim: o.TimeDim}
	ch, levels := o.Channels, len(o.Channels)
	m = &UNet{In: NewConv2D(in, o.InChannels, ch[0], 3, 1, 1), opts: o}
	features := timeFeatures(in, &o)
	m.Time = NewTimeEmbedding(in, features, o.TimeDim)
	m.Cond, err = NewCondEmbedding(in, o.CondOptions, o.TimeDim, 1, func() TimeFeatures { return features })
	if err != nil {
		return nil, err
	}
	from := ch[0]
	for i, k := range down {
		m.Down = append(m.Down, b.down(k, from, ch[i], i))
		from = ch[i]
	}
	if o.MidBlock {
		m.Mid = b.mid(from)
	}
	for j, k := range up {
		i := levels - 1 - j
		m.Up = append(m.Up, b.up(k, ch[max(0, i-1)], from, ch[i], i))
		from = ch[i]
	}
	m.NormOut = b.norm(b.groups(ch[0]), ch[0])
	m.Out = b.lastConv(ch[0], o.OutChannels, 3, 1)
	return m, b.err
}

func timeFeatures(in *Init, o *UNetOptions) TimeFeatures {
	switch o.TimeEmbedding {
	case "fourier", "log_fourier":
		return NewFourier(in, 2*o.Channels[0], o.FourierScale, o.TimeEmbedding == "log_fourier")
	case "learned":
		return NewLearnedTime(in, o.TimeSteps, o.Channels[0])
	}
	return NewSinusoidal(in.Device(), SinusoidalOptions{Dim: o.Channels[0], Shift: o.TimeShift, SinFirst: o.TimeSinFirst})
}

// Options are those that the network was made with, sizes filled in.
func (m *UNet) Options() UNetOptions { return m.opts }

// Conditions are what Forward accepts.
func (m *UNet) Conditions() CondOptions { return m.opts.CondOptions }

// Multiple is what H and W must be divisible by: 2 for every level but the last.
func (m *UNet) Multiple() int { return 1 << (len(m.opts.Channels) - 1) }

// Forward maps images x (N,H,W,InChannels) at times t (N) or (1) to (N,H,W,OutChannels).
func (m *UNet) Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	var stack skips
	t, c = m.times(t, c)
	p := m.opts.prompt("UNet", c)
	e := m.embed(s, t, c)
	h := m.descend(x, e, p, &stack)
	var image *tensor.Tensor
	for _, u := range m.Up {
		h, image = u.Forward(h, e, image, p, &stack)
	}
	y := addTo(m.Out.Forward(m.NormOut.SiLU(h).Recompute()), image)
	if m.opts.DivideByTime {
		y = y.Div(t.Reshape(t.Elems(), 1, 1, 1))
	}
	return s.Release(mark, y)
}

// Features are what the way up begins from, (N, H, W, width) at the lowest resolution.
func (m *UNet) Features(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	var stack skips
	t, c = m.times(t, c)
	return s.Release(mark, m.descend(x, m.embed(s, t, c), m.opts.prompt("UNet", c), &stack))
}

// FeatureWidth is the last axis of Features.
func (m *UNet) FeatureWidth() int { return m.opts.Channels[len(m.opts.Channels)-1] }

// times are the time and the length of a jump as the embedding takes them.
func (m *UNet) times(t *tensor.Tensor, c Cond) (*tensor.Tensor, Cond) {
	if m.opts.TimeScale == 1 {
		return t, c
	}
	if c.Jump != nil {
		c.Jump = c.Jump.Scale(m.opts.TimeScale)
	}
	return t.Scale(m.opts.TimeScale), c
}

// descend is the way down and the middle; what it leaves for the way up is on the stack.
func (m *UNet) descend(x, e *tensor.Tensor, p prompt, stack *skips) *tensor.Tensor {
	m.check(x)
	if m.opts.CenterInput {
		x = x.Scale(2).AddScalar(-1)
	}
	h, image := stack.push(m.In.Forward(x)), x
	for _, d := range m.Down {
		h, image = d.Forward(h, e, image, p, stack)
	}
	if m.Mid != nil {
		h = m.Mid.Forward(h, e, p)
	}
	return h
}

func (m *UNet) check(x *tensor.Tensor) {
	if x.Rank() != 4 || x.Dim(3) != m.opts.InChannels {
		misuse("UNet", fmt.Sprintf("x has shape %v, want (N,H,W,%d)", x.Shape(), m.opts.InChannels))
	}
	if k := m.Multiple(); x.Dim(1)%k != 0 || x.Dim(2)%k != 0 {
		misuse("UNet", fmt.Sprintf("images of %d×%d, want sides that are multiples of %d, for %d levels", x.Dim(1), x.Dim(2), k, len(m.opts.Channels)))
	}
}

// embed is the activated embedding of time and conditions: (N,D), or (1,D).
func (m *UNet) embed(s *tensor.Scope, t *tensor.Tensor, c Cond) *tensor.Tensor {
	mark := s.Mark()
	return s.Release(mark, activations[m.opts.Activation](addTo(m.Time.Forward(t), m.Cond.Forward(s, c))))
}
