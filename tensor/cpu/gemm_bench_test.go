package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// gflops reports the rate of a benchmark whose iteration does so many operations.
func gflops(b *testing.B, flops float64) {
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkPeak runs nothing but the full register tile, on operands in cache:
// the rate that matrix products can hope for.
func BenchmarkPeak(b *testing.B) {
	for _, l := range Levels() {
		if l == Go {
			continue
		}
		b.Run(l.String(), func(b *testing.B) {
			d := testDevice(b, l, 0)
			best := 0.0
			for b.Loop() {
				best = max(best, d.Peak(backend.Float32, d.Threads()))
			}
			b.ReportMetric(best/1e9, "GFLOP/s")
		})
	}
}

func benchView(r *rand.Rand, shape ...int) *backend.View {
	return fill(r, place(r, backend.Float32, dense, shape...))
}

func BenchmarkGemm(b *testing.B) {
	for _, l := range Levels() {
		if l == Go {
			continue
		}
		for _, s := range [][3]int{{64, 64, 64}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
			{6272, 384, 384}, {6272, 1536, 384}, {6272, 384, 1536}, {1, 256, 256}, {64, 256, 256}, {6272, 32, 64}, {384, 1536, 6272}} {
			for _, form := range []string{"nn", "nt", "tn"} {
				b.Run(fmt.Sprintf("%v/%dx%dx%d/%s", l, s[0], s[1], s[2], form), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					d := testDevice(b, l, 0)
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
}
