package cpu

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

// winograd reports whether the plan is computed so.
func (t *convPairTask) winograd() bool {
	return t.winogradShape() && t.convPlan.tiles() >= winogradSample && t.cin%pairWinogradChannels == 0
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

// pairTiles makes words of neighbouring tiles of a patches' matrix and a gradients'.
func (t *winogradWeightTask) pairTiles(w *winogradWeightWorker, v, panels []float32, channels, tiles int) (a, b []float32) {
	cols, depth := t.u.cols, words(tiles)
	a, b = grow(w.words[0], depth*channels), grow(w.words[1], t.panels*depth*cols)
	w.words[0], w.words[1] = a, b
	for j := 0; j < channels; j += cols {
		t.pairs.packPairs(a[j:], v, j, channels, channels, tiles, min(cols, channels-j))
	}
	for p := range t.panels {
		t.pairs.packPairs(b[p*depth*cols:], panels, p*tiles*cols, cols, cols, tiles, cols)
	}
	return a, b
}
