package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Gather copies rows of a table; see backend.Device.
func (d *Device) Gather(out, table, idx *backend.View) {
	if out.Elems() == 0 {
		return
	}
	if out.DType == backend.Float64 {
		gather[float64](d, &gathers64, nil, out, table, idx)
	} else {
		gather[float32](d, &gathers32, nil, out, table, idx)
	}
}

// ScatterAdd adds rows into a table; see backend.Device.
func (d *Device) ScatterAdd(table, rows, idx *backend.View) {
	if rows.Elems() == 0 {
		return
	}
	if rows.DType == backend.Float64 {
		gather(d, &gathers64, kernels64(d).ops[backend.OpAdd], rows, table, idx)
	} else {
		gather(d, &gathers32, kernels32(d).ops[backend.OpAdd], rows, table, idx)
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
	add         kernel[T] // nil: copy
	inChunk     int
}

func gather[T real](d *Device, free *sync.Pool, add kernel[T], rows, table, idx *backend.View) {
	t := free.Get().(*gatherTask[T])
	t.rows, t.table, t.idx, t.add = matrixOf[T](rows), matrixOf[T](table), idx, add
	t.n, t.ch = rows.Shape[0], rows.Shape[1]
	if add != nil {
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
	lo := chunk * t.inChunk
	if t.add != nil {
		for i := range t.n {
			t.addRow(i, lo, min(t.inChunk, t.ch-lo))
		}
		return
	}
	for i := lo; i < min(t.n, lo+t.inChunk); i++ {
		t.copyRow(i)
	}
}

// offsets are where row i of rows begins, and the row of the table that it names.
func (t *gatherTask[T]) offsets(i int) (row, entry int) {
	return i * t.rows.sp, int(t.idx.Ints32()[i*t.idx.Stride[0]]) * t.table.sp
}

// addRow adds n columns of row i, from column lo on, to the table.
func (t *gatherTask[T]) addRow(i, lo, n int) {
	from, to := t.offsets(i)
	from, to = from+lo*t.rows.sc, to+lo*t.table.sc
	if t.table.sc == 1 && t.rows.sc == 1 {
		dst, src := elemAt(t.table.base, to), elemAt(t.rows.base, from)
		t.add(dst, dst, src, src, n)
		return
	}
	for c := range n {
		*elemAt(t.table.base, to+c*t.table.sc) += *elemAt(t.rows.base, from+c*t.rows.sc)
	}
}

// copyRow copies the table's row that row i names.
func (t *gatherTask[T]) copyRow(i int) {
	to, from := t.offsets(i)
	if t.table.sc == 1 && t.rows.sc == 1 {
		copy(unsafe.Slice(elemAt(t.rows.base, to), t.ch), unsafe.Slice(elemAt(t.table.base, from), t.ch))
		return
	}
	for c := range t.ch {
		*elemAt(t.rows.base, to+c*t.rows.sc) = *elemAt(t.table.base, from+c*t.table.sc)
	}
}
