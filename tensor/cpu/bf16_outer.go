package cpu

import "unsafe"

// The product of a transposed A in words; see gemm_outer.go.

// sumWords is how many words of a column are added up in float32.
const sumWords = 160

func (t *pairTask) runOuter(d *Device, alone bool) {
	chunks := t.cutOuter(d, alone)
	if !alone {
		d.pool.do(t, chunks)
		return
	}
	for i := range chunks {
		t.run(0, i)
	}
}

// outerBlock computes tiles tile0…tile1 of column block cb.
func (t *pairTask) outerBlock(w *pairWorker, cb, tile0, tile1 int) {
	co, ao, bo := batchOffsets(&t.c, &t.a, &t.b, 0)
	p0, p1 := cb*t.colBlock, min(t.panels, (cb+1)*t.colBlock)
	u, g := t.u, &w.args
	g.segs, g.nsegs = unsafe.Pointer(noSegment), 1
	g.bs, g.cs, g.alpha = 4*u.cols, 4*t.cs, t.alpha
	// Where tiles fetch nothing ahead, several panels are packed together: their lines are neighbours.
	group := u.together(packGroup)
	w.a, w.b = grow(w.a, (tile1-tile0)*u.rows*pairBlock), grow(w.b, group*pairBlock*u.cols)
	for kb := range t.kb.parts {
		k0, k := t.kb.part(kb)
		next := 2 * (k0 + k)
		g.k = k
		t.packTiles(w, ao, kb, tile0, tile1)
		t.expectRows(&w.gemmWorker, ao, next, t.floats, tile0, tile1)
		w.nextA = w.nextA.twice(4 * k * t.ks) // a tile's call fetches as many lines as it has words
		for p := p0; p < p1; p += group {
			end := min(p1, p+group)
			if t.sums != nil && tile0 == 0 {
				t.packSums(w, bo, k0, k, p, end)
			} else {
				t.packBlock(w, w.b, bo, k0, k, p, end)
			}
			if end < p1 {
				t.expectPanel(&w.gemmWorker, bo, 2*k0, t.floats, end)
			} else {
				t.expectPanel(&w.gemmWorker, bo, next, t.floats, p0)
			}
			w.nextB = w.nextB.twice(4 * k * t.bk)
			t.tileColumns(&w.gemmWorker, co, kb, p, end, tile0, tile1, pairBlock)
		}
	}
}

// packSums packs words k0…k0+k of panels p0…p1 and adds their columns to the sums.
// The one chunk that has a panel's first rows of C does so.
func (t *pairTask) packSums(w *pairWorker, bo, k0, k, p0, p1 int) {
	b, cols := elements[float32](&t.b), t.u.cols
	strip := sumWords
	if t.u.matrix != nil { // as packBlock has it, and however few the panels: the sums must not depend on them
		strip = stripRows
	}
	filled := min(k, words(max(0, t.floats-2*k0)))
	part, all := w.edge[:cols], w.edge[cols:][:(p1-p0)*cols] // sums of a strip, and of some
	clear(all)
	for s := 0; s < filled; s += strip {
		at := 2 * (k0 + s)
		n := min(2*min(strip, filled-s), t.floats-at)
		for p := p0; p < p1; p++ {
			j := p * cols
			t.pairs.packSums(w.b[((p-p0)*k+s)*cols:], b, part, bo+at*t.bk+j, t.bk, n, min(cols, t.n-j))
			t.u.rowAdd(&all[(p-p0)*cols], &part[0], cols/t.u.lanes)
		}
		if end := s + strip; end >= filled || end%sumWords == 0 {
			for i, v := range all[:min(len(all), t.n-p0*cols)] {
				t.sums[p0*cols+i] += float64(v)
			}
			clear(all)
		}
	}
	for p := range p1 - p0 {
		clear(w.b[(p*k+filled)*cols : (p+1)*k*cols])
	}
}
