package cpu

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestAMXRow multiplies rows of tiles of every height, of widths around those of tiles, of depths with
// and without divisors near 16, with and without segments, A by rows and by columns, to C as it is, added to, scaled and with a
// bias. All numbers are small and whole, so that every sum is exact; around C there are guard words.
func TestAMXRow(t *testing.T) {
	if !hasAMX() {
		t.Skip("this machine has no AMX, or the system does not let it be used")
	}
	r := rand.New(rand.NewPCG(3, 1))
	whole := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.IntN(17) - 8)
		}
		return v
	}
	word := func(v float32) (low, high float32) {
		b := math.Float32bits(v)
		return math.Float32frombits(b << 16), math.Float32frombits(b &^ 0xffff)
	}
	const cols = 32
	for _, rows := range []int{1, 2, 7, 15, 16, 17, 24, 31, 32} {
		for _, columns := range []int{1, 15, 16, 17, 31, 32, 33, 64, 81} {
			for _, k := range []int{1, 3, 16, 17, 20, 48, 98} {
				for form := range 8 {
					byColumns, accumulate, biased, nsegs := form&1 != 0, form&2 != 0, form&4 != 0, 1+r.IntN(2)
					alpha, beta := float32(1), float32(1)
					if form == 7 {
						alpha, beta = 3, -2
					}
					panels := (columns + cols - 1) / cols
					a, b := make([]float32, nsegs*k*(rows+3)), make([]float32, panels*nsegs*k*cols)
					for _, v := range [...][]float32{a, b} {
						for i := range v {
							v[i] = wordOf(float32(r.IntN(17)-8), float32(r.IntN(17)-8))
						}
					}
					bias, old := whole(columns), whole(rows*(columns+5)+5)
					c := append([]float32(nil), old...)
					if !accumulate { // must not be read
						for i := range rows {
							for j := range columns {
								c[5+i*(columns+5)+j] = float32(math.NaN())
							}
						}
					}
					segs := []int{0, 4 * k * (rows + 3)}
					var g tileArgs
					g.a, g.b, g.c, g.segs = unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0]), unsafe.Pointer(&c[5]), unsafe.Pointer(&segs[0])
					g.nsegs, g.k, g.bs, g.cs, g.alpha, g.beta = nsegs, k, 4*cols, 4*(columns+5), alpha, beta
					g.rs, g.ks = 4*k, 4
					if byColumns {
						g.rs, g.ks = 4, 4*(rows+3)
					}
					if accumulate {
						g.accumulate = 1
					}
					if biased {
						g.bias = unsafe.Pointer(&bias[0])
					}
					before := g
					runAMX(&g, rows, columns, 4*nsegs*k*cols)
					if g.a != before.a || g.rs != before.rs || g.ks != before.ks || g.segs != before.segs {
						t.Fatal("the arguments of A have changed")
					}
					for i := range old {
						row, j := (i-5)/(columns+5), (i-5)%(columns+5)
						want := old[i]
						if i >= 5 && row < rows && j < columns {
							sum := float32(0)
							for s := range nsegs {
								for p := range k {
									x, y := word(a[(segs[s]+row*g.rs+p*g.ks)/4])
									u, v := word(b[((j/cols*nsegs+s)*k+p)*cols+j%cols])
									sum += x*u + y*v
								}
							}
							want = alpha * sum
							if accumulate {
								want += beta * old[i]
							}
							if biased {
								want += bias[j]
							}
						}
						if c[i] != want {
							t.Fatalf("%d rows, %d columns, k %d, %d segments, form %d: number %d (row %d, column %d) is %v, want %v", rows, columns, k, nsegs, form, i, row, j, c[i], want)
						}
					}
				}
			}
		}
	}
}
