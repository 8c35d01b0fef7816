package tensor

import "math"

// firstAt is the index where x is the extreme m, or NaN, and +Inf elsewhere.
var firstAt = NewPointwise("index of extreme", 3, 0, func(in, _ []Expr) Expr {
	x, m, i := in[0], in[1], in[2]
	none := i.Const(math.Inf(1))
	return x.Eq(m).Select(i, x.Eq(x).Select(none, i))
})

// ArgMax is the index of the largest element along an axis, which drops: of the
// first one where there are several, and of the first NaN if there is one. The result is int32, without gradient; the host waits for it.
func (t *Tensor) ArgMax(axis int) *Tensor { return t.argExtreme("ArgMax", axis, (*Tensor).MaxKeep) }

// ArgMin is the index of the smallest element along an axis; see ArgMax.
func (t *Tensor) ArgMin(axis int) *Tensor { return t.argExtreme("ArgMin", axis, (*Tensor).MinKeep) }

func (t *Tensor) argExtreme(op string, axis int, extreme func(t *Tensor, axes ...int) *Tensor) *Tensor {
	axis = t.axis(op, axis)
	n := t.v.Shape[axis]
	if n > 1<<24 {
		shapePanic(op, "at most 2²⁴ elements along the axis, as float32 counts", t)
	}
	s, x := t.s, t.Detach()
	mark := s.Mark()
	var column [MaxRank]int
	for i := range column {
		column[i] = 1
	}
	column[0] = n
	index := s.Arange(0, 1, n).Reshape(column[:t.v.Rank-axis]...)
	at := firstAt.Apply(nil, x, extreme(x, axis), index).MinKeep(axis).squeezed(1 << axis)
	s.host = grown(s.host, at.Elems())
	at.readInto(s.host)
	s.ints = grown(s.ints, len(s.host))
	for i, k := range s.host {
		s.ints[i] = int32(k)
	}
	return s.Release(mark, s.Ints(s.ints, at.Shape()...))
}

// cumSumOp adds along an axis; backwards where ints[1] is 1.
type cumSumOp struct{}

func (cumSumOp) name() string { return "cumsum" }

func (cumSumOp) vjp(s *Scope, n *node, grad *Tensor) {
	s.add(n, 0, grad.cumSum(n.ints[0], n.ints[1] == 0))
}

// CumSum is the sum of the elements up to and including each, along an axis.
func (t *Tensor) CumSum(axis int) *Tensor { return t.cumSum(t.axis("CumSum", axis), false) }

// cumSum adds what is 1 before, then 2, 4, … before (Hillis and Steele 1986): sums of n terms round log₂ n times.
func (t *Tensor) cumSum(axis int, backwards bool) *Tensor {
	t.check("CumSum")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.cumSum(axis, backwards) })
	}
	s := t.s
	out, n := t.copied(), t.v.Shape[axis]
	if n > 1 {
		mark := s.Mark()
		before := s.like(out)
		for k := 1; k < n; k *= 2 {
			s.copyInto(&before.v, out)
			s.part = out.v
			from := 0
			if backwards {
				from = k
				sliceView(&s.part, axis, 0, 1, n-k)
			} else {
				sliceView(&s.part, axis, k, 1, n-k)
			}
			shifted := s.view(before)
			sliceView(&shifted.v, axis, from, 1, n-k)
			s.accumulate(&s.part, shifted)
		}
		s.Release(mark, nil)
	}
	if m := s.record(cumSumOp{}, out, t); m != nil {
		m.ints[0], m.ints[1] = axis, 0
		if backwards {
			m.ints[1] = 1
		}
	}
	return out
}
