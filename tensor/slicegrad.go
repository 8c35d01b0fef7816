package tensor

// Gradients of slices. Where a tensor is read by slices alone, such as the
// queries, keys and values of one product, their gradients are put side by side
// into its own; nothing is filled with zeros first and then added to.

// gap is the part of a gradient that nothing has been written to so far: all
// of it from from up to to along an axis. It counts as zero.
type gap struct {
	axis, from, to int32
}

// settled is t's gradient without a gap, or nil.
func (s *Scope) settled(t *Tensor) *Tensor {
	g := t.grad
	if g != nil && g.gap.from < g.gap.to {
		part := s.header()
		part.v = g.v
		sliceView(&part.v, int(g.gap.axis), int(g.gap.from), 1, int(g.gap.to-g.gap.from))
		s.fill(part, 0)
		g.gap = gap{}
	}
	return g
}

// addToSlice adds g to a slice of input i's gradient, in place: for VJPs of
// slices, outside of gradients of gradients.
func (s *Scope) addToSlice(n *node, i int, g *Tensor, axis, start, step int) {
	if s.watch != nil {
		s.reportGrad(n, i, g)
	}
	t, size := n.in[i], g.v.Shape[axis]
	if t.grad == nil {
		acc := s.like(t)
		acc.gap = gap{int32(axis), 0, int32(t.v.Shape[axis])}
		s.replaceGrad(t, acc)
	}
	s.ownGrad(t)
	first := t.grad.gap.close(axis, start, size, step)
	if !first {
		s.settled(t)
	}
	s.part = t.grad.v
	sliceView(&s.part, axis, start, step, size)
	if first {
		s.copyInto(&s.part, g)
	} else {
		s.accumulate(&s.part, g)
	}
}

// close takes a slice off an end of the gap, and reports whether it was there.
func (p *gap) close(axis, start, size, step int) bool {
	from, to := int32(start), int32(start+size)
	switch {
	case int(p.axis) != axis || step != 1 || from < p.from || to > p.to || from == to:
		return false
	case from == p.from:
		p.from = to
	case to == p.to:
		p.to = from
	default:
		return false
	}
	return true
}

// ownGrad makes t's gradient, which there is, one that may be changed in place.
func (s *Scope) ownGrad(t *Tensor) {
	if t.grad.exclusive() {
		return
	}
	old := s.settled(t)
	acc := s.like(t)
	s.copyInto(&acc.v, old)
	s.replaceGrad(t, acc)
}
