package tensor

// redoer is an op that can compute its output again, into n.out's memory, from
// what it saved.
type redoer interface {
	redo(s *Scope, n *node)
}

// Recompute lets t's memory go when [Scope.Release] finds that only gradients
// still need it: the first that does has it computed again from what it was made
// of. It returns t. It is for the results of operations that are cheap beside
// what reads them and whose operands a gradient needs anyway, such as an
// activation or a norm before a matrix product, and does nothing for others.
// Values and gradients are the same, bit for bit.
func (t *Tensor) Recompute() *Tensor {
	t.check("Recompute")
	if t.node < 0 || t.level > 0 || !t.s.Recording() {
		return t
	}
	n := t.s.nodes.at(int(t.node))
	if _, ok := n.op.(redoer); !ok || n.out != t || !n.keepsOperands() {
		return t
	}
	t.lean = true
	return t
}

// keepsOperands reports whether all of n's inputs are saved.
func (n *node) keepsOperands() bool {
	for _, in := range n.in {
		kept := in == nil
		for _, t := range n.saved {
			kept = kept || t == in
		}
		if !kept {
			return false
		}
	}
	return true
}

// revive computes what n saved, and lost since, again.
func (s *Scope) revive(n *node) {
	for _, t := range n.saved {
		if t == nil || !t.lean || !t.freed {
			continue
		}
		m := s.nodes.at(int(t.node))
		if m != n { // its operands may have gone, too
			s.revive(m)
		}
		t.freed = false
		s.back(t)
		m.op.(redoer).redo(s, m)
	}
}

func (normOp) redo(s *Scope, n *node) {
	x, mean, rstd, scale, shift := n.saved[0], n.saved[1], n.saved[2], n.saved[3], n.saved[4]
	s.normForward(&n.norm, n.out, mean, rstd, x, scale, shift)
}

func (p *Pointwise) redo(s *Scope, n *node) {
	prog := p.program()
	var args [maxOperands]*Tensor
	for i, a := range p.args {
		args[i] = n.in[a]
	}
	s.runPointwise(prog, n.f[:p.scalars], n.out, args[:len(p.args)]...)
}
