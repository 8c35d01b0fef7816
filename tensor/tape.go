package tensor

import "github.com/langevin-go/langevin/tensor/backend"

// op is what a node does: its name and its vector-Jacobian product.
type op interface {
	name() string
	// vjp adds, for every input i of n that needs it, the product of grad (of
	// n's output) with the Jacobian, by s.add(n, i, …) or s.addToSlice. It is
	// written in differentiable operations where the op is elementary, so that
	// recording it gives gradients of gradients.
	vjp(s *Scope, n *node, grad *Tensor)
}

// node is a recorded operation. Ops keep in it what their VJP reads.
type node struct {
	op    op
	out   *Tensor
	in    []*Tensor
	saved []*Tensor // read by the VJP: inputs, the output, or byproducts
	axes  uint32    // set of axes
	ints  [2 * MaxRank]int
	f     [maxScalars]float64
	conv  backend.Conv
	norm  backend.NormParams
	redo  *redo // of Checkpoint
}

// record puts an operation on the tape if it is to be: when recording, and when
// a gradient may flow to one of its inputs. It returns the node to be filled
// in, or nil.
func (s *Scope) record(o op, out *Tensor, in ...*Tensor) *node {
	if s.watch != nil {
		s.report(o, out, in)
	}
	if !s.Recording() {
		return nil
	}
	needs := false
	for _, t := range in {
		if t != nil && t.needs {
			needs = true
		}
	}
	if !needs {
		return nil
	}
	out.needs = true
	out.node = int32(s.nodes.n)
	n := s.nodes.next()
	n.op, n.out, n.axes = o, out, 0
	n.in = s.ptrs.take(len(in))
	copy(n.in, in)
	n.saved, n.redo = nil, nil
	return n
}

// save keeps tensors' memory for n's VJP.
func (n *node) save(ts ...*Tensor) {
	if len(ts) == 0 {
		return
	}
	n.saved = n.out.s.ptrs.take(len(ts))
	for i, t := range ts {
		n.saved[i] = t
		if t != nil {
			t.uses++
		}
	}
}

func (s *Scope) dropTape() {
	s.nodes.rewind()
	s.ptrs.rewind()
}

// GradOptions change what a gradient computation leaves behind.
type GradOptions struct {
	Upstream    *Tensor // gradient of the first argument; nil: 1, and the argument must be a scalar
	Retain      bool    // keep the tape and its memory for another gradient
	CreateGraph bool    // record the gradient computation itself, for gradients of gradients; implies Retain
}

// Grad computes the gradients of a scalar loss for the given parameters. They
// are valid until s's next Reset; the slice until s's next Grad. A parameter
// that the loss does not depend on gets nil. The tape is used up, and the
// memory of what it held is given back, but for loss and what was Kept.
func (s *Scope) Grad(loss *Tensor, params []*Param) []*Tensor {
	o := GradOptions{}
	s.backward("Grad", loss, o)
	s.gradOut = s.gradOut[:0]
	for _, p := range params {
		var g *Tensor
		if t, ok := s.params[p]; ok {
			if g = s.settled(t); g != nil {
				g.isGrad++ // the caller's
			}
		}
		s.gradOut = append(s.gradOut, g)
	}
	s.clearLeaves(o)
	return s.gradOut
}

// GradOf computes the gradients of y for leaves: tensors made by Variable or
// Leaf, or s.Param(p) of one that is not frozen. A leaf that y does not depend on gets zeros. The slice is valid until Reset.
func (s *Scope) GradOf(y *Tensor, opts GradOptions, leaves ...*Tensor) []*Tensor {
	for i, l := range leaves {
		switch l.in(s); {
		case l.node >= 0 || l.level > 0:
			usagePanic("GradOf", "tensor %d is the result of an operation, not a leaf: compute y from its Scope.Leaf", i)
		case !l.needs && s.mode == Recording:
			usagePanic("GradOf", "tensor %d is a constant, or a frozen parameter, which no gradient flows to: make it by Scope.Variable or Scope.Leaf", i)
		}
	}
	s.backward("GradOf", y, opts)
	out := s.leafOut.take(len(leaves))
	for i, l := range leaves {
		if g := s.settled(l); g != nil {
			out[i] = g
			g.isGrad++ // the caller's
		} else {
			out[i] = s.alloc(l.v.DType, l.Shape()...)
			s.fill(out[i], 0)
		}
	}
	s.clearLeaves(opts)
	return out
}

// clearLeaves forgets the gradients of all leaves, also of those that nobody
// asked for: the next gradient computation starts from nothing.
func (s *Scope) clearLeaves(o GradOptions) {
	for _, t := range s.touched {
		s.dropGrad(t, o)
	}
	s.touched = s.touched[:0]
}

// setGrad makes g the gradient of t, which has none.
func (s *Scope) setGrad(t, g *Tensor) {
	if t.node < 0 {
		s.touched = append(s.touched, t)
	}
	t.grad = g
	g.isGrad++
}

func (s *Scope) backward(what string, y *Tensor, o GradOptions) {
	y.check(what)
	if y.level > 0 {
		usagePanic(what, "the tensor carries a tangent: take gradients of what JVP returns, not within it")
	}
	if s.mode != Recording {
		usagePanic(what, "the scope is not recording")
	}
	if !y.needs {
		usagePanic(what, "the tensor does not depend on anything that needs a gradient")
	}
	g := o.Upstream
	if g == nil {
		if y.Elems() != 1 {
			shapePanic(what, "a scalar, or an upstream gradient", y)
		}
		g = s.like(y)
		s.fill(g, 1)
	} else if g.check(what); !sameShape(g, y) {
		shapePanic(what, "an upstream gradient of the tensor's shape", y, g)
	}
	retain := o.Retain || o.CreateGraph
	s.sweeps++
	defer func() { s.sweeps-- }()
	if !o.CreateGraph {
		s.quiet++
		defer func() { s.quiet-- }()
	}
	y.uses++ // the caller may read the loss afterwards
	if o.Upstream != nil {
		g.isGrad++ // it stays the caller's whatever it is passed on to
		defer func() { g.isGrad-- }()
	}
	s.setGrad(y, g)
	s.sweep(int(y.node), 0, o)
	if !retain {
		s.dropTape()
	}
}

// sweep runs the VJPs of nodes from down to to, which are in reverse order of
// their making.
func (s *Scope) sweep(from, to int, o GradOptions) {
	retain := o.Retain || o.CreateGraph
	for i := from; i >= to; i-- {
		n := s.nodes.at(i)
		out := n.out
		if g := s.settled(out); g != nil {
			mark := s.Mark()
			s.revive(n)
			n.op.vjp(s, n, g)
			if !o.CreateGraph {
				s.Release(mark, nil)
			}
			s.dropGrad(out, o)
		}
		if !retain {
			for _, t := range n.saved {
				if t != nil {
					t.uses--
				}
			}
			if out.uses == 0 {
				s.release(out)
			}
			for _, t := range n.saved {
				if t != nil && t.uses == 0 && t.temp {
					s.release(t)
				}
			}
		}
	}
}

// dropGrad forgets the gradient of t.
func (s *Scope) dropGrad(t *Tensor, o GradOptions) {
	g := t.grad
	t.grad = nil
	g.isGrad--
	if g.isGrad == 0 && g != o.Upstream && !o.CreateGraph {
		s.release(g)
	}
}

// add adds g to the gradient of n's input i. g has the input's shape. The
// caller must not change g afterwards.
func (s *Scope) add(n *node, i int, g *Tensor) {
	if s.watch != nil {
		s.reportGrad(n, i, g)
	}
	t := n.in[i]
	old := s.settled(t)
	switch {
	case old == nil:
		s.setGrad(t, g)
	case s.Recording():
		sum := old.Add(g)
		old.isGrad--
		t.grad = sum
		sum.isGrad++
	case old.exclusive():
		s.accumulate(&old.v, g)
	default:
		sum := s.like(t)
		s.runPointwise(accumulateProgram, nil, sum, old, g)
		s.replaceGrad(t, sum)
	}
}

func (s *Scope) replaceGrad(t, g *Tensor) {
	g.owned = true
	old := t.grad
	if old == nil {
		s.setGrad(t, g)
		return
	}
	old.isGrad--
	if old.isGrad == 0 {
		s.release(old)
	}
	t.grad = g
	g.isGrad++
}

// exclusive reports whether g, a gradient, may be changed in place: it is one
// tensor's alone, and no other gradient is a view of its memory.
func (g *Tensor) exclusive() bool { return g.owned && g.isGrad == 1 && g.blk.refs == 1 }

// vjpThrough records a composite of n's op and differentiates that: how fused
// ops take part in gradients of gradients.
func (s *Scope) vjpThrough(n *node, grad *Tensor, composite func() *Tensor) {
	from := s.nodes.n
	y := composite()
	if int(y.node) < from {
		usagePanic(n.op.name(), "its composite records nothing")
	}
	s.differentiate(y, grad, from)
}

// differentiate runs, recorded, the VJPs of y and what it was made of since from.
func (s *Scope) differentiate(y, grad *Tensor, from int) {
	s.setGrad(y, grad)
	for i := int(y.node); i >= from; i-- {
		m := s.nodes.at(i)
		if g := m.out.grad; g != nil {
			s.revive(m)
			m.op.vjp(s, m, g)
			m.out.grad = nil
			g.isGrad--
		}
	}
}
