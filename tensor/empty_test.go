package tensor_test

import (
	"math"
	"strings"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
)

// Sizes of 0 are sizes: of a batch that a filter left empty, of a prompt without words. Shapes,
// gradients and derivatives of every order are those of any other size.
func TestGradientsOfEmptyTensors(t *testing.T) {
	sum := func(x *Tensor) *Tensor { return x.Sum().Add(x.Scope().Ones()) } // the shape is left to the other cases
	norm := Norm{Eps: 1e-5, SiLU: true}
	three := func(f func(a, b, c *Tensor) *Tensor) gc.Func {
		return func(_ *Scope, in []*Tensor) *Tensor { return f(in[0], in[1], in[2]) }
	}
	masked := func(q, k, v *Tensor) *Tensor {
		return Attention(q, k, v, q.Scope().Zeros(q.Dim(1), k.Dim(1)), 0.5)
	}
	linear := three(func(x, w, b *Tensor) *Tensor { return x.Linear(w, b) })
	conv := three(func(x, w, b *Tensor) *Tensor { return x.Conv(w, b, Conv2D(1, 1)) })
	group := three(func(x, a, b *Tensor) *Tensor { return x.GroupNorm(2, a, b, norm) })
	layer := three(func(x, a, b *Tensor) *Tensor { return x.LayerNorm(a, b, norm) })
	gc.Run(t, []gc.Named{
		bin("matmul, no columns", (*Tensor).MatMul, gc.Shape(2, 3, 2), gc.Shape(2, 0)), bin("matmul, no sum", (*Tensor).MatMul, gc.Shape(2, 3, 0), gc.Shape(0, 2)),
		bin("matmul, no batch", (*Tensor).MatMul, gc.Shape(0, 3, 2), gc.Shape(1, 2, 4)), bin("broadcast to nothing", (*Tensor).Mul, gc.Shape(1, 3), gc.Shape(0, 3)),
		{Name: "linear, no inputs", F: linear, Inputs: in(gc.Shape(2, 3, 0), gc.Shape(0, 2), gc.Shape(2))},
		{Name: "linear, no rows", F: linear, Inputs: in(gc.Shape(2, 0, 3), gc.Shape(3, 2), gc.Shape(2))},
		{Name: "conv, no samples", F: conv, Inputs: in(gc.Shape(0, 2, 2, 1), gc.Shape(3, 3, 1, 2), gc.Shape(2))},
		{Name: "conv, no channels", F: conv, Inputs: in(gc.Shape(1, 2, 2, 0), gc.Shape(3, 3, 0, 2), gc.Shape(2))},
		{Name: "group norm, no samples", F: group, Inputs: in(gc.Shape(0, 3, 4), gc.Shape(4), gc.Shape(0, 4))},
		{Name: "group norm, no positions", F: group, Inputs: in(gc.Shape(2, 0, 4), gc.Shape(4), gc.Shape(2, 4))},
		{Name: "layer norm, no samples", F: layer, Inputs: in(gc.Shape(0, 3, 4), gc.Shape(4), gc.Shape(0, 4))},
		{Name: "layer norm, no channels", F: layer, Inputs: in(gc.Shape(2, 3, 0), gc.Shape(0), gc.Shape(2, 0))},
		{Name: "attention, no keys", F: three(masked), Inputs: in(gc.Shape(1, 2, 1, 3), gc.Shape(1, 0, 1, 3), gc.Shape(1, 0, 1, 3))},
		{Name: "attention, no queries", F: three(masked), Inputs: in(gc.Shape(1, 0, 1, 3), gc.Shape(1, 2, 1, 3), gc.Shape(1, 2, 1, 3))},
		{Name: "hutchinson, no samples", F: func(s *Scope, in []*Tensor) *Tensor {
			return s.HutchinsonDivergence((*Tensor).Tanh, in[0], s.Ones(in[0].Shape()...))
		}, Inputs: in(gc.Shape(0, 3))},
		un("log softmax of nothing", func(x *Tensor) *Tensor { return sum(x.LogSoftmax()) }, gc.Shape(3, 0)),
		un("softmax of nothing", func(x *Tensor) *Tensor { return sum(x.Softmax()) }, gc.Shape(3, 0)),
		un("resize, no samples", func(x *Tensor) *Tensor { return x.Resize(Cubic, 2, 5) }, gc.Shape(0, 3, 3, 1)),
		un("max pool, no channels", func(x *Tensor) *Tensor { return x.MaxPool(Pool2D(2, 1, 1)) }, gc.Shape(1, 3, 3, 0)),
		un("sums of nothing", func(x *Tensor) *Tensor { return x.Sum(0).Add(x.VectorNorm(2, 0)).Add(x.Prod(0)) }, gc.Shape(0, 3)),
	})
}

// What reductions make of too few elements is what PyTorch does.
func TestReductionsOfTooFew(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	s := scope(t, Recording)
	for _, c := range []struct {
		name string
		got  *Tensor
		want float64
	}{
		{"sum of none", s.Zeros(0).Sum(), 0},
		{"product of none", s.Zeros(0).Prod(), 1},
		{"mean of none", s.Zeros(0).Mean(), nan},
		{"logsumexp of none", s.Zeros(0).LogSumExp(), -inf},
		{"norm of none", s.Zeros(0).VectorNorm(2), 0},
		{"variance of none", s.Zeros(0).Var(1), nan},
		{"biased variance of none", s.Zeros(0).Var(0), nan},
		{"variance of one", s.Ones(1).Var(1), nan},
		{"biased variance of one", s.Ones(1).Var(0), 0},
		{"variance of two, less three", s.Tensor([]float64{1, 2}, 2).Var(3), inf},
		{"cross entropy of none", s.Zeros(0, 3).CrossEntropy(s.Ints(nil, 0)), nan},
	} {
		if got := c.got.Item(); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Each pair of shapes that broadcasts: samples are along the first axis of what comes out.
func TestSampleMSEBroadcasts(t *testing.T) {
	s := scope(t, Recording)
	at := func(x *Tensor, i, j int) float64 {
		v := x.Float64s()
		return v[i%x.Dim(0)*x.Dim(1)+j%x.Dim(1)]
	}
	x := s.Tensor([]float64{1, 2, 4, -1, 0, 3}, 2, 3)
	for _, a := range []*Tensor{x, x.Slice(0, 0, 1), x.Slice(1, 1, 2), x.Slice(0, 0, 1).Slice(1, 0, 1)} {
		for _, b := range []*Tensor{x.Scale(-2), x.Slice(0, 1, 2), x.Slice(1, 0, 1)} {
			rows, cols := max(a.Dim(0), b.Dim(0)), max(a.Dim(1), b.Dim(1))
			var want []float64
			for i := range rows {
				sum := 0.
				for j := range cols {
					d := at(a, i, j) - at(b, i, j)
					sum += d * d
				}
				want = append(want, float64(float32(sum)*(float32(rows)/float32(rows*cols)))) // halves and thirds of whole numbers
			}
			got := a.SampleMSE(b).Float64s()
			if len(got) != rows {
				t.Errorf("%v and %v: %v, want %v", a, b, got, want)
				continue
			}
			for i := range got { // as many roundings as there are summands, and that of the factor
				if math.Abs(got[i]-want[i]) > 4*0x1p-24*want[i] {
					t.Errorf("%v and %v: %v, want %v", a, b, got, want)
				}
			}
		}
	}
	gc.Run(t, []gc.Named{
		{Name: "up", F: func(_ *Scope, in []*Tensor) *Tensor { return in[0].SampleMSE(in[1]) }, Inputs: in(gc.Shape(1, 3), gc.Shape(2, 3))},
		{Name: "rows", F: func(_ *Scope, in []*Tensor) *Tensor { return in[0].SampleMSE(in[1]) }, Inputs: in(gc.Shape(2, 1), gc.Shape(2, 3))},
	})
}

// Logits may have any offset: what is in common cancels before anything is rounded, as it does not in x − ln Σ exp x, which
// would be off by the rounding of 10⁶, 0.03.
func TestLogSoftmaxOfLargeNumbers(t *testing.T) {
	s := scope(t, Recording)
	x := []float64{0, 0.25, -1.5, 3}
	for _, offset := range []float64{0, 1e3, 1e6, -1e6} {
		v := make([]float64, len(x))
		sum := 0.
		for i := range x {
			v[i] = x[i] + offset // exact in float32
			sum += math.Exp(x[i])
		}
		y := s.Tensor(v, 1, len(x))
		for name, got := range map[string]*Tensor{"last axis": y.LogSoftmax(), "first": y.T().LogSoftmaxAlong(0), "loss": y.CrossEntropy(s.Ints([]int32{2}, 1)).Neg()} {
			g := got.Float64s()
			for i := range g {
				want := x[i] - math.Log(sum)
				if len(g) == 1 {
					want = x[2] - math.Log(sum)
				}
				// Exponentials (2 units in the last place), their sum (3 roundings), the logarithm (2), the difference (1).
				if math.Abs(g[i]-want) > 8*0x1p-23*math.Max(1, math.Abs(want)) {
					t.Errorf("%s, offset %g: element %d is %v, want %v", name, offset, i, g[i], want)
				}
			}
		}
	}
}

// Reshape and Expand to shapes that cannot be.
func TestImpossibleShapes(t *testing.T) {
	s := scope(t, Recording)
	for want, f := range map[string]func(){
		"Reshape: to [0 -1]: beside a size of 0": func() { s.Zeros(0, 3).Reshape(0, -1) },
		"Reshape: to [-2 -3]: sizes are at":      func() { s.Zeros(2, 3).Reshape(-2, -3) },
		"Reshape: to [-1 -1]: sizes are at":      func() { s.Zeros(2, 3).Reshape(-1, -1) },
		"Expand: a negative size in shape [-1 3": func() { s.Zeros(1, 3).Expand(-1, 3) },
	} {
		if err := panics(t, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if y := s.Zeros(0, 3).Reshape(-1, 3); y.Dim(0) != 0 {
		t.Errorf("shape %v", y.Shape())
	}
}
