package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/backend"
)

// sumDevices are the devices that add up columns in their own ways.
func sumDevices(tb testing.TB, threads int) map[string]*Device {
	all := map[string]*Device{}
	for _, l := range Levels() {
		all[l.String()] = testDevice(tb, l, threads)
	}
	if d := testDevice(tb, Best(), threads); d.HasBF16() {
		all["bfloat16"] = d.lower
	}
	return all
}

// TestGemmSumBits wants the same bits of the product and of the sums for any
// number of threads, however the work is cut, those of Gemm for the product, and
// sums that are right.
func TestGemmSumBits(t *testing.T) {
	for name, alone := range sumDevices(t, 1) {
		r := rand.New(rand.NewPCG(5, 0))
		for _, s := range [][3]int{{1, 1, 1}, {37, 70, 900}, {500, 33, 350}, {13, 1000, 64}, {800, 400, 331}, {30, 80, 1601}, {90, 35, 641}} {
			m, n, k := s[0], s[1], s[2]
			at, b := transposedView(benchView(r, k, m)), benchView(r, k, n)
			want, wantSums := place(r, backend.Float32, dense, m, n), place(r, backend.Float32, dense, n)
			alone.Gemm(want, &at, b, nil, 1, 0)
			for i, threads := range []int{1, 2, 3, 16} {
				c, sums := place(r, backend.Float32, dense, m, n), place(r, backend.Float32, dense, n)
				sumDevices(t, threads)[name].GemmSum(c, sums, &at, b)
				if i == 0 {
					wantSums = sums
					checkSums(t, fmt.Sprintf("%v, %v", name, s), sums, b)
				}
				for j, v := range c.Floats32()[:m*n] {
					if w := want.Floats32()[j]; v != w {
						t.Fatalf("%v, %v, %d threads: element %d is %v, want %v", name, s, threads, j, v, w)
					}
				}
				for j, v := range sums.Floats32()[:n] {
					if w := wantSums.Floats32()[j]; v != w {
						t.Fatalf("%v, %v, %d threads: sum %d is %v, want %v", name, s, threads, j, v, w)
					}
				}
			}
		}
	}
}

// checkSums wants sums of b's columns within what at most 162 roundings in a row may do
// (159 of a chain, the joint of two, the last of float64, and one for those in float64).
func checkSums(t *testing.T, what string, sums, b *backend.View) {
	t.Helper()
	for j := range sums.Shape[0] {
		want, size := 0.0, 0.0
		for p := range b.Shape[0] {
			v := at(b, p, j)
			want += v
			size += math.Abs(v)
		}
		if got := at(sums, j); math.Abs(got-want) > 162*0x1p-24*size {
			t.Fatalf("%s: sum %d is %v, want %v", what, j, got, want)
		}
	}
}

func TestGemmSumAllocates(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for name, d := range sumDevices(t, 2) {
		r := rand.New(rand.NewPCG(6, 0))
		at, b, c, sums := transposedView(benchView(r, 300, 65)), benchView(r, 300, 70), benchView(r, 65, 70), benchView(r, 70)
		if n := testenv.Allocs(t, func() { d.GemmSum(c, sums, &at, b) }); n > 0 {
			t.Errorf("%v: %v allocations a call", name, n)
		}
	}
}
