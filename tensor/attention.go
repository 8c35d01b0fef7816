package tensor

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

type attentionOp struct{}

func (attentionOp) name() string { return "attention" }

func (attentionOp) vjp(s *Scope, n *node, grad *Tensor) {
	q, k, v, mask := n.in[0], n.in[1], n.in[2], n.in[3]
	if s.Recording() {
		s.vjpThrough(n, grad, func() *Tensor { return attentionComposite(q, k, v, mask, n.f[0]) })
		return
	}
	dq, dk, dv := s.like(q), s.like(k), s.like(v)
	lse := n.saved[4]
	s.dev.AttentionGrad(&dq.v, &dk.v, &dv.v, &grad.v, &n.out.v, &lse.v, &q.v, &k.v, &v.v, s.maskView(mask, q, k), n.f[0])
	for i, g := range [3]*Tensor{dq, dk, dv} {
		if n.in[i].needs {
			s.add(n, i, g)
		}
	}
}

// Attention is softmax(scale·q·kᵀ + mask)·v by heads (Vaswani et al. 2017),
// without the matrix of scores ever being formed: q (N,T,H,D), k and v (N,S,H,D); mask broadcasts to (N,H,T,S), or
// is nil; −Inf shuts a pair out, and a query that may look nowhere gets zeros. The result is (N,T,H,D). A mask that a gradient
// flows to, or a tangent comes from (a learnt bias), costs the matrix of scores.
func Attention(q, k, v, mask *Tensor, scale float64) *Tensor {
	const op = "Attention"
	s := q.s
	if mask != nil && (mask.level > 0 || mask.needs && s.Recording()) {
		s.maskView(mask, q, k) // for its checks
		return attentionComposite(q, k, v, mask, scale)
	}
	if l := highest(q, k, v); l > 0 {
		return attentionDual(l, q, k, v, mask, scale)
	}
	for i, t := range [3]*Tensor{q, k, v} {
		t.check(op)
		if t.v.Rank != 4 || t.v.Shape[0] != q.v.Shape[0] || t.v.Shape[2] != q.v.Shape[2] || t.v.Shape[3] != q.v.Shape[3] || i > 0 && t.v.Shape[1] != k.v.Shape[1] {
			shapePanic(op, "q (N,T,H,D), k and v (N,S,H,D)", q, k, v)
		}
		if t.v.DType != q.v.DType {
			dtypePanic(op, q.v.DType, t.v.DType)
		}
	}
	out := s.like(q)
	lse := s.alloc(q.v.DType, q.v.Shape[0], q.v.Shape[2], q.v.Shape[1])
	if out.Elems() > 0 {
		s.dev.Attention(&out.v, &lse.v, &q.v, &k.v, &v.v, s.maskView(mask, q, k), scale)
	}
	if n := s.record(attentionOp{}, out, q, k, v, mask); n != nil {
		n.f[0] = scale
		n.save(q, k, v, out, lse, mask)
		lse.temp = true
	}
	return out
}

func (s *Scope) maskView(mask, q, k *Tensor) *backend.View {
	if mask == nil {
		return nil
	}
	mask.check("Attention")
	m, to := &s.bview[0], &s.bview[1]
	*m = mask.v
	to.Rank = 4
	to.Shape[0], to.Shape[1], to.Shape[2], to.Shape[3] = q.v.Shape[0], q.v.Shape[2], q.v.Shape[1], k.v.Shape[1]
	for i, d := range mask.Shape() {
		if lead := 4 - mask.v.Rank; lead < 0 || d != 1 && d != to.Shape[lead+i] {
			shapePanic("Attention", "a mask that broadcasts to (N,H,T,S)", q, k, mask)
		}
	}
	broadcastView(m, to)
	return m
}

// attentionComposite is attention in elementary operations.
func attentionComposite(q, k, v, mask *Tensor, scale float64) *Tensor {
	scores := q.Permute(0, 2, 1, 3).MatMul(k.Permute(0, 2, 3, 1)).Scale(scale)
	return attentionWeights(scores, mask).MatMul(v.Permute(0, 2, 1, 3)).Permute(0, 2, 1, 3)
}

// openOp is 1 where a key can be seen.
var openOp = unary("open", func(x Expr) Expr { return x.Const(math.Inf(-1)).Less(x) })

// attentionWeights is softmax(scores+mask), and zeros where the mask shuts out all keys.
func attentionWeights(scores, mask *Tensor) *Tensor {
	if mask == nil || scores.Elems() == 0 {
		return scores.Softmax()
	}
	if mask.v.Rank == 0 {
		mask = mask.Reshape(1)
	}
	open := openOp.Apply(nil, mask.Detach().MaxKeep(-1))
	return open.Where(scores.Add(mask), scores.s.Full(0)).Softmax().Mul(open)
}

type softmaxOp struct{}

func (softmaxOp) name() string { return "softmax" }

func (softmaxOp) vjp(s *Scope, n *node, grad *Tensor) {
	y := n.out
	if dev, ok := s.dev.(backend.Softmax); ok && !s.Recording() {
		g := grad.Contiguous()
		dx := s.like(y)
		if dx.Elems() > 0 {
			dev.SoftmaxGrad(&dx.v, &g.v, &y.v)
		}
		s.add(n, 0, dx)
		return
	}
	gy := grad.Mul(y)
	s.add(n, 0, gy.Sub(y.Mul(gy.SumKeep(-1))))
}

// Softmax is exp(t)/Σ exp(t) along the last axis.
func (t *Tensor) Softmax() *Tensor {
	t.check("Softmax")
	if t.level > 0 {
		return softmaxDual(t)
	}
	s := t.s
	if t.v.Rank == 0 {
		shapePanic("Softmax", "at least one axis", t)
	}
	var out *Tensor
	if dev, ok := s.dev.(backend.Softmax); ok {
		x := t
		if !t.v.Contiguous() {
			x = t.copied()
		}
		out = s.like(t)
		if out.Elems() > 0 {
			dev.SoftmaxForward(&out.v, &x.v)
		}
	} else {
		s.quiet++
		e := t.Sub(t.MaxKeep(-1)).Exp()
		out = e.Div(e.SumKeep(-1))
		s.quiet--
	}
	if n := s.record(softmaxOp{}, out, t); n != nil {
		n.save(out)
	}
	return out
}

// LogSoftmax is ln softmax(t) along the last axis.
func (t *Tensor) LogSoftmax() *Tensor { return t.LogSoftmaxAlong(-1) }

// SoftmaxAlong is softmax along any axis.
func (t *Tensor) SoftmaxAlong(axis int) *Tensor {
	axis = t.axis("SoftmaxAlong", axis)
	return t.Transpose(axis, -1).Softmax().Transpose(axis, -1)
}

// LogSoftmaxAlong is ln softmax(t) along any axis. A number that is added to all of t changes it by no
// more than the rounding of t itself.
func (t *Tensor) LogSoftmaxAlong(axis int) *Tensor {
	axes := [1]int{axis}
	below, _ := t.shifted(axes[:])
	return below.Sub(below.Exp().SumKeep(axes[:]...).Log())
}
