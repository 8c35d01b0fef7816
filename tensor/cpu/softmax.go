package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// SoftmaxForward is softmax along the last axis; see backend.Softmax.
func (d *Device) SoftmaxForward(y, x *backend.View) {
	if x.DType == backend.Float64 {
		softmax(d, &softmaxes64, normKernels64(d), y, x, nil)
	} else {
		softmax(d, &softmaxes32, normKernels32(d), y, x, nil)
	}
}

// SoftmaxGrad is the gradient of SoftmaxForward; see backend.Softmax.
func (d *Device) SoftmaxGrad(dx, dy, y *backend.View) {
	if y.DType == backend.Float64 {
		softmax(d, &softmaxes64, normKernels64(d), dx, y, dy)
	} else {
		softmax(d, &softmaxes32, normKernels32(d), dx, y, dy)
	}
}

var (
	softmaxes32 = sync.Pool{New: func() any { return new(softmaxTask[float32]) }}
	softmaxes64 = sync.Pool{New: func() any { return new(softmaxTask[float64]) }}
)

// softmaxTask is softmax of x or, with dy, its gradient from the result x. A
// chunk is some rows; the operands are seen from the space of all elements,
// whose last axis is kept whole.
type softmaxTask[T real] struct {
	k      *normKernels[T]
	rows   space // without the last axis
	n      int
	ops    [3]operand[T] // out, x, dy
	stride [3]int        // of the last axis
	grad   bool
	chunk  int
	work   [][]T // three rows a worker
}

func softmax[T real](d *Device, free *sync.Pool, k *normKernels[T], out, x, dy *backend.View) {
	last := x.Rank - 1
	if x.Elems() == 0 {
		return
	}
	t := free.Get().(*softmaxTask[T])
	t.k, t.n, t.grad = k, x.Shape[last], dy != nil
	views := [3]*backend.View{out, x, dy}
	ops := t.ops[:2]
	if t.grad {
		ops = t.ops[:3]
	}
	for i := range ops {
		ops[i].set(views[i])
		t.stride[i] = views[i].Stride[last]
	}
	outer := backend.View{Rank: last, Shape: x.Shape}
	merge(&t.rows, &outer, true, ops)
	t.chunk = max(1, rowWork/4/t.n)
	t.work = perWorker(t.work, d.pool.threads, 3*t.n)
	d.pool.do(t, (t.rows.total+t.chunk-1)/t.chunk)
	clear(t.ops[:])
	free.Put(t)
}

func (t *softmaxTask[T]) run(worker, chunk int) {
	buf := t.work[worker]
	for r := chunk * t.chunk; r < min(t.rows.total, (chunk+1)*t.chunk); r++ {
		var p spacePoint
		t.rows.decode(r, &p)
		x := t.row(1, &p, buf[:t.n])
		out := t.target(&p, buf[t.n:2*t.n])
		if t.grad {
			t.gradRow(out, t.row(2, &p, buf[2*t.n:]), x)
		} else {
			t.forwardRow(out, x)
		}
		if t.stride[0] != 1 {
			copyOut(t.ops[0].base, t.ops[0].offset(&t.rows, &p), 0, t.stride[0], buf[t.n:2*t.n], 1, t.n)
		}
	}
}

// row is a row of operand i, in buf if it does not lie side by side.
func (t *softmaxTask[T]) row(i int, p *spacePoint, buf []T) *T {
	at := t.ops[i].offset(&t.rows, p)
	if t.stride[i] == 1 {
		return elemAt(t.ops[i].base, at)
	}
	copyIn(buf[:t.n], t.ops[i].base, at, 0, t.stride[i], 1, t.n)
	return &buf[0]
}

func (t *softmaxTask[T]) target(p *spacePoint, buf []T) *T {
	if t.stride[0] == 1 {
		return elemAt(t.ops[0].base, t.ops[0].offset(&t.rows, p))
	}
	return &buf[0]
}

// forwardRow is y = e^(x−max)/Σe^(x−max). Sums are of T within a block, of float64 across.
func (t *softmaxTask[T]) forwardRow(y, x *T) {
	top, sum := t.k.largest(x, t.n), 0.0
	for at := 0; at < t.n; at += foldBlock {
		sum += float64(t.k.expSum(elemAt(y, at), elemAt(x, at), min(foldBlock, t.n-at), top))
	}
	t.k.scale(y, y, t.n, T(1/sum))
}

// gradRow is dx = y·(dy − Σdy·y).
func (t *softmaxTask[T]) gradRow(dx, dy, y *T) {
	sum := 0.0
	for at := 0; at < t.n; at += foldBlock {
		sum += float64(t.k.dot(elemAt(dy, at), elemAt(y, at), min(foldBlock, t.n-at)))
	}
	t.k.softmaxGrad(dx, dy, y, t.n, T(sum))
}
