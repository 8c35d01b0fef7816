package tensor_test

import (
	"testing"

	. "github.com/langevin-go/langevin/tensor"
)

// What an operation costs beside its arithmetic: chains of operations on a few
// elements. The metric is the time of one of them: forward, and with its part of the gradient.
func BenchmarkOverhead(b *testing.B) {
	const length = 100
	w := param(b, 4, 4)
	for _, c := range []struct {
		name string
		op   func(x, y *Tensor) *Tensor
	}{
		{"mul", func(x, y *Tensor) *Tensor { return x.Mul(y) }},
		{"tanh", func(x, _ *Tensor) *Tensor { return x.Tanh() }},
		{"linear", func(x, _ *Tensor) *Tensor { return x.MatMul(w) }},
		{"permute", func(x, _ *Tensor) *Tensor { return x.T() }},
		{"softmax", func(x, _ *Tensor) *Tensor { return x.Softmax() }},
		{"layer norm", func(x, _ *Tensor) *Tensor { return x.LayerNorm(nil, nil, Norm{Eps: 1e-5}) }},
		{"custom", func(x, _ *Tensor) *Tensor { return same.Apply(x) }},
	} {
		for _, mode := range []string{"inference", "recording", "gradient"} {
			b.Run(c.name+"/"+mode, func(b *testing.B) {
				m := Recording
				if mode == "inference" {
					m = Inference
				}
				s := scope(b, m)
				values := make([]float32, 16)
				b.ReportAllocs()
				params := []*Param{w}
				for b.Loop() {
					s.Reset()
					x := s.Param(w).Add(s.Tensor(values, 4, 4))
					y := x
					for range length {
						y = c.op(y, x)
					}
					if mode == "gradient" {
						s.Grad(y.Sum(), params)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/length, "ns/operation")
			})
		}
	}
}
