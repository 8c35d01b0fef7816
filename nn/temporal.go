package nn

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// TemporalUNet is a U-Net along one axis, for trajectories and other sequences (Janner et al. 2022; Chi et al.
// 2023, whose ConditionalUnet1D it is where the vector enters as it is). Every block is told the time, beside it the
// vector, and other conditions, whose embeddings are added to the time's.
type TemporalUNet struct {
	Time *TimeEmbedding // with the activation of the network between its layers
	Cond *CondEmbedding // of classes, steps, guidance and prompts, and of a vector by an MLP; nil: none
	// NullVector stands for an unknown vector, where that enters as it is.
	NullVector *tensor.Param
	Down       []*TemporalLevel
	Mid        [2]*TemporalBlock
	Up         []*TemporalLevel
	Last       *TemporalConv
	Out        *Conv1D

	opts TemporalUNetOptions
}

// TemporalLevel is two blocks at one length, and what leads to the next.
type TemporalLevel struct {
	Block1, Block2 *TemporalBlock
	Halve          *Conv1D     // on the way down; nil: none
	Double         *Upsample1D // on the way up
}

// TemporalConv is a convolution, group norm and activation.
type TemporalConv struct {
	Conv *Conv1D
	Norm *GroupNorm

	act Activation
}

// TemporalBlock is a residual block of two convolutions, whose conditions scale and shift, or shift, the channels in between.
type TemporalBlock struct {
	Conv1, Conv2 *TemporalConv
	Film         *Linear
	Skip         *Conv1D // nil: the input as it is

	act   Activation
	scale bool
}

// NewTemporalUNet makes the network with PyTorch's default initialisation; InChannels must be set.
func NewTemporalUNet(in *Init, o TemporalUNetOptions) (m *TemporalUNet, err error) {
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
	m = &TemporalUNet{opts: o}
	features := NewSinusoidal(in.Device(), SinusoidalOptions{Dim: o.TimeDim, Shift: 1, SinFirst: true})
	m.Time = &TimeEmbedding{features, NewLinear(in, o.TimeDim, 4*o.TimeDim), NewLinear(in, 4*o.TimeDim, o.TimeDim)}
	others, width := o.CondOptions, o.TimeDim
	if o.joins() {
		others.Vector = 0
		width += o.Vector
		if o.Null {
			m.NullVector = in.Normal(1, o.Vector)
		}
	}
	if m.Cond, err = NewCondEmbedding(in, others, o.TimeDim, 1, func() TimeFeatures { return features }); err != nil {
		return nil, err
	}
	b := temporalBuilder{in: in, o: &o, width: width}
	ch, levels := o.Channels, len(o.Channels)
	from := o.InChannels
	for i, c := range ch {
		l := &TemporalLevel{Block1: b.block(from, c), Block2: b.block(c, c)}
		if i < levels-1 {
			l.Halve = NewConv1D(in, c, c, 3, 2, 1)
		}
		m.Down = append(m.Down, l)
		from = c
	}
	m.Mid = [2]*TemporalBlock{b.block(from, from), b.block(from, from)}
	for i := levels - 1; i > 0; i-- { // the first level's output is not used again, as in the original
		m.Up = append(m.Up, &TemporalLevel{Block1: b.block(2*ch[i], ch[i-1]), Block2: b.block(ch[i-1], ch[i-1]), Double: NewUpsample1D(in, ch[i-1])})
	}
	m.Last = b.conv(ch[0], ch[0])
	m.Out = NewConv1D(in, ch[0], o.OutChannels, 1, 1, 0)
	return m, nil
}

// joins reports whether a vector enters as it is, beside the time's embedding.
func (o *TemporalUNetOptions) joins() bool { return o.Vector > 0 && o.VectorEmbed == "identity" }

type temporalBuilder struct {
	in    *Init
	o     *TemporalUNetOptions
	width int // of what blocks are told
}

func (b *temporalBuilder) conv(from, to int) *TemporalConv {
	return &TemporalConv{NewConv1D(b.in, from, to, b.o.Kernel, 1, b.o.Kernel/2), NewGroupNorm(b.in, b.o.Groups, to, 1e-5), activations[b.o.Activation]}
}

func (b *temporalBuilder) block(from, to int) *TemporalBlock {
	t := &TemporalBlock{Conv1: b.conv(from, to), Conv2: b.conv(to, to), act: activations[b.o.Activation], scale: b.o.ScaleShift}
	told := to
	if b.o.ScaleShift {
		told = 2 * to
	}
	t.Film = NewLinear(b.in, b.width, told)
	if from != to {
		t.Skip = NewConv1D(b.in, from, to, 1, 1, 0)
	}
	return t
}

// Options are those that the network was made with, sizes filled in.
func (m *TemporalUNet) Options() TemporalUNetOptions { return m.opts }

// Conditions are what Forward accepts.
func (m *TemporalUNet) Conditions() CondOptions { return m.opts.CondOptions }

// Multiple is what T must be divisible by: 2 for every level but the last.
func (m *TemporalUNet) Multiple() int { return 1 << (len(m.opts.Channels) - 1) }

// Forward maps sequences x (N,T,InChannels) at times t (N) or (1) to (N,T,OutChannels).
func (m *TemporalUNet) Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	if x.Rank() != 3 || x.Dim(2) != m.opts.InChannels {
		misuse("TemporalUNet", fmt.Sprintf("x has shape %v, want (N,T,%d)", x.Shape(), m.opts.InChannels))
	}
	if k := m.Multiple(); x.Dim(1)%k != 0 {
		misuse("TemporalUNet", fmt.Sprintf("sequences of %d, want a multiple of %d, for %d levels", x.Dim(1), k, len(m.opts.Channels)))
	}
	s := x.Scope()
	mark := s.Mark()
	e := m.told(s, t, c)
	var store [maxTemporalLevels]*tensor.Tensor
	skips := store[:0]
	h := x
	for _, l := range m.Down {
		h = l.Block2.Forward(l.Block1.Forward(h, e), e)
		skips = append(skips, h)
		if l.Halve != nil {
			h = l.Halve.Forward(h)
		}
	}
	for _, b := range m.Mid {
		h = b.Forward(h, e)
	}
	for i, l := range m.Up {
		h = tensor.Concat(2, h, skips[len(skips)-1-i])
		h = l.Double.Forward(l.Block2.Forward(l.Block1.Forward(h, e), e))
	}
	return s.Release(mark, m.Out.Forward(m.Last.Forward(h)))
}

// maxTemporalLevels are as many as need no allocation.
const maxTemporalLevels = 16

// told is the activated vector that blocks are told: (N,D), or (1,D).
func (m *TemporalUNet) told(s *tensor.Scope, t *tensor.Tensor, c Cond) *tensor.Tensor {
	act := activations[m.opts.Activation]
	if m.opts.TimeScale != 1 {
		t = t.Scale(m.opts.TimeScale)
		if c.Jump != nil {
			c.Jump = c.Jump.Scale(m.opts.TimeScale)
		}
	}
	e := m.Time.Fc2.Forward(act(m.Time.Fc1.Forward(m.Time.Features.Forward(t))))
	if !m.opts.joins() {
		return act(addTo(e, m.Cond.Forward(s, c)))
	}
	v := vectorOr(s, m.NullVector, c)
	c.Vector, c.Drop = nil, nil
	e = addTo(e, m.Cond.Forward(s, c))
	switch n := max(e.Dim(0), v.Dim(0)); {
	case e.Dim(0) < n:
		e = e.Expand(n, e.Dim(1))
	case v.Dim(0) < n:
		v = v.Expand(n, v.Dim(1))
	}
	return act(tensor.Concat(1, e, v))
}

// Forward keeps the length of x (N,T,C).
func (c *TemporalConv) Forward(x *tensor.Tensor) *tensor.Tensor {
	return c.act(c.Norm.Forward(c.Conv.Forward(x)))
}

// Forward maps x (N,T,from) to (N,T,to); e (N,D) or (1,D) is what it is told, activated.
func (b *TemporalBlock) Forward(x, e *tensor.Tensor) *tensor.Tensor {
	film := b.Film.Forward(e)
	film = film.Reshape(film.Dim(0), 1, film.Dim(1))
	h := b.Conv1.Forward(x)
	if n := h.Dim(2); b.scale {
		h = h.Mul(film.Slice(2, 0, n)).Add(film.Slice(2, n, 2*n))
	} else {
		h = h.Add(film)
	}
	h = b.Conv2.Forward(h)
	if b.Skip != nil {
		x = b.Skip.Forward(x)
	}
	return h.Add(x)
}
