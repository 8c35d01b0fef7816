package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/backend"
)

// TestGemmSumBits wants the same bits of the product and of the sums for any
// number of threads, however the work is cut, and those of Gemm for the product.
func TestGemmSumBits(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(5, uint64(l)))
		for _, s := range [][3]int{{1, 1, 1}, {37, 70, 900}, {500, 33, 350}, {13, 1000, 64}, {800, 400, 331}} {
			m, n, k := s[0], s[1], s[2]
			at, b := transposedView(benchView(r, k, m)), benchView(r, k, n)
			want, wantSums := place(r, backend.Float32, dense, m, n), place(r, backend.Float32, dense, n)
			testDevice(t, l, 1).Gemm(want, &at, b, nil, 1, 0)
			for i, threads := range []int{1, 2, 3, 16} {
				c, sums := place(r, backend.Float32, dense, m, n), place(r, backend.Float32, dense, n)
				testDevice(t, l, threads).GemmSum(c, sums, &at, b)
				if i == 0 {
					wantSums = sums
				}
				for j, v := range c.Floats32()[:m*n] {
					if w := want.Floats32()[j]; v != w {
						t.Fatalf("%v, %v, %d threads: element %d is %v, want %v", l, s, threads, j, v, w)
					}
				}
				for j, v := range sums.Floats32()[:n] {
					if w := wantSums.Floats32()[j]; v != w {
						t.Fatalf("%v, %v, %d threads: sum %d is %v, want %v", l, s, threads, j, v, w)
					}
				}
			}
		}
	}
}

func TestGemmSumAllocates(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, l := range Levels() {
		d := testDevice(t, l, 2)
		r := rand.New(rand.NewPCG(6, uint64(l)))
		at, b, c, sums := transposedView(benchView(r, 300, 65)), benchView(r, 300, 70), benchView(r, 65, 70), benchView(r, 70)
		if n := testing.AllocsPerRun(20, func() { d.GemmSum(c, sums, &at, b) }); n >= 1 {
			t.Errorf("%v: %v allocations a call", l, n)
		}
	}
}
