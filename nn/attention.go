package nn

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// SelfAttention is multi-head attention of a sequence to itself (Vaswani et al.
// 2017). Queries, keys and values come from one product; the heads are views of it.
type SelfAttention struct {
	QKV *Linear // (dim, 3·inner): queries, keys, values, each head by head
	Out *Linear // (inner, dim)

	heads int
}

// NewSelfAttention has heads of headDim channels, inner = heads·headDim; bias says
// whether queries, keys and values have one.
func NewSelfAttention(in *Init, dim, heads, headDim int, bias bool) *SelfAttention {
	inner := heads * headDim
	qkv := NewLinearNoBias(in, dim, 3*inner)
	if bias {
		qkv.Bias = in.KaimingUniform(dim, 3*inner)
	}
	return &SelfAttention{qkv, NewLinear(in, inner, dim), heads}
}

// Forward maps x (N,T,dim) to its shape.
func (a *SelfAttention) Forward(x *tensor.Tensor) *tensor.Tensor { return a.Masked(x, nil) }

// Masked is Forward with a mask, which broadcasts to (N,heads,T,T) and is added to
// the scores: −Inf shuts a pair out; nil: none.
func (a *SelfAttention) Masked(x, mask *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	qkv := a.QKV.Forward(x)
	inner := qkv.Dim(2) / 3
	q, k, v := qkv.Slice(2, 0, inner), qkv.Slice(2, inner, 2*inner), qkv.Slice(2, 2*inner, 3*inner)
	return s.Release(m, a.Out.Forward(attend(q, k, v, mask, a.heads)))
}

// CrossAttention is multi-head attention of a sequence to a context.
type CrossAttention struct {
	Q   *Linear // (dim, inner)
	KV  *Linear // (context, 2·inner): keys, values
	Out *Linear // (inner, dim)

	heads int
}

// NewCrossAttention has heads of headDim channels and reads a context of the given width.
func NewCrossAttention(in *Init, dim, context, heads, headDim int) *CrossAttention {
	inner := heads * headDim
	return &CrossAttention{NewLinear(in, dim, inner), NewLinear(in, context, 2*inner), NewLinear(in, inner, dim), heads}
}

// Forward maps x (N,T,dim) and ctx (N,S,context) to x's shape. mask broadcasts to
// (N,heads,T,S) and is added to the scores, −Inf shuts a pair out; nil: none.
func (a *CrossAttention) Forward(x, ctx, mask *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	q, kv := a.Q.Forward(x), a.KV.Forward(ctx)
	inner := q.Dim(2)
	k, v := kv.Slice(2, 0, inner), kv.Slice(2, inner, 2*inner)
	return s.Release(m, a.Out.Forward(attend(q, k, v, mask, a.heads)))
}

// attend cuts (N,T,inner) and (N,S,inner) into heads, attends and joins them again.
func attend(q, k, v, mask *tensor.Tensor, heads int) *tensor.Tensor {
	n, t, src, inner := q.Dim(0), q.Dim(1), k.Dim(1), q.Dim(2)
	d := inner / heads
	y := tensor.Attention(q.Reshape(n, t, heads, d), k.Reshape(n, src, heads, d), v.Reshape(n, src, heads, d), mask, 1/math.Sqrt(float64(d)))
	return y.Reshape(n, t, inner)
}

// checkHeads blames a width that heads do not divide.
func checkHeads(field string, width, heads int) error {
	if heads < 1 || width%heads != 0 {
		return invalid.Field(field, "must divide the width %d, is %d", width, heads)
	}
	return nil
}
