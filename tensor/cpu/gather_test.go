package cpu

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// TestScatterAddStrides has rows of several chunks, whose neighbours in memory are 1 to 3 elements
// apart in table and rows: where that is not 1 in both, no kernel of vectors may run. Sums of small whole numbers are exact.
func TestScatterAddStrides(t *testing.T) {
	const entries, n, width = 3, 1100, 40 // chunks of 16 columns
	every := func(r *rand.Rand, dt backend.DType, step, rows int) *backend.View {
		v := place(r, dt, padded, rows, width*step)
		v.Shape[1], v.Stride[1] = width, step
		return v
	}
	for _, l := range Levels() {
		d := testDevice(t, l, 2)
		for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
			for steps := range 9 {
				r := rand.New(rand.NewPCG(7, uint64(steps)))
				table, rows := every(r, dt, 1+steps%3, entries), every(r, dt, 1+steps/3, n)
				idx := make([]int32, n)
				for i := range idx {
					idx[i] = int32(r.IntN(entries))
				}
				where := backend.View{Mem: backend.Memory{Host: unsafe.Pointer(&idx[0]), Size: 4 * n}, DType: backend.Int32, Rank: 1}
				where.Shape[0], where.Stride[0] = n, 1
				want := [entries][width]float64{}
				for j := range width {
					for i := range entries {
						want[i][j] = float64(i + j)
						put(table, want[i][j], i, j)
					}
					for i, k := range idx {
						x := float64(r.IntN(64) - 32)
						put(rows, x, i, j)
						want[k][j] += x
					}
				}
				d.ScatterAdd(table, rows, &where)
				for i := range entries {
					for j := range width {
						if got := at(table, i, j); got != want[i][j] {
							t.Fatalf("%v, %v, steps of %d and %d: element %d, %d is %v, want %v", l, dt, 1+steps%3, 1+steps/3, i, j, got, want[i][j])
						}
					}
				}
				for i := range entries { // nothing between the elements
					for j := range width - 1 {
						for k := 1; k < table.Stride[1]; k++ {
							if !isGuard(table, offsetOf(table, i, j)+k) {
								t.Fatalf("%v, %v: a gap behind element %d, %d is written", l, dt, i, j)
							}
						}
					}
				}
			}
		}
	}
}
