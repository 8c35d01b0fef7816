package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// bf16Device is the best level's device, computing in bfloat16 by kernels.
func bf16Device(b *testing.B) *Device {
	d := newDevice(b, Best(), 0)
	if !d.HasBF16() {
		b.Skip("this machine has no instructions for bfloat16")
	}
	return d.lower
}

// BenchmarkBF16Peak runs nothing but the full register tile, on operands in cache.
func BenchmarkBF16Peak(b *testing.B) {
	d := bf16Device(b)
	best := 0.0
	for b.Loop() {
		best = max(best, d.Peak(backend.BFloat16, d.Threads()))
	}
	b.ReportMetric(best/1e9, "GFLOP/s")
}

func BenchmarkBF16Gemm(b *testing.B) {
	d := bf16Device(b)
	for _, s := range [][3]int{{64, 64, 64}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
		{6272, 384, 384}, {6272, 1536, 384}, {6272, 384, 1536}, {1, 256, 256}, {64, 256, 256}, {384, 1536, 6272}} {
		for _, form := range []string{"nn", "nt", "tn"} {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", s[0], s[1], s[2], form), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 1))
				c, x, y := benchView(r, s[0], s[1]), benchView(r, s[0], s[2]), benchView(r, s[2], s[1])
				if form == "nt" {
					t := transposedView(benchView(r, s[1], s[2]))
					y = &t
				} else if form == "tn" {
					t := transposedView(benchView(r, s[2], s[0]))
					x = &t
				}
				b.ReportAllocs()
				d.Gemm(c, x, y, nil, 1, 0) // makes the scratch
				for b.Loop() {
					d.Gemm(c, x, y, nil, 1, 0)
				}
				gflops(b, 2*float64(s[0])*float64(s[1])*float64(s[2]))
			})
		}
	}
}

// BenchmarkBF16GemmSum is a weight's and a bias's gradient, as the DiT has them.
func BenchmarkBF16GemmSum(b *testing.B) {
	d := bf16Device(b)
	for _, s := range [][3]int{{384, 384, 6272}, {384, 1152, 6272}, {384, 1536, 6272}, {1536, 384, 6272}, {384, 1152, 32}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			c, sums, x, y := benchView(r, s[0], s[1]), benchView(r, s[1]), transposedView(benchView(r, s[2], s[0])), benchView(r, s[2], s[1])
			d.GemmSum(c, sums, &x, y)
			for b.Loop() {
				d.GemmSum(c, sums, &x, y)
			}
			gflops(b, 2*float64(s[0])*float64(s[1])*float64(s[2]))
		})
	}
}
