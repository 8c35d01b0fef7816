package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// denseCopies are scratch for results whose layout no kernel can write.
var denseCopies = sync.Pool{New: func() any { return new(denseCopy) }}

// denseCopy is a matrix in scratch.
type denseCopy struct {
	buf         []float32
	dense, a, b backend.View
}

// gemmScattered computes a product whose c has no contiguous axis, matrix by
// matrix by way of a dense copy.
func (d *Device) gemmScattered(c, a, b, bias *backend.View, alpha, beta float64) {
	t := denseCopies.Get().(*denseCopy)
	batch, m, n, _ := gemmShape(c, a)
	t.buf = grow(t.buf, m*n)
	t.dense = backend.View{DType: backend.Float32, Rank: 2, Mem: backend.Memory{Host: unsafe.Pointer(&t.buf[0]), Size: 4 * m * n}}
	t.dense.Shape = [backend.MaxRank]int{m, n}
	t.dense.RowMajor()
	all, r := elements[float32](c), c.Rank
	for i := range batch {
		co, ao, bo := batchOffsets(c, a, b, i)
		t.a, t.b = matrixView(a, ao), matrixView(b, bo)
		if beta != 0 {
			for j := range m * n {
				t.buf[j] = all[co+j/n*c.Stride[r-2]+j%n*c.Stride[r-1]]
			}
		}
		d.gemmFast(&t.dense, &t.a, &t.b, bias, alpha, beta)
		for j := range m * n {
			all[co+j/n*c.Stride[r-2]+j%n*c.Stride[r-1]] = t.buf[j]
		}
	}
	t.a, t.b = backend.View{}, backend.View{}
	denseCopies.Put(t)
}

// matrixView is the one matrix of v at offset off.
func matrixView(v *backend.View, off int) backend.View {
	m := backend.View{Mem: v.Mem, Off: off, DType: v.DType, Rank: 2}
	copy(m.Shape[:2], v.Shape[v.Rank-2:v.Rank])
	copy(m.Stride[:2], v.Stride[v.Rank-2:v.Rank])
	return m
}
