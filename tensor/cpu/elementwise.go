package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Elementwise runs p at every point, block by block within the innermost
// cache; see backend.Device.
func (d *Device) Elementwise(p *backend.Program, out, in []*backend.View, scalars []float64) {
	if out[0].Elems() == 0 {
		return
	}
	if out[0].DType == backend.Float64 {
		elementwise(d, &maps64, kernels64(d), p, out, in, scalars)
	} else {
		elementwise(d, &maps32, kernels32(d), p, out, in, scalars)
	}
}

var (
	maps32 = sync.Pool{New: func() any { return new(mapTask[float32]) }}
	maps64 = sync.Pool{New: func() any { return new(mapTask[float64]) }}
)

// mapTask writes the outputs of a plan. A chunk is some blocks; a block is a
// range of points that ends at a row's end where rows matter.
type mapTask[T real] struct {
	engine[T]
	points  int // of a block
	rows    int // rows of a block, 0: the row is cut into segments
	segs    int // blocks of a row
	blocks  int
	inChunk int // blocks of a chunk
}

// chunkCost is the work of a chunk, some microseconds, in units of a cheap
// operation on an element.
const chunkCost = 1 << 16

func elementwise[T real](d *Device, free *sync.Pool, kern *kernels[T], p *backend.Program, out, in []*backend.View, scalars []float64) {
	t := free.Get().(*mapTask[T])
	pl := programPlans.get(p, false)
	t.setup(d, pl, kern, out[0], true, out, in, scalars)
	t.cut()
	t.inChunk = max(1, chunkCost/(pl.cost*t.points))
	d.pool.do(t, (t.blocks+t.inChunk-1)/t.inChunk)
	t.release()
	free.Put(t)
}

// cut chooses the blocks. Where an operand is not dense, blocks are whole rows
// or parts of one, so that rows that lie dense can be used where they are.
func (t *mapTask[T]) cut() {
	inner := t.space.inner()
	for i := range t.ops {
		if t.ops[i].mode == strided_ {
			switch {
			case inner > t.block/2:
				t.rows, t.segs = 0, (inner+t.block-1)/t.block
				t.points = ((inner+t.segs-1)/t.segs + 15) &^ 15
				t.segs = (inner + t.points - 1) / t.points
				t.blocks = t.space.total / inner * t.segs
			default:
				t.rows = t.block / inner
				t.points = t.rows * inner
				t.blocks = (t.space.total + t.points - 1) / t.points
			}
			return
		}
	}
	t.rows, t.segs, t.points = 1, 1, t.block
	t.blocks = (t.space.total + t.block - 1) / t.block
}

func (t *mapTask[T]) run(worker, chunk int) {
	w := &t.workers[worker]
	inner := t.space.inner()
	for i := chunk * t.inChunk; i < min(t.blocks, (chunk+1)*t.inChunk); i++ {
		if t.rows == 0 {
			row, at := i/t.segs, i%t.segs*t.points
			t.eval(w, row*inner+at, min(t.points, inner-at))
		} else {
			at := i * t.points
			t.eval(w, at, min(t.points, t.space.total-at))
		}
	}
}
