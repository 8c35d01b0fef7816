package cpu

import "unsafe"

// Winograd's convolution in bfloat16: what is rounded is what enters the 16
// products, the transformed patches and filters (themselves computed in float32
// from numbers that are not rounded). A patch's transform adds four numbers, and
// an output adds nine products, so the error is about that of √(25/9) = 1.7 times
// as much rounding: with independent inputs of variance 1 the nine products have a
// variance of (1+¾+¾)²·4 = 25 together, where direct convolution's nine have 9.
// For the gradient of a filter it is that of √(16/4) = 2 times as much at the filter's
// corners, √2 at its edges and 1 in the middle: a tile's products have variances
// of 4, 2 and 4 in each dimension, where direct convolution's four have 4 together.

// pairWinogradChannels is what input channels must be a multiple of.
const pairWinogradChannels = 32

// winogradPairs reports whether the plan is computed so.
func (t *convPairTask) winogradPairs() bool {
	return t.winogradShape() && t.manyTiles() && t.cin%pairWinogradChannels == 0
}

// packPairs is packSegment in words.
func (t *winogradTask) packPairs(w *winogradWorker, from []float32, i, first, rows, at, n int) {
	cols := t.u.cols
	if t.wj != 1 { // rows become columns
		to := t.packed[((i*t.panels+first/cols)*t.depth+at/2)*cols:]
		t.pairs.packColumns(to, from, 0, 1, n, n, rows, &w.scratch)
		return
	}
	for j := 0; j < n; j += cols {
		to := t.packed[((i*t.panels+(at+j)/cols)*t.depth+first/2)*cols:]
		t.pairs.packColumns(to, from, j, n, 1, rows, min(cols, n-j), &w.scratch)
	}
}

// transformPairs is transform in words of two tiles, one above the other; where
// the lines of tiles are odd in number, the last ones' with a gradient of zero.
func (t *winogradWeightTask) transformPairs(w *winogradWeightWorker, r0, r1, channels, depth, vStep, wStep int) {
	u := t.u
	for r := r0; r < r1; r += 4 {
		word := (r - r0) / 4 * t.tilesW
		x, dy := w.x.rows[r-r0], w.dy.rows[r-r0]
		var nextX, nextDy int
		var keep uint32
		if r+2 < r1 {
			nextX, nextDy, keep = w.x.rows[r+2-r0]-x, w.dy.rows[r+2-r0]-dy, 1<<16-1
		}
		t.pairs.winogradInputRows(&w.v[word*channels], (*float32)(unsafe.Add(w.x.base, x)), nextX, 4*vStep, 4*channels,
			w.x.stride[1], w.x.stride[2], t.tilesW, channels/u.lanes)
		for p := range t.panels {
			j := p * u.cols
			t.pairs.winogradSpreadRows(&w.w[(p*depth+word)*u.cols], (*float32)(unsafe.Add(w.dy.base, dy+4*j)), nextDy, 4*wStep, 4*u.cols,
				w.dy.stride[1], w.dy.stride[2], t.tilesW, min(u.cols, t.cout-j)/u.lanes, keep)
		}
	}
}
