package cpu

import (
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// kernel computes one operation on n elements. dst may be any of the operands.
// That of OpScalar repeats a[0].
type kernel[T real] func(dst, a, b, c *T, n int)

// engine evaluates a plan on ranges of a space, each small enough for the
// innermost cache. It is set up once a call and shared by the workers.
type engine[T real] struct {
	plan    *plan
	kern    *[backend.NumOpcodes]kernel[T]
	whole   program[T] // the plan in one kernel, or nil
	space   space
	ops     []operand[T] // outputs first, then inputs
	outs    int
	copies  bool   // the program copies its one input, nothing else
	staged  []bool // output i overwrites an input that is still needed: it is written last
	uni     []T
	vals    []T
	block   int // most points of a range
	bufs    int // block buffers a worker needs
	workers []blockWorker[T]
}

// blockWorker is what one worker works in. Workers write here all the time: each
// has cache lines of its own.
type blockWorker[T real] struct {
	mem   []T
	ptr   []*T // slot → its block now
	key   []int
	have  []int // input i: its buffer holds have[i] points that start at element key[i]
	ready bool
	_     [falseSharing - 4*24 - 8]byte
}

// falseSharing is how far apart two workers' data must be: two cache lines,
// because processors fetch them in pairs.
const falseSharing = 128

// apart makes a slice of at least n words that shares no cache line with another.
func apart[E any](n int) []E {
	return make([]E, (n+falseSharing/8-1)&^(falseSharing/8-1))
}

const (
	registerBytes = 4096 // of a register: an eighth to a twelfth of a first-level cache
	manyBuffers   = 8    // from here on, registers are half as large
)

// setup prepares a call. v is the view whose shape is the space's. sorted
// allows the points to be numbered in another order of axes.
func (e *engine[T]) setup(d *Device, p *plan, kern *kernels[T], v *backend.View, sorted bool, out, in []*backend.View, scalars []float64) {
	e.plan, e.kern, e.whole, e.outs = p, &kern.ops, kern.whole(p), len(out)
	e.copies = len(out) == 1 && len(in) == 1 && len(p.ops) == 0 && p.result[0] == p.inSlot(0)
	n := len(out) + len(in)
	if cap(e.ops) < n {
		e.ops = make([]operand[T], n)
		e.staged = make([]bool, n)
	}
	e.ops = e.ops[:n]
	for i, o := range out {
		e.ops[i].set(o)
	}
	for i, o := range in {
		e.ops[len(out)+i].set(o)
	}
	merge(&e.space, v, sorted, e.ops)
	e.vals, e.uni = uniformValues(p, scalars, e.vals, e.uni)
	e.bufs = p.regs
	if e.whole == nil {
		e.bufs += len(e.uni)
	}
	for i := range e.ops {
		o := &e.ops[i]
		if i < len(out) {
			e.staged[i] = e.overwrites(i)
			if o.mode == linear && !e.staged[i] {
				continue
			}
		} else if o.mode == linear {
			continue
		}
		o.buf = e.bufs
		e.bufs++
	}
	var z T
	e.block = registerBytes / int(unsafe.Sizeof(z))
	switch {
	case e.bufs > manyBuffers:
		e.block /= 2
	case e.bufs == 0:
		e.block *= 4
	}
	e.block = min(e.block, (e.space.total+15)&^15)
	for len(e.workers) < d.pool.threads {
		e.workers = append(e.workers, blockWorker[T]{})
	}
	for i := range e.workers {
		e.workers[i].ready = false
	}
}

// release forgets the operands, so that pooled engines keep no tensors alive.
func (e *engine[T]) release() {
	clear(e.ops)
	for i := range e.workers {
		clear(e.workers[i].ptr)
	}
}

// overwrites reports whether output i shares memory with an input that is
// read after the output's value is made.
func (e *engine[T]) overwrites(i int) bool {
	lo, hi := e.ops[i].extent(&e.space)
	for j, in := range e.ops[e.outs:] {
		if e.plan.lastUse[j] <= e.plan.producer[i] {
			continue
		}
		if e.whole != nil && in.base == e.ops[i].base && in.mode == linear && e.ops[i].mode == linear {
			continue // a vector's inputs are read before its results are written
		}
		if a, b := in.extent(&e.space); a < hi && lo < b {
			return true
		}
	}
	return false
}

// extent is the range of addresses that the operand spans.
func (o *operand[T]) extent(s *space) (lo, hi uintptr) {
	var z T
	first, last := 0, 0
	for i := range s.rank {
		if d := o.stride[i] * (s.shape[i] - 1); d < 0 {
			first += d
		} else {
			last += d
		}
	}
	p, size := uintptr(unsafe.Pointer(o.base)), int(unsafe.Sizeof(z))
	return p + uintptr(first*size), p + uintptr((last+1)*size)
}

func (e *engine[T]) prepare(w *blockWorker[T]) {
	p := e.plan
	size := (e.block + 15) &^ 15
	if len(w.mem) < size*e.bufs {
		w.mem = make([]T, size*e.bufs)
	}
	if n := p.slots(); cap(w.ptr) < n {
		w.ptr = apart[*T](n)
	}
	w.ptr = w.ptr[:p.slots()]
	if n := p.prog.Inputs; cap(w.key) < n {
		w.key, w.have = apart[int](n), apart[int](n)
	}
	buf := func(i int) []T { return w.mem[i*size:][:size] }
	for i := range p.regs {
		w.ptr[p.regSlot(i)] = &buf(i)[0]
	}
	if e.whole == nil {
		for i, v := range e.uni {
			fillSlice(buf(p.regs+i), v)
			w.ptr[p.uniformSlot(i)] = &buf(p.regs + i)[0]
		}
	}
	for i := range e.ops {
		o := &e.ops[i]
		if i < e.outs {
			if o.mode != linear || e.staged[i] {
				w.ptr[p.outSlot(i)] = &buf(o.buf)[0]
			}
			continue
		}
		j := i - e.outs
		w.have[:p.prog.Inputs][j] = 0
		if o.mode != linear {
			w.ptr[p.inSlot(j)] = &buf(o.buf)[0]
		}
		if o.mode == uniform {
			fillSlice(buf(o.buf), *o.base)
		}
	}
	w.ready = true
}

// eval runs the plan on the n points from lo on; n is at most e.block.
func (e *engine[T]) eval(w *blockWorker[T], lo, n int) {
	if !w.ready {
		e.prepare(w)
	}
	var p spacePoint
	e.space.decode(lo, &p)
	if e.copies {
		e.copyBlock(w, lo, n, &p)
		return
	}
	for j := range e.ops[e.outs:] {
		e.load(w, j, lo, n, &p)
	}
	for i := range e.ops[:e.outs] {
		if o := &e.ops[i]; !e.staged[i] {
			to := o.beside(&e.space, &p, lo, n)
			if to == nil {
				to = e.buffer(w, o)
			}
			w.ptr[e.plan.outSlot(i)] = to
		}
	}
	e.compute(w, n)
	for _, c := range e.plan.copies {
		copy(unsafe.Slice(w.ptr[c.dst], n), unsafe.Slice(w.ptr[c.src], n))
	}
	for i := range e.ops[:e.outs] {
		if o := &e.ops[i]; e.staged[i] || o.mode != linear && !o.inRow(&e.space, &p, n) {
			o.scatter(&e.space, p, unsafe.Slice(e.buffer(w, o), n))
		}
	}
}

// compute runs the operations on the n points that the slots point at.
func (e *engine[T]) compute(w *blockWorker[T], n int) {
	if e.whole != nil {
		var uniforms *T
		if len(e.uni) > 0 {
			uniforms = &e.uni[0]
		}
		e.whole(&w.ptr[0], uniforms, n)
		return
	}
	for i := range e.plan.ops {
		op := &e.plan.ops[i]
		e.kern[op.op](w.ptr[op.dst], w.ptr[op.a], w.ptr[op.b], w.ptr[op.c], n)
	}
}

func (e *engine[T]) buffer(w *blockWorker[T], o *operand[T]) *T {
	return &w.mem[o.buf*((e.block+15)&^15)]
}

// copyBlock is eval for a program that copies its one input to its one output:
// at most one of the two goes through a buffer.
func (e *engine[T]) copyBlock(w *blockWorker[T], lo, n int, p *spacePoint) {
	out, in := &e.ops[0], &e.ops[1]
	src, dst := in.beside(&e.space, p, lo, n), out.beside(&e.space, p, lo, n)
	switch {
	case src != nil && dst != nil:
		copy(unsafe.Slice(dst, n), unsafe.Slice(src, n))
	case src != nil:
		out.scatter(&e.space, *p, unsafe.Slice(src, n))
	case dst != nil:
		in.gather(&e.space, *p, unsafe.Slice(dst, n), e.kern[backend.OpScalar])
	default:
		buf := unsafe.Slice(e.buffer(w, in), n)
		in.gather(&e.space, *p, buf, e.kern[backend.OpScalar])
		out.scatter(&e.space, *p, buf)
	}
}

// beside is the first of the n points from p on, number lo, if they lie side by side; else nil.
func (o *operand[T]) beside(s *space, p *spacePoint, lo, n int) *T {
	switch {
	case o.mode == linear:
		return elemAt(o.base, lo)
	case o.inRow(s, p, n):
		return elemAt(o.base, o.offset(s, p))
	}
	return nil
}

// inRow reports whether the n points from p on lie side by side in memory.
func (o *operand[T]) inRow(s *space, p *spacePoint, n int) bool {
	last := s.rank - 1
	return o.stride[last] == 1 && p.idx[last]+n <= s.shape[last]
}

// load points input j's slot at its elements, in place if they lie side by
// side, and in its buffer otherwise.
func (e *engine[T]) load(w *blockWorker[T], j, lo, n int, p *spacePoint) {
	o := &e.ops[e.outs+j]
	if o.mode == uniform {
		return
	}
	if from := o.beside(&e.space, p, lo, n); from != nil {
		w.ptr[j] = from
		return
	}
	buf := e.buffer(w, o)
	w.ptr[j] = buf
	at := o.offset(&e.space, p)
	repeats := o.repeats(&e.space, p, n)
	if repeats && w.have[j] >= n && w.key[j] == at {
		return
	}
	o.gather(&e.space, *p, unsafe.Slice(buf, n), e.kern[backend.OpScalar])
	w.key[j], w.have[j] = at, 0
	if repeats {
		w.have[j] = n
	}
}
