package tensor_test

import (
	"testing"

	. "github.com/langevin-go/langevin/tensor"
)

// equal compares a tensor with wanted values, exactly.
func equal(t *testing.T, what string, x *Tensor, want ...float64) {
	t.Helper()
	got := x.Float64s()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// An accumulated gradient may be added to in place, but not while the gradient
// of a reshaped input is a view of it.
func TestSharedGradientIsNotChangedInPlace(t *testing.T) {
	for _, graph := range []bool{false, true} {
		s := scope(t, Recording)
		w, v := s.Variable([]float32{1, 2}, 2), s.Variable([]float32{3, 4}, 1, 2)
		c := v.Scale(2)
		a := w.Scale(3)
		u := a.Square()
		b := c.Reshape(2)
		z := a.Add(b)                       // 3w+2v = 9, 14
		y := z.Square().Add(z).Add(u).Sum() // dz = 2z+1 = 19, 29
		g := s.GradOf(y, GradOptions{CreateGraph: graph}, w, v)
		equal(t, "dw", g[0], 3*(19+2*3), 3*(29+2*6))
		equal(t, "dv", g[1], 2*19, 2*29)
	}
}

// The upstream gradient is the caller's: it is neither changed nor given back.
func TestUpstreamGradientSurvives(t *testing.T) {
	s := scope(t, Recording)
	a := s.Variable([]float32{1, 2}, 2)
	up := s.Tensor([]float32{10, 20}, 2)
	y := a.Scale(3).Add(a.Square()).Add(a).Add(a)
	for range 2 {
		g := s.GradOf(y, GradOptions{Upstream: up, Retain: true}, a)
		equal(t, "da", g[0], 10*(3+2+2), 20*(3+4+2))
		equal(t, "upstream", up, 10, 20)
	}
}

// A gradient computation leaves nothing on leaves that it was not asked about.
func TestGradientsOfOneLeafAfterAnother(t *testing.T) {
	s := scope(t, Recording)
	a, b := s.Variable([]float32{2}, 1), s.Variable([]float32{5}, 1)
	y := a.Mul(b).Sum()
	equal(t, "da", s.GradOf(y, GradOptions{Retain: true}, a)[0], 5)
	equal(t, "db", s.GradOf(y, GradOptions{Retain: true}, b)[0], 2)
	equal(t, "da again", s.GradOf(y, GradOptions{Retain: true}, a)[0], 5)

	w := param(t, 1)
	if err := w.Set([]float32{7}); err != nil {
		t.Fatal(err)
	}
	s.Grad(a.Mul(w).Sum(), []*Param{w})
	equal(t, "da after Grad", s.GradOf(a.Mul(w).Sum(), GradOptions{}, a)[0], 7)
}

// The derivative of x⁰ is 0, at 0 too.
func TestPowerZero(t *testing.T) {
	s := scope(t, Recording)
	x := s.Variable([]float32{0, 2}, 2)
	equal(t, "scalar exponent", s.GradOf(x.Pow(0).Sum(), GradOptions{}, x)[0], 0, 0)
	zero := s.Zeros(2)
	equal(t, "tensor exponent", s.GradOf(x.PowTensor(zero).Sum(), GradOptions{}, x)[0], 0, 0)
}

// The gradient of a clamp is 1 on its bounds too; torch's was 1 and is 0 there now, so no golden case says it.
func TestClampBounds(t *testing.T) {
	s := scope(t, Recording)
	x := s.Variable([]float32{-2, -1, 0, 0.5, 3}, 5)
	equal(t, "gradient", s.GradOf(x.Clamp(-1, 0.5).Sum(), GradOptions{}, x)[0], 0, 1, 1, 1, 0)
}
