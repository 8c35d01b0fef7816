package tensor_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// What is not in golden files: corner values, views, errors.

func TestLogSumExpOfNothing(t *testing.T) {
	s, inf := scope(t, Recording), math.Inf(1)
	x := s.Variable([]float64{-inf, -inf, 0, -inf, inf, 1}, 3, 2)
	if got := x.LogSumExp(1).Float64s(); !slices.Equal(got, []float64{-inf, 0, inf}) {
		t.Errorf("got %v", got)
	}
}

// The exponentials of large numbers would overflow.
func TestLogSumExpOfLargeNumbers(t *testing.T) {
	s := scope(t, Recording)
	x := s.Variable([]float64{1000, 1000, -2000, -2000, 4000, 1}, 3, 2)
	if got, want := x.LogSumExp(1).Float32s(), []float32{1000 + math.Ln2, -2000 + math.Ln2, 4000}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMaskOfFlags(t *testing.T) {
	s := scope(t, Recording)
	if got := s.Tensor([]float64{1, 0, -2, 0.5}, 4).AsMask().Float64s(); !slices.Equal(got, []float64{0, math.Inf(-1), 0, 0}) {
		t.Errorf("got %v", got)
	}
}

// The sums c·(x₁ + … + xᵢ)² have the Hessian 2·LᵀcL, L the lower triangle of ones: the sums' derivative is
// differentiated.
func TestSecondDerivativeOfCumSum(t *testing.T) {
	s := scope(t, Recording)
	x, c := s.Variable([]float64{3, -1, 2}, 3), s.Tensor([]float64{1, 10, 100}, 3)
	g := s.GradOf(x.CumSum(0).Square().Mul(c).Sum(), GradOptions{CreateGraph: true}, x)[0]
	h := s.GradOf(g.Mul(s.Tensor([]float64{1, 2, 3}, 3)).Sum(), GradOptions{}, x)[0]
	// L·(1,2,3) = (1,3,6); times 2c: (2,60,1200); Lᵀ of that.
	if got := h.Float64s(); !slices.Equal(got, []float64{1262, 1260, 1200}) {
		t.Errorf("got %v", got)
	}
}

// Sums over an axis of two, and of one.
func TestShortCumSum(t *testing.T) {
	s := scope(t, Recording)
	x := s.Tensor([]float64{1, 2, 3, 4}, 2, 2)
	if got := x.CumSum(0).Float64s(); !slices.Equal(got, []float64{1, 2, 4, 6}) {
		t.Errorf("got %v", got)
	}
	if got := x.Slice(0, 0, 1).CumSum(0).Float64s(); !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("got %v", got)
	}
}

// A sum's derivative does not take its direction from what the tape held in the step before, when the sums were derivatives themselves.
func TestCumSumOnAUsedTape(t *testing.T) {
	s := scope(t, Recording)
	for at := range 6 {
		s.Reset()
		x := s.Variable([]float64{1, 2, 3}, 3)
		y := x
		for range 3 { // sums that run backwards, in many places of the tape
			y = s.GradOf(y.CumSum(0).Sin().Sum(), GradOptions{CreateGraph: true}, x)[0]
		}
		s.Reset()
		x = s.Variable([]float64{1, 2, 3}, 3)
		y = x
		for range at {
			y = y.Neg()
		}
		g := s.GradOf(y.CumSum(0).Mul(s.Tensor([]float64{1, 10, 100}, 3)).Sum(), GradOptions{}, x)[0]
		want := []float64{111, 110, 100}
		if at%2 == 1 {
			want = []float64{-111, -110, -100}
		}
		if got := g.Float64s(); !slices.Equal(got, want) {
			t.Errorf("after %d operations: got %v, want %v", at, got, want)
		}
	}
}

// A slice's gradient is added to what a slice along another axis left.
func TestGradientsOfSlicesAlongTwoAxes(t *testing.T) {
	type slice struct{ axis, from, to int }
	for _, c := range [][2]slice{
		{{0, 1, 3}, {1, 2, 3}}, // the last is differentiated first
		{{0, 1, 2}, {1, 1, 3}},
		{{1, 0, 1}, {0, 0, 1}},
	} {
		s := scope(t, Recording)
		x := s.Variable(make([]float64, 9), 3, 3)
		y := x.Slice(c[0].axis, c[0].from, c[0].to).Sum().Scale(10)
		y = y.Add(x.Slice(c[1].axis, c[1].from, c[1].to).Sum())
		for i, got := range s.GradOf(y, GradOptions{}, x)[0].Float64s() {
			want, at := 0., [2]int{i / 3, i % 3}
			for j, sl := range c {
				if k := at[sl.axis]; sl.from <= k && k < sl.to {
					want += []float64{10, 1}[j]
				}
			}
			if got != want {
				t.Errorf("%v: the gradient of element %v is %v, want %v", c, at, got, want)
			}
		}
	}
}

var firstOfTwo = NewPointwiseSum(NewPointwise("the first", 2, 0, func(in, _ []Expr) Expr { return in[0].Mul(in[0]) }))

// A sum has no gradient for what it does not depend on.
func TestSumOfOtherThings(t *testing.T) {
	s := scope(t, Recording)
	a, b := s.Variable([]float64{1, 2}, 2), s.Variable([]float64{3, 4}, 2)
	g := s.GradOf(firstOfTwo.Sum(nil, nil, a, b).Reshape(), GradOptions{}, a, b)
	if !slices.Equal(g[0].Float64s(), []float64{2, 4}) || !slices.Equal(g[1].Float64s(), []float64{0, 0}) {
		t.Errorf("got %v and %v", g[0].Float64s(), g[1].Float64s())
	}
}

// A norm's gradient at 0 is 0, of every order that is asked for.
func TestGradientsAtZero(t *testing.T) {
	for name, f := range map[string]func(x *Tensor) *Tensor{
		"l1":       func(x *Tensor) *Tensor { return x.VectorNorm(1) },
		"l2":       func(x *Tensor) *Tensor { return x.VectorNorm(2) },
		"l3":       func(x *Tensor) *Tensor { return x.VectorNorm(3) },
		"l1.5":     func(x *Tensor) *Tensor { return x.VectorNorm(1.5) },
		"l0.5":     func(x *Tensor) *Tensor { return x.VectorNorm(0.5) },
		"infinite": func(x *Tensor) *Tensor { return x.VectorNorm(math.Inf(1)) },
		"std":      func(x *Tensor) *Tensor { return x.Std(1) },
	} {
		s := scope(t, Recording)
		x := s.Variable([]float32{0, 0, 0}, 3)
		g := s.GradOf(f(x), GradOptions{CreateGraph: true}, x)[0]
		s.Hold(g)
		if got := g.Float32s(); !slices.Equal(got, []float32{0, 0, 0}) {
			t.Errorf("%s: gradient %v", name, got)
		}
		if g.NeedsGrad() {
			if got := s.GradOf(g.Sum(), GradOptions{}, x)[0].Float32s(); slices.ContainsFunc(got, func(v float32) bool { return v != v }) {
				t.Errorf("%s: second derivative %v", name, got)
			}
		}
		_, dy := s.JVP(func(in []*Tensor) *Tensor { return f(in[0]) }, []*Tensor{x}, []*Tensor{s.Ones(3)})
		if got := dy.Item(); got != 0 {
			t.Errorf("%s: derivative %v", name, got)
		}
	}
}

func TestArgMax(t *testing.T) {
	s, nan, inf := scope(t, Inference), math.NaN(), math.Inf(1)
	x := s.Tensor([]float64{1, 3, 3, nan, 5, nan, -inf, -inf, -inf, inf, 2, inf}, 4, 3)
	for _, c := range []struct {
		name string
		got  *Tensor
		want []int32
	}{
		{"largest", x.ArgMax(1), []int32{1, 0, 0, 0}}, {"smallest", x.ArgMin(-1), []int32{0, 0, 0, 1}},
		{"of a view", x.Slice(0, 0, 1).T().ArgMax(0), []int32{1}},
	} {
		got := make([]int32, c.got.Elems())
		c.got.CopyTo(got)
		if !slices.Equal(got, c.want) || c.got.DType() != Int32 {
			t.Errorf("%s: %v of %v, want %v", c.name, got, c.got, c.want)
		}
	}
	if used := s.MemoryInUse(); used > 4096 {
		t.Errorf("%d bytes in use", used)
	}
}

// Indices may be views, too.
func TestGatherByViews(t *testing.T) {
	s := scope(t, Inference)
	table := s.Arange(0, 10, 6).Reshape(6, 1)
	idx := s.Ints([]int32{0, 1, 2, 3, 4, 5}, 2, 3)
	if got := table.Gather(idx.T()).Float32s(); !slices.Equal(got, []float32{0, 30, 10, 40, 20, 50}) {
		t.Errorf("by a transpose: %v", got)
	}
	if got := table.Gather(idx.Reshape(6).SliceStep(0, 1, 6, 2)).Float32s(); !slices.Equal(got, []float32{10, 30, 50}) {
		t.Errorf("by every second: %v", got)
	}
	if got := s.OneHot(idx.Slice(1, 1, 2), 5).Float32s(); !slices.Equal(got, []float32{0, 1, 0, 0, 0, 0, 0, 0, 0, 1}) {
		t.Errorf("one-hot of a column: %v", got)
	}
}

// The last of several that go to one place stays, and it alone gets a gradient.
func TestScatterOverwrites(t *testing.T) {
	s := scope(t, Recording)
	x, src := s.Variable([]float32{1, 2, 3}, 3), s.Variable([]float32{10, 20, 30}, 3)
	y := s.Hold(x.Scatter(0, s.Ints([]int32{2, 0, 2}, 3), src))
	if got := y.Float32s(); !slices.Equal(got, []float32{20, 2, 30}) {
		t.Errorf("got %v", got)
	}
	g := s.GradOf(y.Sum(), GradOptions{}, x, src)
	if got := slices.Concat(g[0].Float32s(), g[1].Float32s()); !slices.Equal(got, []float32{0, 1, 0, 0, 1, 1}) {
		t.Errorf("gradients %v", got)
	}
}

// Sizes of 1 in an einsum are broadcast; results without summed indices are outer products.
func TestEinsumBroadcasts(t *testing.T) {
	s := scope(t, Inference)
	a, b := s.Tensor([]float32{1, 2}, 2, 1), s.Tensor([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	if got := EinsumOf("ij,jk->ik", a, b).Float32s(); !slices.Equal(got, []float32{9, 12, 18, 24}) {
		t.Errorf("got %v", got)
	}
	if got := EinsumOf("...i,...i->...", a.Reshape(2), b).Float32s(); !slices.Equal(got, []float32{5, 11, 17}) {
		t.Errorf("got %v", got)
	}
}

// Pools and sizes that a network of images meets: a sample's bits do not depend on its batch.
func TestResamplingBySample(t *testing.T) {
	s := scope(t, Inference)
	x := s.Normal(rng.Key{Seed: 4}, 0, 5, 9, 7, 3)
	for name, f := range map[string]func(x *Tensor) *Tensor{
		"average": func(x *Tensor) *Tensor { return x.AvgPool(Pool2D(3, 2, 1)) },
		"maximum": func(x *Tensor) *Tensor { return x.MaxPool(Pool2D(3, 2, 1)) },
		"cubic":   func(x *Tensor) *Tensor { return x.Resize(CubicAntialias, 5, 11) },
		"linear":  func(x *Tensor) *Tensor { return x.Resize(Linear, 5, 11) },
		"cumsum":  func(x *Tensor) *Tensor { return x.CumSum(1) },
		"einsum":  func(x *Tensor) *Tensor { return EinsumOf("nhwc,nhwd->ncd", x, x) },
	} {
		if got, want := f(x.Slice(0, 3, 4)).Float32s(), f(x).Slice(0, 3, 4).Float32s(); !slices.Equal(got, want) {
			t.Errorf("%s: a sample alone has other bits than in a batch", name)
		}
	}
}

func TestMisuseOfOperations(t *testing.T) {
	s := scope(t, Recording)
	x, m := s.Ones(2, 3), s.Ones(2, 4, 4, 2)
	idx := func(v ...int32) *Tensor { return s.Ints(v, len(v)) }
	for _, c := range []struct {
		f    func()
		want string // a part of the message
	}{
		{func() { x.IndexSelect(1, idx(0, 3)) }, "IndexSelect: index 3 at element 1: want 0 to 2"},
		{func() { x.IndexSelect(1, x.Reshape(6)) }, "IndexSelect: indices are float32, want int32"},
		{func() { x.TakeAlong(0, idx(0)) }, "TakeAlong: [2 3] and [1] do not fit"},
		{func() { x.TakeAlong(0, s.Ints([]int32{-1, 0, 0}, 1, 3)) }, "TakeAlong: index -1"},
		{func() { x.ScatterAdd(0, s.Ints([]int32{0, 1}, 1, 2), s.Ones(1, 2)) }, "ScatterAdd"},
		{func() { x.NLL(idx(0, 5)) }, "index 5"},
		{func() { s.OneHot(idx(7), 7) }, "index 7"},
		{func() { x.Chunk(1, 2) }, "Chunk: 2 equal parts along axis 1 of shape [2 3]"},
		{func() { x.Split(1, 1, 1) }, "Split: parts of 2 in all along axis 1"},
		{func() { x.Split(1, 4, -1) }, "Split: a part of size -1"},
		{func() { Stack(0, x, s.Ones(2)) }, "Stack"},
		{func() { Stack(0) }, "Stack: no tensors"},
		{func() { x.PadReflect(1, 3, 0) }, "PadReflect: 3 before and 0 after"},
		{func() { x.PadCircular(1, 0, 4) }, "PadCircular"},
		{func() { x.PadEdge(1, -1, 0) }, "Pad: -1 before"},
		{func() { x.Squeeze(0) }, "Squeeze"},
		{func() { x.Unsqueeze(4) }, "Unsqueeze: axis 4"},
		{func() { x.Diagonal(0, -2) }, "Diagonal: axis 0 twice"},
		{func() { x.Windows(1, 4, 1, 1) }, "Windows: windows of 4 elements"},
		{func() { m.AvgPool(Pool2D(5, 1, 0)) }, "AvgPool: windows of 5"},
		{func() { m.MaxPool(Pool2D(2, 1, 2)) }, "MaxPool: windows of 2 with padding 2, 2"},
		{func() { x.AvgPool(Pool2D(2, 1, 0)) }, "AvgPool: [2 3] does not fit"},
		{func() { m.AdaptiveAvgPool(2) }, "AdaptiveAvgPool: 1 sizes"},
		{func() { m.Resize(Linear, 2, 0) }, "Resize: size 0 from 4 along axis 2"},
		{func() { m.Resize(99, 2, 2) }, "Resize"},
		{func() { m.PixelShuffle(2) }, "PixelShuffle"},
		{func() { m.Patchify(3, 2) }, "Patchify: patches of 3 along axis 1"},
		{func() { x.Unpatchify([]int{2}, 2, 2) }, "Unpatchify"},
		{func() { x.VectorNorm(0) }, "VectorNorm: order 0"},
		{func() { x.Huber(x, 0) }, "Huber: delta 0"},
		{func() { x.PseudoHuber(x, 0) }, "PseudoHuber: c is 0"},
		{func() { x.Clamp(1, -1) }, "Clamp: from 1 to -1"},
		{func() { x.Clamp(math.NaN(), 1) }, "Clamp: from NaN to 1"},
		{func() { x.Sum(1, -1) }, "Sum: axis 1 appears twice"},
		{func() { Attention(m, m.Slice(1, 0, 3), m, nil, 1) }, "Attention"},
		{func() { Attention(m, m, m.Slice(1, 0, 3), nil, 1) }, "Attention"},
		{func() { m.Conv(s.Ones(5, 3, 2, 1), nil, Conv2D(2, 0)) }, "Conv: [2 4 4 2] and [5 3 2 1] do not fit: want an input no smaller than the kernel"},
		{func() { m.Conv(s.Ones(0, 3, 2, 1), nil, Conv2D(1, 0)) }, "Conv: [2 4 4 2] and [0 3 2 1] do not fit: want a kernel of at least one element"},
		{func() { m.Conv(s.Ones(1, 1, 2, 1), nil, Conv2D(1, -1)) }, "Conv: stride 1, dilation 0 and padding -1, -1 along axis 1"},
		{func() { m.Conv(s.Ones(1, 1, 2, 1), nil, Conv2D(-1, 0)) }, "Conv: stride -1"},
		{func() { m.Conv(s.Ones(1, 1, 2, 1), nil, Conv{Dilation: [3]int{0, -2}}) }, "dilation -2 and padding 0, 0 along axis 2"},
		{func() { m.Conv(s.Ones(1, 1, 2, 1), nil, Conv{Groups: -1}) }, "-1 groups"},
		{func() { m.Conv(s.Ones(1, 1, 2, 1), s.Ones(2), Conv{}) }, "Conv: [2 4 4 2] and [1 1 2 1] and [2] do not fit: want a bias"},
		{func() { m.ConvTranspose(s.Ones(1, 1, 3, 2), s.Ones(1), Conv{}, 4, 4) }, "ConvTranspose: [2 4 4 2] and [1 1 3 2] and [1] do not fit: want a bias"},
		{func() { m.ConvTranspose(s.Ones(1, 1, 3, 2), nil, Conv{Stride: [3]int{-2}}, 4, 4) }, "ConvTranspose: stride -2"},
		{func() { s.Ones(1, 1, 1, 1).ConvTranspose(s.Ones(1, 1, 1, 1), nil, Conv2D(2, 0), 0, 1) }, "ConvTranspose: [1 1 1 1] and [1 1 1 1] do not fit: want an output size"},
		{func() { x.CrossEntropySmoothed(idx(0, 1), 1.5) }, "smoothing of 1.5"},
		{func() { x.Tile(1, -1) }, "Tile: -1 times"},
		{func() { NewEinsum("ij,jk->il") }, "index l of the result is in no operand"},
		{func() { NewEinsum("ij->ii") }, "index i twice in the result"},
		{func() { NewEinsum("i1->i") }, "want letters"},
		{func() { NewEinsum("...i->i") }, "an ellipsis that the result lacks"},
		{func() { NewEinsum("i->...i") }, "an ellipsis in the result alone"},
		{func() { NewEinsum("......i->...i") }, "want letters"},
		{func() { EinsumOf("ij,jk->ik", x) }, "1 operands, want 2"},
		{func() { EinsumOf("ij,jk->ik", x, x) }, "sizes of a letter that are equal or 1"},
		{func() { EinsumOf("ijk->ik", x) }, "an axis a letter"},
		{func() { EinsumOf("ii->i", s.Ones(3, 1)) }, "equal sizes of a letter"},
		{func() { EinsumOf("ii->i", x) }, "sizes of a letter that are equal"},
	} {
		err := panics(t, c.f)
		var u *UsageError
		var sh *ShapeError
		if !errors.As(err, &u) && !errors.As(err, &sh) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
