package tensor

// Event is a result that a watched scope has computed.
type Event struct {
	Op       string
	Backward bool      // the result is a part of the gradient for Of, an input of the operation
	Of       *Tensor   // if Backward
	Out      *Tensor   // the result
	In       []*Tensor // what it was computed from: inputs, or if Backward the gradient of the output
	Param    string    // name of the first parameter among the operation's inputs; "": none
}

// Watch calls f with every result of an operation, recorded or not, and with every
// gradient, in the order in which they come up; nil ends it. It is for finding where
// numbers go wrong, and slow. What f does in s is not reported.
func (s *Scope) Watch(f func(Event)) { s.watch = f }

// report tells of the output of an operation.
func (s *Scope) report(o op, out *Tensor, in []*Tensor) {
	if s.sweeps > 0 { // of the gradient computation: add tells of what comes of it
		return
	}
	e := Event{Op: o.name(), Out: out, In: append([]*Tensor(nil), in...)}
	s.tell(e, in)
}

// reportGrad tells of a gradient for n's input i.
func (s *Scope) reportGrad(n *node, i int, g *Tensor) {
	s.tell(Event{Op: n.op.name(), Backward: true, Of: n.in[i], Out: g, In: []*Tensor{n.out.grad}}, n.in)
}

func (s *Scope) tell(e Event, in []*Tensor) {
	f := s.watch
	s.watch = nil
	defer func() { s.watch = f }()
	for _, t := range in {
		for p, bound := range s.params {
			if bound == t && e.Param == "" {
				e.Param = p.Name
			}
		}
	}
	f(e)
}
