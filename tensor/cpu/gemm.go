package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// real is an element type that the matrix kernels work on.
type real interface{ float32 | float64 }

// elements is all of a view's memory as a slice, to be indexed from v.Off on.
// Strides may be negative, so the part before Off counts too.
func elements[T real](v *backend.View) []T {
	var z T
	return unsafe.Slice((*T)(v.Mem.Host), v.Mem.Size/int(unsafe.Sizeof(z)))
}

// batchOffsets decodes batch number i of the leading axes of c into the offsets
// of the matrices of c, a and b.
func batchOffsets(c, a, b *backend.View, i int) (co, ao, bo int) {
	co, ao, bo = c.Off, a.Off, b.Off
	for ax := c.Rank - 3; ax >= 0; ax-- {
		j := i % c.Shape[ax]
		i /= c.Shape[ax]
		co += j * c.Stride[ax]
		ao += j * a.Stride[ax]
		bo += j * b.Stride[ax]
	}
	return co, ao, bo
}

// gemmShape gives the number of matrices and their sizes.
func gemmShape(c, a *backend.View) (batch, m, n, k int) {
	batch = 1
	for _, s := range c.Shape[:c.Rank-2] {
		batch *= s
	}
	return batch, c.Shape[c.Rank-2], c.Shape[c.Rank-1], a.Shape[a.Rank-1]
}

// Gemm computes c = alpha·a·b + beta·c + bias; see backend.Device.
func (d *Device) Gemm(c, a, b, bias *backend.View, alpha, beta float64) {
	if c.Elems() == 0 {
		return
	}
	switch {
	case c.DType == backend.Float64:
		gemmRef[float64](d, &gemmRefs64, c, a, b, bias, alpha, beta)
	case d.bf16 && (d.pairs == nil || a.Shape[a.Rank-1] == 0):
		d.gemmRounded(c, a, b, bias, alpha, beta)
	case d.level != Go && a.Shape[a.Rank-1] > 0:
		d.gemmFast(c, a, b, bias, alpha, beta)
	default:
		gemmRef[float32](d, &gemmRefs32, c, a, b, bias, alpha, beta)
	}
}

var (
	gemmRefs32 = sync.Pool{New: func() any { return new(gemmRefTask[float32]) }}
	gemmRefs64 = sync.Pool{New: func() any { return new(gemmRefTask[float64]) }}
)

// gemmRefTask is the readable matrix multiplication; a chunk is some rows of one matrix.
type gemmRefTask[T real] struct {
	c, a, b, bias *backend.View
	alpha, beta   T
	m, n, k       int
	rows          int // of a chunk
	perMatrix     int // chunks of a matrix
	acc           [][]T
}

func gemmRef[T real](d *Device, free *sync.Pool, c, a, b, bias *backend.View, alpha, beta float64) {
	t := free.Get().(*gemmRefTask[T])
	t.c, t.a, t.b, t.bias, t.alpha, t.beta = c, a, b, bias, T(alpha), T(beta)
	batch, m, n, k := gemmShape(c, a)
	t.m, t.n, t.k = m, n, k
	t.rows = max(1, min(m, 1<<16/(n*k+1)))
	t.perMatrix = (m + t.rows - 1) / t.rows
	t.acc = perWorker(t.acc, d.pool.threads, n)
	d.pool.do(t, batch*t.perMatrix)
	t.c, t.a, t.b, t.bias = nil, nil, nil, nil
	free.Put(t)
}

// perWorker makes a slice of at least n elements for each worker, keeping what fits.
func perWorker[T any](s [][]T, workers, n int) [][]T {
	for len(s) < workers {
		s = append(s, nil)
	}
	for i := range s {
		if len(s[i]) < n {
			s[i] = make([]T, n)
		}
	}
	return s
}

func (t *gemmRefTask[T]) run(worker, chunk int) {
	ms, cs, bs := t.a.Rank-2, t.c.Rank-2, t.b.Rank-2
	co, ao, bo := batchOffsets(t.c, t.a, t.b, chunk/t.perMatrix)
	c, a, b := elements[T](t.c), elements[T](t.a), elements[T](t.b)
	first := chunk % t.perMatrix * t.rows
	acc := t.acc[worker][:t.n]
	for i := first; i < min(t.m, first+t.rows); i++ {
		clear(acc)
		rowTimesMatrix(acc, a, ao+i*t.a.Stride[ms], t.a.Stride[ms+1],
			b, bo, t.b.Stride[bs], t.b.Stride[bs+1], t.k)
		at := co + i*t.c.Stride[cs]
		for j, v := range acc {
			v *= t.alpha
			if t.beta != 0 {
				v += t.beta * c[at]
			}
			if t.bias != nil {
				v += elements[T](t.bias)[t.bias.Off+j*t.bias.Stride[0]]
			}
			c[at] = v
			at += t.c.Stride[cs+1]
		}
	}
}

// rowTimesMatrix adds x·B to acc: acc[j] += Σ_p x[xo+p·xs]·b[bo+p·bk+j·bn].
func rowTimesMatrix[T real](acc []T, x []T, xo, xs int, b []T, bo, bk, bn, k int) {
	for range k {
		v := x[xo]
		if bn == 1 {
			row := b[bo:][:len(acc)]
			for j := range acc {
				acc[j] += v * row[j]
			}
		} else {
			at := bo
			for j := range acc {
				acc[j] += v * b[at]
				at += bn
			}
		}
		xo += xs
		bo += bk
	}
}
