package tensor_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Random graphs of views, reductions, products and elementwise operations, in
// which results are used any number of times: what a tape has to get right
// beyond each operation's own derivative. Bytes spell a graph, four an operation.

var graphLeaves = [][]int{{2, 3, 4}, {3, 4}, {4}}

const largestInGraph = 300 // elements

// buildGraph computes a scalar from every result that no other is made of.
func buildGraph(s *Scope, code []byte, leaves []*Tensor) *Tensor {
	pool := slices.Clone(leaves)
	used := make([]bool, len(pool))
	for len(code) >= 4 {
		x, y := int(code[1])%len(pool), int(code[2])%len(pool)
		for i := range pool { // mostly one of the same shape
			if k := (y + i) % len(pool); k != x && code[3] < 200 && slices.Equal(pool[k].Shape(), pool[x].Shape()) {
				y = k
				break
			}
		}
		if z := graphOp(s, code[0], int(code[3]), pool[x], pool[y]); z != nil && z.Elems() > 0 && z.Elems() <= largestInGraph {
			used[x], used[y] = true, true
			pool, used = append(pool, z), append(used, false)
		}
		code = code[4:]
	}
	total := s.Zeros()
	for i, x := range pool {
		if !used[i] {
			total = total.Add(x.Tanh().Mean().Scale(1 / float64(1+i%5)))
		}
	}
	return total
}

// graphOp is one operation, nil where it does not fit. Everything is smooth.
func graphOp(s *Scope, op byte, arg int, x, y *Tensor) *Tensor {
	rank := x.Rank()
	axis := arg % max(rank, 1)
	kind := op % 24
	if kind > 17 {
		kind = 0 // sums most of all: they pass gradients on as they are
	}
	if rank == 0 && kind > 3 {
		return nil
	}
	switch kind {
	case 0:
		return x.Add(broadcastable(x, y))
	case 1:
		return x.Tanh().Mul(broadcastable(x, y))
	case 2:
		return x.SiLU()
	case 3:
		return x.Scale(0.5)
	case 4:
		n := x.Elems()
		for k := arg%6 + 1; k > 0; k-- {
			if n%k == 0 {
				return x.Reshape(n/k, k)
			}
		}
	case 5:
		axes := make([]int, rank)
		for i := range axes {
			axes[i] = (i + arg) % rank
		}
		return x.Permute(axes...)
	case 6:
		start := arg / 8 % x.Dim(axis)
		return x.Slice(axis, start, x.Dim(axis))
	case 7:
		return x.SliceStep(axis, 0, x.Dim(axis), 2)
	case 8:
		return x.Pad(axis, arg/8%2, 1)
	case 9:
		if !slices.Equal(x.Shape(), y.Shape()) {
			y = x
		}
		return Concat(axis, x, y)
	case 10:
		if rank > 3 {
			return nil
		}
		return x.Expand(append([]int{2}, x.Shape()...)...)
	case 11:
		return x.Mean(axis)
	case 12:
		return x.SumKeep(axis).Scale(0.3)
	case 13:
		if rank < 2 {
			return nil
		}
		return x.MatMul(x.T()).Scale(0.1)
	case 14:
		return x.Softmax()
	case 15:
		if rank < 2 {
			return nil
		}
		return x.LayerNorm(nil, nil, Norm{Eps: 0.1})
	case 16:
		layer := func(in []*Tensor) *Tensor { return in[0].Square().AddScalar(1).Rsqrt().Mul(in[0]) }
		if arg%2 == 0 {
			return s.Checkpoint(layer, x)
		}
		m := s.Mark()
		return s.Release(m, layer([]*Tensor{x}))
	case 17:
		return x.Contiguous()
	}
	return nil
}

// broadcastable is y where it broadcasts to x's shape, else its mean.
func broadcastable(x, y *Tensor) *Tensor {
	lead := x.Rank() - y.Rank()
	for i, d := range y.Shape() {
		if lead < 0 || d != 1 && d != x.Dim(lead+i) {
			return y.Mean()
		}
	}
	return y
}

func checkGraph(t *testing.T, code []byte, seed uint64) {
	t.Helper()
	code = code[:min(len(code), 4*30)]
	r := rand.New(rand.NewPCG(seed, 8))
	values, along := make([][]float64, len(graphLeaves)), make([][]float64, len(graphLeaves))
	for i, shape := range graphLeaves {
		n := 1
		for _, d := range shape {
			n *= d
		}
		for range n {
			values[i] = append(values[i], r.NormFloat64())
			along[i] = append(along[i], r.NormFloat64())
		}
	}
	s := NewScopeOf(cpu.Default(), Recording, Float64)
	defer s.Close()
	load := func(h float64) []*Tensor {
		s.Reset()
		var leaves []*Tensor
		for i, v := range values {
			moved := slices.Clone(v)
			for j := range moved {
				moved[j] += h * along[i][j]
			}
			leaves = append(leaves, s.Variable(moved, graphLeaves[i]...))
		}
		return leaves
	}
	gradient := func(o GradOptions) (all []float64) {
		leaves := load(0)
		for _, g := range s.GradOf(buildGraph(s, code, leaves), o, leaves...) {
			all = append(all, g.Float64s()...)
		}
		return all
	}
	plain := gradient(GradOptions{})
	var held [4]int
	for i := range held {
		if again := gradient(GradOptions{}); !slices.Equal(plain, again) {
			t.Fatalf("the same gradient twice:\n%v\n%v", plain, again)
		}
		held[i] = s.MemoryHeld()
	}
	if held[3] != held[2] {
		t.Errorf("memory grows: %v", held)
	}

	// The recorded gradient adds up in other ways: without changes in place, and
	// fused operations by their composites.
	recorded := gradient(GradOptions{CreateGraph: true})
	slope, size := 0.0, 0.0
	for i, g := range plain {
		size = max(size, math.Abs(g))
		slope += g * slices.Concat(along...)[i]
	}
	for i, g := range plain {
		// Thirty operations of at most 300 terms each, at 2⁻⁵³.
		if !(math.Abs(g-recorded[i]) <= 1e-12*(size+1)) {
			t.Fatalf("element %d: %.17g, recorded as a graph %.17g", i, g, recorded[i])
		}
	}

	// Forward mode, by rules of its own.
	leaves := load(0)
	var tangents []*Tensor
	for i, a := range along {
		tangents = append(tangents, s.Tensor(a, graphLeaves[i]...))
	}
	_, dy := s.JVP(func(in []*Tensor) *Tensor { return buildGraph(s, code, in) }, leaves, tangents)
	if got := dy.Item(); !(math.Abs(got-slope) <= 1e-12*(1+size)*float64(len(plain))) {
		t.Errorf("derivative %.17g backward, %.17g forward", slope, got)
	}

	value := func(h float64) float64 { return buildGraph(s, code, load(h)).Item() }
	const h = 1e-4
	wide, narrow := (value(h)-value(-h))/(2*h), (value(h/2)-value(-h/2))/h
	// Richardson's extrapolation; the distance of the two differences is far more
	// than its error, and the value, of size 1, is rounded to some 1e-14.
	want := (4*narrow - wide) / 3
	if tol := math.Abs(narrow-wide) + 1e-9; !(math.Abs(slope-want) <= tol) {
		t.Errorf("derivative %.12g, finite difference %.12g ± %.2g", slope, want, tol)
	}
}

func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(250) {
		r := rand.New(rand.NewPCG(seed, 9))
		code := make([]byte, 4*(3+r.IntN(25)))
		for i := range code {
			code[i] = byte(r.Uint32())
		}
		checkGraph(t, code, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzGraph(f *testing.F) {
	f.Add([]byte{4, 0, 0, 5, 0, 1, 0, 0, 1, 2, 3, 1, 9, 3, 2, 0}, uint64(1))
	f.Add([]byte{6, 0, 0, 9, 6, 0, 0, 1, 13, 3, 4, 0, 14, 5, 1, 0, 16, 6, 0, 0}, uint64(2))
	// A sum used twice, of which one part is a view and the other has more to come.
	f.Add([]byte{3, 1, 0, 250, 2, 1, 0, 250, 2, 3, 0, 250, 5, 4, 0, 200, 0, 3, 6, 250, 2, 7, 0, 250, 3, 7, 0, 250}, uint64(3))
	f.Fuzz(checkGraph)
}
