package nn

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// VisionOptions configure a [VisionTransformer]. transformers' Dinov2Model is a
// configuration of it.
type VisionOptions struct {
	Channels   int     // of pictures
	Side       int     // height and width of pictures that there are positions for; others' are interpolated
	Patch      int     // side of a patch
	Width      int     // of the tokens, a multiple of Heads
	Depth      int     // blocks
	Heads      int     // of attention
	Hidden     int     // width of the MLP's hidden layer, or of each of its halves
	Activation string  // of the MLP: gelu, gelu_tanh, silu, swiglu and others of [DiTOptions]
	NormEps    float64 // added to the variance in the norms
	QKVBias    bool    // queries, keys and values have a bias
}

// Validate checks the fields one by one and together.
func (o *VisionOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"channels", o.Channels}, {"side", o.Side}, {"patch", o.Patch}, {"width", o.Width}, {"hidden", o.Hidden}} {
		if f.value < 1 {
			return invalid.Field(f.name, "must be at least 1, is %d", f.value)
		}
	}
	switch {
	case o.Depth < 0:
		return invalid.Field("depth", "must not be negative, is %d", o.Depth)
	case o.Side < o.Patch:
		return invalid.Field("side", "must be at least the patch %d, is %d", o.Patch, o.Side)
	case !(o.NormEps > 0):
		return invalid.Field("norm_eps", "must be positive, is %g", o.NormEps)
	}
	if _, ok := mlpKinds[o.Activation]; !ok {
		return invalid.Field("activation", "must be quick_gelu, gelu, gelu_tanh, silu, geglu or swiglu, is %q", o.Activation)
	}
	return checkHeads("heads", o.Width, o.Heads)
}

// VisionTransformer is a transformer over the patches of a picture and a token for the
// whole, with norms before attention and MLP and one at the end, and a learnt scale of
// each residual branch (Dosovitskiy et al. 2020, "An image is worth 16×16 words"; Oquab
// et al. 2023, "DINOv2").
type VisionTransformer struct {
	Patch    *Linear       // (p·p·channels, width)
	Class    *tensor.Param // (1,width), the token for the whole
	Position *tensor.Param // (1+g·g,width): of that token, and of g×g patches row by row
	Blocks   []*VisionBlock
	Norm     *LayerNorm

	opts VisionOptions
}

// VisionBlock is attention and an MLP, each a scaled residual branch on a norm.
type VisionBlock struct {
	Norm1  *LayerNorm
	Attn   *SelfAttention
	Scale1 *tensor.Param // (width)
	Norm2  *LayerNorm
	MLP    *FeedForward
	Scale2 *tensor.Param // (width)
}

// NewVisionTransformer makes the network.
func NewVisionTransformer(in *Init, o VisionOptions) (v *VisionTransformer, err error) {
	defer catchAlloc(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	g := o.Side / o.Patch
	v = &VisionTransformer{
		Patch:    NewXavierLinear(in, o.Patch*o.Patch*o.Channels, o.Width),
		Class:    in.Normal(0.02, 1, o.Width),
		Position: in.Normal(0.02, 1+g*g, o.Width),
		opts:     o,
	}
	for range o.Depth {
		v.Blocks = append(v.Blocks, &VisionBlock{
			Norm1:  NewLayerNorm(in, o.Width, o.NormEps),
			Attn:   NewSelfAttention(in, o.Width, o.Heads, o.Width/o.Heads, o.QKVBias),
			Scale1: in.Ones(o.Width),
			Norm2:  NewLayerNorm(in, o.Width, o.NormEps),
			MLP:    NewFeedForward(in, o.Width, o.Hidden, o.Activation, 0),
			Scale2: in.Ones(o.Width),
		})
	}
	v.Norm = NewLayerNorm(in, o.Width, o.NormEps)
	return v, nil
}

// Options are those that the network was made with.
func (v *VisionTransformer) Options() VisionOptions { return v.opts }

// Forward maps pictures x (N,H,W,channels), of at least a patch a side, to a vector for the whole
// picture and one a patch (N,1+T,width). Pixels right of and below the last whole patch are not looked at.
func (v *VisionTransformer) Forward(x *tensor.Tensor) *tensor.Tensor {
	o := v.opts
	if x.Rank() != 4 || x.Dim(3) != o.Channels || x.Dim(1) < o.Patch || x.Dim(2) < o.Patch {
		misuse("VisionTransformer", fmt.Sprintf("want pictures (N,H,W,%d) of at least %d pixels a side", o.Channels, o.Patch))
	}
	s := x.Scope()
	mark := s.Mark()
	n, rows, cols := x.Dim(0), x.Dim(1)/o.Patch, x.Dim(2)/o.Patch
	patches := v.Patch.Forward(patchify(x, o.Patch, rows, cols))
	whole := s.Param(v.Class).Reshape(1, 1, o.Width).Expand(n, 1, o.Width)
	h := tensor.Concat(1, whole, patches).Add(v.positions(s, rows, cols))
	hidden := s.Mark()
	for _, b := range v.Blocks {
		h = s.Release(hidden, b.Forward(h))
	}
	return s.Release(mark, v.Norm.Forward(h))
}

// positions are those of rows×cols patches behind the whole's: where they are not as many as
// there are parameters for, by cubic interpolation of these.
func (v *VisionTransformer) positions(s *tensor.Scope, rows, cols int) *tensor.Tensor {
	g, d := v.opts.Side/v.opts.Patch, v.opts.Width
	p := s.Param(v.Position)
	if rows == g && cols == g {
		return p.Reshape(1, 1+g*g, d)
	}
	patches := p.Slice(0, 1, 1+g*g).Reshape(1, g, g, d).Resize(tensor.Cubic, rows, cols)
	return tensor.Concat(1, p.Slice(0, 0, 1).Reshape(1, 1, d), patches.Reshape(1, rows*cols, d))
}

// Forward keeps the shape of h (N,T,C).
func (b *VisionBlock) Forward(h *tensor.Tensor) *tensor.Tensor {
	s := h.Scope()
	m := s.Mark()
	h = s.Release(m, b.Attn.Forward(b.Norm1.Forward(h).Recompute()).MulAdd(s.Param(b.Scale1), h))
	m = s.Mark()
	return s.Release(m, b.MLP.Forward(b.Norm2.Forward(h).Recompute()).MulAdd(s.Param(b.Scale2), h))
}
