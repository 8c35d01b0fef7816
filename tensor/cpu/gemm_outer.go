package cpu

import "unsafe"

// The product of a transposed A, as a weight's gradient is: K is long and both
// factors are packed. A chunk is some columns and so few rows that a block of k
// of all its rows of A, packed, takes a quarter of the L2 cache. That stays
// there while the panels of B come by, each packed just before its column of tiles.

// longK reports whether k is long enough for that to be the best way.
func longK(m, n, k int) bool { return k >= 4*min(m, n) }

// runOuter shares out the product.
func (t *gemmTask) runOuter(d *Device, alone bool) {
	chunks := t.cutOuter(d, alone)
	if !alone {
		d.pool.do(t, chunks)
		return
	}
	for i := range chunks {
		t.run(0, i)
	}
}

// cutOuter divides the product into chunks, so many that several threads are
// busy unless it is to be done alone.
func (t *gemmTask) cutOuter(d *Device, alone bool) (chunks int) {
	rowParts := splitEvenly(t.tiles.parts, max(1, t.u.outerBytes()/(4*t.u.rows*min(t.k, kBlock))))
	blocks := splitInto(t.panels, 1)
	// A is packed again for every block of columns, but B for all rows: few
	// columns cost more than few rows, and either less than idle threads.
	wanted := 2 * d.pool.threads
	if alone {
		wanted = 1
	}
	for blocks.parts*rowParts.parts < wanted {
		switch {
		case t.panels >= 6*(blocks.parts+1):
			blocks = splitInto(t.panels, blocks.parts+1)
		case t.tiles.parts >= 4*(rowParts.parts+1):
			rowParts = splitInto(t.tiles.parts, rowParts.parts+1)
		case t.panels > blocks.parts:
			blocks = splitInto(t.panels, blocks.parts+1)
		default:
			wanted = 0
		}
	}
	t.setColumns(blocks)
	t.local, t.outer, t.packing, t.rowParts = true, true, false, rowParts
	return t.colBlocks * rowParts.parts
}

// outerBlock computes tiles tile0…tile1 of column block cb.
func (t *gemmTask) outerBlock(w *gemmWorker, cb, tile0, tile1 int) {
	co, ao, bo := batchOffsets(&t.c, &t.a, &t.b, 0)
	p0, p1 := cb*t.colBlock, min(t.panels, (cb+1)*t.colBlock)
	u, g := t.u, &w.args
	g.segs, g.nsegs = unsafe.Pointer(noSegment), 1
	g.bs, g.cs, g.alpha = 4*u.cols, 4*t.cs, t.alpha
	w.a, w.b = grow(w.a, (tile1-tile0)*u.rows*kBlock), grow(w.b, kBlock*u.cols)
	for kb := range t.kb.parts {
		k0, k := t.kb.part(kb)
		g.k = k
		t.packTiles(w.a, ao, k0, k, tile0, tile1)
		t.expectRows(w, ao, k0+k, t.k, tile0, tile1)
		for p := p0; p < p1; p++ {
			t.packBlock(w.b, bo, k0, k, p, p+1)
			if t.sums != nil && tile0 == 0 {
				t.addSums(w, k, p)
			}
			if p+1 < p1 {
				t.expectPanel(w, bo, k0, t.k, p+1)
			} else {
				t.expectPanel(w, bo, k0+k, t.k, p0)
			}
			t.tileColumns(w, co, kb, p, p+1, tile0, tile1, k)
		}
	}
}

// tileColumns computes columns of tiles, from panels p0…p1 and the packed rows, a tile
// of which takes rows times depth.
func (t *gemmTask) tileColumns(w *gemmWorker, co, kb, p0, p1, tile0, tile1, depth int) {
	u, g := t.u, &w.args
	j := p0 * u.cols
	g.accumulate, g.beta = 1, 1
	if kb == 0 {
		g.beta = t.beta
		if t.beta == 0 {
			g.accumulate = 0
		}
	}
	c := elements[float32](&t.c)
	for tile := tile0; tile < tile1; tile++ {
		i, rows := t.tiles.part(tile)
		g.a, g.b = unsafe.Pointer(&w.a[(tile-tile0)*u.rows*depth]), unsafe.Pointer(&w.b[0])
		if t.sideBySide {
			g.rs, g.ks = 4*depth, 4
		} else {
			g.rs, g.ks = 4, 4*rows
		}
		g.c, g.bias = unsafe.Pointer(&c[co+i*t.cs+j]), nil
		if kb == 0 && t.bias != nil {
			g.bias = unsafe.Pointer(&t.bias[j])
		}
		u.runRow(g, rows, min(t.n, p1*u.cols)-j, 4*g.k*u.cols, w.edge, &w.nextB, &w.nextA)
	}
}

// expectRows lists the lines of the rows of A of some tiles, from number k0 of k
// on, as wanted soon.
func (t *gemmTask) expectRows(w *gemmWorker, ao, k0, k, tile0, tile1 int) {
	w.nextA.left = 0
	if k0 >= k {
		return
	}
	first, _ := t.tiles.part(tile0)
	last, n := t.tiles.part(tile1 - 1)
	p := unsafe.Pointer(&elements[float32](&t.a)[ao+first*t.rs+k0*t.ks])
	switch rows := last + n - first; {
	case t.rs == 1:
		w.nextA = soon(p, 64, 4*t.ks, (4*rows+63)/64)
	case t.ks == 1:
		w.nextA = soon(p, 4*t.rs, 4, rows)
	}
}

// expectPanel lists the lines of panel p of B, from row k0 of k on, as wanted soon.
func (t *gemmTask) expectPanel(w *gemmWorker, bo, k0, k, p int) {
	w.nextB.left = 0
	if k0 >= k {
		return
	}
	cols := t.u.cols
	from := unsafe.Pointer(&elements[float32](&t.b)[bo+k0*t.bk+p*cols*t.bn])
	switch {
	case t.bn == 1:
		w.nextB = soon(from, 64, 4*t.bk, max(1, cols/16))
	case t.bk == 1:
		w.nextB = soon(from, 4*t.bn, 4, min(cols, t.n-p*cols))
	}
}
