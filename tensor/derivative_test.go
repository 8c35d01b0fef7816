package tensor_test

import (
	"math"
	"slices"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
	"github.com/langevin-go/langevin/tensor/rng"
)

// What internal/mutate found that neither finite differences of one operation
// nor PyTorch's values of it notice.

// A mask gets its gradient whether the gradient is recorded or not, and through
// forward mode; a detached one gets none, and what the queries get is the same.
func TestMaskGradients(t *testing.T) {
	s := scope(t, Recording)
	random := func(stream uint32, shape ...int) *Tensor {
		return s.Leaf(s.Normal(rng.Key{Seed: 3, Stream: stream}, 0, shape...))
	}
	q, k, v, m := random(1, 1, 3, 2, 4), random(2, 1, 5, 2, 4), random(3, 1, 5, 2, 4), random(4, 3, 5)
	direction := random(5, 1, 3, 2, 4)
	for name, loss := range map[string]func(mask *Tensor) *Tensor{
		"of a value": func(mask *Tensor) *Tensor { return Attention(q, k, v, mask, 0.5).Square().Sum() },
		"of a derivative": func(mask *Tensor) *Tensor {
			_, dy := s.JVP(func(in []*Tensor) *Tensor { return Attention(in[0], k, v, mask, 0.5) }, []*Tensor{q}, []*Tensor{direction})
			return dy.Square().Sum()
		},
	} {
		var want []float64
		for _, graph := range []bool{true, false} {
			learnt := s.GradOf(loss(m.Scale(2)), GradOptions{CreateGraph: graph}, m, q)
			constant := s.GradOf(loss(m.Scale(2).Detach()), GradOptions{CreateGraph: graph}, m, q)
			if want == nil {
				want = learnt[1].Float64s()
			}
			if allZero(learnt[0]) || !allZero(constant[0]) {
				t.Errorf("%s, recorded %v: gradients %v for a mask, %v for a detached one", name, graph, learnt[0].Float64s(), constant[0].Float64s())
			}
			for _, g := range [][]float64{learnt[1].Float64s(), constant[1].Float64s()} {
				// Two orders of some 100 roundings of numbers of about 1.
				if d := maxDifference(g, want); d > 1e-5 {
					t.Errorf("%s, recorded %v: gradients of the queries differ by %g", name, graph, d)
				}
			}
		}
	}
}

func maxDifference(a, b []float64) (d float64) {
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}

func allZero(t *Tensor) bool {
	return !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return x != 0 })
}

// Gradients of weights alone, in a chain of convolutions that differ: nothing of
// one may be left over for the next.
func TestWeightGradientsOfUnlikeConvolutions(t *testing.T) {
	gc.Check(t, "chain", func(s *Scope, in []*Tensor) *Tensor {
		return in[0].Conv(in[1], nil, Conv2D(2, 1)).Conv(in[2], nil, Conv2D(1, 0))
	}, gc.Fixed(1, 5, 6, 2), gc.Shape(3, 3, 2, 2), gc.Shape(2, 2, 2, 1))
	gc.Check(t, "two of one input", func(s *Scope, in []*Tensor) *Tensor {
		return in[0].Conv(in[1], nil, Conv2D(2, 1)).Add(in[0].Conv(in[2], nil, Conv2D(2, 0)))
	}, gc.Fixed(1, 5, 5, 2), gc.Shape(3, 3, 2, 2), gc.Shape(1, 1, 2, 2))
}

// Dropout passes an element and its gradient with the same gain, or neither.
func TestDropoutValuesAndGradients(t *testing.T) {
	s := scope(t, Recording)
	x := s.Leaf(s.Normal(rng.Key{Seed: 8}, 0, 4, 50))
	s.SetDropout(rng.Key{Seed: 9})
	y := x.Dropout(0.25)
	in, out, grad := x.Float32s(), y.Float32s(), s.GradOf(y.Sum(), GradOptions{}, x)[0].Float32s()
	const gain = float32(1 / 0.75)
	for i := range in {
		switch {
		case out[i] == 0 && grad[i] == 0:
		case out[i] != gain*in[i] || grad[i] != gain:
			t.Fatalf("element %d, %g: value %g, gradient %g", i, in[i], out[i], grad[i])
		}
	}
}

// A tensor that carries a tangent says truly whether gradients flow to it.
func TestDualsNeedGradientsAsTheirValues(t *testing.T) {
	s := scope(t, Recording)
	for _, x := range []*Tensor{s.Variable([]float32{2}, 1), s.Tensor([]float32{2}, 1)} {
		s.JVP(func(in []*Tensor) *Tensor {
			if in[0].NeedsGrad() != x.NeedsGrad() {
				t.Errorf("with a tangent %v, without %v", in[0].NeedsGrad(), x.NeedsGrad())
			}
			return in[0]
		}, []*Tensor{x}, []*Tensor{s.Ones(1)})
	}
}

// Of no rows there are no divergences, and rows without elements have none.
func TestDivergenceOfNothing(t *testing.T) {
	s := scope(t, Inference)
	same := func(x *Tensor) *Tensor { return x.Scale(3) }
	if d := s.Divergence(same, s.Zeros(0, 3)); d.Rank() != 1 || d.Dim(0) != 0 {
		t.Errorf("of no rows: shape %v", d.Shape())
	}
	equal(t, "of empty rows", s.Divergence(same, s.Zeros(2, 0)), 0, 0)
	equal(t, "of a line", s.Divergence(same, s.Ones(2)), 3, 3)
}

// A power's derivative for its exponent is 0 at a base of 0, though ln 0 is infinite.
func TestExponentOfZero(t *testing.T) {
	s := NewScopeOf(cpu.Default(), Recording, Float64)
	defer s.Close()
	x, p := s.Tensor([]float64{0, 1, 2}, 3), s.Variable([]float64{2, 3, 1}, 3)
	equal(t, "gradient", s.GradOf(x.PowTensor(p).Sum(), GradOptions{}, p)[0], 0, 0, 2*math.Ln2)
}

// The smallest of everything: a row of one element, gathered; a norm of one
// channel, moved by its shift alone.
func TestDerivativesOfSingleElements(t *testing.T) {
	gc.Check(t, "gather", func(s *Scope, in []*Tensor) *Tensor {
		return in[0].Gather(s.Ints([]int32{1}, 1)).Square()
	}, gc.Shape(3, 1))
	for _, o := range []Norm{{Eps: 0.1}, {Eps: 0.1, SiLU: true}} {
		gc.Check(t, "shift", func(s *Scope, in []*Tensor) *Tensor {
			return in[0].LayerNorm(nil, in[1], o)
		}, gc.Fixed(1, 3, 1), gc.Shape(1))
	}
}

// What a custom operation's VJP or JVP leaves out is zero, whatever was in memory before.
func TestCustomLeavesOut(t *testing.T) {
	first := NewCustom(CustomOp{
		Name:    "first",
		Forward: func(in []*Tensor) *Tensor { return in[0].Scale(1) },
		VJP:     func(_ []*Tensor, _, dy *Tensor, dx []*Tensor) { dx[0] = dy },
		JVP: func(_ []*Tensor, _ *Tensor, dx []*Tensor) *Tensor {
			return dx[0] // nil where only the second input moves
		},
	})
	s := scope(t, Recording)
	for range 8 { // slots of one round are found again in a later one
		a, b := s.Variable([]float32{1, 2}, 2), s.Variable([]float32{3, 4}, 2)
		g := s.GradOf(first.Apply(a, b).Mul(a).Sum(), GradOptions{}, a, b)
		equal(t, "da", g[0], 2, 4)
		equal(t, "db", g[1], 0, 0)
		_, dy := s.JVP(func(in []*Tensor) *Tensor { return first.Apply(a, in[0]) }, []*Tensor{b}, []*Tensor{s.Ones(2)})
		equal(t, "along b", dy, 0, 0)
		s.GradOf(Concat(0, a, b, a, b, a, b).Square().Sum(), GradOptions{}, a, b)
		s.Reset()
	}
}
