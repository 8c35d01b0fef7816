package tensor_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
	"github.com/langevin-go/langevin/tensor/rng"
)

// lgamma is ln Γ(x) and its derivatives, which no tensor operation knows: a chain
// of operations on the host, the polygammas, of which each is the derivative of the one before.
var lgamma = polygamma(-1)

// polygamma is ψ⁽ᵐ⁾(x) for x>0, ln Γ for m = −1.
func polygamma(m int) *Custom {
	next := func() *Custom { return polygamma(m + 1) } // made when a derivative is asked for
	return NewCustom(CustomOp{
		Name: "polygamma",
		Forward: func(in []*Tensor) *Tensor {
			x := in[0]
			return x.Scope().Host(func(y []float64, x [][]float64) {
				for i, v := range x[0] {
					y[i] = hostPolygamma(m, v)
				}
			}, x.Shape(), x)
		},
		VJP: func(in []*Tensor, _, dy *Tensor, dx []*Tensor) { dx[0] = dy.Mul(next().Apply(in[0])) },
		JVP: func(in []*Tensor, _ *Tensor, dx []*Tensor) *Tensor { return dx[0].Mul(next().Apply(in[0])) },
	})
}

func hostPolygamma(m int, x float64) float64 {
	if m < 0 {
		y, _ := math.Lgamma(x)
		return y
	}
	// ψ⁽ᵐ⁾(x) = (−1)^(m+1)·m!·Σ_{k<n} (x+k)^(−m−1) + ψ⁽ᵐ⁾(x+n), and for large z the derivatives of
	// ψ(z) ~ ln z − 1/2z − 1/12z² + 1/120z⁴ − 1/252z⁶ (DLMF 5.11.2), here for m ≤ 2.
	sum, fact := 0.0, math.Gamma(float64(m+1))
	sign := math.Pow(-1, float64(m+1))
	z := x
	for ; z < 30; z++ {
		sum += sign * fact * math.Pow(z, -float64(m+1))
	}
	switch m {
	case 0:
		return sum + math.Log(z) - 1/(2*z) - 1/(12*z*z) + 1/(120*math.Pow(z, 4)) - 1/(252*math.Pow(z, 6))
	case 1:
		return sum + 1/z + 1/(2*z*z) + 1/(6*math.Pow(z, 3)) - 1/(30*math.Pow(z, 5)) + 1/(42*math.Pow(z, 7))
	case 2:
		return sum - 1/(z*z) - 1/math.Pow(z, 3) - 1/(2*math.Pow(z, 4)) + 1/(6*math.Pow(z, 6)) - 1/(6*math.Pow(z, 8))
	}
	panic("no further derivative")
}

// affine is in[0]·in[1]+in[2], of which the last may be missing, with broadcasting.
var affine = NewCustom(CustomOp{
	Name: "affine",
	Forward: func(in []*Tensor) *Tensor {
		y := in[0].Mul(in[1])
		if in[2] != nil {
			y = y.Add(in[2])
		}
		return y
	},
	VJP: func(in []*Tensor, _, dy *Tensor, dx []*Tensor) {
		dx[0], dx[1] = dy.Mul(in[1]), dy.Mul(in[0])
		dx[2] = dy
	},
	JVP: func(in []*Tensor, _ *Tensor, dx []*Tensor) *Tensor {
		sum := in[0].Scope().Zeros()
		if dx[0] != nil {
			sum = sum.Add(dx[0].Mul(in[1]))
		}
		if dx[1] != nil {
			sum = sum.Add(dx[1].Mul(in[0]))
		}
		if dx[2] != nil {
			sum = sum.Add(dx[2])
		}
		return sum
	},
})

// whole is the sum of everything; its gradient is left for Apply to expand.
var whole = NewCustom(CustomOp{
	Name:    "whole",
	Forward: func(in []*Tensor) *Tensor { return in[0].Sum() },
	VJP:     func(_ []*Tensor, _, dy *Tensor, dx []*Tensor) { dx[0] = dy },
	JVP:     func(_ []*Tensor, _ *Tensor, dx []*Tensor) *Tensor { return dx[0].Sum() },
})

// product reads the output in its VJP: d(ab) = y/a, y/b.
var product = NewCustom(CustomOp{
	Name:    "product",
	Forward: func(in []*Tensor) *Tensor { return in[0].Mul(in[1]) },
	VJP: func(in []*Tensor, y, dy *Tensor, dx []*Tensor) {
		for i, x := range in {
			if x.NeedsGrad() {
				dx[i] = dy.Mul(y).Div(x)
			}
		}
	},
	JVP: func(in []*Tensor, y *Tensor, dx []*Tensor) *Tensor {
		var sum *Tensor
		for i, x := range in {
			if dx[i] == nil {
				continue
			}
			if part := dx[i].Mul(y).Div(x); sum == nil {
				sum = part
			} else {
				sum = sum.Add(part)
			}
		}
		return sum
	},
})

// same gives its input back.
var same = NewCustom(CustomOp{
	Name:    "same",
	Forward: func(in []*Tensor) *Tensor { return in[0] },
	VJP:     func(_ []*Tensor, _, dy *Tensor, dx []*Tensor) { dx[0] = dy },
	JVP:     func(_ []*Tensor, _ *Tensor, dx []*Tensor) *Tensor { return dx[0] },
})

func TestCustomGradients(t *testing.T) {
	x, p := gc.Shape(2, 3), gc.Positive(2, 3)
	gc.Run(t, []gc.Named{
		un("lgamma", func(x *Tensor) *Tensor { return lgamma.Apply(x).Mul(x) }, p),
		{Name: "affine", F: func(s *Scope, in []*Tensor) *Tensor { return affine.Apply(in[0], in[1], in[2]).Sin() }, Inputs: in(x, gc.Shape(3), gc.Shape(4, 1, 1))},
		{Name: "affine without shift", F: func(s *Scope, in []*Tensor) *Tensor { return affine.Apply(in[0], in[1], nil).Sin() }, Inputs: in(x, gc.Shape(2, 1))},
		un("whole", func(x *Tensor) *Tensor { return whole.Apply(x.Square()).Square() }, x),
		{Name: "product", F: func(s *Scope, in []*Tensor) *Tensor { return product.Apply(in[0], in[1]) }, Inputs: in(p, gc.Positive(3))},
		un("one input twice", func(x *Tensor) *Tensor { return product.Apply(x, x).Add(x) }, p),
		{Name: "a constant input", F: func(s *Scope, in []*Tensor) *Tensor { return product.Apply(in[0], in[1]) }, Inputs: in(p, gc.Fixed(2, 3))},
		un("same", func(x *Tensor) *Tensor { return same.Apply(x).Mul(x) }, x),
		un("in a chain", func(x *Tensor) *Tensor { return same.Apply(product.Apply(x.Exp(), x).Add(lgamma.Apply(x))) }, p),
		{Name: "in Checkpoint", F: func(s *Scope, in []*Tensor) *Tensor {
			return s.Checkpoint(func(x []*Tensor) *Tensor { return product.Apply(x[0].Exp(), x[0]).Sin() }, in[0])
		}, Inputs: in(p)},
	})
}

// A gradient that is an input itself must not be given back with the gradients.
func TestCustomGradientMayBeAnInput(t *testing.T) {
	dot := NewCustom(CustomOp{
		Name:    "dot",
		Forward: func(in []*Tensor) *Tensor { return in[0].Mul(in[1]).Sum() },
		VJP:     func(in []*Tensor, _, _ *Tensor, dx []*Tensor) { dx[0], dx[1] = in[1], in[0] }, // for an upstream gradient of 1
	})
	s := scope(t, Recording)
	a, b := s.Variable([]float32{1, 2}, 2), s.Variable([]float32{3, 4}, 2)
	h := a.Scale(2)
	g := s.GradOf(dot.Apply(h, b), GradOptions{}, a, b)
	if got := g[0].Float32s(); !slices.Equal(got, []float32{6, 8}) {
		t.Errorf("got %v", got)
	}
	if got := g[1].Float32s(); !slices.Equal(got, []float32{2, 4}) {
		t.Errorf("got %v", got)
	}
	if got := append(a.Float32s(), b.Float32s()...); !slices.Equal(got, []float32{1, 2, 3, 4}) {
		t.Errorf("the leaves became %v", got)
	}
}

func TestCustomScopes(t *testing.T) {
	s := scope(t, Inference)
	x := s.Tensor([]float32{1, 2}, 2)
	if y := product.Apply(x, x); y.NeedsGrad() || !slices.Equal(y.Float32s(), []float32{1, 4}) {
		t.Errorf("in an inference scope: %v", y.Float32s())
	}
	s = scope(t, Recording)
	v := s.Variable([]float32{1, 2}, 2)
	s.NoGrad(func() {
		if product.Apply(v, v).NeedsGrad() {
			t.Error("recorded within NoGrad")
		}
	})
	if !s.Recording() || !product.Apply(v, v).NeedsGrad() {
		t.Error("not recorded after NoGrad")
	}
	// Recording goes on after a Forward that panics.
	bad := NewCustom(CustomOp{Name: "bad", Forward: func(in []*Tensor) *Tensor { return in[0].MatMul(in[0]) }, VJP: func([]*Tensor, *Tensor, *Tensor, []*Tensor) {}})
	panics(t, func() { bad.Apply(v) })
	if !s.Recording() {
		t.Error("recording has stopped")
	}
}

func TestCustomGivesTemporariesBack(t *testing.T) {
	s := scope(t, Recording)
	const n = 1 << 12
	x := s.Leaf(s.Normal(rng.Key{Seed: 1}, 0, n))
	before := s.MemoryInUse()
	chain := NewCustom(CustomOp{
		Name: "chain",
		Forward: func(in []*Tensor) *Tensor {
			y := in[0]
			for range 8 {
				y = y.AddScalar(1)
			}
			return y.Reshape(n/2, 2) // a view of a temporary
		},
		VJP: func(in []*Tensor, _, dy *Tensor, dx []*Tensor) { dx[0] = dy.Reshape(n) },
	})
	y := chain.Apply(x)
	if used := s.MemoryInUse() - before; used != 4*n {
		t.Errorf("%d bytes in use, want %d", used, 4*n)
	}
	if got, want := y.Reshape(n).Float32s()[n-1], x.Float32s()[n-1]+8; math.Abs(float64(got-want)) > 1e-5 {
		t.Errorf("got %g, want %g", got, want)
	}
}

func TestCustomMisuse(t *testing.T) {
	noJVP := NewCustom(CustomOp{
		Name:    "noJVP",
		Forward: func(in []*Tensor) *Tensor { return in[0].Square() },
		VJP:     func(in []*Tensor, _, dy *Tensor, dx []*Tensor) { dx[0] = dy.Scope().Ones(3) },
	})
	s := scope(t, Recording)
	x := s.Variable([]float32{1, 2}, 2)
	for _, c := range []struct {
		name string
		f    func()
		want string
	}{
		{"no JVP", func() {
			s.JVP(func(in []*Tensor) *Tensor { return noJVP.Apply(in[0]) }, []*Tensor{x}, []*Tensor{s.Ones(2)})
		}, "noJVP: an input carries a tangent"},
		{"a gradient's shape", func() { s.GradOf(noJVP.Apply(x).Sum(), GradOptions{}, x) }, "noJVP: [2] and [3]"},
		{"no VJP", func() { NewCustom(CustomOp{Name: "half", Forward: func(in []*Tensor) *Tensor { return in[0] }}) }, "half"},
		{"no input", func() { noJVP.Apply() }, "at least one tensor"},
		{"nothing", func() {
			NewCustom(CustomOp{Name: "empty", Forward: func([]*Tensor) *Tensor { return nil }, VJP: func([]*Tensor, *Tensor, *Tensor, []*Tensor) {}}).Apply(x)
		}, "Forward returned nil"},
		{"Host and gradients", func() { s.Host(func([]float64, [][]float64) {}, nil, x) }, "Host: a derivative would be lost"},
		{"Host and tangents", func() {
			s.JVP(func(in []*Tensor) *Tensor { return s.Host(func([]float64, [][]float64) {}, nil, in[0]) }, []*Tensor{s.Ones(2)}, []*Tensor{s.Ones(2)})
		}, "Host: a derivative would be lost"},
	} {
		err := panics(t, c.f)
		var u *UsageError
		var sh *ShapeError
		if !errors.As(err, &u) && !errors.As(err, &sh) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestHost(t *testing.T) {
	for _, d := range []DType{Float32, Float64} {
		s := NewScopeOf(scope(t, Inference).Device(), Inference, d)
		x := s.Tensor([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
		idx := s.Ints([]int32{2, 0}, 2)
		y := s.Host(func(y []float64, x [][]float64) {
			for i, k := range x[1] {
				y[i] = x[0][int(k)]
			}
		}, []int{2, 1}, x.T(), idx) // rows of the transpose: 1 4 2 5 3 6
		if got := y.Float64s(); !slices.Equal(got, []float64{2, 1}) || !slices.Equal(y.Shape(), []int{2, 1}) || y.DType() != d {
			t.Errorf("%v: %v of %v", d, got, y)
		}
		s.Close()
	}
}
