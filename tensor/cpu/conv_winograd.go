package cpu

import (
	"sync"
	"unsafe"
)

// Winograd's convolution (Lavin and Gray, 2016). In F(2×2, 3×3) a tile of 2×2
// outputs comes from a 4×4 patch of input by 16 multiplications a pair of
// channels instead of 36; in F(4×4, 3×3) one of 4×4 from a 6×6 patch by 36
// instead of 144:
//
//	y = Aᵀ·[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]·A,  ⊙ summed over input channels: 16 or 36 matrix products
//
// F(2×2) adds and halves, so little accuracy is lost: on normal data of 64 and
// 128 channels the result is off by 2.6 and 3.6·10⁻⁷ of its norm, direct
// convolution, which sums nine times as many terms, by 4.3 and 6.1·10⁻⁷. F(4×4), at the points
// 0, ±5/8, ±3/2 and ∞, is off by 8 and 10·10⁻⁷ (at 0, ±1, ±2, in a simulation, by 2½ times as much); it is
// for float32 only. A NaN or Inf reaches the whole of a tile that sees it.

const (
	// winogradChannels is the fewest channels on each side that make the
	// transforms worth while.
	winogradChannels = 32
	// winogradSample is the fewest tiles of 2×2 of a sample that make it worth while
	// to transform the weights, even for one sample.
	winogradSample = 16
	// winogradWeights is the most pairs of channels for tiles of 4×4.
	winogradWeights = 192 * 192
	// winogradBytes is what the transformed patches and products of a chunk may take.
	winogradBytes = 640 << 10
	// winogradTiles is the fewest tiles of a chunk, where there are so many.
	winogradTiles = 64
)

// winograd gives the transforms a plan is computed by, nil for none. Nothing here depends on the batch.
func (p *convPlan) winograd(u *microKernel) *winogradKernels {
	if u.winograd2 == nil || !p.winogradShape() {
		return nil
	}
	return p.winogradBest(u)
}

// winogradBest gives the transforms that take fewer products, those with the
// smaller error if there is little between them, and the smaller weights if they
// are many: 4×4 tiles are few, and to make 36 of a weight is then most of the work.
func (p *convPlan) winogradBest(u *microKernel) *winogradKernels {
	if four := u.winograd4; four != nil && p.cin*p.cout <= winogradWeights && 10*p.winogradProducts(four) <= 9*p.winogradProducts(u.winograd2) {
		return four
	}
	return u.winograd2
}

// winogradProducts is how many products of a pair of channels a sample takes.
func (p *convPlan) winogradProducts(k *winogradKernels) int { return p.tiles(k.side) * k.matrices() }

// winogradShape reports whether it could be: 3×3 taps side by side, stride 1,
// many channels, in whole vectors, and w and out contiguous.
func (p *convPlan) winogradShape() bool {
	return p.groups == 1 && len(p.taps) == 9 && p.span == [3]int{0, 2, 2} && p.stride == [3]int{1, 1, 1} &&
		p.cin >= winogradChannels && p.cout >= winogradChannels && p.cin%16 == 0 && p.cout%16 == 0 &&
		(p.wc == 1 || p.wj == 1) && p.out.channel == 1
}

// tiles is the number of tiles of a sample.
func (p *convPlan) tiles(side int) int {
	return p.out.size[0] * ((p.out.size[1] + side - 1) / side) * ((p.out.size[2] + side - 1) / side)
}

// manyTiles reports whether a sample is large enough.
func (p *convPlan) manyTiles() bool { return p.tiles(2) >= winogradSample }

// winogradTask computes a plan. A chunk is a block of weights to transform, or
// a slab of output rows.
type winogradTask struct {
	convPlan // sizes of out rounded up to whole tiles
	u        *microKernel
	k        *winogradKernels
	pairs    *pairKernel // of bfloat16 words; nil: floats
	depth    int         // cin, in words if it is words that are multiplied
	outH     int         // the true sizes
	outW     int
	tilesW   int
	panels   int
	slabRows int
	bias     []float32
	zeros    []float32
	packing  bool
	packed   []float32 // the matrices, of panels
	workers  []winogradWorker
}

type winogradWorker struct {
	args    tileArgs
	edge    []float32
	slab    slab
	v, m    []float32 // the matrices, a row a tile: patches and products
	filters []float32 // a block of transformed weights
	border  []float32 // a tile of outputs
	scratch []float32
	next    fetch
}

var winogradTasks = sync.Pool{New: func() any { return new(winogradTask) }}

// convolveWinograd computes the plan.
func (p *convPlan) convolveWinograd(d *Device, bias []float32) {
	t := winogradTasks.Get().(*winogradTask)
	t.u, t.pairs, t.depth, t.bias = d.level.micro(), d.pairs, p.cin, bias
	if t.pairs != nil {
		t.u, t.depth = &t.pairs.microKernel, words(p.cin)
	}
	t.k = p.winograd(t.u)
	t.borrow(p)
	if bias == nil {
		t.zeros = grow(t.zeros, p.cout)
		clear(t.zeros)
		t.bias = t.zeros
	}
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, winogradWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	t.panels = (t.cout + t.u.cols - 1) / t.u.cols
	t.packed = grow(t.packed, t.k.matrices()*t.panels*t.depth*t.u.cols)
	t.packing = true
	d.pool.do(t, (t.weightRows()+t.u.cols-1)/t.u.cols)
	t.packing = false
	t.slabRows = t.k.side * t.tileRows(d)
	for i := range t.workers {
		t.workers[i].slab.layout(&t.convPlan, t.slabRows, t.cin, false)
	}
	d.pool.do(t, (t.convPlan.rows()+t.slabRows-1)/t.slabRows)
	t.release()
}

// borrow takes over a plan, its output rounded up to whole tiles.
func (t *winogradTask) borrow(p *convPlan) {
	axis, taps := t.axis, t.taps
	t.convPlan = *p
	t.axis, t.taps = axis, append(taps[:0], p.taps...)
	t.outH, t.outW = p.out.size[1], p.out.size[2]
	t.out.size[1], t.out.size[2] = roundUp(t.outH, t.k.side), roundUp(t.outW, t.k.side)
	t.tilesW = t.out.size[2] / t.k.side
}

// roundUp is the least multiple of step from n on.
func roundUp(n, step int) int { return (n + step - 1) / step * step }

func (t *winogradTask) release() {
	t.convPlan.release()
	t.bias = nil
	for i := range t.workers {
		t.workers[i].args.release()
		t.workers[i].slab.base = nil
	}
	winogradTasks.Put(t)
}

// tileRows is how many rows of tiles a chunk has: as many as fit the cache, but
// enough for the weights, which each chunk reads anew, to be worth their way.
func (t *winogradTask) tileRows(d *Device) int {
	tiles, chunks := winogradBytes/(t.k.matrices()*4*(t.depth+t.cout)), 3*d.pool.threads
	if tiles < winogradTiles {
		tiles, chunks = winogradTiles, d.pool.threads
	}
	rows := max(1, min(tiles/t.tilesW, t.convPlan.rows()/t.k.side/chunks))
	h := t.out.size[1] / t.k.side
	if rows >= h {
		return rows - rows%h
	}
	s := splitEvenly(h, rows)
	return s.base + min(1, s.extra)
}

func (t *winogradTask) run(worker, chunk int) {
	w := &t.workers[worker]
	if t.packing {
		t.packWeights(w, chunk)
		return
	}
	r0 := chunk * t.slabRows
	r1 := min(t.convPlan.rows(), r0+t.slabRows)
	w.slab.fill(&t.convPlan, t.u, r0, r1, split{parts: 1, base: t.cin}, 0, 1)
	tiles := (r1 - r0) / t.k.side * t.tilesW
	vStep, mStep := matrixStep(tiles*t.depth), matrixStep(tiles*t.cout)
	w.v, w.m = grow(w.v, t.k.matrices()*vStep), grow(w.m, t.k.matrices()*mStep)
	t.patches(w, r0, r1, vStep)
	for i := range t.k.matrices() {
		t.products(w, w.v[i*vStep:], w.m[i*mStep:], tiles, i)
	}
	for r := r0; r < r1; r += t.k.side {
		t.outputs(w, w.m[(r-r0)/t.k.side*t.tilesW*t.cout:], r, mStep)
	}
}

// matrixStep is how far apart the matrices of n floats lie: not a power of
// two, lest all fall into the same sets of the cache.
func matrixStep(n int) int { return n + 16 }

// patches transforms the patches of a slab, already filled, to w.v.
func (t *winogradTask) patches(w *winogradWorker, r0, r1, vStep int) {
	for r := r0; r < r1; r += t.k.side {
		from := (*float32)(unsafe.Add(w.slab.base, w.slab.rows[r-r0]))
		if t.pairs != nil {
			t.pairs.winogradInput(&w.v[(r-r0)/2*t.tilesW*t.depth], from, 4*vStep, 4*t.depth,
				w.slab.stride[1], w.slab.stride[2], t.tilesW, t.depth/t.u.lanes)
			continue
		}
		t.k.input(&w.v[(r-r0)/t.k.side*t.tilesW*t.cin], from, 4*vStep, 4*t.cin,
			w.slab.stride[1], w.slab.stride[2], t.tilesW, t.cin/t.u.lanes)
	}
}

// products multiplies matrix i of the patches by that of the weights.
func (t *winogradTask) products(w *winogradWorker, v, m []float32, tiles, i int) {
	u, g := t.u, &w.args
	g.segs, g.nsegs, g.k, g.rs, g.ks = unsafe.Pointer(noSegment), 1, t.depth, 4*t.depth, 4
	g.bs, g.cs, g.alpha, g.accumulate, g.bias = 4*u.cols, 4*t.cout, 1, 0, nil
	rows := splitEvenly(tiles, u.rows)
	count, panel := u.together(t.panels), t.depth*u.cols
	for p := 0; p < t.panels; p += count {
		j := p * u.cols
		b := unsafe.Pointer(&t.packed[(i*t.panels+p)*panel])
		// The next panel, of this matrix or the next.
		w.next = soon(b, 64*t.depth, 64, u.cols/16)
		w.next.at += uintptr(4 * panel)
		for k := range rows.parts {
			row, n := rows.part(k)
			g.a, g.b, g.c = unsafe.Pointer(&v[row*t.depth]), b, unsafe.Pointer(&m[row*t.cout+j])
			u.runRow(g, n, min(t.cout, (p+count)*u.cols)-j, 4*panel, w.edge, &w.next)
		}
	}
}

// outputs transforms the products of a row of tiles, at output row r, and stores them.
func (t *winogradTask) outputs(w *winogradWorker, m []float32, r, mStep int) {
	n, o0, o1 := t.locate(r)
	at := t.out.at(n, o0, o1)
	line, pixel, vectors := t.out.stride[1], t.out.stride[2], t.cout/t.u.lanes
	side := t.k.side
	whole := t.outW / side
	if o1+side > t.outH {
		whole = 0 // the lower part of the tiles is not wanted
	}
	if whole > 0 {
		t.k.output(&t.out.data[at], &m[0], &t.bias[0], 4*mStep, 4*t.cout, 4*line, 4*pixel, whole, vectors)
	}
	w.border = grow(w.border, side*side*t.cout)
	for i := whole; i < t.tilesW; i++ {
		t.k.output(&w.border[0], &m[i*t.cout], &t.bias[0], 4*mStep, 0, 4*side*t.cout, 4*t.cout, 1, vectors)
		for y := range min(side, t.outH-o1) {
			for x := range min(side, t.outW-side*i) {
				copy(t.out.data[at+y*line+(side*i+x)*pixel:][:t.cout], w.border[(side*y+x)*t.cout:])
			}
		}
	}
}

// weightRows is the number of rows of the weights' matrices, input channels of
// the convolution proper: what is summed over forward, what is made backward.
func (t *winogradTask) weightRows() int {
	if t.wj == 1 {
		return t.cin
	}
	return t.cout
}

// filterSegment is how much of a row of weights is transformed at a time: a
// block of it, 16- or 36-fold, then stays in the L2 cache.
const filterSegment = 128

// packWeights transforms a block of rows of weights and packs the matrices.
func (t *winogradTask) packWeights(w *winogradWorker, chunk int) {
	u, first := t.u, chunk*t.u.cols
	rows := min(u.cols, t.weightRows()-first)
	length, step := t.cout, t.wc // of a row
	if t.wj != 1 {
		length, step = t.cin, t.wj
	}
	tap := t.corner()
	for at := 0; at < length; at += filterSegment {
		n := min(filterSegment, length-at)
		uStep := matrixStep(rows * n)
		w.filters = grow(w.filters, t.k.matrices()*uStep)
		for i := range rows {
			t.k.filter(&w.filters[i*n], &t.w[tap[0]+(first+i)*step+at], 4*uStep, 4*(tap[1]-tap[0]), 4*(tap[2]-tap[0]), n/u.lanes)
		}
		for i := range t.k.matrices() {
			if t.pairs != nil {
				t.packPairs(w, w.filters[i*uStep:], i, first, rows, at, n)
			} else {
				t.packSegment(w.filters[i*uStep:], i, first, rows, at, n)
			}
		}
	}
}

// packSegment packs elements at…at+n of rows first…first+rows of matrix i.
func (t *winogradTask) packSegment(from []float32, i, first, rows, at, n int) {
	u := t.u
	if t.wj != 1 { // rows become columns
		to := t.packed[((i*t.panels+first/u.cols)*t.cin+at)*u.cols:]
		u.packColumns(to, from, 0, 1, n, n, rows)
		return
	}
	for j := 0; j < n; j += u.cols {
		to := t.packed[((i*t.panels+(at+j)/u.cols)*t.cin+first)*u.cols:]
		u.packColumns(to, from, j, n, 1, rows, min(u.cols, n-j))
	}
}

// corner is where a 3×3 plan's weights of the first tap, the one below it and the one
// to its right begin, in the order of shifts.
func (t *convPlan) corner() (at [3]int) {
	for _, tap := range t.taps {
		switch [2]int{tap.shift[1] - t.lo[1], tap.shift[2] - t.lo[2]} {
		case [2]int{0, 0}:
			at[0] = tap.w
		case [2]int{1, 0}:
			at[1] = tap.w
		case [2]int{0, 1}:
			at[2] = tap.w
		}
	}
	return at
}
