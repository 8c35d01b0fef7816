package nn

import (
	"slices"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// TransformerOptions configure the CrossAttn blocks of a [UNet], by which prompts enter.
type TransformerOptions struct {
	Heads  []int `yaml:"heads" doc:"attention heads at every level, divisors of its channels; one number: at all levels (diffusers calls it attention_head_dim)" range:"[1,inf)"`
	Layers []int `yaml:"layers" doc:"transformer blocks behind each residual block, at every level; one number: at all levels" range:"[1,inf)"`
	Linear bool  `yaml:"linear_projection" doc:"the projections around the blocks come behind and before the reshaping to tokens: it changes nothing but how diffusers stores them"`
}

// SetDefaults is a block of four heads behind each residual block.
func (o *TransformerOptions) SetDefaults() {
	*o = TransformerOptions{Heads: []int{4}, Layers: []int{1}}
}

func (o *TransformerOptions) validate(levels int) error {
	for _, f := range []struct {
		name   string
		values []int
	}{{"heads", o.Heads}, {"layers", o.Layers}} {
		switch n := len(f.values); {
		case n == 0: // no blocks ask for it, or the constructor complains
		case n != 1 && n != levels:
			return invalid.Field("transformer."+f.name, "must be one number or as many as channels, %d, are %d", levels, n)
		case slices.Min(f.values) < 1 || slices.Max(f.values) > 1<<10:
			return invalid.Field("transformer."+f.name, "must be from 1 to %d, are %v", 1<<10, f.values)
		}
	}
	return nil
}

// at is the number for a level, 0 being the finest.
func at(values []int, level int) int {
	if len(values) == 1 {
		return values[0]
	}
	return values[level]
}

// SpatialTransformer is transformer blocks over the pixels of an image that attend to
// a prompt too, between projections and beside a shortcut (Rombach et al. 2022):
// diffusers' Transformer2DModel.
type SpatialTransformer struct {
	Norm   *GroupNorm
	In     *Linear // (C, heads·headDim)
	Blocks []*CrossBlock
	Out    *Linear
}

// CrossBlock is attention of tokens to each other, attention to a prompt and an MLP,
// each a residual branch on a norm: diffusers' BasicTransformerBlock.
type CrossBlock struct {
	Norm1 *LayerNorm
	Attn  *SelfAttention
	Norm2 *LayerNorm
	Cross *CrossAttention
	Norm3 *LayerNorm
	MLP   *FeedForward
}

// Constants of diffusers' blocks.
const (
	spatialNormEps = 1e-6
	crossNormEps   = 1e-5
)

// transformer is a SpatialTransformer over channels at a level.
func (b *unetBuilder) transformer(channels, level int) *SpatialTransformer {
	heads := at(b.o.Transformer.Heads, level)
	if heads > channels {
		b.fail("transformer.heads", "%d are more than the %d channels of a level", heads, channels)
		heads = channels
	}
	headDim := channels / heads
	inner, width := heads*headDim, b.o.TextWidth
	t := &SpatialTransformer{Norm: b.norm(b.groups(channels), channels)}
	t.Norm.eps = spatialNormEps
	t.In = NewLinear(b.in, channels, inner)
	for range at(b.o.Transformer.Layers, level) {
		t.Blocks = append(t.Blocks, &CrossBlock{
			Norm1: NewLayerNorm(b.in, inner, crossNormEps),
			Attn:  NewSelfAttention(b.in, inner, heads, headDim, false),
			Norm2: NewLayerNorm(b.in, inner, crossNormEps),
			Cross: &CrossAttention{NewLinearNoBias(b.in, inner, inner), NewLinearNoBias(b.in, width, 2*inner), NewLinear(b.in, inner, inner), heads},
			Norm3: NewLayerNorm(b.in, inner, crossNormEps),
			MLP:   NewFeedForward(b.in, inner, 4*inner, "geglu", 0),
		})
	}
	t.Out = NewLinear(b.in, inner, channels)
	if b.o.ZeroInit {
		t.Out = NewZeroLinear(b.in, inner, channels)
	}
	return t
}

// forward keeps the shape of x (N,H,W,C).
func (t *SpatialTransformer) forward(x *tensor.Tensor, p prompt) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	h := t.In.Forward(t.Norm.Forward(x).Reshape(x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3)))
	hidden := s.Mark()
	for _, b := range t.Blocks {
		h = s.Release(hidden, b.forward(h, p))
	}
	return s.Release(m, x.Add(t.Out.Forward(h).Reshape(x.Shape()...)))
}

// forward keeps the shape of h (N,T,C).
func (b *CrossBlock) forward(h *tensor.Tensor, p prompt) *tensor.Tensor {
	s := h.Scope()
	m := s.Mark()
	h = s.Release(m, h.Add(b.Attn.Forward(b.Norm1.Forward(h).Recompute())))
	m = s.Mark()
	h = s.Release(m, h.Add(b.Cross.Forward(b.Norm2.Forward(h).Recompute(), p.text, p.mask)))
	m = s.Mark()
	return s.Release(m, h.Add(b.MLP.Forward(b.Norm3.Forward(h).Recompute())))
}

// checkPrompt sees that blocks attend to a prompt exactly if there is one for them; the
// constructor asks when the width is known.
func (o *UNetOptions) checkPrompt(down, up []blockKind) error {
	cross := func(k blockKind) bool { return k.text }
	switch d, u := slices.ContainsFunc(down, cross), slices.ContainsFunc(up, cross); {
	case (d || u) && !o.attends():
		field := "up_blocks"
		if d {
			field = "down_blocks"
		}
		return invalid.Field(field, "CrossAttn blocks need prompts to attend to: a text section, and prompt: attention or both")
	case o.attends() && (len(o.Transformer.Heads) == 0 || len(o.Transformer.Layers) == 0):
		return invalid.Field("transformer", "must say heads and layers of the blocks that attend to prompts")
	case o.attends() && !d && !u && !(o.MidBlock && o.MidAttention):
		return invalid.Field("down_blocks", "no block attends to prompts: name a CrossAttnDownBlock2D or CrossAttnUpBlock2D, or set prompt: pooled")
	}
	return nil
}
