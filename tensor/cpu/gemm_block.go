package cpu

import "unsafe"

const (
	// stripRows is how many rows of a matrix are packed at a time, across all
	// panels or tiles that want a part of them: a few pages.
	stripRows = 16
	// tileGroup is how many tiles of a transposed A are packed together.
	tileGroup = 4
)

// block computes tiles tile0…tile1 of column block cb of a matrix.
func (t *gemmTask) block(w *gemmWorker, matrix, cb, tile0, tile1 int) {
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
		t.expectB(w, bo, k0+k, p0, p1)
		a := elements[float32](&t.a)
		if t.ks == 1 || p1-p0 == 1 {
			g.rs, g.ks = 4*t.rs, 4*t.ks
			copied := t.crowded(p1 - p0)
			for tile := tile0; tile < tile1; tile++ {
				i, rows := t.tiles.part(tile)
				g.a = unsafe.Pointer(&a[ao+i*t.rs+k0*t.ks])
				if copied {
					g.a, g.rs = t.copyRows(w, ao+i*t.rs+k0*t.ks, rows, k), 4*k
				}
				if next, n := t.tiles.part(tile + 1); tile+1 < tile1 {
					w.nextA = t.rowsSoon(unsafe.Pointer(&a[ao+next*t.rs+k0*t.ks]), n, k)
				}
				t.tileRow(w, co+i*t.cs, rows, kb, b, panel, p0, p1)
			}
			continue
		}
		w.a = grow(w.a, tileGroup*u.rows*kBlock)
		for tile := tile0; tile < tile1; tile += tileGroup {
			end := min(tile1, tile+tileGroup)
			t.packTiles(w.a, ao, k0, k, tile, end)
			if t.rs == 1 {
				t.expectTiles(w, a, ao, kb, tile0, end, tile1)
			}
			for j := tile; j < end; j++ {
				i, rows := t.tiles.part(j)
				g.a, g.rs, g.ks = unsafe.Pointer(&w.a[(j-tile)*u.rows*k]), 4, 4*rows
				t.tileRow(w, co+i*t.cs, rows, kb, b, panel, p0, p1)
			}
		}
	}
}

// crowded reports whether the rows of a tile of A that meets so many panels share the sets of the
// L1 cache, where panels drive them out time and again, and should rather be copied: rows of 1024
// and 2048 numbers made products a tenth slower on a cache of 12 ways.
func (t *gemmTask) crowded(panels int) bool {
	const span = 4096 // bytes; lines so far apart have one set, in caches of 32 and 48 KiB
	return t.ks == 1 && panels >= 4 && 4*t.rs%span == 0
}

// copyRows copies k elements of rows of A, the first at element at, side by side.
func (t *gemmTask) copyRows(w *gemmWorker, at, rows, k int) unsafe.Pointer {
	w.a = grow(w.a, t.u.rows*kBlock)
	a := elements[float32](&t.a)
	for i := range rows {
		copy(w.a[i*k:][:k], a[at+i*t.rs:])
	}
	return unsafe.Pointer(&w.a[0])
}

// rowsSoon lists n rows of A, of which k elements are wanted: as a whole where
// there is little between them, else a row each.
func (t *gemmTask) rowsSoon(p unsafe.Pointer, n, k int) fetch {
	if t.ks == 1 && t.rs > 0 && t.rs <= 2*k {
		return soon(p, 64*k, 64, (4*n*t.rs+64*k-1)/(64*k))
	}
	return soon(p, 4*t.rs, 4*t.ks, n)
}

// panelsOf gives where rows k0…k0+k of panel p0 of B begin, and the bytes from
// one panel to the next.
func (t *gemmTask) panelsOf(w *gemmWorker, bo, k0, k, p0, p1 int) (b unsafe.Pointer, panel int) {
	u := t.u
	w.args.bs = 4 * u.cols
	switch {
	case !t.pack:
		w.args.bs = 4 * t.bk
		return unsafe.Pointer(&elements[float32](&t.b)[bo+k0*t.bk+p0*u.cols]), 4 * u.cols
	case t.local:
		w.b = grow(w.b, (p1-p0)*kBlock*u.cols)
		t.packBlock(w.b, bo, k0, k, p0, p1)
		return unsafe.Pointer(&w.b[0]), 4 * k * u.cols
	}
	return unsafe.Pointer(&t.packed[(k0*t.panels+p0*k)*u.cols]), 4 * k * u.cols
}

// expectTiles lists the lines of a transposed A's group of tiles from tile next
// on as wanted soon, or of the first group, from tile0 on, of the next block.
func (t *gemmTask) expectTiles(w *gemmWorker, a []float32, ao, kb, tile0, next, tile1 int) {
	if next == tile1 {
		next, kb = tile0, kb+1
	}
	if kb == t.kb.parts {
		return
	}
	i, _ := t.tiles.part(next)
	k0, _ := t.kb.part(kb)
	w.nextA = soon(unsafe.Pointer(&a[ao+i+k0*t.ks]), 64, 4*t.ks, 4*tileGroup*t.u.rows/64+1)
}

// expectB lists the lines of panels p0…p1 from row k0 on, the next block, as wanted soon.
func (t *gemmTask) expectB(w *gemmWorker, bo, k0, p0, p1 int) {
	w.nextA.left, w.nextB.left = 0, 0
	if k0 >= t.k {
		return
	}
	cols := t.u.cols
	switch {
	case !t.pack:
	case !t.local:
		k := t.kb.base // or one more: near enough
		w.nextB = soon(unsafe.Pointer(&t.packed[(k0*t.panels+p0*k)*cols]), 64*k, 64, (p1-p0)*cols/16)
	case t.bn == 1:
		w.nextB = soon(unsafe.Pointer(&elements[float32](&t.b)[bo+k0*t.bk+p0*cols]), 64, 4*t.bk, (p1-p0)*cols/16)
	case t.bk == 1:
		w.nextB = soon(unsafe.Pointer(&elements[float32](&t.b)[bo+k0+p0*cols*t.bn]), 4*t.bn, 4, min(t.n, p1*cols)-p0*cols)
	}
}

// tileRow computes a row of tiles, of which the first begins at element co of C
// and the arguments of A are set.
func (t *gemmTask) tileRow(w *gemmWorker, co, rows, kb int, b unsafe.Pointer, panel, p0, p1 int) {
	u, g := t.u, &w.args
	j := p0 * u.cols
	g.b, g.c, g.bias = b, unsafe.Pointer(&elements[float32](&t.c)[co+j]), nil
	if kb == 0 && t.bias != nil {
		g.bias = unsafe.Pointer(&t.bias[j])
	}
	u.runRow(g, rows, min(t.n, p1*u.cols)-j, panel, w.edge, &w.nextA, &w.nextB)
}

// packBlock packs rows k0…k0+k of panels p0…p1 of the B at offset bo, panel by panel.
func (t *gemmTask) packBlock(to []float32, bo, k0, k, p0, p1 int) {
	b, cols := elements[float32](&t.b), t.u.cols
	strip := k
	if t.bn == 1 {
		strip = stripRows
	}
	for s := 0; s < k; s += strip {
		n := min(strip, k-s)
		for p := p0; p < p1; p++ {
			j := p * cols
			t.u.packColumns(to[((p-p0)*k+s)*cols:], b, bo+(k0+s)*t.bk+j*t.bn, t.bk, t.bn, n, min(cols, t.n-j))
		}
	}
}

// packTiles packs columns k0…k0+k of some tiles' rows of the A at offset ao, tile by tile.
func (t *gemmTask) packTiles(to []float32, ao, k0, k, tile0, tile1 int) {
	a := elements[float32](&t.a)
	for s := 0; s < k; s += stripRows {
		n := min(stripRows, k-s)
		for tile := tile0; tile < tile1; tile++ {
			i, rows := t.tiles.part(tile)
			t.u.packRows(to[(tile-tile0)*t.u.rows*k+s*rows:], a, ao+i*t.rs+(k0+s)*t.ks, t.rs, t.ks, rows, n)
		}
	}
}
