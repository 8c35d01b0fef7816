package tensor

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Update is an elementwise computation that overwrites parameters in place:
// what optimisers and moving averages are written in. It is not recorded.
type Update struct {
	label   string
	states  int
	inputs  int
	scalars int
	build   func(state, in, sc []Expr) []Expr

	once sync.Once
	prog *backend.Program
	args []int32
}

// NewUpdate makes an update of a number of states by as many expressions, from
// the states, tensors and run-time scalars.
func NewUpdate(name string, states, inputs, scalars int, f func(state, in, sc []Expr) []Expr) *Update {
	if states < 1 || states > maxOutputs || states+inputs > maxOperands || scalars > maxScalars {
		usagePanic("NewUpdate "+name, "%d states, %d inputs, %d scalars are too many", states, inputs, scalars)
	}
	return &Update{label: name, states: states, inputs: inputs, scalars: scalars, build: f}
}

func (u *Update) program() *backend.Program {
	u.once.Do(func() {
		g := newGraph()
		in, sc := make([]Expr, u.states+u.inputs), make([]Expr, u.scalars)
		for i := range in {
			in[i] = Expr{g, g.emit(backend.OpInput, int32(i), 0, 0, 0)}
		}
		for i := range sc {
			sc[i] = Expr{g, g.emit(backend.OpScalar, int32(i), 0, 0, 0)}
		}
		out := u.build(in[:u.states], in[u.states:], sc)
		if len(out) != u.states {
			usagePanic(u.label, "%d results for %d states", len(out), u.states)
		}
		roots := make([]int32, len(out))
		for i, e := range out {
			roots[i] = e.id
		}
		u.prog, u.args = g.compile(u.label, u.scalars, roots...)
	})
	return u.prog
}

// Apply runs the update in scope s. States have equal shapes; tensors broadcast to them.
func (u *Update) Apply(s *Scope, scalars []float64, states []*Param, in ...*Tensor) {
	if len(states) != u.states || len(in) != u.inputs || len(scalars) != u.scalars {
		usagePanic(u.label, "%d states, %d tensors, %d scalars, want %d, %d, %d", len(states), len(in), len(scalars), u.states, u.inputs, u.scalars)
	}
	prog := u.program()
	space := &states[0].v
	for i, p := range states {
		if !backend.SameMemory(p.dev, s.dev) || p.v.DType != space.DType || p.v.Rank != space.Rank || p.v.Shape != space.Shape {
			usagePanic(u.label, "state %d (%s %v %v) is not like the first (%s %v %v)", i, p.Name, p.v.DType, p.Shape(), states[0].Name, space.DType, states[0].Shape())
		}
		s.outPtr[i] = &p.v
	}
	if space.Elems() == 0 {
		return
	}
	for i, t := range in {
		t.check(u.label)
		if t.v.DType != space.DType {
			dtypePanic(u.label, space.DType, t.v.DType)
		}
		lead := space.Rank - t.v.Rank
		for k, d := range t.Shape() {
			if lead < 0 || d != 1 && d != space.Shape[lead+k] {
				usagePanic(u.label, "tensor %d of shape %v does not broadcast to %v", i, append([]int(nil), t.Shape()...), states[0].Shape())
			}
		}
	}
	for k, a := range u.args {
		v := &s.bview[k]
		if int(a) < u.states {
			*v = states[a].v
		} else {
			*v = in[int(a)-u.states].v
			broadcastView(v, space)
		}
		s.bptr[k] = v
	}
	copy(s.scal[:], scalars)
	s.dev.Elementwise(prog, s.outPtr[:u.states], s.bptr[:len(u.args)], s.scal[:len(scalars)])
}
