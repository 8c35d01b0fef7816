package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// The fast matrix product. B is packed into panels as wide as a register tile
// (unless few rows come by), A is read where it lies, and every element of C is
// summed in the same order whatever tile it falls into: k in sequence within a
// block of k, blocks added in sequence. Only K decides the blocks. So neither
// M, nor N, nor the threads change a bit of a result.

const (
	// kBlock is the most k of a block: 12 rows of A and a panel of B then
	// take a good part of the L1 cache, and C passes by seldom.
	kBlock = 320
	// soloFlops is work too small to share among threads: some 5 µs.
	soloFlops = 1 << 20
	// localTiles is how many row tiles a chunk has, at most, that packs its B by itself.
	localTiles = 32
	// sharedTiles is the same for chunks that find it packed.
	sharedTiles = 8
)

// gemmTask multiplies matrices. There are three ways of sharing the work:
//
//   - shared: all of B is packed first, in parallel; then a chunk is a range of
//     units, a unit being one row tile times one block of columns, counted in
//     the order matrix, column block, tile.
//   - local: a chunk is a block of columns of one matrix and a part of its rows,
//     and packs its own block of B as it goes. For many matrices each with a B
//     of its own, and for B that few rows meet, which is then never written to memory.
//   - outer: as local, for A that must be packed too; see gemm_outer.go.
type gemmTask struct {
	u              *microKernel
	c, a, b        backend.View
	cs             int // strides in elements: rows of C,
	rs, ks, bk, bn int // rows and columns of A and B
	bias, biasCopy []float32
	alpha, beta    float32
	batch, m, n, k int
	kb, tiles      split
	panels         int
	colBlock       int // panels of a column block
	colBlocks      int
	pack, local    bool
	outer          bool // a kind of local
	sideBySide     bool // outer: how A is packed, by rows and not by columns
	packing        bool // a chunk is to pack
	first          int  // the matrix that chunks count from
	rowParts       split
	sums, sumsBuf  []float64 // of B's columns, nil: not wanted
	chunks         []int     // shared: where chunks of units begin
	packed         []float32
	workers        []gemmWorker
}

// gemmWorker is a worker's scratch.
type gemmWorker struct {
	args tileArgs
	edge []float32 // a tile
	a    []float32 // some tiles' rows of A, packed
	b    []float32 // a block of B, packed
	// What of A and B comes next.
	nextA, nextB fetch
}

var gemmTasks = sync.Pool{New: func() any { return new(gemmTask) }}

// gemmFast is Gemm for float32 with a micro kernel. c is not empty and K not 0.
func (d *Device) gemmFast(c, a, b, bias *backend.View, alpha, beta float64) {
	r := c.Rank
	if c.Shape[r-1] > 1 && c.Stride[r-1] != 1 {
		if bias == nil && (c.Stride[r-2] == 1 || c.Shape[r-2] == 1) { // cᵀ = bᵀ·aᵀ
			ct, at, bt := transposedView(c), transposedView(a), transposedView(b)
			d.gemmFast(&ct, &bt, &at, nil, alpha, beta)
		} else {
			d.gemmScattered(c, a, b, bias, alpha, beta)
		}
		return
	}
	if d.bf16 {
		d.gemmPairs(c, a, b, bias, float32(alpha), float32(beta))
		return
	}
	t := gemmTasks.Get().(*gemmTask)
	t.set(d, c, a, b, bias, float32(alpha), float32(beta))
	t.multiply(d)
	t.release()
	gemmTasks.Put(t)
}

// transposedView swaps the last two axes.
func transposedView(v *backend.View) backend.View {
	t, r := *v, v.Rank
	t.Shape[r-1], t.Shape[r-2] = v.Shape[r-2], v.Shape[r-1]
	t.Stride[r-1], t.Stride[r-2] = v.Stride[r-2], v.Stride[r-1]
	return t
}

func (t *gemmTask) set(d *Device, c, a, b, bias *backend.View, alpha, beta float32) {
	t.u = d.level.micro()
	t.c, t.a, t.b, t.alpha, t.beta = *c, *a, *b, alpha, beta
	t.collapse()
	t.batch, t.m, t.n, t.k = gemmShape(&t.c, &t.a)
	r := t.c.Rank
	t.cs, t.rs, t.ks = t.c.Stride[r-2], t.a.Stride[r-2], t.a.Stride[r-1]
	t.bk, t.bn = t.b.Stride[r-2], t.b.Stride[r-1]
	if t.n == 1 {
		t.bn = 1
	}
	t.bias = nil
	if bias != nil {
		t.bias, t.biasCopy = contiguousFloats(bias, t.biasCopy)
	}
	t.kb = splitEvenly(t.k, kBlock)
	t.tiles = splitEvenly(t.m, t.u.rows)
	t.panels = (t.n + t.u.cols - 1) / t.u.cols
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, gemmWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
}

// collapse makes batch axes that share one B, and whose rows lie at one stride,
// rows of larger matrices.
func (t *gemmTask) collapse() {
	for r := t.c.Rank; r > 2; r-- {
		n, m := t.c.Shape[r-3], t.c.Shape[r-2]
		for _, v := range [...]*backend.View{&t.c, &t.a} {
			if n > 1 && (t.b.Stride[r-3] != 0 || m > 1 && v.Stride[r-3] != m*v.Stride[r-2]) {
				return
			}
		}
		for _, v := range [...]*backend.View{&t.c, &t.a} {
			if n == 1 || m > 1 {
				v.Stride[r-3] = v.Stride[r-2]
			}
			v.Shape[r-3], v.Shape[r-2], v.Stride[r-2] = n*m, v.Shape[r-1], v.Stride[r-1]
			v.Rank--
		}
		copy(t.b.Shape[r-3:], t.b.Shape[r-2:r])
		copy(t.b.Stride[r-3:], t.b.Stride[r-2:r])
		t.b.Rank--
	}
}

// release drops what the task must not keep alive.
func (t *gemmTask) release() {
	t.c, t.a, t.b, t.bias = backend.View{}, backend.View{}, backend.View{}, nil
	for i := range t.workers {
		t.workers[i].args.release()
	}
}

// contiguousFloats is a vector's elements side by side, in buf if they are not already.
func contiguousFloats(v *backend.View, buf []float32) (floats, newBuf []float32) {
	n := v.Shape[0]
	if v.Stride[0] == 1 || n == 1 {
		return v.Floats32()[:n], buf
	}
	buf = grow(buf, n)
	all := elements[float32](v)
	for i := range n {
		buf[i] = all[v.Off+i*v.Stride[0]]
	}
	return buf[:n], buf
}

// grow makes a scratch slice hold at least n elements.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n+n/8)
	}
	return s[:cap(s)]
}

// multiply chooses the way and goes it.
func (t *gemmTask) multiply(d *Device) {
	threads := d.pool.threads
	shared := true // one B for all matrices
	for ax := range t.c.Rank - 2 {
		shared = shared && (t.c.Shape[ax] == 1 || t.b.Stride[ax] == 0)
	}
	rows := t.m
	if shared {
		rows *= t.batch
	}
	t.pack = t.sums != nil || t.mustPack(rows)
	most := max(1, t.u.blockBytes()/(4*min(t.k, kBlock)*t.u.cols)) // panels of a block
	all := splitEvenly(t.panels, most)
	flops := 2 * t.m * t.n * t.k
	switch {
	case t.batch == 1 && t.ks != 1 && t.pack && longK(t.m, t.n, t.k) || t.sums != nil:
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

// mustPack reports whether B is to be packed: where its columns are not
// contiguous, where the kernel cannot mask a narrow last panel, and where
// enough rows come by to pay for the copying.
func (t *gemmTask) mustPack(rows int) bool {
	if t.bn != 1 || !t.u.masked && t.n%t.u.cols != 0 {
		return true
	}
	return rows > 4*t.u.rows && (t.bk != t.u.cols || t.n > t.u.cols)
}

func (t *gemmTask) setColumns(blocks split) {
	t.colBlocks, t.colBlock = blocks.parts, blocks.base+min(1, blocks.extra)
}

func (t *gemmTask) runLocal(d *Device, blocks, rowParts split, alone bool) {
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

// packGroup is how many panels a chunk of packing has: side by side in B, they
// share its cache lines' neighbours and its pages.
const packGroup = 8

// runShared multiplies so many matrices from the first on, which share one B.
func (t *gemmTask) runShared(d *Device, first, matrices int, blocks split) {
	t.setColumns(blocks)
	t.local, t.first = false, first
	if t.pack {
		t.packed = grow(t.packed, t.panels*t.k*t.u.cols)
		t.packing = true
		d.pool.do(t, t.kb.parts*((t.panels+packGroup-1)/packGroup))
		t.packing = false
	}
	t.cut(d, matrices)
	d.pool.do(t, len(t.chunks)-1)
}

// cut divides the units into chunks: large ones first, for reuse of the
// columns in cache, small ones last, so that threads end together.
func (t *gemmTask) cut(d *Device, matrices int) {
	units := matrices * t.colBlocks * t.tiles.parts
	work := 2 * t.k * t.u.cols * t.colBlock * t.u.rows
	t.chunks = append(t.chunks[:0], 0)
	least := 1 + soloFlops/work
	most := max(least, sharedTiles)
	for at := 0; at < units; {
		at = min(units, at+min(most, max(least, (units-at)/(2*d.pool.threads))))
		t.chunks = append(t.chunks, at)
	}
}

func (t *gemmTask) run(worker, chunk int) {
	w := &t.workers[worker]
	switch {
	case t.packing:
		groups := (t.panels + packGroup - 1) / packGroup
		p := chunk % groups * packGroup
		k0, k := t.kb.part(chunk / groups)
		_, _, bo := batchOffsets(&t.c, &t.a, &t.b, t.first)
		t.packBlock(t.packed[(k0*t.panels+p*k)*t.u.cols:], bo, k0, k, p, min(t.panels, p+packGroup))
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
