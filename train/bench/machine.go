package bench

import (
	"math"
	"time"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/trace"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Machine is the most that a device has been seen to do. Where a figure is not
// known it is 0.
type Machine struct {
	Threads   int
	FP32      Peak
	BF16      Peak    // of products in bfloat16, where they have kernels of their own
	Copy      float64 // GB/s of a ← b, far larger than caches: bytes read and written
	Triad     float64 // of a ← b + x·c
	Bandwidth float64 // the better of the two
}

// Peak is the rate of the matrix product's innermost kernel alone, in GFLOP/s.
type Peak struct{ Core, All float64 }

// peaker is a device that knows its innermost kernel's rate; see cpu.Device.Peak.
type peaker interface {
	Peak(dtype backend.DType, threads int) float64
	Threads() int
}

// MeasureMachine finds out what dev can do, in about a third of a second.
func MeasureMachine(dev backend.Device) (Machine, error) {
	var m Machine
	if p, ok := dev.(peaker); ok {
		m.Threads = p.Threads()
		m.FP32, m.BF16 = peakOf(p, backend.Float32), peakOf(p, backend.BFloat16)
	}
	err := m.measureBandwidth(dev)
	return m, err
}

func peakOf(p peaker, dtype backend.DType) Peak {
	one := p.Peak(dtype, 1) / 1e9
	return Peak{Core: one, All: max(one, p.Peak(dtype, p.Threads())/1e9)}
}

var (
	copyProgram = &backend.Program{Name: "copy", Inputs: 1, Code: []backend.Instr{{Op: backend.OpInput}}, Outputs: []int32{0}}

	triadProgram = &backend.Program{Name: "triad", Inputs: 2, Scalars: 1, Outputs: []int32{3}, Code: []backend.Instr{
		{Op: backend.OpInput}, {Op: backend.OpInput, A: 1}, {Op: backend.OpScalar}, {Op: backend.OpMulAdd, A: 1, B: 2, C: 0}}}
)

// streamBytes is the size of an array in the measurement of bandwidth: three of
// them are several times the last cache of today's processors, a share of which one process gets.
const streamBytes = 64 << 20

// measureBandwidth runs the kernels of STREAM (McCalpin 1995) that show whether
// reading or writing is the bottleneck, and counts bytes as it does: those named,
// not the lines that a processor reads before it overwrites them.
func (m *Machine) measureBandwidth(dev backend.Device) error {
	var v [3]*backend.View
	for i := range v {
		mem, err := dev.Alloc(streamBytes)
		if err != nil {
			return err
		}
		defer dev.Free(mem)
		v[i] = &backend.View{Mem: mem, Rank: 2, Shape: [backend.MaxRank]int{streamBytes >> 12, 1 << 10}}
		v[i].RowMajor()
		dev.FillUniform(v[i], rng.Key{Seed: uint64(i)}, 0)
	}
	rate := func(arrays int, p *backend.Program, in []*backend.View, scalars []float64) (float64, error) {
		best := time.Duration(math.MaxInt64)
		for range 8 {
			start := time.Now()
			dev.Elementwise(p, v[:1], in, scalars)
			if err := dev.Sync(); err != nil {
				return 0, err
			}
			best = min(best, time.Since(start))
		}
		return float64(arrays) * streamBytes / float64(best.Nanoseconds()), nil
	}
	var err error
	if m.Copy, err = rate(2, copyProgram, v[1:2], nil); err != nil {
		return err
	}
	if m.Triad, err = rate(3, triadProgram, v[1:], []float64{0.5}); err != nil {
		return err
	}
	m.Bandwidth = max(m.Copy, m.Triad)
	return nil
}

// share is x of most; 0 where most is not known.
func share(x, most float64) float64 {
	if most == 0 {
		return 0
	}
	return x / most
}

// peak is the rate that r's operations can hope for.
func (m *Machine) peak(r *trace.Row) float64 {
	if r.BF16 && m.BF16.All > 0 {
		return m.BF16.All
	}
	return m.FP32.All
}

// limit is the share of the time that work takes which the machine needs for it
// at least, be it for operations or for bytes (the roofline of Williams et al. 2009).
func (m *Machine) limit(r *trace.Row) float64 {
	return max(share(r.GFLOPS(), m.peak(r)), share(r.GBps(), m.Bandwidth))
}
