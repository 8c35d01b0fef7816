package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// gemmValue is the definition: alpha·Σ a·b + beta·c + bias.
func gemmValue(c0, a, b, bias *backend.View, alpha, beta float64, idx []int) value {
	var v value
	lead, i, j := idx[:len(idx)-2], idx[len(idx)-2], idx[len(idx)-1]
	var ai, bi [backend.MaxRank]int
	copy(ai[:], lead)
	copy(bi[:], lead)
	ai[a.Rank-2], bi[b.Rank-1] = i, j
	for p := range a.Shape[a.Rank-1] {
		ai[a.Rank-1], bi[b.Rank-2] = p, p
		v.add(alpha * at(a, ai[:a.Rank]...) * at(b, bi[:b.Rank]...))
	}
	if beta != 0 {
		v.add(beta * at(c0, idx...))
	}
	if bias != nil {
		v.add(at(bias, j))
	}
	return v
}

func TestGemm(t *testing.T) {
	for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
		for _, l := range testLevels() {
			t.Run(fmt.Sprintf("%v/%v", dt, l), func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, uint64(l)))
				d := testDevice(t, l, 2)
				for range 300 {
					testGemmOnce(t, r, d, dt)
				}
			})
		}
	}
}

func testGemmOnce(t *testing.T, r *rand.Rand, d *Device, dt backend.DType) {
	sizes := []int{0, 1, 2, 3, 5, 7, 11, 12, 13, 16, 17, 23, 31, 32, 33, 48, 61, 64, 67}
	m, n, k := pick(r, sizes...), pick(r, sizes...), pick(r, append(sizes, 127, 255, 256, 257, 300, 521)...)
	var lead []int
	for range r.IntN(3) {
		lead = append(lead, r.IntN(4))
	}
	shape := func(tail ...int) []int { return append(append([]int{}, lead...), tail...) }
	how := func() arrangement { return arrangement(r.IntN(3)) }
	var special []float64
	if r.IntN(4) == 0 {
		special = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}
	}
	a := fill(r, place(r, dt, how(), shape(m, k)...), special...)
	b := fill(r, place(r, dt, how(), shape(k, n)...), special...)
	for ax := range lead { // broadcast batches
		if r.IntN(4) == 0 {
			a.Stride[ax] = 0
		}
		if r.IntN(4) == 0 {
			b.Stride[ax] = 0
		}
	}
	c := place(r, dt, how(), shape(m, n)...)
	alpha, beta := []float64{1, 1, 0.5, -2}[r.IntN(4)], []float64{0, 0, 1, -0.5}[r.IntN(4)]
	c0 := c
	if beta != 0 {
		fill(r, c, special...)
		clone := *c
		c0 = &clone
		c0.Mem.Host = cloneMemory(c)
	}
	var bias *backend.View
	if r.IntN(2) == 0 {
		bias = fill(r, place(r, dt, how(), n), special...)
	}
	d.Gemm(c, a, b, bias, alpha, beta)
	if err := compare(c, k+4, func(idx []int) value { return gemmValue(c0, a, b, bias, alpha, beta, idx) }); err != nil {
		t.Fatalf("c%v = %g·a(stride %v)·b(stride %v) + %g·c, k=%d, bias %v: %v", c.Shape[:c.Rank], alpha,
			a.Stride[:a.Rank], b.Stride[:b.Rank], beta, k, bias != nil, err)
	}
}
