package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// TestGroupNormFar normalises data far from zero, a first tile far from the
// others, and one value only, beside float64.
func TestGroupNormFar(t *testing.T) {
	const n, pos, ch, groups = 2, 784, 64, 32
	const tile = tileElems / ch
	lane := float64(pos/tile + 3)       // roundings of a lane's sum
	const about = pos/float64(tile) - 1 // the most that a first tile's mean may be from a piece's, in standard deviations, squared
	for name, value := range map[string]func(p int, z float64) float64{
		"far":        func(_ int, z float64) float64 { return 1e4 + z },
		"first tile": func(p int, z float64) float64 { return z + map[bool]float64{true: 1000}[p < tile] },
		"first":      func(p int, z float64) float64 { return z + map[bool]float64{true: 1000}[p == 0] },
		"constant":   func(int, float64) float64 { return 3.1 },
	} {
		for _, l := range Levels() {
			d := testDevice(t, l, 2)
			r := rand.New(rand.NewPCG(8, 1))
			x, x64 := place(r, backend.Float32, dense, n, pos, ch), place(r, backend.Float64, dense, n, pos, ch)
			each(x, func(i []int) {
				v := float64(float32(value(i[1], r.NormFloat64())))
				put(x, v, i...)
				put(x64, v, i...)
			})
			p := &backend.NormParams{Groups: groups, Eps: 1e-5, ScaleBase: 1}
			run := func(dt backend.DType, x *backend.View) (y, mean, rstd *backend.View) {
				y, mean, rstd = place(r, dt, dense, n, pos, ch), place(r, dt, dense, n, groups), place(r, dt, dense, n, groups)
				d.NormForward(p, y, mean, rstd, x, nil, nil)
				return y, mean, rstd
			}
			y, _, _ := run(backend.Float32, x)
			want, mean, rstd := run(backend.Float64, x64)
			each(y, func(i []int) {
				g := i[2] / (ch / groups)
				w := at(want, i...)
				// The variance's error, halved by the root; the mean's, of its sum and its own rounding; that of the last steps.
				tol := 0x1p-24 * (math.Abs(w)*(1+about)*lane/2 + math.Sqrt(1+about)*lane + 2*math.Abs(at(mean, i[0], g))*at(rstd, i[0], g) + 4*math.Abs(w))
				if got := at(y, i...); !(math.Abs(got-w) <= tol) {
					t.Fatalf("%v, %s: element %v is %v, want %v ± %v", l, name, i, got, w, tol)
				}
			})
		}
	}
}

func BenchmarkNorm(b *testing.B) {
	d := Default()
	for _, s := range []struct{ groups, n, p, c int }{{0, 32, 196, 384}, {0, 256, 1, 256}, {32, 64, 784, 64}, {32, 4, 784, 64}, {32, 64, 196, 128}, {32, 64, 784, 192}, {32, 1, 784, 192}} {
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
