package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
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
		for _, l := range Levels() {
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

// TestGemmBlocks has more columns than a block, and several chunks for many threads.
func TestGemmBlocks(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(2, uint64(l)))
		for _, threads := range []int{1, 2, 7} {
			d := testDevice(t, l, threads)
			testGemm(t, r, d, backend.Float32, nil, 29, 270, 2*kBlock+5)
			testGemm(t, r, d, backend.Float32, []int{20}, 65, 20, 9)
			testGemm(t, r, d, backend.Float32, nil, 3, 700, 100)
		}
	}
}

func testGemmOnce(t *testing.T, r *rand.Rand, d *Device, dt backend.DType) {
	sizes := []int{0, 1, 2, 3, 5, 7, 11, 12, 13, 16, 17, 23, 31, 32, 33, 48, 61, 64, 67}
	var lead []int
	for range r.IntN(3) {
		lead = append(lead, r.IntN(4))
	}
	testGemm(t, r, d, dt, lead, pick(r, sizes...), pick(r, sizes...), pick(r, append(sizes, 127, 255, 256, 257, 300, 521)...))
}

func testGemm(t *testing.T, r *rand.Rand, d *Device, dt backend.DType, lead []int, m, n, k int) {
	t.Helper()
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

// TestGemmCrowdedRows wants rows of A that share sets of the cache, which are copied, to give what others do.
func TestGemmCrowdedRows(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(4, uint64(l)))
		const m, n, k, wide = 50, 300, 1024, 1030
		a, b := benchView(r, m, k), benchView(r, k, n)
		spread := benchView(r, m, wide)
		spread.Shape[1] = k
		for i := range m {
			copy(elements[float32](spread)[spread.Off+i*wide:][:k], elements[float32](a)[a.Off+i*k:])
		}
		for _, threads := range []int{1, 2} {
			d := testDevice(t, l, threads)
			got, want := place(r, backend.Float32, dense, m, n), place(r, backend.Float32, dense, m, n)
			d.Gemm(got, a, b, nil, 1, 0)
			d.Gemm(want, spread, b, nil, 1, 0)
			each(got, func(i []int) {
				if g, w := at(got, i...), at(want, i...); g != w {
					t.Fatalf("%v, %d threads: element %v is %v, of spread rows %v", l, threads, i, g, w)
				}
			})
		}
	}
}

// TestGemmRowBits wants a row of c to have the same bits in any company: with
// fewer rows, in another batch, and for any number of threads.
func TestGemmRowBits(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(3, uint64(l)))
		for _, s := range [][2]int{{33, 70}, {64, 600}, {300, 1100}, {1, 37}} {
			n, k := s[0], s[1]
			const m = 100
			a, b := benchView(r, m, k), benchView(r, k, n)
			want := place(r, backend.Float32, dense, m, n)
			testDevice(t, l, 1).Gemm(want, a, b, nil, 1, 0)
			for _, threads := range []int{1, 2, 3, 16} {
				d := testDevice(t, l, threads)
				for _, rows := range []int{1, 2, 11, 13, 50, 99} {
					first := r.IntN(m - rows + 1)
					part := *a
					part.Shape[0], part.Off = rows, a.Off+first*k
					got := place(r, backend.Float32, dense, rows, n)
					d.Gemm(got, &part, b, nil, 1, 0)
					each(got, func(i []int) {
						if g, w := at(got, i...), at(want, first+i[0], i[1]); g != w {
							t.Fatalf("%v, %d threads: row %d of %d alone has %v, among %d has %v", l, threads, first+i[0], rows, g, m, w)
						}
					})
				}
			}
		}
	}
}

// TestSteadyStateAllocates calls everything often and wants no memory for it.
func TestSteadyStateAllocates(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, l := range Levels() {
		d := testDevice(t, l, 2)
		r := rand.New(rand.NewPCG(4, uint64(l)))
		x, w, y := benchView(r, 2, 8, 8, 16), benchView(r, 3, 3, 16, 16), benchView(r, 2, 8, 8, 16)
		x3, w3, y3 := benchView(r, 2, 9, 9, 32), benchView(r, 3, 3, 32, 32), benchView(r, 2, 9, 9, 32)
		a, b, c := benchView(r, 65, 64), benchView(r, 64, 64), benchView(r, 65, 64)
		at := transposedView(benchView(r, 64, 65))
		p := &backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
		q := benchView(r, 2, 20, 2, 16)
		o, dq, dk, dv, lse := benchView(r, 2, 20, 2, 16), benchView(r, 2, 20, 2, 16), benchView(r, 2, 20, 2, 16), benchView(r, 2, 20, 2, 16), benchView(r, 2, 2, 20)
		for name, f := range map[string]func(){
			"Gemm":                 func() { d.Gemm(c, a, b, nil, 1, 0) },
			"Gemm, aT":             func() { d.Gemm(c, &at, b, nil, 1, 0) },
			"ConvForward":          func() { d.ConvForward(p, y, x, w, nil) },
			"ConvInputGrad":        func() { d.ConvInputGrad(p, x, y, w) },
			"ConvWeightGrad":       func() { d.ConvWeightGrad(p, w, x, y) },
			"Winograd":             func() { d.ConvForward(p, y3, x3, w3, nil) },
			"Winograd, input grad": func() { d.ConvInputGrad(p, x3, y3, w3) },
			"Winograd, weights":    func() { d.ConvWeightGrad(p, w3, x3, y3) },
			"Attention":            func() { d.Attention(o, lse, q, q, q, nil, 1) },
			"AttentionGrad":        func() { d.AttentionGrad(dq, dk, dv, o, o, lse, q, q, q, nil, 1) },
		} {
			if n := testenv.Allocs(t, f); n > 0 {
				t.Errorf("%v: %s allocates %v times a call", l, name, n)
			}
		}
	}
}
