package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Random expressions, compiled and differentiated, against direct evaluation of
// the same expressions with dual numbers: other code, in another order, with
// derivatives from a table of its own.

// checkExpr compiles e, runs it and its derivatives on tensors, and compares
// with direct evaluation. It returns the share of points that could be judged.
func checkExpr(t *testing.T, e *randomExpr, seed uint64) float64 {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	const n = 24
	x, sc := points(r, e.inputs, n), column(points(r, e.scalars, 1), 0)
	op := NewPointwise("random", e.inputs, e.scalars, e.build)
	checkPrograms(t, op)

	s := NewScopeOf(cpu.Default(), Recording, Float64)
	defer s.Close()
	leaves := make([]*Tensor, e.inputs)
	for i := range leaves {
		leaves[i] = s.Variable(x[i], n)
	}
	// Gradients alone, jointly, and through the sum: three ways to the same.
	y := op.Apply(sc, leaves...)
	value := y.Float64s()
	grads := make([][][]float64, 2)
	if y.NeedsGrad() {
		for _, g := range s.GradOf(y.Sum(), GradOptions{}, leaves...) {
			grads[0] = append(grads[0], g.Float64s())
		}
		total := NewPointwiseSum(op).Sum(sc, nil, leaves...)
		if want := sum(value); !(math.Abs(total.Item()-want) <= n*n*roundoff*sumAbs(value)) && !math.IsNaN(want) && !math.IsInf(want, 0) {
			t.Errorf("sum %.17g, want %.17g", total.Item(), want)
		}
		for _, g := range s.GradOf(total, GradOptions{}, leaves...) {
			grads[1] = append(grads[1], g.Float64s())
		}
		i := r.IntN(e.inputs)
		in := make([]*Tensor, e.inputs)
		for k := range in {
			in[k] = s.Tensor(x[k], n)
		}
		in[i] = leaves[i]
		if alone := op.Apply(sc, in...); alone.NeedsGrad() {
			got := s.GradOf(alone.Sum(), GradOptions{}, leaves[i])[0].Float64s()
			for j, g := range got {
				if w := grads[0][i][j]; g != w && !(math.IsNaN(g) && math.IsNaN(w)) {
					t.Errorf("point %d: the derivative for input %d is %.17g alone, %.17g jointly", j, i, g, w)
				}
			}
		}
	}
	along := column(points(r, e.inputs, 1), 0)
	forward := make([]float64, n)
	if y.NeedsGrad() {
		tangents := make([]*Tensor, e.inputs)
		for i, a := range along {
			tangents[i] = s.Full(a, n)
		}
		_, dy := s.JVP(func(in []*Tensor) *Tensor { return op.Apply(sc, in...) }, leaves, tangents)
		dy.CopyTo(forward)
	}
	judged := 0
	for j := range n {
		at := column(x, j)
		want := e.eval(at, sc, 0)
		if want.doubtful {
			continue
		}
		judged++
		// err bounds one side to first order; both sides, and what that leaves out: 4.
		if !(math.Abs(value[j]-want.v) <= 4*want.err) {
			t.Errorf("at %v, %v: %.17g, want %.17g ± %.2g", at, sc, value[j], want.v, 4*want.err)
		}
		slope, slip := 0.0, 0.0
		for i, a := range along {
			slope += a * want.d[i]
			slip += math.Abs(a) * (want.errD[i] + 8*roundoff*want.paths[i])
		}
		if !(math.Abs(forward[j]-slope) <= 4*slip) {
			t.Errorf("at %v, %v: derivative along %v is %.17g, want %.17g ± %.2g", at, sc, along, forward[j], slope, 4*slip)
		}
		for way, g := range grads {
			for i := range g {
				if !(math.Abs(g[i][j]-want.d[i]) <= 4*want.errD[i]) {
					t.Errorf("at %v, %v: derivative %d is %.17g (way %d), want %.17g ± %.2g", at, sc, i, g[i][j], way, want.d[i], 4*want.errD[i])
				}
			}
		}
	}
	if t.Failed() {
		t.Logf("\n%v", op.program())
	}
	return float64(judged) / n
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func sumAbs(x []float64) (s float64) {
	for _, v := range x {
		s += math.Abs(v)
	}
	return s
}

// checkPrograms looks at the compiled forms: valid, nothing twice, nothing for
// nothing, and derivatives that grow in proportion to the expression, as reverse
// mode promises.
func checkPrograms(t *testing.T, op *Pointwise) {
	t.Helper()
	forward := op.program()
	all := []*backend.Program{forward}
	for _, g := range op.gradParts() {
		if g.prog != nil {
			all = append(all, g.prog)
		}
	}
	for _, p := range all {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		used := make([]bool, len(p.Code))
		for _, o := range p.Outputs {
			used[o] = true
		}
		seen := map[string]bool{}
		for i := len(p.Code) - 1; i >= 0; i-- {
			c := p.Code[i]
			operands := c.Operands()
			for _, o := range operands[:c.Op.Arity()] {
				used[o] = true
			}
			if !used[i] {
				t.Errorf("instruction %d does nothing in\n%v", i, p)
			}
			key := fmt.Sprintf("%v %v %x", c.Op, operands, math.Float64bits(c.Imm))
			if seen[key] {
				t.Errorf("instruction %d stands twice in\n%v", i, p)
			}
			seen[key] = true
		}
		// A maximum's derivative takes the most: three comparisons, a selection for ties with
		// its half, one for each side, and the sums.
		if len(p.Code) > 10*len(forward.Code)+10 {
			t.Errorf("%d instructions for the derivative of %d", len(p.Code), len(forward.Code))
		}
	}
}

func TestRandomExpressions(t *testing.T) {
	judged, count := 0.0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 4))
		judged += checkExpr(t, spell(randomBytes(r, 4*(2+r.IntN(20)))), seed)
		count++
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if judged /= float64(count); judged < 0.6 {
		t.Errorf("only %.0f%% of the points could be judged", 100*judged)
	}
}

// Finite differences judge both sides: the values' those of the table above,
// and the derivatives' the compiled gradients of gradients.
func TestRandomExpressionsAgainstFiniteDifferences(t *testing.T) {
	judged, count := 0, 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 6))
		e := spell(randomBytes(r, 4*(2+r.IntN(8))))
		const n = 8
		x, sc := points(r, e.inputs, n), column(points(r, e.scalars, 1), 0)
		along := column(points(r, e.inputs, 1), 0)
		second := secondOrder(e, x, sc, along)
		for j := range n {
			count++
			at := column(x, j)
			const h = 1e-4
			if e.eval(at, sc, 4*h).doubtful { // |along| is at most some 4
				continue
			}
			judged++
			step := func(h float64) dual {
				moved := make([]float64, len(at))
				for i := range at {
					moved[i] = at[i] + h*along[i]
				}
				return e.eval(moved, sc, 4*roundoff) // of coordinates up to some 4
			}
			u1, d1, u2, d2 := step(h), step(-h), step(h/2), step(-h/2)
			here := step(0)
			// Richardson's extrapolation of two central differences. Their distance is
			// three times the error of the better one, and far more than that of the
			// result; err/h is what rounding contributes.
			judge := func(what string, got, slip float64, f func(dual) (v, err float64)) {
				diff := func(up, down dual, h float64) (d, err float64) {
					a, ea := f(up)
					b, eb := f(down)
					return (a - b) / (2 * h), (ea + eb) / (2 * h)
				}
				wide, _ := diff(u1, d1, h)
				narrow, noise := diff(u2, d2, h/2)
				want := (4*narrow - wide) / 3
				if tol := math.Abs(narrow-wide) + 4*noise + slip; !(math.Abs(got-want) <= tol) {
					t.Errorf("seed %d: %s at %v along %v is %.12g, finite difference %.12g ± %.2g", seed, what, at, along, got, want, tol)
				}
			}
			slope, slip := 0.0, 0.0
			for i, a := range along {
				slope += a * here.d[i]
				slip += math.Abs(a) * here.errD[i]
			}
			judge("derivative", slope, slip, func(d dual) (float64, float64) { return d.v, d.err })
			for i := range second {
				judge(fmt.Sprintf("second derivative %d", i), second[i][j], 0, func(d dual) (float64, float64) { return d.d[i], d.errD[i] })
			}
		}
		if t.Failed() {
			t.Fatalf("\n%v", NewPointwise("random", e.inputs, e.scalars, e.build).program())
		}
	}
	if judged*2 < count {
		t.Errorf("only %d of %d points could be judged", judged, count)
	}
}

// secondOrder is, for every input and point, the derivative of the gradient for
// that input in a direction: the Hessian times along.
func secondOrder(e *randomExpr, x [][]float64, sc, along []float64) [][]float64 {
	op := NewPointwise("random", e.inputs, e.scalars, e.build)
	s := NewScopeOf(cpu.Default(), Recording, Float64)
	defer s.Close()
	n := len(x[0])
	leaves := make([]*Tensor, len(x))
	for i := range leaves {
		leaves[i] = s.Variable(x[i], n)
	}
	out := make([][]float64, len(x))
	for i := range out {
		out[i] = make([]float64, n)
	}
	y := op.Apply(sc, leaves...)
	if !y.NeedsGrad() {
		return out
	}
	total := s.Zeros()
	for i, g := range s.GradOf(y.Sum(), GradOptions{CreateGraph: true}, leaves...) {
		total = total.Add(g.Scale(along[i]).Sum())
	}
	if !total.NeedsGrad() {
		return out
	}
	for i, h := range s.GradOf(total, GradOptions{}, leaves...) {
		h.CopyTo(out[i])
	}
	return out
}

func FuzzExpr(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		f.Add(randomBytes(r, 4*(1+r.IntN(12))), seed)
	}
	f.Fuzz(func(t *testing.T, code []byte, seed uint64) { checkExpr(t, spell(code), seed) })
}
