package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// The fast matrix product. B is packed into panels as wide as a register tile
// (unless it is small), A is read where it lies, and every element of C is
// summed in the same order whatever tile it falls into: k in sequence within a
// block of k, blocks added in sequence. Only K decides the blocks. So neither
// M, nor N, nor the threads change a bit of a result.

const (
	// kBlock is the most k of a block: a panel of B then takes 64 KiB, 12 rows of A 24 KiB.
	kBlock = 512
	// blockBytes is what a block of B may take of the L2 cache.
	blockBytes = 512 << 10
	// soloFlops is work too small to share among threads: some 5 µs.
	soloFlops = 1 << 20
)

// gemmTask multiplies matrices; see gemmPlan for the meaning of a chunk.
type gemmTask struct {
	u                  *microKernel
	c, a, b            backend.View
	bias               []float32 // contiguous, or nil
	alpha, beta        float32
	batch, m, n, k     int
	rs, ks, bk, bn, cs int // strides in elements
	kb, tiles          split
	panels             int
	colBlock           int // panels of a column block
	colBlocks          int
	panelBytes         int // of a packed panel of B, 0: B is read in place
	sharedB            bool
	packing            bool
	first              int // matrix that chunks count from
	chunks             []int
	packed             []float32
	biasCopy           []float32
	workers            []gemmWorker
}

// gemmWorker is a worker's scratch.
type gemmWorker struct {
	args tileArgs
	edge []float32 // a tile
	a    []float32 // a block of rows of A, packed
	b    []float32 // a whole B, packed
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
	t.batch, t.m, t.n, t.k = gemmShape(c, a)
	r := c.Rank
	t.cs, t.rs, t.ks = c.Stride[r-2], a.Stride[r-2], a.Stride[r-1]
	t.bk, t.bn = b.Stride[r-2], b.Stride[r-1]
	if t.n == 1 {
		t.bn = 1
	}
	t.sharedB = true
	for ax := range r - 2 {
		t.sharedB = t.sharedB && (c.Shape[ax] == 1 || b.Stride[ax] == 0)
	}
	t.bias = t.bias[:0]
	if bias != nil {
		t.bias, t.biasCopy = contiguousFloats(bias, t.biasCopy)
	}
	t.kb = splitEvenly(t.k, kBlock)
	t.tiles = splitEvenly(t.m, t.u.rows)
	t.panels = (t.n + t.u.cols - 1) / t.u.cols
	t.panelBytes = 0
	if t.mustPack() {
		t.panelBytes = 4 * t.k * t.u.cols
	}
	most := max(1, blockBytes/(4*min(t.k, kBlock)*t.u.cols))
	blocks := splitEvenly(t.panels, most)
	if units := t.batch * t.tiles.parts * blocks.parts; units < 4*d.pool.threads {
		// Few rows: share the columns instead.
		blocks = splitEvenly(t.panels, max(1, t.panels*units/(4*d.pool.threads)))
	}
	t.colBlocks, t.colBlock = blocks.parts, blocks.base+min(1, blocks.extra)
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, gemmWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
}

// release drops what the task must not keep alive.
func (t *gemmTask) release() {
	t.c, t.a, t.b = backend.View{}, backend.View{}, backend.View{}
	for i := range t.workers {
		t.workers[i].args = tileArgs{}
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

// mustPack reports whether B is to be packed: where columns are not
// contiguous, where the kernel cannot mask a narrow last panel, and where
// enough rows come by to pay for the copying.
func (t *gemmTask) mustPack() bool {
	if t.bn != 1 || !t.u.masked && t.n%t.u.cols != 0 {
		return true
	}
	if t.bk == t.u.cols && t.n <= t.u.cols {
		return false // it is a panel
	}
	rows := t.m
	if t.sharedB {
		rows *= t.batch
	}
	return rows > 4*t.u.rows
}

// multiply runs the task. A chunk of packing is a panel of B. A chunk of
// multiplying is a range of units; a unit is one row tile of one matrix times
// one block of columns, counted in the order matrix, column block, tile. With
// a B for each matrix and many small matrices, a chunk is a matrix and a worker
// packs its B by itself.
func (t *gemmTask) multiply(d *Device) {
	flops := 2 * t.m * t.n * t.k
	switch {
	case t.sharedB:
		t.pack(d, 0, 1)
		t.cut(d, t.batch)
		t.do(d, 0, len(t.chunks)-1)
	case t.panelBytes > 0 && t.batch >= 2*d.pool.threads || flops <= soloFlops:
		t.chunks = t.chunks[:0]
		if t.batch*flops <= soloFlops {
			for i := range t.batch {
				t.run(0, i)
			}
		} else {
			t.do(d, 0, t.batch)
		}
	default:
		for i := range t.batch {
			t.pack(d, i, i+1)
			t.cut(d, 1)
			t.do(d, i, len(t.chunks)-1)
		}
	}
}

func (t *gemmTask) do(d *Device, first, n int) {
	t.packing, t.first = false, first
	d.pool.do(t, n)
}

// pack packs B of matrix i.
func (t *gemmTask) pack(d *Device, i, _ int) {
	if t.panelBytes == 0 {
		return
	}
	t.packed = grow(t.packed, t.panels*t.panelBytes/4)
	t.packing, t.first = true, i
	if t.k*t.n < 1<<15 {
		for p := range t.panels {
			t.run(0, p)
		}
		return
	}
	d.pool.do(t, t.panels)
}

// cut divides the units of so many matrices into chunks: large ones first, for
// reuse of the columns in cache, small ones last, so that threads end together.
func (t *gemmTask) cut(d *Device, matrices int) {
	units := matrices * t.colBlocks * t.tiles.parts
	work := 2 * t.k * t.u.cols * t.colBlock * t.u.rows
	t.chunks = append(t.chunks[:0], 0)
	if units*work <= soloFlops {
		t.chunks = append(t.chunks, units)
		return
	}
	least, most := 1+soloFlops/work, max(1+soloFlops/work, 16)
	for at := 0; at < units; {
		at = min(units, at+min(most, max(least, (units-at)/(2*d.pool.threads))))
		t.chunks = append(t.chunks, at)
	}
}

func (t *gemmTask) run(worker, chunk int) {
	w := &t.workers[worker]
	switch {
	case t.packing:
		_, _, bo := batchOffsets(&t.c, &t.a, &t.b, t.first)
		t.packPanel(t.packed[chunk*t.panelBytes/4:], bo, chunk)
	case len(t.chunks) == 0: // a matrix
		co, ao, bo := batchOffsets(&t.c, &t.a, &t.b, chunk)
		if t.panelBytes > 0 {
			w.b = grow(w.b, t.panels*t.panelBytes/4)
			for p := range t.panels {
				t.packPanel(w.b[p*t.panelBytes/4:], bo, p)
			}
		}
		t.block(w, co, ao, bo, w.b, 0, t.panels, 0, t.tiles.parts)
	default:
		for at, end := t.chunks[chunk], t.chunks[chunk+1]; at < end; {
			tile := at % t.tiles.parts
			n := min(end-at, t.tiles.parts-tile)
			cb := at / t.tiles.parts % t.colBlocks
			co, ao, bo := batchOffsets(&t.c, &t.a, &t.b, t.first+at/(t.tiles.parts*t.colBlocks))
			t.block(w, co, ao, bo, t.packed, cb*t.colBlock, min(t.panels, (cb+1)*t.colBlock), tile, tile+n)
			at += n
		}
	}
}

// packPanel copies columns p·cols… of the B at offset bo side by side, short ones filled up with zeros.
func (t *gemmTask) packPanel(to []float32, bo, p int) {
	b := elements[float32](&t.b)
	j := p * t.u.cols
	t.u.packColumns(to, b, bo+j*t.bn, t.bk, t.bn, t.k, min(t.u.cols, t.n-j))
}

// block computes tiles tile0…tile1 of panels p0…p1 of the matrix at the given offsets.
func (t *gemmTask) block(w *gemmWorker, co, ao, bo int, packed []float32, p0, p1, tile0, tile1 int) {
	u, g := t.u, &w.args
	c, a := elements[float32](&t.c), elements[float32](&t.a)
	g.segs, g.nsegs = unsafe.Pointer(noSegment), 1
	g.cs, g.alpha = 4*t.cs, t.alpha
	for kb := range t.kb.parts {
		k0, k := t.kb.part(kb)
		g.k = k
		g.accumulate, g.beta = 1, 1
		if kb == 0 {
			g.accumulate, g.beta = 0, t.beta
			if t.beta != 0 {
				g.accumulate = 1
			}
		}
		for tile := tile0; tile < tile1; tile++ {
			i, rows := t.tiles.part(tile)
			from := a[ao+i*t.rs+k0*t.ks:]
			g.a, g.rs, g.ks = unsafe.Pointer(&from[0]), 4*t.rs, 4*t.ks
			if t.ks != 1 && p1-p0 > 1 {
				w.a = grow(w.a, kBlock*u.rows)
				u.packRows(w.a, from, t.rs, t.ks, rows, k)
				g.a, g.rs, g.ks = unsafe.Pointer(&w.a[0]), 4, 4*rows
			}
			for p := p0; p < p1; p++ {
				j := p * u.cols
				if t.panelBytes > 0 {
					g.b, g.bs = unsafe.Pointer(&packed[p*t.panelBytes/4+k0*u.cols]), 4*u.cols
				} else {
					g.b, g.bs = unsafe.Pointer(&elements[float32](&t.b)[bo+k0*t.bk+j]), 4*t.bk
				}
				g.c = unsafe.Pointer(&c[co+i*t.cs+j])
				g.bias = nil
				if kb == 0 && len(t.bias) > 0 {
					g.bias = unsafe.Pointer(&t.bias[j])
				}
				u.run(g, rows, min(u.cols, t.n-j), w.edge)
			}
		}
	}
}
