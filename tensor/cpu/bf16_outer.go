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
	w.a, w.b = grow(w.a, (tile1-tile0)*u.rows*pairBlock), grow(w.b, pairBlock*u.cols)
	for kb := range t.kb.parts {
		k0, k := t.kb.part(kb)
		next := 2 * (k0 + k)
		g.k = k
		t.packTiles(w, ao, kb, tile0, tile1)
		t.expectRows(&w.gemmWorker, ao, next, t.floats, tile0, tile1)
		w.nextA = w.nextA.twice(4 * k * t.ks) // a tile's call fetches as many lines as it has words
		for p := p0; p < p1; p++ {
			if t.sums != nil && tile0 == 0 {
				t.packSums(w, bo, k0, k, p)
			} else {
				t.packBlock(w, w.b, bo, k0, k, p, p+1)
			}
			if p+1 < p1 {
				t.expectPanel(&w.gemmWorker, bo, 2*k0, t.floats, p+1)
			} else {
				t.expectPanel(&w.gemmWorker, bo, next, t.floats, p0)
			}
			w.nextB = w.nextB.twice(4 * k * t.bk)
			t.tileColumn(&w.gemmWorker, co, kb, p, tile0, tile1, pairBlock)
		}
	}
}

// packSums packs words k0…k0+k of panel p and adds its columns to the sums.
// The one chunk that has a panel's first rows of C does so.
func (t *pairTask) packSums(w *pairWorker, bo, k0, k, p int) {
	b, cols := elements[float32](&t.b), t.u.cols
	j := p * cols
	n := min(cols, t.n-j)
	sums := w.edge[:cols]
	filled := min(k, words(max(0, t.floats-2*k0)))
	clear(w.b[filled*cols : k*cols])
	for s := 0; s < filled; s += sumWords {
		at := 2 * (k0 + s)
		t.pairs.packSums(w.b[s*cols:], b, sums, bo+at*t.bk+j, t.bk, min(2*min(sumWords, filled-s), t.floats-at), n)
		for i, v := range sums[:n] {
			t.sums[j+i] += float64(v)
		}
	}
}
