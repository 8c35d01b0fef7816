package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// The fast matrix product in bfloat16. Both factors are packed as words: B in
// panels as for float32, A some tiles at a time, just before the chunk that
// packs them goes over all its panels. As there, only K decides how an element
// of C is summed.

const (
	// pairBlock is the most words of k of a block.
	pairBlock = 320
	// pairRows is how many rows of A, at most, are packed together: they stay in the L1
	// and L2 caches.
	pairRows = 96
)

// pairTask multiplies matrices of words: gemmTask with k counted in words.
type pairTask struct {
	gemmTask
	pairs   *pairKernel
	floats  int // K
	workers []pairWorker
}

type pairWorker struct {
	gemmWorker
	scratch []float32
}

var pairTasks = sync.Pool{New: func() any { return new(pairTask) }}

// gemmPairs is gemmFast in words. c's columns are contiguous.
func (d *Device) gemmPairs(c, a, b, bias *backend.View, alpha, beta float32) {
	t := pairTasks.Get().(*pairTask)
	t.set(d, c, a, b, bias, alpha, beta)
	t.multiply(d)
	t.release()
	pairTasks.Put(t)
}

func (t *pairTask) set(d *Device, c, a, b, bias *backend.View, alpha, beta float32) {
	t.gemmTask.set(d, c, a, b, bias, alpha, beta)
	t.pairs, t.u = d.pairs, &d.pairs.microKernel
	t.floats, t.k = t.k, words(t.k)
	if t.pairs.words != nil {
		t.k = t.pairs.words(t.k, splitEvenly(t.k, pairBlock).parts)
	}
	t.kb = splitEvenly(t.k, pairBlock)
	t.sideBySide = t.pairs.turnWords != nil
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, pairWorker{gemmWorker: gemmWorker{edge: make([]float32, (1+packGroup)*t.u.cols)}})
	}
}

func (t *pairTask) release() {
	t.gemmTask.release()
	for i := range t.workers {
		t.workers[i].args.release()
	}
}

// multiply chooses the way and goes it, much as gemmTask does; but B is always packed.
func (t *pairTask) multiply(d *Device) {
	threads := d.pool.threads
	shared := true // one B for all matrices
	for ax := range t.c.Rank - 2 {
		shared = shared && (t.c.Shape[ax] == 1 || t.b.Stride[ax] == 0)
	}
	rows := t.m
	if shared {
		rows *= t.batch
	}
	t.pack = true
	most := max(1, t.u.blockBytes()/(4*min(t.k, pairBlock)*t.u.cols)) // panels of a block
	all := splitEvenly(t.panels, most)
	switch flops := 2 * t.m * t.n * t.floats; {
	case t.batch == 1 && t.ks != 1 && longK(t.m, t.n, t.floats) || t.sums != nil:
		t.runOuter(d, flops <= soloFlops)
	case t.batch*flops <= soloFlops && (t.batch == 1 || !shared):
		t.runLocal(d, all, splitEvenly(t.tiles.parts, localTiles), true)
	case t.batch == 1 && rows <= localTiles*t.u.rows || !shared && t.batch >= 2*threads:
		chunks := 1 // that a matrix should have
		if threads > 1 {
			chunks = (3*threads + t.batch - 1) / t.batch
		}
		t.runLocal(d, splitEvenly(t.panels, min(most, max(2, t.panels/chunks))), splitEvenly(t.tiles.parts, localTiles), false)
	case shared:
		t.runShared(d, 0, t.batch, all)
	default:
		for i := range t.batch {
			t.runShared(d, i, 1, all)
		}
	}
}

func (t *pairTask) runLocal(d *Device, blocks, rowParts split, alone bool) {
	t.setColumns(blocks)
	t.local, t.outer, t.packing, t.rowParts = true, false, false, rowParts
	chunks := t.batch * t.colBlocks * rowParts.parts
	if alone {
		for i := range chunks {
			t.run(0, i)
		}
		return
	}
	d.pool.do(t, chunks)
}

// runShared multiplies so many matrices from the first on, which share one B.
func (t *pairTask) runShared(d *Device, first, matrices int, blocks split) {
	t.setColumns(blocks)
	t.local, t.first = false, first
	t.packed = grow(t.packed, t.panels*t.k*t.u.cols)
	t.packing = true
	d.pool.do(t, t.kb.parts*((t.panels+packGroup-1)/packGroup))
	t.packing = false
	t.cut(d, matrices)
	d.pool.do(t, len(t.chunks)-1)
}

func (t *pairTask) run(worker, chunk int) {
	w := &t.workers[worker]
	switch {
	case t.packing:
		groups := (t.panels + packGroup - 1) / packGroup
		p := chunk % groups * packGroup
		k0, k := t.kb.part(chunk / groups)
		_, _, bo := batchOffsets(&t.c, &t.a, &t.b, t.first)
		t.packBlock(w, t.packed[(k0*t.panels+p*k)*t.u.cols:], bo, k0, k, p, min(t.panels, p+packGroup))
	case t.local:
		tile, n := t.rowParts.part(chunk % t.rowParts.parts)
		chunk /= t.rowParts.parts
		if t.outer {
			t.outerBlock(w, chunk, tile, tile+n)
			return
		}
		t.block(w, chunk/t.colBlocks, chunk%t.colBlocks, tile, tile+n)
	default:
		for at, end := t.chunks[chunk], t.chunks[chunk+1]; at < end; {
			tile := at % t.tiles.parts
			n := min(end-at, t.tiles.parts-tile)
			rest := at / t.tiles.parts
			t.block(w, t.first+rest/t.colBlocks, rest%t.colBlocks, tile, tile+n)
			at += n
		}
	}
}

// part is block kb of k: where it begins and how long it is, in numbers.
func (t *pairTask) part(kb int) (k0, k int) {
	k0, k = t.kb.part(kb)
	return 2 * k0, max(0, min(2*k, t.floats-2*k0))
}

// block computes tiles tile0…tile1 of column block cb of a matrix.
func (t *pairTask) block(w *pairWorker, matrix, cb, tile0, tile1 int) {
	co, ao, bo := batchOffsets(&t.c, &t.a, &t.b, matrix)
	p0, p1 := cb*t.colBlock, min(t.panels, (cb+1)*t.colBlock)
	u, g := t.u, &w.args
	g.segs, g.nsegs = unsafe.Pointer(noSegment), 1
	g.cs, g.alpha = 4*t.cs, t.alpha
	for kb := range t.kb.parts {
		k0, k := t.kb.part(kb)
		g.k = k
		g.accumulate, g.beta, g.bias = 1, 1, nil
		if kb == 0 && t.beta == 0 {
			g.accumulate = 0
		} else if kb == 0 {
			g.beta = t.beta
		}
		b, panel := t.panelsOf(w, bo, k0, k, p0, p1)
		t.expectB(w, k0+k, p0, p1)
		tiles := pairRows / u.rows
		w.a = grow(w.a, tiles*roundUp(u.rows, u.lanes)*pairBlock)
		for tile := tile0; tile < tile1; tile += tiles {
			end := min(tile1, tile+tiles)
			t.packTiles(w, ao, kb, tile, end)
			t.expectA(w, ao, kb, end, min(tile1, end+tiles))
			for j := tile; j < end; j++ {
				i, rows := t.tiles.part(j)
				row, word := t.pairs.packedStrides(t.ks, rows)
				g.a, g.rs, g.ks = unsafe.Pointer(&w.a[(j-tile)*u.rows*pairBlock]), 4*row, 4*word
				t.tileRow(&w.gemmWorker, co+i*t.cs, rows, kb, b, panel, p0, p1)
			}
		}
	}
}

// panelsOf gives where words k0…k0+k of panel p0 of B begin, and the bytes from
// one panel to the next.
func (t *pairTask) panelsOf(w *pairWorker, bo, k0, k, p0, p1 int) (b unsafe.Pointer, panel int) {
	w.args.bs = 4 * t.u.cols
	if t.local {
		w.b = grow(w.b, (p1-p0)*pairBlock*t.u.cols)
		t.packBlock(w, w.b, bo, k0, k, p0, p1)
		return unsafe.Pointer(&w.b[0]), 4 * k * t.u.cols
	}
	return unsafe.Pointer(&t.packed[(k0*t.panels+p0*k)*t.u.cols]), 4 * k * t.u.cols
}

// packBlock packs words k0…k0+k of panels p0…p1 of the B at offset bo, panel by panel.
func (t *pairTask) packBlock(w *pairWorker, to []float32, bo, k0, k, p0, p1 int) {
	b, cols := elements[float32](&t.b), t.u.cols
	strip := k
	if t.bn == 1 {
		strip = stripRows
	}
	for s := 0; s < k; s += strip {
		at := 2 * (k0 + s)
		n := max(0, min(2*min(strip, k-s), t.floats-at))
		for p := p0; p < p1; p++ {
			j := p * cols
			t.pairs.packColumns(to[((p-p0)*k+s)*cols:], b, bo+at*t.bk+j*t.bn, t.bk, t.bn, n, min(cols, t.n-j), &w.scratch)
		}
	}
	if filled := words(max(0, t.floats-2*k0)); filled < k {
		for p := range p1 - p0 {
			clear(to[(p*k+filled)*cols : (p+1)*k*cols])
		}
	}
}

// packTiles packs block kb of k of some tiles' rows of the A at offset ao.
func (t *pairTask) packTiles(w *pairWorker, ao, kb, tile0, tile1 int) {
	a := elements[float32](&t.a)
	k0, k := t.part(kb)
	strip := k
	if t.rs == 1 && t.ks != 1 { // tiles that are neighbours share lines and pages
		strip = 2 * stripRows
	}
	for s := 0; s < k; s += strip {
		n := min(strip, k-s)
		for tile := tile0; tile < tile1; tile++ {
			i, rows := t.tiles.part(tile)
			to := w.a[(tile-tile0)*t.u.rows*pairBlock:]
			_, word := t.pairs.packedStrides(t.ks, rows)
			t.pairs.packRows(to[s/2*word:], a, ao+i*t.rs+(k0+s)*t.ks, t.rs, t.ks, rows, n, &w.scratch)
		}
	}
	if _, deep := t.kb.part(kb); words(k) < deep { // only where rows are side by side
		for i := range (tile1 - tile0) * t.u.rows {
			clear(w.a[i*pairBlock+words(k) : i*pairBlock+deep])
		}
	}
}

// expectA lists the rows of tiles tile0…tile1 as wanted soon.
func (t *pairTask) expectA(w *pairWorker, ao, kb, tile0, tile1 int) {
	w.nextA.left = 0
	if tile0 >= tile1 {
		return
	}
	i, _ := t.tiles.part(tile0)
	last, n := t.tiles.part(tile1 - 1)
	k0, k := t.part(kb)
	p, n, half := unsafe.Pointer(&elements[float32](&t.a)[ao+i*t.rs+k0*t.ks]), last+n-i, words(k)
	switch {
	case t.ks == 1 && t.rs > 0 && t.rs <= 2*k: // a whole, with little between
		w.nextA = soon(p, 64*half, 64, (4*n*t.rs+64*half-1)/(64*half))
	case t.ks == 1:
		w.nextA = soon(p, 4*t.rs, 8, n)
	case t.rs == 1:
		w.nextA = soon(p, 64, 8*t.ks, (4*n+63)/64)
	}
}

// expectB lists the panels p0…p1 of the block that begins at word k0, if there
// is one, as wanted soon.
func (t *pairTask) expectB(w *pairWorker, k0, p0, p1 int) {
	w.nextA.left, w.nextB.left = 0, 0
	if k0 < t.k && !t.local {
		k := t.kb.base // or one more: near enough
		w.nextB = soon(unsafe.Pointer(&t.packed[(k0*t.panels+p0*k)*t.u.cols]), 64*k, 64, (p1-p0)*t.u.cols/16)
	}
}
