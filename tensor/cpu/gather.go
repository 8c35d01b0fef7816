package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Gather copies rows of a table; see backend.Device.
func (d *Device) Gather(out, table, idx *backend.View) {
	if out.Elems() == 0 {
		return
	}
	if out.DType == backend.Float64 {
		gather[float64](d, &gathers64, out, table, idx, false)
	} else {
		gather[float32](d, &gathers32, out, table, idx, false)
	}
}

// ScatterAdd adds rows into a table; see backend.Device.
func (d *Device) ScatterAdd(table, rows, idx *backend.View) {
	if rows.Elems() == 0 {
		return
	}
	if rows.DType == backend.Float64 {
		gather[float64](d, &gathers64, rows, table, idx, true)
	} else {
		gather[float32](d, &gathers32, rows, table, idx, true)
	}
}

var (
	gathers32 = sync.Pool{New: func() any { return new(gatherTask[float32]) }}
	gathers64 = sync.Pool{New: func() any { return new(gatherTask[float64]) }}
)

// gatherTask copies rows from a table, a chunk some rows; or adds rows to it, a
// chunk some columns, so that each element's additions keep their order.
type gatherTask[T real] struct {
	rows, table channels[T] // (1, n or table rows, C)
	idx         *backend.View
	n, ch       int
	add         bool
	inChunk     int
}

func gather[T real](d *Device, free *sync.Pool, rows, table, idx *backend.View, add bool) {
	t := free.Get().(*gatherTask[T])
	t.rows, t.table, t.idx, t.add = matrixOf[T](rows), matrixOf[T](table), idx, add
	t.n, t.ch = rows.Shape[0], rows.Shape[1]
	if add {
		t.inChunk = max(16, rowWork/t.n)
		d.pool.do(t, (t.ch+t.inChunk-1)/t.inChunk)
	} else {
		t.inChunk = max(1, rowWork/t.ch)
		d.pool.do(t, (t.n+t.inChunk-1)/t.inChunk)
	}
	*t = gatherTask[T]{}
	free.Put(t)
}

// matrixOf sees a matrix as one sample of channels.
func matrixOf[T real](v *backend.View) channels[T] {
	var o operand[T]
	o.set(v)
	return channels[T]{base: o.base, sp: v.Stride[0], sc: v.Stride[1]}
}

func (t *gatherTask[T]) run(_, chunk int) {
	ix, step := t.idx.Ints32(), t.idx.Stride[0]
	lo := chunk * t.inChunk
	if t.add {
		for i := range t.n {
			row := int(ix[i*step])
			for c := lo; c < min(t.ch, lo+t.inChunk); c++ {
				*elemAt(t.table.base, row*t.table.sp+c*t.table.sc) += *elemAt(t.rows.base, i*t.rows.sp+c*t.rows.sc)
			}
		}
		return
	}
	for i := lo; i < min(t.n, lo+t.inChunk); i++ {
		from, to := int(ix[i*step])*t.table.sp, i*t.rows.sp
		if t.table.sc == 1 && t.rows.sc == 1 {
			copyIn(sliceAt(t.rows.base, to, t.ch), t.table.base, from, 0, 1, 1, t.ch)
			continue
		}
		for c := range t.ch {
			*elemAt(t.rows.base, to+c*t.rows.sc) = *elemAt(t.table.base, from+c*t.table.sc)
		}
	}
}
