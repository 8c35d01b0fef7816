package tensor

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Pointwise is an elementwise operation made from a scalar expression. Its
// derivatives are expressions too, found by symbolic differentiation, so that a
// chain of any length runs in one pass over memory, forward and backward, and
// can be differentiated again. A Pointwise is immutable; make it once, as a
// package variable.
type Pointwise struct {
	label   string
	inputs  int
	scalars int
	build   func(in, sc []Expr) Expr

	once sync.Once
	prog *backend.Program
	args []int32 // prog's operand i is input args[i]; inputs that do not matter are left out

	gradOnce sync.Once
	grads    []gradPart

	mu    sync.Mutex
	joint map[uint32]*jointGrad
	vjps  []*Pointwise          // see vjpOp
	pure  []*Pointwise          // see inputGrad
	jvps  map[jvpKey]*Pointwise // see jvpOp
}

// gradPart is the VJP for one input: a program over inputs, output and upstream gradient.
type gradPart struct {
	prog *backend.Program
	args []int32 // <inputs: an input; ==inputs: the output; ==inputs+1: the upstream gradient
	zero bool    // does not depend on the input
	pass bool    // the upstream gradient itself
}

// jointGrad is the VJP for a set of inputs in one pass.
type jointGrad struct {
	prog *backend.Program
	args []int32
}

// NewPointwise makes an operation of the given number of tensor inputs and
// run-time scalars (to which no gradient flows). f builds the expression.
func NewPointwise(name string, inputs, scalars int, f func(in, sc []Expr) Expr) *Pointwise {
	if inputs < 1 || inputs > maxOperands-2 || scalars > maxScalars {
		usagePanic("NewPointwise "+name, "%d inputs and %d scalars: want 1 to %d and at most %d", inputs, scalars, maxOperands-2, maxScalars)
	}
	return &Pointwise{label: name, inputs: inputs, scalars: scalars, build: f}
}

// expr builds the expression in a new graph, after the inputs and as many
// further inputs as are wanted.
func (p *Pointwise) expr(further int) (g *graph, root int32) {
	g = newGraph()
	in, sc := make([]Expr, p.inputs+further), make([]Expr, p.scalars)
	for i := range in {
		in[i] = Expr{g, g.emit(backend.OpInput, int32(i), 0, 0, 0)}
	}
	for i := range sc {
		sc[i] = Expr{g, g.emit(backend.OpScalar, int32(i), 0, 0, 0)}
	}
	return g, p.build(in[:p.inputs], sc).id
}

func (p *Pointwise) program() *backend.Program {
	p.once.Do(func() {
		g, root := p.expr(0)
		p.prog, p.args = g.compile(p.label, p.scalars, root)
	})
	return p.prog
}

// vjpGraph gives the adjoints of all inputs in one graph, in which the output
// and the upstream gradient are inputs number n and n+1. Where a derivative
// needs the operation's own value, it reads the output.
func (p *Pointwise) vjpGraph() (g *graph, adj []int32) {
	g, root := p.expr(2)
	out, seed := int32(p.inputs), int32(p.inputs+1) // the first instructions are the inputs
	all := g.adjoints(root, seed)
	g.readInstead(root, out)
	adj = make([]int32, p.inputs)
	for i := range adj {
		adj[i] = -1
		if int32(i) <= root {
			adj[i] = all[i]
		}
	}
	return g, adj
}

// readInstead makes the instructions behind root read out, an input of root's value,
// instead of computing it again, unless root is an input itself.
func (g *graph) readInstead(root, out int32) {
	if g.code[root].Op.Arity() == 0 {
		return
	}
	for i := root + 1; int(i) < len(g.code); i++ {
		c := &g.code[i]
		n := c.Op.Arity()
		if n > 0 && c.A == root {
			c.A = out
		}
		if n > 1 && c.B == root {
			c.B = out
		}
		if n > 2 && c.C == root {
			c.C = out
		}
	}
}

func (p *Pointwise) gradParts() []gradPart {
	p.gradOnce.Do(func() {
		g, adj := p.vjpGraph()
		p.grads = make([]gradPart, p.inputs)
		for i, id := range adj {
			gp := &p.grads[i]
			if id < 0 || g.isConst(id, 0) {
				gp.zero = true
				continue
			}
			gp.prog, gp.args = g.compile(p.label+"'", p.scalars, id)
			gp.pass = len(gp.prog.Code) == 1 && gp.prog.Code[0].Op == backend.OpInput && int(gp.args[0]) == p.inputs+1
		}
	})
	return p.grads
}

// jointProgram computes the VJPs of the inputs in set (a bit mask) together.
func (p *Pointwise) jointProgram(set uint32) *jointGrad {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j, ok := p.joint[set]; ok {
		return j
	}
	g, adj := p.vjpGraph()
	var roots []int32
	for i, id := range adj {
		if set>>i&1 == 1 {
			roots = append(roots, id)
		}
	}
	j := new(jointGrad)
	j.prog, j.args = g.compile(p.label+"'", p.scalars, roots...)
	if p.joint == nil {
		p.joint = make(map[uint32]*jointGrad)
	}
	p.joint[set] = j
	return j
}

// vjpOp is the VJP for input i as an operation of its own, over all inputs, the
// output and the upstream gradient: what gradients of gradients record. It reads what
// the VJP itself does, since no more has been kept.
func (p *Pointwise) vjpOp(i int) *Pointwise {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vjps == nil {
		p.vjps = make([]*Pointwise, p.inputs)
	}
	if p.vjps[i] == nil {
		p.vjps[i] = NewPointwise(p.label+"'", p.inputs+2, p.scalars, func(in, sc []Expr) Expr {
			g := in[0].g
			root := p.build(in[:p.inputs], sc).id
			all := g.adjoints(root, in[p.inputs+1].id)
			g.readInstead(root, in[p.inputs].id)
			return Expr{g, all[in[i].id]}
		})
	}
	return p.vjps[i]
}

func (p *Pointwise) name() string { return p.label }

// Apply runs the operation on tensors broadcast against each other.
func (p *Pointwise) Apply(scalars []float64, in ...*Tensor) *Tensor {
	if len(in) != p.inputs || len(scalars) != p.scalars {
		usagePanic(p.label, "%d tensors and %d scalars, want %d and %d", len(in), len(scalars), p.inputs, p.scalars)
	}
	if l := highest(in...); l > 0 {
		return p.applyDual(l, scalars, in)
	}
	s, prog := in[0].s, p.program()
	for _, t := range in {
		if t.gen != t.s.gen {
			t.check(p.label)
		}
		if t.s != s {
			usagePanic(p.label, "the tensors belong to two scopes")
		}
		if t.v.DType != in[0].v.DType {
			dtypePanic(p.label, in[0].v.DType, t.v.DType)
		}
	}
	for _, a := range p.args {
		in[a].check(p.label) // of the others only the shape matters
	}
	out := s.header()
	out.v.DType = in[0].v.DType
	broadcastShape(p.label, &out.v, in...)
	s.back(out)
	var args [maxOperands]*Tensor
	for i, a := range p.args {
		args[i] = in[a]
	}
	s.runPointwise(prog, scalars, out, args[:len(p.args)]...)
	if n := s.record(p, out, in...); n != nil {
		copy(n.f[:], scalars)
		p.saveFor(n, in, out)
	}
	return out
}

// saveFor keeps for the VJP what its programs read.
func (p *Pointwise) saveFor(n *node, in []*Tensor, out *Tensor) {
	var set uint32
	for i, gp := range p.gradParts() {
		if in[i].needs && !gp.zero {
			for _, a := range gp.args {
				set |= 1 << a
			}
		}
	}
	n.saved = out.s.ptrs.take(p.inputs + 1)
	for i := range n.saved {
		n.saved[i] = nil
		if set>>i&1 == 1 {
			t := out
			if i < p.inputs {
				t = in[i]
			}
			n.saved[i] = t
			t.uses++
		}
	}
}

func (p *Pointwise) vjp(s *Scope, n *node, grad *Tensor) {
	operand := func(a int32) *Tensor {
		switch {
		case int(a) < p.inputs:
			return n.in[a]
		case int(a) == p.inputs:
			return n.out
		}
		return grad
	}
	if s.Recording() {
		var args [maxOperands]*Tensor
		for a := range p.inputs + 2 {
			args[a] = operand(int32(a))
		}
		for i, gp := range p.gradParts() {
			if n.in[i].needs && !gp.zero {
				g := p.vjpOp(i).Apply(n.f[:p.scalars], args[:p.inputs+2]...)
				s.add(n, i, g.SumTo(n.in[i].Shape()...))
			}
		}
		return
	}
	// Inputs of the output's shape share one pass; the others are summed over
	// the axes along which they were broadcast, without a temporary.
	var whole uint32
	count := 0
	for i, gp := range p.gradParts() {
		t := n.in[i]
		if !t.needs || gp.zero {
			continue
		}
		switch same := sameShape(t, n.out); {
		case same && gp.pass:
			s.add(n, i, grad)
		case same:
			whole |= 1 << i
			count++
		default:
			g := s.like(t)
			var args [maxOperands]*Tensor
			for k, a := range gp.args {
				args[k] = operand(a)
			}
			s.runReduce(backend.Sum, gp.prog, n.f[:p.scalars], g, n.out, args[:len(gp.args)]...)
			s.add(n, i, g)
		}
	}
	if count == 0 {
		return
	}
	j := p.jointProgram(whole)
	var outs, args [maxOperands]*Tensor
	for k := range count {
		outs[k] = s.like(n.out)
	}
	for k, a := range j.args {
		args[k] = operand(a)
	}
	s.runPointwiseN(j.prog, n.f[:p.scalars], outs[:count], args[:len(j.args)])
	k := 0
	for i := range n.in {
		if whole>>i&1 == 1 {
			s.add(n, i, outs[k])
			k++
		}
	}
}

// runPointwise runs a program into out, on operands that broadcast to its shape.
func (s *Scope) runPointwise(p *backend.Program, scalars []float64, out *Tensor, in ...*Tensor) {
	outs := [1]*Tensor{out}
	s.runPointwiseN(p, scalars, outs[:], in)
}

func (s *Scope) runPointwiseN(p *backend.Program, scalars []float64, outs, in []*Tensor) {
	if outs[0].Elems() == 0 {
		return
	}
	n := 0
	for i := range p.Inputs {
		s.bview[i] = in[i].v
		broadcastView(&s.bview[i], &outs[0].v)
		s.bptr[i] = &s.bview[i]
		n++
	}
	for i, o := range outs {
		s.outPtr[i] = &o.v
	}
	copy(s.scal[:], scalars)
	s.dev.Elementwise(p, s.outPtr[:len(outs)], s.bptr[:n], s.scal[:len(scalars)])
}

// runReduce folds a program (nil: the identity) over the axes of space along which out, aligned
// at the last axis, has size 1 or none.
func (s *Scope) runReduce(kind backend.ReduceKind, p *backend.Program, scalars []float64, out, space *Tensor, in ...*Tensor) {
	if out.Elems() == 0 {
		return
	}
	for i := range in {
		s.bview[i] = in[i].v
		broadcastView(&s.bview[i], &space.v)
		s.bptr[i] = &s.bview[i]
	}
	o := &s.bview[len(in)]
	*o = out.v
	alignRank(o, space.v.Rank)
	s.space = space.v
	copy(s.scal[:], scalars)
	s.dev.Reduce(kind, p, o, &s.space, s.bptr[:len(in)], s.scal[:len(scalars)])
}

// fill sets every element of t.
func (s *Scope) fill(t *Tensor, value float64) {
	if t.Elems() == 0 {
		return
	}
	s.outPtr[0] = &t.v
	s.scal[0] = value
	s.dev.Elementwise(fillProgram, s.outPtr[:1], s.bptr[:0], s.scal[:1])
}

// copyInto copies t, broadcast, to a view of any layout.
func (s *Scope) copyInto(dst *backend.View, t *Tensor) {
	s.writeInto(copyProgram, dst, t)
}

// accumulate adds t, broadcast, to a view of any layout.
func (s *Scope) accumulate(dst *backend.View, t *Tensor) {
	s.writeInto(accumulateProgram, dst, t)
}

func (s *Scope) writeInto(p *backend.Program, dst *backend.View, t *Tensor) {
	if dst.Elems() == 0 {
		return
	}
	s.bview[0] = t.v
	broadcastView(&s.bview[0], dst)
	s.bview[1] = *dst
	s.bview[2] = *dst
	s.bptr[0], s.bptr[1] = &s.bview[0], &s.bview[1]
	s.outPtr[0] = &s.bview[2]
	s.dev.Elementwise(p, s.outPtr[:1], s.bptr[:p.Inputs], s.scal[:0])
}

var (
	fillProgram = &backend.Program{Name: "fill", Scalars: 1, Outputs: []int32{0},
		Code: []backend.Instr{{Op: backend.OpScalar}}}
	copyProgram = &backend.Program{Name: "copy", Inputs: 1, Outputs: []int32{0},
		Code: []backend.Instr{{Op: backend.OpInput}}}
	accumulateProgram = &backend.Program{Name: "accumulate", Inputs: 2, Outputs: []int32{2},
		Code: []backend.Instr{{Op: backend.OpInput}, {Op: backend.OpInput, A: 1}, {Op: backend.OpAdd, A: 0, B: 1}}}
)

func sameShape(a, b *Tensor) bool {
	if a.v.Rank != b.v.Rank {
		return false
	}
	for i := range a.v.Rank {
		if a.v.Shape[i] != b.v.Shape[i] {
			return false
		}
	}
	return true
}

// broadcastShape sets out's shape to that of the tensors broadcast against each
// other: axes are aligned at the last, and sizes must be equal or 1.
func broadcastShape(op string, out *backend.View, ts ...*Tensor) {
	for _, t := range ts {
		out.Rank = max(out.Rank, t.v.Rank)
	}
	for i := range out.Rank {
		out.Shape[i] = 1
	}
	for _, t := range ts {
		lead := out.Rank - t.v.Rank
		for i, d := range t.Shape() {
			switch o := &out.Shape[lead+i]; {
			case d == *o || d == 1:
			case *o == 1:
				*o = d
			default:
				shapePanic(op, "sizes that are equal or 1, aligned at the last axis", ts...)
			}
		}
	}
}

// alignRank puts axes of size 1 before v's.
func alignRank(v *backend.View, rank int) {
	lead := rank - v.Rank
	if lead <= 0 {
		return
	}
	copy(v.Shape[lead:rank], v.Shape[:v.Rank])
	copy(v.Stride[lead:rank], v.Stride[:v.Rank])
	for i := range lead {
		v.Shape[i], v.Stride[i] = 1, 0
	}
	v.Rank = rank
}

// broadcastView repeats v to the shape of to by strides of zero.
func broadcastView(v, to *backend.View) {
	alignRank(v, to.Rank)
	for i := range to.Rank {
		if v.Shape[i] != to.Shape[i] {
			v.Shape[i], v.Stride[i] = to.Shape[i], 0
		}
	}
}
