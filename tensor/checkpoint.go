package tensor

// redo is what a checkpointed computation needs to be run again.
type redo struct {
	f     func(in []*Tensor) *Tensor
	masks DropoutState // when it first ran
}

type checkpointOp struct{}

func (checkpointOp) name() string { return "checkpoint" }

func (checkpointOp) vjp(s *Scope, n *node, grad *Tensor) {
	// For gradients of gradients the second run stays on the tape.
	stays, quiet, from := s.Recording(), s.quiet, s.nodes.n
	s.quiet = 0
	y := s.again(n)
	s.quiet = quiet
	switch {
	case int(y.node) < from: // f gave back one of its inputs, or a constant
		for i, t := range n.in {
			if t == y && t.needs {
				s.add(n, i, grad)
				return
			}
		}
	case stays:
		s.differentiate(y, grad, from)
	default:
		s.setGrad(y, grad)
		s.sweep(int(y.node), from, GradOptions{Upstream: grad})
		s.nodes.n = from
	}
}

// again runs n's computation as it ran first: with the same dropout masks.
func (s *Scope) again(n *node) *Tensor {
	was := s.masks
	s.masks = n.redo.masks
	defer func() { s.masks = was }()
	return n.redo.f(n.in)
}

// Checkpoint computes f(in…) and keeps none of what is in between: a gradient
// runs f again (Chen et al. 2016). f must be a pure function of in and of
// parameters; tensors that gradients are to flow to must be among in. Values
// and gradients are those without Checkpoint, bit for bit, dropout included.
func (s *Scope) Checkpoint(f func(in []*Tensor) *Tensor, in ...*Tensor) *Tensor {
	for _, t := range in {
		t.check("Checkpoint")
	}
	if !s.Recording() || highest(in...) > 0 {
		return f(in)
	}
	r := &redo{f: f, masks: s.masks}
	mark := s.Mark()
	s.quiet++
	y := f(in)
	s.quiet--
	out := s.view(y)
	s.Release(mark, out)
	// Parameters that f meets may need gradients even where no input does.
	out.needs = true
	out.node = int32(s.nodes.n)
	n := s.nodes.next()
	n.op, n.out, n.axes, n.redo = checkpointOp{}, out, 0, r
	n.in = s.ptrs.take(len(in))
	copy(n.in, in)
	n.saved = nil
	n.save(in...)
	return out
}
