package nn

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// ResBlock is two convolutions behind norms, conditioned by an embedding, beside a
// shortcut: diffusers' ResnetBlock2D.
type ResBlock struct {
	Norm1    *GroupNorm
	Conv1    *Conv2D
	Emb      *Linear // to the channels, or twice as many for scale and shift
	Norm2    *GroupNorm
	Conv2    *Conv2D
	Shortcut *Conv2D // 1×1; nil: the input itself

	act        string
	scaleShift bool
	dropout    float64
	scale      float64 // divisor of the sum
	resample   func(*tensor.Tensor) *tensor.Tensor
}

// Forward maps x (N,H,W,from) to (N,H',W',to); e is the activated embedding, (N,D) or (1,D).
func (b *ResBlock) Forward(x, e *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	h := b.norm(b.Norm1, x)
	if b.resample != nil {
		x, h = b.resample(x), b.resample(h)
	}
	h = b.Conv2.Forward(b.middle(b.Conv1.Forward(h), b.Emb.Forward(e)).Dropout(b.dropout))
	if b.Shortcut != nil {
		x = b.Shortcut.Forward(x)
	}
	return s.Release(m, sumOver(x, h, b.scale))
}

func (b *ResBlock) norm(n *GroupNorm, x *tensor.Tensor) *tensor.Tensor {
	if isSiLU(b.act) {
		return n.SiLU(x).Recompute()
	}
	return activations[b.act](n.Forward(x)).Recompute()
}

// middle brings the embedding p in, normalises and activates.
func (b *ResBlock) middle(h, p *tensor.Tensor) *tensor.Tensor {
	if !b.scaleShift {
		return b.norm(b.Norm2, h.Add(overPositions(p, h)))
	}
	c := h.Dim(3)
	y := b.Norm2.modulated(h, chunk(p, 0, c), chunk(p, 1, c), isSiLU(b.act))
	if isSiLU(b.act) {
		return y.Recompute()
	}
	return activations[b.act](y).Recompute()
}

// sumOver is (x+h)/scale.
func sumOver(x, h *tensor.Tensor, scale float64) *tensor.Tensor {
	if scale == 1 {
		return x.Add(h)
	}
	return x.Axpby(1/scale, h, 1/scale)
}

// SpatialAttention is self-attention over the pixels of an image, beside a shortcut.
type SpatialAttention struct {
	Norm *GroupNorm // nil: none
	Attn *SelfAttention

	scale float64 // divisor of the sum
}

// Forward keeps the shape of x (N,H,W,C).
func (a *SpatialAttention) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	h := x
	if a.Norm != nil {
		h = a.Norm.Forward(x)
	}
	h = a.Attn.Forward(h.Reshape(x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3)))
	return s.Release(m, sumOver(x, h.Reshape(x.Shape()...), a.scale))
}

// unetBuilder makes the parts of a U-Net and remembers the first thing that is wrong.
type unetBuilder struct {
	in  *Init
	o   *UNetOptions
	dim int // of the embedding
	err error
}

func (b *unetBuilder) fail(field, format string, args ...any) {
	if b.err == nil {
		b.err = invalid.Field(field, format, args...)
	}
}

// groups of a norm over a number of channels, unless fixed by the options.
func (b *unetBuilder) groups(channels int) int {
	if b.o.Groups > 0 {
		return b.o.Groups
	}
	return quarter(channels)
}

func quarter(channels int) int { return min(channels/4, 32) }

func (b *unetBuilder) norm(groups, channels int) *GroupNorm {
	if groups < 1 || channels%groups != 0 {
		b.fail("groups", "%d do not divide the %d channels of a norm", groups, channels)
		groups = 1
	}
	return NewGroupNorm(b.in, groups, channels, b.o.NormEps)
}

// resSpec is what residual blocks of one network differ in.
type resSpec struct {
	from, to        int
	groups1, group2 int
	scale           float64
	resample        func(*tensor.Tensor) *tensor.Tensor
	shortcut        bool // also where from == to
}

func (b *unetBuilder) res(r resSpec) *ResBlock {
	o := b.o
	block := &ResBlock{act: o.Activation, scaleShift: o.ScaleShift, dropout: o.Dropout, scale: r.scale, resample: r.resample}
	block.Norm1 = b.norm(r.groups1, r.from)
	block.Conv1 = NewConv2D(b.in, r.from, r.to, 3, 1, 1)
	if o.ScaleShift {
		block.Emb = NewLinear(b.in, b.dim, 2*r.to)
	} else {
		block.Emb = NewLinear(b.in, b.dim, r.to)
	}
	block.Norm2 = b.norm(r.group2, r.to)
	block.Conv2 = b.lastConv(r.to, r.to, 3, 1)
	if r.from != r.to || r.shortcut {
		block.Shortcut = NewConv2D(b.in, r.from, r.to, 1, 1, 0)
	}
	return block
}

// plain is a residual block with the network's groups.
func (b *unetBuilder) plain(from, to int, scale float64, resample func(*tensor.Tensor) *tensor.Tensor) *ResBlock {
	return b.res(resSpec{from, to, b.groups(from), b.groups(to), scale, resample, false})
}

func (b *unetBuilder) lastConv(from, to, kernel, pad int) *Conv2D {
	if b.o.ZeroInit {
		return NewZeroConv2D(b.in, from, to, kernel, 1, pad)
	}
	return NewConv2D(b.in, from, to, kernel, 1, pad)
}

// attention over channels with a norm of so many groups, 0: none.
func (b *unetBuilder) attention(channels, groups int, scale float64) *SpatialAttention {
	d := b.o.HeadDim
	if d == 0 {
		d = channels
	}
	if d > channels {
		b.fail("head_dim", "%d is more than the %d channels of an attention", d, channels)
		d = channels
	}
	a := &SpatialAttention{scale: scale}
	if groups > 0 {
		a.Norm = b.norm(groups, channels)
	}
	heads := channels / d
	a.Attn = NewSelfAttention(b.in, channels, heads, d, true)
	if b.o.ZeroInit {
		a.Attn.Out = NewZeroLinear(b.in, heads*d, channels)
	}
	return a
}

// MidBlock is what stands between the way down and the way up.
type MidBlock struct {
	Res1 *ResBlock
	Attn *SpatialAttention   // nil: none
	Text *SpatialTransformer // nil: none
	Res2 *ResBlock
}

func (b *unetBuilder) mid(channels int) *MidBlock {
	m := &MidBlock{Res1: b.plain(channels, channels, b.o.MidScale, nil)}
	switch {
	case !b.o.MidAttention:
	case b.o.attends():
		m.Text = b.transformer(channels, len(b.o.Channels)-1)
	default:
		groups := b.o.MidAttentionGroups
		if groups == 0 {
			groups = b.groups(channels)
		}
		m.Attn = b.attention(channels, max(0, groups), b.o.MidScale)
	}
	m.Res2 = b.plain(channels, channels, b.o.MidScale, nil)
	return m
}

// Forward keeps the shape of h (N,H,W,C).
func (m *MidBlock) Forward(h, e *tensor.Tensor, p prompt) *tensor.Tensor {
	h = m.Res1.Forward(h, e)
	if m.Attn != nil {
		h = m.Attn.Forward(h)
	}
	if m.Text != nil {
		h = m.Text.forward(h, p)
	}
	return m.Res2.Forward(h, e)
}

// skipScale divides the sums in Skip blocks, which keeps their variance (Song et al. 2021).
var skipScale = math.Sqrt2

// skipAttentionGroups is fixed in diffusers' AttnSkip blocks.
const skipAttentionGroups = 32
