package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
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
	u := &d.pairs.microKernel
	const k, calls = 128, 1000
	args := make([]tileArgs, 64*d.pool.threads)
	for w := range d.pool.threads {
		buf := make([]float32, u.cols*k+u.rows*k+u.rows*u.cols+64)
		args[64*w] = tileArgs{a: unsafe.Pointer(&buf[u.cols*k]), b: unsafe.Pointer(&buf[0]), c: unsafe.Pointer(&buf[(u.cols+u.rows)*k]),
			segs: unsafe.Pointer(noSegment), nsegs: 1, k: k, rs: 4 * k, ks: 4, bs: 4 * u.cols, cs: 4 * u.cols, mask: 1<<u.cols - 1, alpha: 1}
	}
	run := spread(func(worker, _ int) {
		g := args[64*worker]
		g.fetchNothing()
		for range calls {
			u.tile[u.rows][2](&g)
		}
	})
	for b.Loop() {
		d.pool.do(run, 2*d.pool.threads)
	}
	gflops(b, float64(2*d.pool.threads*calls)*4*float64(u.rows*u.cols)*k)
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
