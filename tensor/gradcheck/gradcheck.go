// Package gradcheck tests derivatives against central finite differences in
// float64: those of package tensor, and those of operations that its users
// write (see tensor.NewCustom).
//
//	func TestSnake(t *testing.T) {
//		gradcheck.Check(t, "snake", func(s *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor {
//			return snake.Apply(in[0], in[1])
//		}, gradcheck.Shape(2, 3), gradcheck.Positive(3))
//	}
package gradcheck

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Input is a leaf of the function under test.
type Input struct {
	Shape  []int
	Values []float64 // nil: N(0,1)
	Const  bool      // no gradient is asked for
}

// Shape is a random input of the given shape.
func Shape(d ...int) Input { return Input{Shape: d} }

// Fixed is a random input that no gradient is asked for.
func Fixed(d ...int) Input { return Input{Shape: d, Const: true} }

// Positive is an input uniform on [0.5, 2): for logarithms and roots.
func Positive(d ...int) Input {
	n := size(d)
	v := make([]float64, n)
	for i := range v {
		v[i] = 0.5 + 1.5*rng.Float64(rng.Key{Seed: 77}, uint64(n), i)
	}
	return Input{Shape: d, Values: v}
}

func size(d []int) int {
	n := 1
	for _, x := range d {
		n *= x
	}
	return n
}

// Func is what is checked: in holds the inputs as leaves of s, a float64 scope. It must be
// smooth within some 1e-5 of the inputs' values, and depend on nothing else
// that changes from call to call.
type Func func(s *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor

// h is the step of the central differences. Their error is h²·f‴/6 ≈ 2e-11·f‴ by
// truncation and ε·|f|/h ≈ 2e-11·|f| by rounding.
const h = 1e-5

// tolerance is relative to 1+|gradient|: some hundred times the error above,
// for third derivatives and sums in the hundreds.
const tolerance = 2e-8

// Check runs First, Second and Forward.
func Check(t testing.TB, name string, f Func, inputs ...Input) {
	t.Helper()
	First(t, name, f, inputs...)
	Second(t, name, f, inputs...)
	Forward(t, name, f, inputs...)
}

// First compares the gradient of ⟨f(in), r⟩, for a random upstream gradient r,
// with finite differences, for every element of every input.
func First(t testing.TB, name string, f Func, inputs ...Input) {
	t.Helper()
	dot := func(s *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor {
		return against(f(s, in), 11)
	}
	compare(t, name, dot, inputs, fill(inputs))
}

// sameTolerance bounds how far a recorded gradient may be from the same gradient
// unrecorded, relative to 1+|gradient|: fused operations compute them by different
// formulas, of some hundred roundings (1e-14) that cancellation may enlarge a thousandfold.
const sameTolerance = 1e-10

// Second does so for ⟨gradient, r⟩, where the gradient has been recorded as a graph: for
// gradients of gradients. The recorded gradient must be the one that First checks.
func Second(t testing.TB, name string, f Func, inputs ...Input) {
	t.Helper()
	dot := func(s *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor {
		y := against(f(s, in), 11)
		if !y.NeedsGrad() {
			return s.Zeros()
		}
		total := s.Zeros()
		for i, g := range s.GradOf(y, tensor.GradOptions{CreateGraph: true}, leaves(in, inputs)...) {
			total = total.Add(against(g, 23+uint64(i)))
		}
		return total
	}
	recordedAlike(t, name, f, inputs)
	compare(t, name+" (second order)", dot, inputs, fill(inputs))
}

// recordedAlike compares the gradient that is recorded with the one that is not:
// fused operations make the former of their composites, and finite differences of
// it would not tell another function's gradient from theirs.
func recordedAlike(t testing.TB, name string, f Func, inputs []Input) {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	values := fill(inputs)
	gradients := func(o tensor.GradOptions) (all [][]float64) {
		s.Reset()
		in := load(s, inputs, values)
		if y := against(f(s, in), 11); y.NeedsGrad() {
			for _, g := range s.GradOf(y, o, leaves(in, inputs)...) {
				all = append(all, g.Float64s())
			}
		}
		return all
	}
	plain, recorded := gradients(tensor.GradOptions{}), gradients(tensor.GradOptions{CreateGraph: true})
	for i, g := range plain {
		for j, want := range g {
			have := recorded[i][j]
			if math.IsNaN(have) && math.IsNaN(want) {
				continue // First says so
			}
			if !(math.Abs(have-want) <= sameTolerance*(1+math.Abs(want))) {
				t.Errorf("%s: leaf %d element %d: gradient %.17g recorded, %.17g otherwise", name+" (recorded)", i, j, have, want)
				return
			}
		}
	}
}

// load makes the inputs' tensors.
func load(s *tensor.Scope, inputs []Input, values [][]float64) []*tensor.Tensor {
	in := make([]*tensor.Tensor, len(inputs))
	for i := range in {
		if inputs[i].Const {
			in[i] = s.Tensor(values[i], inputs[i].Shape...)
		} else {
			in[i] = s.Variable(values[i], inputs[i].Shape...)
		}
	}
	return in
}

// Forward checks the derivative along random tangents (of a random part of the
// inputs) with finite differences; its gradient, and its derivative along other
// tangents in turn (nested forward mode), likewise.
func Forward(t testing.TB, name string, f Func, inputs ...Input) {
	t.Helper()
	along := func(seed uint64, f Func) Func {
		return func(s *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor {
			tangents := make([]*tensor.Tensor, len(in))
			for i, x := range in {
				if !moves(seed, i, inputs) {
					continue
				}
				v := make([]float64, x.Elems())
				for j := range v {
					v[j] = direction(seed, i, j)
				}
				tangents[i] = s.Tensor(v, x.Shape()...)
			}
			_, dy := s.JVP(func(x []*tensor.Tensor) *tensor.Tensor { return f(s, x) }, in, tangents)
			return dy
		}
	}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	for seed := uint64(41); seed < 43; seed++ {
		directional(t, name+" (forward)", s, f, along(seed, f), seed, inputs)
		directional(t, name+" (forward over forward)", s, along(seed, f), along(seed+7, along(seed, f)), seed+7, inputs)
	}
	compare(t, name+" (reverse over forward)", func(s *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor {
		return against(along(41, f)(s, in), 11)
	}, inputs, fill(inputs))
}

// moves reports whether input i has a tangent: all but a random quarter.
func moves(seed uint64, i int, inputs []Input) bool {
	return !inputs[i].Const && (len(inputs) == 1 || rng.Intn(rng.Key{Seed: seed}, uint64(len(inputs)), i, 4) != 0)
}

// direction is element j of input i's tangent, in [−1, 1).
func direction(seed uint64, i, j int) float64 {
	return 2*rng.Float64(rng.Key{Seed: seed}, uint64(i+1), j) - 1
}

// directional compares jvp, the derivative of f along the tangents of seed, with
// a central difference of f.
func directional(t testing.TB, name string, s *tensor.Scope, f, jvp Func, seed uint64, inputs []Input) {
	t.Helper()
	values := fill(inputs)
	at := func(g Func, shift float64) []float64 {
		s.Reset()
		in := make([]*tensor.Tensor, len(inputs))
		for i := range in {
			v := append([]float64(nil), values[i]...)
			if moves(seed, i, inputs) {
				for j := range v {
					v[j] += shift * direction(seed, i, j)
				}
			}
			in[i] = s.Variable(v, inputs[i].Shape...)
		}
		return g(s, in).Float64s()
	}
	got, up, down := at(jvp, 0), at(f, h), at(f, -h)
	if len(got) != len(up) {
		t.Errorf("%s: derivative of %d elements, value of %d", name, len(got), len(up))
		return
	}
	for i := range up {
		want := (up[i] - down[i]) / (2 * h)
		if have := got[i]; !(math.Abs(have-want) <= tolerance*(1+math.Abs(want)+math.Abs(up[i]))) {
			t.Errorf("%s: element %d: derivative %.10g, finite difference %.10g", name, i, have, want)
			return
		}
	}
}

// against is ⟨y, r⟩ for a fixed random r.
func against(y *tensor.Tensor, seed uint64) *tensor.Tensor {
	r := make([]float64, y.Elems())
	for i := range r {
		r[i] = 2*rng.Float64(rng.Key{Seed: seed}, 0, i) - 1
	}
	return y.Mul(y.Scope().Tensor(r, y.Shape()...)).Sum()
}

func fill(inputs []Input) [][]float64 {
	values := make([][]float64, len(inputs))
	for i, in := range inputs {
		if in.Values != nil {
			values[i] = append([]float64(nil), in.Values...)
			continue
		}
		x := make([]float32, size(in.Shape))
		rng.Normal(x, rng.Key{Seed: 5}, uint64(i))
		for _, v := range x {
			values[i] = append(values[i], float64(v))
		}
	}
	return values
}

// leaves are the inputs that gradients are asked for.
func leaves(in []*tensor.Tensor, inputs []Input) []*tensor.Tensor {
	var l []*tensor.Tensor
	for i, x := range in {
		if !inputs[i].Const {
			l = append(l, x)
		}
	}
	return l
}

// compare holds the gradient of f, a scalar, to finite differences. Where f is
// not recorded at all, its gradient counts as zero: so must they.
func compare(t testing.TB, name string, f Func, inputs []Input, values [][]float64) {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	again := func() []*tensor.Tensor {
		s.Reset()
		return load(s, inputs, values)
	}
	in := again()
	y := f(s, in)
	base := y.Item()
	if math.IsNaN(base) || math.IsInf(base, 0) {
		t.Errorf("%s: value is %g", name, base)
		return
	}
	grads := make([][]float64, len(in))
	var gs []*tensor.Tensor
	if y.NeedsGrad() {
		gs = s.GradOf(y, tensor.GradOptions{}, leaves(in, inputs)...)
	}
	for i := range in {
		switch {
		case inputs[i].Const:
		case gs == nil:
			grads[i] = make([]float64, len(values[i]))
		default:
			grads[i], gs = gs[0].Float64s(), gs[1:]
		}
	}
	for i, v := range values {
		if inputs[i].Const {
			continue
		}
		for j := range v {
			keep := v[j]
			v[j] = keep + h
			up := f(s, again()).Item()
			v[j] = keep - h
			down := f(s, again()).Item()
			v[j] = keep
			want := (up - down) / (2 * h)
			if got := grads[i][j]; !(math.Abs(got-want) <= tolerance*(1+math.Abs(want)+math.Abs(base))) {
				t.Errorf("%s: input %d element %d of %v: gradient %.10g, finite difference %.10g", name, i, j, inputs[i].Shape, got, want)
				return
			}
		}
	}
}

// Named is a function under test with its inputs.
type Named struct {
	Name   string
	F      Func
	Inputs []Input
}

// Run checks each case as a subtest.
func Run(t *testing.T, cases []Named) {
	for i, c := range cases {
		t.Run(fmt.Sprintf("%02d %s", i, c.Name), func(t *testing.T) { Check(t, c.Name, c.F, c.Inputs...) })
	}
}
