package tensor

import "github.com/langevin-go/langevin/tensor/backend"

// axisSet gathers axes into a bit set; no axes: all of them.
func (t *Tensor) axisSet(op string, axes []int) uint32 {
	if len(axes) == 0 {
		return 1<<t.v.Rank - 1
	}
	var set uint32
	for _, a := range axes {
		a = t.axis(op, a)
		if set>>a&1 == 1 {
			usagePanic(op, "axis %d appears twice", a)
		}
		set |= 1 << a
	}
	return set
}

// reducedHeader makes a dense tensor of t's shape with size 1 along the axes of set.
func (s *Scope) reduced(t *Tensor, set uint32) (out *Tensor, folded int) {
	out = s.header()
	out.v.DType, out.v.Rank = t.v.DType, t.v.Rank
	folded = 1
	for i, d := range t.Shape() {
		out.v.Shape[i] = d
		if set>>i&1 == 1 {
			out.v.Shape[i] = 1
			folded *= d
		}
	}
	s.back(out)
	return out, folded
}

// squeezed drops the axes of set, all of size 1.
func (t *Tensor) squeezed(set uint32) *Tensor {
	var shape [MaxRank]int
	n := 0
	for i, d := range t.Shape() {
		if set>>i&1 == 0 {
			shape[n] = d
			n++
		}
	}
	return t.Reshape(shape[:n]...)
}

// PointwiseSum is f(in…)·scale, summed: one pass, no temporary. Losses are made of it.
type PointwiseSum struct {
	f     *Pointwise
	label string
	jvps  map[uint32]*PointwiseSum // guarded by f.mu
}

// NewPointwiseSum makes the reduction of a pointwise operation.
func NewPointwiseSum(f *Pointwise) *PointwiseSum {
	return &PointwiseSum{f: f, label: "sum of " + f.label}
}

func (p *PointwiseSum) name() string { return p.label }

// Sum adds f(in…) over the given axes (none: all) of the shape that the inputs
// broadcast to. The axes stay, with size 1.
func (p *PointwiseSum) Sum(scalars []float64, axes []int, in ...*Tensor) *Tensor {
	f := p.f
	if len(in) != f.inputs || len(scalars) != f.scalars {
		usagePanic(p.name(), "%d tensors and %d scalars, want %d and %d", len(in), len(scalars), f.inputs, f.scalars)
	}
	if l := highest(in...); l > 0 {
		return p.sumDual(l, scalars, axes, in)
	}
	s := in[0].s
	for _, t := range in {
		t.check(p.name())
		if t.v.DType != in[0].v.DType {
			dtypePanic(p.name(), in[0].v.DType, t.v.DType)
		}
	}
	space := s.header()
	space.v.DType = in[0].v.DType
	space.freed = true // a shape only
	broadcastShape(p.name(), &space.v, in...)
	set := space.axisSet(p.name(), axes)
	out, _ := s.reduced(space, set)
	var args [maxOperands]*Tensor
	prog := f.program()
	for i, a := range f.args {
		args[i] = in[a]
	}
	s.runReduce(backend.Sum, prog, scalars, out, space, args[:len(f.args)]...)
	if n := s.record(p, out, in...); n != nil {
		copy(n.f[:], scalars)
		// The summand itself is not kept: its VJP programs must not read it.
		n.save(in...)
	}
	return out
}

func (p *PointwiseSum) vjp(s *Scope, n *node, grad *Tensor) {
	f := p.f
	for i, t := range n.in {
		if !t.needs {
			continue
		}
		// d/dxᵢ of the summand times the broadcast upstream gradient, as an
		// operation over the inputs and that gradient.
		g := f.inputGrad(i).Apply(n.f[:f.scalars], append4(n.in, grad)...)
		s.add(n, i, g.SumTo(t.Shape()...))
	}
}

// append4 puts t behind in, without touching in's array.
func append4(in []*Tensor, t *Tensor) []*Tensor {
	out := t.s.ptrs.take(len(in) + 1)
	copy(out, in)
	out[len(in)] = t
	return out
}

// inputGrad is the VJP for input i over the inputs and the upstream gradient alone.
func (p *Pointwise) inputGrad(i int) *Pointwise {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pure == nil {
		p.pure = make([]*Pointwise, p.inputs)
	}
	if p.pure[i] == nil {
		p.pure[i] = NewPointwise(p.label+"'", p.inputs+1, p.scalars, func(in, sc []Expr) Expr {
			g := in[0].g
			root := p.build(in[:p.inputs], sc).id
			all := g.adjoints(root, in[p.inputs].id)
			if in[i].id > root || all[in[i].id] < 0 {
				return in[0].Const(0)
			}
			return Expr{g, all[in[i].id]}
		})
	}
	return p.pure[i]
}

type sumOp struct{}

func (sumOp) name() string { return "sum" }

func (sumOp) vjp(s *Scope, n *node, grad *Tensor) {
	s.add(n, 0, grad.Expand(n.in[0].Shape()...))
}

// SumKeep adds over the given axes (none: all); they stay, with size 1.
func (t *Tensor) SumKeep(axes ...int) *Tensor {
	t.check("Sum")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.SumKeep(axes...) })
	}
	s := t.s
	out, _ := s.reduced(t, t.axisSet("Sum", axes))
	s.runReduce(backend.Sum, nil, nil, out, t, t)
	s.record(sumOp{}, out, t)
	return out
}

// Sum adds over the given axes and drops them; without axes it adds everything to a scalar of shape [].
func (t *Tensor) Sum(axes ...int) *Tensor {
	return t.SumKeep(axes...).squeezed(t.axisSet("Sum", axes))
}

// MeanKeep averages over the given axes (none: all); they stay, with size 1.
func (t *Tensor) MeanKeep(axes ...int) *Tensor {
	n := 1
	set := t.axisSet("Mean", axes)
	for i, d := range t.Shape() {
		if set>>i&1 == 1 {
			n *= d
		}
	}
	return t.SumKeep(axes...).Scale(1 / float64(n))
}

// Mean averages over the given axes and drops them; without axes over everything, to shape [].
func (t *Tensor) Mean(axes ...int) *Tensor {
	return t.MeanKeep(axes...).squeezed(t.axisSet("Mean", axes))
}

// SumTo adds over the axes along which a tensor of the given shape would be
// broadcast to t's: the gradient of broadcasting.
func (t *Tensor) SumTo(shape ...int) *Tensor {
	t.check("SumTo")
	lead := t.v.Rank - len(shape)
	if lead < 0 {
		shapePanic("SumTo", "a shape of at most that rank", t)
	}
	var axes [MaxRank]int
	n := 0
	for i := range t.v.Rank {
		switch {
		case i < lead || shape[i-lead] == 1 && t.v.Shape[i] != 1:
			axes[n] = i
			n++
		case shape[i-lead] != t.v.Shape[i]:
			shapePanic("SumTo", "sizes that are equal or 1, aligned at the last axis", t)
		}
	}
	if n == 0 {
		return t
	}
	return t.SumKeep(axes[:n]...).Reshape(shape...)
}

type extremeOp struct{ kind backend.ReduceKind }

// Pointers to these two are the ops, so that putting one in a node allocates nothing.
var maxReduce, minReduce = extremeOp{backend.Max}, extremeOp{backend.Min}

func (o *extremeOp) name() string {
	if o.kind == backend.Max {
		return "max"
	}
	return "min"
}

// vjp shares the gradient equally among the elements that attain the extreme, as torch's amax does.
func (o *extremeOp) vjp(s *Scope, n *node, grad *Tensor) {
	x := n.in[0]
	hit := x.Eq(n.out).Detach()
	var axes [MaxRank]int
	k := 0
	for i := range x.v.Rank {
		if n.axes>>i&1 == 1 {
			axes[k] = i
			k++
		}
	}
	if k > 0 {
		hit = hit.Div(hit.SumKeep(axes[:k]...))
	}
	s.add(n, 0, hit.Mul(grad))
}

func (t *Tensor) extreme(o *extremeOp, axes []int) *Tensor {
	t.check(o.name())
	if t.level > 0 {
		y := t.under.extreme(o, axes)
		share := t.under.Eq(y).Detach()
		share = share.Div(share.SumKeep(axes...))
		return t.s.dual(t.level, y, share.Mul(t.tan).SumKeep(axes...))
	}
	s := t.s
	set := t.axisSet(o.name(), axes)
	out, folded := s.reduced(t, set)
	if folded == 0 {
		shapePanic(o.name(), "at least one element along the axes", t)
	}
	s.runReduce(o.kind, nil, nil, out, t, t)
	if n := s.record(o, out, t); n != nil {
		n.axes = set
		n.save(t, out)
	}
	return out
}

// MaxKeep and MinKeep take the extreme over the given axes (none: all); the axes
// stay, with size 1. Elements that attain it share the gradient equally.
func (t *Tensor) MaxKeep(axes ...int) *Tensor { return t.extreme(&maxReduce, axes) }
func (t *Tensor) MinKeep(axes ...int) *Tensor { return t.extreme(&minReduce, axes) }

// Max and Min are MaxKeep and MinKeep without the axes: those drop.
func (t *Tensor) Max(axes ...int) *Tensor {
	return t.MaxKeep(axes...).squeezed(t.axisSet("Max", axes))
}
func (t *Tensor) Min(axes ...int) *Tensor {
	return t.MinKeep(axes...).squeezed(t.axisSet("Min", axes))
}

// finiteOrZero is x where it is finite, else 0.
var finiteOrZero = unary("finite or 0", func(x Expr) Expr {
	return x.Sub(x).Eq(x.Const(0)).Select(x, x.Const(0))
})

// shifted is t less its maximum over the given axes, against overflow of exponentials, and that
// maximum; t itself and nil where there is nothing to exponentiate.
func (t *Tensor) shifted(axes []int) (below, m *Tensor) {
	if t.Elems() == 0 {
		return t, nil
	}
	m = finiteOrZero.Apply(nil, t.Detach().MaxKeep(axes...))
	return t.Sub(m), m
}

// LogSumExpKeep is ln Σ exp over the given axes (none: all), shifted by the
// maximum against overflow; the axes stay, with size 1. Where all elements are −Inf, or there are none, so is the result.
func (t *Tensor) LogSumExpKeep(axes ...int) *Tensor {
	below, m := t.shifted(axes)
	y := below.Exp().SumKeep(axes...).Log()
	if m != nil {
		y = y.Add(m)
	}
	return y
}

// LogSumExp is LogSumExpKeep without the axes.
func (t *Tensor) LogSumExp(axes ...int) *Tensor {
	return t.LogSumExpKeep(axes...).squeezed(t.axisSet("LogSumExp", axes))
}

// VarKeep is the variance over the given axes (none: all), dividing by n−correction (0 where that is negative); the
// axes stay, with size 1.
func (t *Tensor) VarKeep(correction int, axes ...int) *Tensor {
	d := t.Sub(t.MeanKeep(axes...))
	sum := d.Square().SumKeep(axes...)
	n := t.Elems() / max(1, sum.Elems())
	return sum.Scale(1 / float64(max(0, n-correction)))
}

// Var is VarKeep without the axes.
func (t *Tensor) Var(correction int, axes ...int) *Tensor {
	return t.VarKeep(correction, axes...).squeezed(t.axisSet("Var", axes))
}

// StdKeep is the root of VarKeep. No gradient flows where it is 0.
func (t *Tensor) StdKeep(correction int, axes ...int) *Tensor {
	return safeSqrt.Apply(nil, t.VarKeep(correction, axes...))
}

// Std is StdKeep without the axes.
func (t *Tensor) Std(correction int, axes ...int) *Tensor {
	return t.StdKeep(correction, axes...).squeezed(t.axisSet("Std", axes))
}
