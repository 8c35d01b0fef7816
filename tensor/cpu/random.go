package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// FillNormal draws standard normals; see backend.Device.
func (d *Device) FillNormal(out *backend.View, key rng.Key, first uint64) {
	d.draw(drawNormals, rng.Normal, out, key, first)
}

// FillUniform draws from [0,1); see backend.Device.
func (d *Device) FillUniform(out *backend.View, key rng.Key, first uint64) {
	d.draw(drawUniforms, rng.Uniform, out, key, first)
}

// drawGroup is a kernel that fills groups of so many blocks: out gets four
// elements for each lane of the counters, whose third words then step on.
type drawGroup struct {
	lanes int // 0: there is no kernel
	fill  func(out *float32, counters *uint32, groups int, k0, k1 uint32)
}

const maxLanes = 16

var draws = sync.Pool{New: func() any { return new(drawTask) }}

// drawTask fills rows; a chunk is a run of blocks of four elements, counted
// over all rows.
type drawTask struct {
	kernel  drawGroup
	slow    func(out []float32, key rng.Key, sample uint64)
	out32   []float32
	out64   []float64 // one of the two is nil
	key     rng.Key
	first   uint64
	n       int // elements of a row
	perRow  int // blocks of a row
	blocks  int
	inChunk int
	work    []drawWorker
}

type drawWorker struct {
	counters [4 * maxLanes]uint32
	group    [4 * maxLanes]float32
	row      []float32
}

func (d *Device) draw(kernel func(*Device) drawGroup, slow func([]float32, rng.Key, uint64), out *backend.View, key rng.Key, first uint64) {
	total := out.Elems()
	if total == 0 {
		return
	}
	t := draws.Get().(*drawTask)
	rows := 1
	if out.Rank > 0 {
		rows = out.Shape[0]
	}
	t.kernel, t.slow, t.key, t.first, t.n = kernel(d), slow, key, first, total/rows
	t.perRow = (t.n + 3) / 4
	t.blocks = rows * t.perRow
	if out.DType == backend.Float64 {
		t.out64 = out.Floats64()[:total]
	} else {
		t.out32 = out.Floats32()[:total]
	}
	for len(t.work) < d.pool.threads {
		t.work = append(t.work, drawWorker{})
	}
	// A chunk is whole groups, or whole rows where Go fills them.
	t.inChunk = rowWork / 4
	if t.kernel.lanes == 0 || uint64(t.perRow) >= 1<<32 { // the kernel steps on 32 bits of the block's number
		t.kernel.lanes = 0
		t.inChunk = max(1, rowWork/4/t.perRow) * t.perRow
	}
	d.pool.do(t, (t.blocks+t.inChunk-1)/t.inChunk)
	t.out32, t.out64 = nil, nil
	draws.Put(t)
}

func (t *drawTask) run(worker, chunk int) {
	w := &t.work[worker]
	lo, hi := chunk*t.inChunk, min(t.blocks, (chunk+1)*t.inChunk)
	if t.kernel.lanes == 0 {
		row := atLeast(&w.row, t.n)
		for r := lo / t.perRow; r < hi/t.perRow; r++ {
			t.slow(row, t.key, t.first+uint64(r))
			t.put(r*t.n, row)
		}
		return
	}
	k0, k1 := t.key.Words()
	lanes := t.kernel.lanes
	for b := lo; b < hi; {
		row, at := b/t.perRow, b%t.perRow
		w.count(t, b)
		// Groups that lie within a row and fill their elements go straight to memory.
		if groups := min(hi-b, t.n/4-at) / lanes; groups > 0 && t.out32 != nil {
			t.kernel.fill(&t.out32[row*t.n+4*at], &w.counters[0], groups, k0, k1)
			b += groups * lanes
			continue
		}
		t.kernel.fill(&w.group[0], &w.counters[0], 1, k0, k1)
		for i := 0; i < lanes && b < hi; i++ {
			row, at = b/t.perRow, b%t.perRow
			m := min(4, t.n-4*at)
			t.put(row*t.n+4*at, w.group[4*i:4*i+m])
			b++
		}
	}
}

// count sets the counters of as many blocks as there are lanes, from block b on.
func (w *drawWorker) count(t *drawTask, b int) {
	row, at := b/t.perRow, b%t.perRow
	lanes := t.kernel.lanes
	for i := range lanes {
		sample := t.first + uint64(row)
		w.counters[i] = uint32(sample)
		w.counters[lanes+i] = uint32(sample >> 32)
		w.counters[2*lanes+i] = uint32(at)
		w.counters[3*lanes+i] = 0
		if at++; at == t.perRow {
			row, at = row+1, 0
		}
	}
}

func (t *drawTask) put(at int, v []float32) {
	if t.out32 != nil {
		copy(t.out32[at:], v)
		return
	}
	for i, x := range v {
		t.out64[at+i] = float64(x)
	}
}
