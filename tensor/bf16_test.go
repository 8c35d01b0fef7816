package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// TestParamsAcrossPrecisions uses parameters of a device in a scope of the same
// device's other precision, and for gradients and updates there.
func TestParamsAcrossPrecisions(t *testing.T) {
	dev := cpu.Default()
	p := tensor.NewParam(dev, tensor.Float32, 2, 2)
	if err := p.Set([]float32{1 + 0x1p-10, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(dev.BF16(), tensor.Recording)
	defer s.Close()
	x := s.Ones(1, 2)
	y := x.MatMul(p)
	if got := y.Float32s(); got[0] != 4 || got[1] != 6 { // 1+2⁻¹⁰ rounds to 1
		t.Errorf("product %v, want [4 6]", got)
	}
	g := s.Grad(y.Sum(), []*tensor.Param{p})
	if got := g[0].Float32s(); got[0] != 1 || got[3] != 1 {
		t.Errorf("gradient %v, want ones", got)
	}
	if got := s.Param(p).Float32s(); got[0] != 1+0x1p-10 {
		t.Errorf("the weight itself became %v", got[0])
	}
}

// TestGradientsInBF16 compares gradients of a small network of every kind of
// product with those of float64. Along each path a product's two factors are
// rounded, each with a relative error of at most 2⁻⁸, independently of the others
// (the errors' mean square is 2⁻¹⁶/12 to /3), so a gradient that passes through
// n products is off by about √(2n)·2⁻⁹ of its norm; six in a row, forward and
// backward, give √12·2⁻⁹ = 0.7 %. The bound is three times that. (Weights are
// small, so that neither softmax nor tanh saturates and magnifies errors.)
func TestGradientsInBF16(t *testing.T) {
	const bound = 3 * 3.5 * 0x1p-9
	key := rng.Key{Seed: 11}
	shapes := [][]int{{3, 3, 5, 24}, {24, 72}, {24, 7}}
	run := func(dev backend.Device, dtype tensor.DType) [][]float64 {
		s := tensor.NewScopeOf(dev, tensor.Recording, dtype)
		defer s.Close()
		host := tensor.NewScope(cpu.Default(), tensor.Inference) // the same numbers everywhere
		defer host.Close()
		var params []*tensor.Param
		for i, shape := range shapes {
			p := tensor.NewParam(cpu.Default(), tensor.Float32, shape...)
			v := host.Normal(rng.Key{Seed: 11, Stream: uint32(i + 1)}, 0, shape...).Scale(0.1).Float32s()
			if err := p.Set(v); err != nil {
				t.Fatal(err)
			}
			p.Convert(dtype)
			params = append(params, p)
		}
		data := tensor.NewParam(cpu.Default(), tensor.Float32, 3, 8, 8, 5)
		if err := data.Set(host.Normal(key, 0, 3, 8, 8, 5).Float32s()); err != nil {
			t.Fatal(err)
		}
		data.Convert(dtype)
		data.Frozen = true
		h := s.Param(data).Conv(params[0], nil, tensor.Conv2D(1, 1)).Reshape(3, 64, 24)
		qkv := h.MatMul(params[1]).Reshape(3, 64, 3, 2, 12)
		head := func(i int) *tensor.Tensor { return qkv.Slice(2, i, i+1).Reshape(3, 64, 2, 12) }
		a := tensor.Attention(head(0), head(1), head(2), nil, 0.3).Reshape(3, 64, 24)
		loss := a.Add(h).MatMul(params[2]).Tanh().Square().Mean()
		var out [][]float64
		for _, g := range s.Grad(loss, params) {
			out = append(out, g.Float64s())
		}
		return out
	}
	truth := run(cpu.Default(), tensor.Float64)
	low := run(cpu.Default().BF16(), tensor.Float32)
	for i := range truth {
		var diff, norm float64
		for j, w := range truth[i] {
			diff += (low[i][j] - w) * (low[i][j] - w)
			norm += w * w
		}
		rel := math.Sqrt(diff / norm)
		if rel > bound || rel < 0x1p-12 { // the least that rounding can do is not nothing
			t.Errorf("gradient of %v: relative error %.2g, want between %.2g and %.2g", fmt.Sprint(shapes[i]), rel, 0x1p-12, bound)
		}
	}
}
