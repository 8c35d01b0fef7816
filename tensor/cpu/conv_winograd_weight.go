package cpu

import (
	"sync"
	"unsafe"
)

// The gradient of a 3×3 filter by the adjoint of Winograd's algorithm: with
// V the transformed patches of x,
//
//	dg = Gᵀ·[Σ_tiles (A·dy·Aᵀ) ⊙ (Bᵀ·d·B)]·G
//
// 16 or 36 matrix products, summed over tiles. The rows of tiles are cut into parts,
// each with a buffer of its own, by the shape alone.

const (
	// winogradPartOutputs is the fewest outputs of a part, for adding up the parts
	// and transforming the sum to stay cheap.
	winogradPartOutputs = 1024
	// What the transformed patches and gradients of a slab may take, for tiles of 2×2, those in
	// words, and tiles of 4×4, of which there are few and whose sums are large.
	winogradGradBytes  = 640 << 10
	winogradPairBytes  = 480 << 10
	winogradGradBytes4 = 1536 << 10
)

type winogradWeightStage uint8

const (
	winogradSum  winogradWeightStage = iota // a chunk is a part times a block of input channels
	winogradAdd                             // one of the matrices
	winogradFold                            // an input channel
)

// winogradWeightTask computes a weight gradient.
type winogradWeightTask struct {
	convPlan          // sizes of out rounded up to whole tiles
	dy       convPlan // dy as the input of a plan without taps: padded to whole tiles
	u        *microKernel
	k        *winogradKernels
	pairs    *pairKernel // of bfloat16 words, pairs of tiles one above the other; nil: floats
	tilesW   int
	panels   int
	slabRows int
	slabs    split // into parts
	blocks   split // of vectors of input channels
	stage    winogradWeightStage
	dw       []float32
	partial  []float32
	size     int // floats of a part's matrices
	workers  []winogradWeightWorker
}

type winogradWeightWorker struct {
	args         tileArgs
	edge         []float32
	x, dy        slab
	v, w         []float32
	nextX, nextY fetch
}

var winogradWeightTasks = sync.Pool{New: func() any { return new(winogradWeightTask) }}

// winogradWeights computes the plan's weight gradient so where that pays; it
// reports false, having done nothing, if not.
func (p *convPlan) winogradWeights(d *Device, dw []float32) bool {
	u := d.level.micro()
	if d.pairs != nil {
		u = &d.pairs.microKernel
	}
	k := p.winograd(u)
	if k == nil || p.wj != 1 || p.n*p.tiles(2) < winogradSample {
		return false
	}
	t := winogradWeightTasks.Get().(*winogradWeightTask)
	t.u, t.k, t.pairs, t.dw = u, k, d.pairs, dw
	t.borrow(p)
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, winogradWeightWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	t.choose()
	t.partial = grow(t.partial, t.slabs.parts*t.size)
	for _, s := range [...]struct {
		stage  winogradWeightStage
		chunks int
	}{{winogradSum, t.slabs.parts * t.blocks.parts}, {winogradAdd, k.matrices()}, {winogradFold, t.cin}} {
		t.stage = s.stage
		if s.stage != winogradAdd || t.slabs.parts > 1 {
			d.pool.do(t, s.chunks)
		}
	}
	t.release()
	return true
}

func (t *winogradWeightTask) borrow(p *convPlan) {
	axis, taps := t.axis, t.taps
	t.convPlan = *p
	t.axis, t.taps = axis, append(taps[:0], p.taps...)
	t.out.size[1], t.out.size[2] = roundUp(p.out.size[1], t.k.side), roundUp(p.out.size[2], t.k.side)
	t.tilesW = t.out.size[2] / t.k.side
	t.dy = convPlan{n: p.n, groups: 1, cin: p.cout, in: p.out, out: t.out, stride: [3]int{1, 1, 1}}
}

func (t *winogradWeightTask) release() {
	t.convPlan.release()
	t.dy.release()
	t.dw = nil
	for i := range t.workers {
		w := &t.workers[i]
		w.args.release()
		w.x.base, w.dy.base = nil, nil
	}
	winogradWeightTasks.Put(t)
}

// choose cuts the work, by the shape alone.
func (t *winogradWeightTask) choose() {
	t.panels = (t.cout + t.u.cols - 1) / t.u.cols
	t.size = t.k.matrices() * t.cin * t.cout
	tiles := t.convPlan.rows() / t.k.side * t.tilesW
	parts := max(1, min(weightChunks, tiles*t.k.side*t.k.side/winogradPartOutputs, partialBytes/(4*t.size)))
	chunks := 2 * weightChunks / t.k.side // each transforms the gradients again
	t.blocks = splitEvenly(t.cin/16, max(1, t.cin/16*parts/chunks))
	width := 16 * (t.blocks.base + min(1, t.blocks.extra)) // channels of a block
	room := winogradGradBytes
	switch {
	case t.pairs != nil:
		room = winogradPairBytes
	case t.k.side == 4:
		room = winogradGradBytes4
	}
	t.slabRows = t.k.side * t.slabLines(max(1, room/(4*t.k.matrices()*(width+t.cout))/t.tilesW))
	slabs := (t.convPlan.rows() + t.slabRows - 1) / t.slabRows
	parts = min(parts, slabs)
	t.slabs = split{parts, slabs / parts, slabs % parts}
	for i := range t.workers {
		w := &t.workers[i]
		w.x.layout(&t.convPlan, t.slabRows, width, false)
		w.x.unit = 16
		w.dy.layout(&t.dy, t.slabRows, t.cout, t.dy.inside() && t.dy.in.channel == 1)
	}
}

// slabLines is how many lines of tiles a slab has, given how many of floats or
// words there is room for: equal parts of an image or whole images and, in
// words, an even number, even if a slab then ends in the middle of an image.
func (t *winogradWeightTask) slabLines(room int) int {
	image, most := t.out.size[1]/t.k.side, room
	if t.pairs != nil {
		most *= 2
	}
	lines := most - most%image
	if most < image {
		s := splitEvenly(image, most)
		lines = s.base + min(1, s.extra)
	}
	switch {
	case t.pairs == nil || lines%2 == 0:
		return lines
	case lines > image: // an odd number of odd images
		return lines - image
	}
	return lines + 1
}

func (t *winogradWeightTask) run(worker, chunk int) {
	w := &t.workers[worker]
	switch t.stage {
	case winogradAdd:
		n := t.cin * t.cout
		for p := 1; p < t.slabs.parts; p++ {
			t.u.rowAdd(&t.partial[chunk*n], &t.partial[p*t.size+chunk*n], n/t.u.lanes)
		}
	case winogradFold:
		tap := t.corner()
		t.k.filterGrad(&t.dw[tap[0]+chunk*t.wc], &t.partial[chunk*t.cout], 4*t.cin*t.cout,
			4*(tap[1]-tap[0]), 4*(tap[2]-tap[0]), t.cout/t.u.lanes)
	case winogradSum:
		part := chunk / t.blocks.parts
		block := chunk % t.blocks.parts
		first, n := t.slabs.part(part)
		for i := range n {
			r0 := (first + i) * t.slabRows
			t.sum(w, part, block, r0, min(t.convPlan.rows(), r0+t.slabRows), i > 0)
		}
	}
}

// sum adds, or begins with, the tiles of output rows r0…r1 for a block of input channels.
func (t *winogradWeightTask) sum(w *winogradWeightWorker, part, block, r0, r1 int, more bool) {
	u := t.u
	c0, channels := t.blocks.part(block)
	c0, channels = 16*c0, 16*channels
	w.x.fill(&t.convPlan, u, r0, r1, t.blocks, block, 1)
	w.dy.fill(&t.dy, u, r0, r1, split{parts: 1, base: t.cout}, 0, 1)
	depth := (r1 - r0) / t.k.side * t.tilesW
	if t.pairs != nil {
		depth = words((r1-r0)/2) * t.tilesW
	}
	vStep, wStep := matrixStep(depth*channels), matrixStep(depth*t.panels*u.cols)
	w.v, w.w = grow(w.v, t.k.matrices()*vStep), grow(w.w, t.k.matrices()*wStep)
	if t.pairs != nil {
		t.transformPairs(w, r0, r1, channels, depth, vStep, wStep)
	} else {
		t.transform(w, r0, r1, channels, depth, vStep, wStep)
	}
	w.nextX, w.nextY = fetch{}, fetch{}
	if next := min(t.convPlan.rows(), r1+r1-r0); r1 < next {
		w.nextX = t.in.soon(t.inputRange(r1, next), depth)
		w.nextY = t.dy.in.soon(t.dy.inputRange(r1, next), depth)
	}
	for i := range t.k.matrices() {
		t.products(w, w.v[i*vStep:], w.w[i*wStep:], t.partial[part*t.size+(i*t.cin+c0)*t.cout:], channels, depth, more)
	}
}

// transform makes the matrices of a slab's patches and gradients.
func (t *winogradWeightTask) transform(w *winogradWeightWorker, r0, r1, channels, tiles, vStep, wStep int) {
	u := t.u
	for r := r0; r < r1; r += t.k.side {
		tile := (r - r0) / t.k.side * t.tilesW
		t.k.input(&w.v[tile*channels], (*float32)(unsafe.Add(w.x.base, w.x.rows[r-r0])), 4*vStep, 4*channels,
			w.x.stride[1], w.x.stride[2], t.tilesW, channels/u.lanes)
		for p := range t.panels {
			j := p * u.cols
			t.k.spread(&w.w[(p*tiles+tile)*u.cols], (*float32)(unsafe.Add(w.dy.base, w.dy.rows[r-r0]+4*j)), 4*wStep, 4*u.cols,
				w.dy.stride[1], w.dy.stride[2], t.tilesW, min(u.cols, t.cout-j)/u.lanes)
		}
	}
}

// products adds vᵀ·w, one of the matrices, to c.
func (t *winogradWeightTask) products(w *winogradWeightWorker, v, panels, c []float32, channels, depth int, more bool) {
	u, g := t.u, &w.args
	g.segs, g.nsegs, g.k, g.rs, g.ks = unsafe.Pointer(noSegment), 1, depth, 4, 4*channels
	g.bs, g.cs, g.alpha, g.beta, g.accumulate, g.bias = 4*u.cols, 4*t.cout, 1, 1, 0, nil
	if more {
		g.accumulate = 1
	}
	rows := splitEvenly(channels, u.rows)
	count, panel := u.together(t.panels), depth*u.cols
	for p := 0; p < t.panels; p += count {
		j := p * u.cols
		for i := range rows.parts {
			row, n := rows.part(i)
			g.a, g.b, g.c = unsafe.Pointer(&v[row]), unsafe.Pointer(&panels[p*panel]), unsafe.Pointer(&c[row*t.cout+j])
			u.runRow(g, n, min(t.cout, (p+count)*u.cols)-j, 4*panel, w.edge, &w.nextX, &w.nextY)
		}
	}
}
