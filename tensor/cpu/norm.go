package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// NormForward normalises; see backend.Norm.
func (d *Device) NormForward(p *backend.NormParams, y, mean, rstd, x, scale, shift *backend.View) {
	if x.DType == backend.Float64 {
		norm(d, &norms64, normKernels64(d), p, &normCall{y: y, mean: mean, rstd: rstd, x: x, scale: scale, shift: shift})
	} else {
		norm(d, &norms32, normKernels32(d), p, &normCall{y: y, mean: mean, rstd: rstd, x: x, scale: scale, shift: shift})
	}
}

// NormGrad is the gradient of NormForward; see backend.Norm.
func (d *Device) NormGrad(p *backend.NormParams, dx, dscale, dshift, dy, x, mean, rstd, scale, shift *backend.View) {
	c := normCall{dx: dx, dscale: dscale, dshift: dshift, dy: dy, x: x, mean: mean, rstd: rstd, scale: scale, shift: shift}
	if x.DType == backend.Float64 {
		norm(d, &norms64, normKernels64(d), p, &c)
	} else {
		norm(d, &norms32, normKernels32(d), p, &c)
	}
}

// normCall holds the operands of a normalisation or, where dy is set, of its gradient.
type normCall struct {
	y, mean, rstd, x, scale, shift *backend.View
	dx, dscale, dshift, dy         *backend.View
}

var (
	norms32 = sync.Pool{New: func() any { return new(normTask[float32]) }}
	norms64 = sync.Pool{New: func() any { return new(normTask[float64]) }}
)

// channels is one operand of shape (N,P,C), or (N,P) in its first two axes.
type channels[T real] struct {
	base       *T // nil: absent
	sn, sp, sc int
}

func channelsOf[T real](v *backend.View) (c channels[T]) {
	if v == nil || v.Mem.Size == 0 {
		return c
	}
	var o operand[T]
	o.set(v)
	return channels[T]{o.base, v.Stride[0], v.Stride[1], v.Stride[2]}
}

func (c *channels[T]) at(n, p int) *T { return elemAt(c.base, n*c.sn+p*c.sp) }

// whole reports whether rows of width channels lie side by side.
func (c *channels[T]) whole(rows, width int) bool {
	return (c.sc == 1 || width == 1) && (rows == 1 || c.sp == width)
}

// read gives rows of width channels side by side, in buf if they do not lie so.
func (c *channels[T]) read(buf []T, n, p, rows, width int) *T {
	if c.whole(rows, width) {
		return c.at(n, p)
	}
	copyIn(buf[:rows*width], c.base, n*c.sn+p*c.sp, c.sp, c.sc, rows, width)
	return &buf[0]
}

// target is where to write rows of channels: in place, or to buf, which flush then takes there.
func (c *channels[T]) target(buf []T, n, p, rows, width int) *T {
	if c.whole(rows, width) {
		return c.at(n, p)
	}
	return &buf[0]
}

func (c *channels[T]) flush(buf []T, n, p, rows, width int) {
	if !c.whole(rows, width) {
		copyOut(c.base, n*c.sn+p*c.sp, c.sp, c.sc, buf[:rows*width], rows, width)
	}
}

// normTask is a normalisation or its gradient. What a chunk is depends on the
// kind and stage; see norm_layer.go and norm_group.go.
type normTask[T real] struct {
	k                              *normKernels[T]
	p                              backend.NormParams
	grad                           bool
	stage                          normStage
	n, pos, ch                     int
	x, y, mean, rstd, scale, shift channels[T]
	dx, dy, dscale, dshift         channels[T]

	tile    int // positions that are worked on as one vector
	piece   int // positions of a piece
	pieces  int // of a sample
	inChunk int // rows or pieces of a chunk
	part    []float64
	work    []normWorker[T]
}

type normStage uint8

const (
	wholeSamples normStage = iota // all of a sample, or of its rows
	partial                       // sums of a piece
	finishing                     // what follows from a sample's sums, and the results
)

// normWorker is a worker's scratch: vectors of up to a tile, and a sample's sums.
type normWorker[T real] struct {
	mem    []T
	size   int
	sums   []float64
	stats  []float64 // statistics of the groups of a sample
	factor int       // the sample whose factors are in place, -1: none
}

// buf is scratch vector i.
func (w *normWorker[T]) buf(i int) []T { return w.mem[i*w.size:][:w.size] }

func norm[T real](d *Device, free *sync.Pool, k *normKernels[T], p *backend.NormParams, c *normCall) {
	t := free.Get().(*normTask[T])
	t.k, t.p, t.grad = k, *p, c.dy != nil
	t.n, t.pos, t.ch = c.x.Shape[0], c.x.Shape[1], c.x.Shape[2]
	t.x, t.y, t.mean, t.rstd = channelsOf[T](c.x), channelsOf[T](c.y), channelsOf[T](c.mean), channelsOf[T](c.rstd)
	t.scale, t.shift = channelsOf[T](c.scale), channelsOf[T](c.shift)
	t.dx, t.dy, t.dscale, t.dshift = channelsOf[T](c.dx), channelsOf[T](c.dy), channelsOf[T](c.dscale), channelsOf[T](c.dshift)
	for len(t.work) < d.pool.threads {
		t.work = append(t.work, normWorker[T]{})
	}
	switch {
	case t.n == 0 || t.ch == 0:
	case p.Groups == 0:
		t.layer(d)
	default:
		t.group(d)
	}
	t.x, t.y, t.mean, t.rstd, t.scale, t.shift = channels[T]{}, channels[T]{}, channels[T]{}, channels[T]{}, channels[T]{}, channels[T]{}
	t.dx, t.dy, t.dscale, t.dshift = channels[T]{}, channels[T]{}, channels[T]{}, channels[T]{}
	free.Put(t)
}

// scratch gives every worker so many vectors of size elements.
func (t *normTask[T]) scratch(vectors, size int) {
	size = (size + 15) &^ 15
	for i := range t.work {
		w := &t.work[i]
		w.factor, w.size = -1, size
		atLeast(&w.mem, vectors*size)
	}
}

func (t *normTask[T]) run(worker, chunk int) {
	w := &t.work[worker]
	switch {
	case t.p.Groups > 0:
		t.runGroup(w, chunk)
	case t.grad:
		t.runLayerGrad(w, chunk)
	default:
		t.runLayer(w, chunk)
	}
}

// factors gives a sample's factor, base+scale, and summand of each channel: where
// they lie if they lie side by side, else in two vectors, unless they are there already.
func (t *normTask[T]) factors(w *normWorker[T], n int, gamma, beta []T) (g, b *T) {
	g, b = &gamma[0], &beta[0]
	scaled := t.scale.base != nil && (t.p.ScaleBase != 0 || !t.scale.whole(1, t.ch))
	moved := t.shift.base != nil && !t.shift.whole(1, t.ch)
	if t.scale.base != nil && !scaled {
		g = t.scale.at(n, 0)
	}
	if t.shift.base != nil && !moved {
		b = t.shift.at(n, 0)
	}
	key := 0 // the same for all samples
	if scaled && t.scale.sn != 0 || moved && t.shift.sn != 0 {
		key = n
	}
	if w.factor == key {
		return g, b
	}
	w.factor = key
	switch {
	case scaled:
		base := T(t.p.ScaleBase)
		fillSlice(gamma[:t.ch], base)
		s := t.scale.read(beta, n, 0, 1, t.ch) // beta is scratch so far
		t.k.add(&gamma[0], &gamma[0], s, s, t.ch)
	case t.scale.base == nil:
		fillSlice(gamma[:t.ch], 1)
	}
	switch {
	case moved:
		copyIn(beta[:t.ch], t.shift.base, n*t.shift.sn, 0, t.shift.sc, 1, t.ch)
	case t.shift.base == nil:
		clear(beta[:t.ch])
	}
	return g, b
}

// sumRow is the sum of n elements, squaresRow that of their squared distances
// from mean: blocks in T, added up in float64.
func (t *normTask[T]) sumRow(x *T, n int) (sum float64) {
	for at := 0; at < n; at += foldBlock {
		sum += float64(t.k.sum(elemAt(x, at), min(foldBlock, n-at)))
	}
	return sum
}

func (t *normTask[T]) squaresRow(x *T, n int, mean T) (sum float64) {
	for at := 0; at < n; at += foldBlock {
		sum += float64(t.k.squares(elemAt(x, at), min(foldBlock, n-at), mean))
	}
	return sum
}

// storeChannels writes values to row n of a dense or strided (N,1,C) tensor.
func storeChannels[T real](to *channels[T], n int, values []float64) {
	if to.base == nil {
		return
	}
	p := to.at(n, 0)
	for i, v := range values {
		*(*T)(unsafe.Add(unsafe.Pointer(p), i*to.sc*int(unsafe.Sizeof(*p)))) = T(v)
	}
}
