package cpu

import (
	"fmt"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

func BenchmarkNorm(b *testing.B) {
	d := Default()
	for _, s := range []struct{ groups, n, p, c int }{{0, 32, 196, 384}, {0, 256, 1, 256}, {32, 64, 784, 64}, {32, 64, 196, 128}, {32, 64, 784, 192}, {32, 1, 784, 192}} {
		p := &backend.NormParams{Groups: s.groups, Eps: 1e-5, ScaleBase: 1, SiLU: s.groups > 0}
		sets := s.p
		if s.groups > 0 {
			sets = s.groups
		}
		x, y, dy, dx := testVector(d, s.n, s.p, s.c), testVector(d, s.n, s.p, s.c), testVector(d, s.n, s.p, s.c), testVector(d, s.n, s.p, s.c)
		mean, rstd := testVector(d, s.n, sets), testVector(d, s.n, sets)
		scale, shift := testVector(d, s.n, 1, s.c), testVector(d, s.n, 1, s.c)
		dscale, dshift := testVector(d, s.n, 1, s.c), testVector(d, s.n, 1, s.c)
		name := fmt.Sprintf("g%d/%dx%dx%d", s.groups, s.n, s.p, s.c)
		bytes := int64(4 * x.Elems())
		b.Run(name+"/forward", func(b *testing.B) {
			b.SetBytes(2 * bytes)
			for b.Loop() {
				d.NormForward(p, y, mean, rstd, x, scale, shift)
			}
		})
		b.Run(name+"/grad", func(b *testing.B) {
			b.SetBytes(3 * bytes)
			for b.Loop() {
				d.NormGrad(p, dx, dscale, dshift, dy, x, mean, rstd, scale, shift)
			}
		})
	}
}

func BenchmarkSoftmax(b *testing.B) {
	d := Default()
	for _, c := range []int{10, 196, 1024} {
		x, y := testVector(d, 6272, c), testVector(d, 6272, c)
		b.Run(fmt.Sprint(c), func(b *testing.B) {
			b.SetBytes(int64(8 * x.Elems()))
			for b.Loop() {
				d.SoftmaxForward(y, x)
			}
		})
	}
}
