package tensor_test

import (
	"math"
	"slices"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
)

// The derivatives of exponential units stay finite where the exponential overflows.
func TestExponentialUnitsFarOut(t *testing.T) {
	s := scope(t, Recording)
	for name, f := range map[string]func(*Tensor) *Tensor{
		"elu": func(x *Tensor) *Tensor { return x.ELU(1) }, "selu": (*Tensor).SELU, "log sigmoid": (*Tensor).LogSigmoid,
	} {
		x := s.Variable([]float32{1000, -1000, 0}, 3)
		y := f(x)
		for _, v := range append(y.Float32s(), s.GradOf(y, GradOptions{Upstream: s.Ones(3)}, x)[0].Float32s()...) {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("%s: %g", name, v)
			}
		}
	}
}

func TestComparisons(t *testing.T) {
	s, nan := scope(t, Inference), math.NaN()
	a, b := s.Tensor([]float64{1, 2, 3, nan, 1, nan}, 6), s.Tensor([]float64{2, 2, 2, 1, nan, nan}, 6)
	for _, c := range []struct {
		name string
		f    func(*Tensor, Operand) *Tensor
		want []float32
	}{
		{"less", (*Tensor).Less, []float32{1, 0, 0, 0, 0, 0}},
		{"less or equal", (*Tensor).LessEq, []float32{1, 1, 0, 0, 0, 0}},
		{"greater", (*Tensor).Greater, []float32{0, 0, 1, 0, 0, 0}},
		{"greater or equal", (*Tensor).GreaterEq, []float32{0, 1, 1, 0, 0, 0}},
		{"equal", (*Tensor).Eq, []float32{0, 1, 0, 0, 0, 0}},
		{"not equal", (*Tensor).NotEq, []float32{1, 0, 1, 1, 1, 1}},
	} {
		if got := c.f(a, b).Float32s(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
