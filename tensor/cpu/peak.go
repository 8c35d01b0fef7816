package cpu

import (
	"math"
	"time"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Peak measures, in about 40 ms, the floating-point operations a second of the
// matrix product's innermost kernel on operands that stay in the first cache:
// what products, convolutions and attention can hope for, on so many of the
// device's threads (at most all). BFloat16 means the kernel that BF16 computes
// with. It is 0 where there is no such kernel: for other types, and at level Go. A busy
// machine gives less.
func (d *Device) Peak(dtype backend.DType, threads int) float64 {
	var u *microKernel
	operations := 2.0 // at a place of the tile, for each row of b
	switch {
	case dtype == backend.Float32:
		u = d.level.micro()
	case dtype == backend.BFloat16 && d.HasBF16():
		u, operations = &d.lower.pairs.microKernel, 4
	}
	if u == nil || threads < 1 {
		return 0
	}
	const (
		depth  = 128
		calls  = 2000
		bursts = 40
		span   = 40 * time.Millisecond
	)
	threads = min(threads, d.pool.threads)
	t := &peakTask{u: u, calls: calls, args: make([]peakArgs, threads)}
	for w := range t.args {
		buf := make([]float32, u.cols*depth+u.rows*depth+u.rows*u.cols+64)
		t.args[w].tileArgs = tileArgs{a: unsafe.Pointer(&buf[u.cols*depth]), b: unsafe.Pointer(&buf[0]), c: unsafe.Pointer(&buf[(u.cols+u.rows)*depth]),
			segs: unsafe.Pointer(noSegment), nsegs: 1, k: depth, rs: 4 * depth, ks: 4, bs: 4 * u.cols, cs: 4 * u.cols, mask: 1<<u.cols - 1, alpha: 1}
		t.args[w].fetchNothing()
	}
	best := time.Duration(math.MaxInt64)
	began := time.Now()
	for i := 0; i < bursts || time.Since(began) < span; i++ {
		start := time.Now()
		if threads == 1 {
			t.run(0, 0)
		} else {
			d.pool.do(t, threads)
		}
		best = min(best, time.Since(start))
	}
	return float64(threads*calls) * operations * float64(u.rows*u.cols) * depth / best.Seconds()
}

// peakTask runs the full tile, again and again; a chunk a thread.
type peakTask struct {
	u     *microKernel
	calls int
	args  []peakArgs
}

// peakArgs keep each other off their cache lines.
type peakArgs struct {
	tileArgs
	_ [align]byte
}

// run computes chunk by chunk, so that a worker who takes two works in two places.
func (t *peakTask) run(_, chunk int) {
	for range t.calls {
		t.u.run(&t.args[chunk].tileArgs, t.u.rows, t.u.cols, nil)
	}
}
