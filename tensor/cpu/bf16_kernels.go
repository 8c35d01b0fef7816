package cpu

import (
	"math"
	"unsafe"
)

// pairKernel is a family of register-tile kernels on words. A word, kept where
// a float32 would be, is a pair of bfloat16 numbers next to each other along
// the axis that is summed; where their number is odd, the last is with a zero.
// k and the strides of A and B count words.
type pairKernel struct {
	microKernel
	// pairRows makes lines of rows of n ≤ cols words, to[j] = (from[j],
	// from[second+j]), the halves of which are zero outside the masks; strides in elements.
	pairRows func(to, from *float32, toStride, fromStride, second, rows, toLine, fromLine, lines, n int, first, last uint32)
	// pairSums is pairRows for rows of cols words of n numbers, and makes cols sums
	// of the numbers: rows from first and rows from second apart, then both.
	pairSums func(to, from, sum *float32, fromStride, second, rows, n int)
	// neighbours makes lines of rows of words of n floats that lie side by side.
	neighbours func(to, from *float32, toStride, fromStride, rows, toLine, fromLine, lines, n int)
	// winogradInput is microKernel's to words of neighbouring channels, 32 a vector.
	winogradInput func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)
	// winogradInputRows and winogradSpreadRows are microKernel's winogradInput and
	// winogradSpread to words of a tile and the one second bytes further on. Where keep is 0, the latter's second ones are 0.
	winogradInputRows  func(to, from *float32, second, toStep, toTile, line, pixel, tiles, vectors int)
	winogradSpreadRows func(to, from *float32, second, toStep, toTile, line, pixel, tiles, vectors int, keep uint32)
	// words, where it is not nil, is what k is rounded up to, in parts blocks, for the kernels' sake.
	words func(k, parts int) int
	// turnWords, where it is not nil, copies k lines of words, a number of bytes apart, to columns of
	// rows a pitch apart, which have room for multiples of lanes: rows of A must be words side by side.
	turnWords func(to []float32, from unsafe.Pointer, pitch, line, rows, k int)
	// roundedDot is the sum of a·b over whole vectors, a rounded.
	roundedDot func(a, b *float32, vectors int) float32
}

// words is how many hold n numbers.
func words(n int) int { return (n + 1) / 2 }

// wordOf is the word of two numbers that are rounded already.
func wordOf(low, high float32) float32 {
	return math.Float32frombits(math.Float32bits(low)>>16 | math.Float32bits(high)&^0xffff)
}

// packColumns packs n ≤ cols columns of k rows of b, element (p,j) at
// bo + p·bk + j·bn, into rows of cols words. Columns from n on are left as they
// are: tiles mask them. scratch is room for words, kept by the caller.
func (u *pairKernel) packColumns(to, b []float32, bo, bk, bn, k, n int, scratch *[]float32) {
	switch {
	case k == 0 || n == 0:
	case bn == 1 || n == 1:
		u.packPairs(to, b, bo, u.cols, bk, k, n)
	case bk == 1:
		u.packTransposed(to, b, bo, bn, k, n, scratch)
	default:
		u.packScalars(to, b, bo, 1, u.cols, bn, bk, n, k)
	}
}

// packPairs packs k rows of n numbers side by side, rows of to a pitch apart.
func (u *pairKernel) packPairs(to, b []float32, bo, pitch, bk, k, n int) {
	all := uint32(1<<n - 1)
	if k > 1 {
		u.pairRows(&to[0], &b[bo], pitch, 2*bk, bk, k/2, 0, 0, 1, n, all, all)
	}
	if k%2 != 0 {
		u.pairRows(&to[k/2*pitch], &b[bo+(k-1)*bk], pitch, 0, 0, 1, 0, 0, 1, n, all, 0)
	}
}

// packTransposed is packColumns of columns whose elements lie side by side:
// they become words in scratch, and words change places like floats.
func (u *pairKernel) packTransposed(to, b []float32, bo, bn, k, n int, scratch *[]float32) {
	w, l := words(k), u.lanes
	pitch := (w + l - 1) / l * l
	*scratch = grow(*scratch, l*(pitch+l))
	s := (*scratch)[:l*pitch]
	rest := (*scratch)[l*pitch:]
	for j := 0; j < n; j += l {
		u.neighbours(&s[0], &b[bo+j*bn], pitch, bn, min(l, n-j), 0, 0, 1, k)
		if w >= l {
			u.transpose(&to[j], &s[0], 4*u.cols, 4*pitch, w/l)
		}
		if done := w / l * l; done < w {
			u.transpose(&rest[0], &s[done], 4*l, 4*pitch, 1)
			for p := done; p < w; p++ {
				copy(to[p*u.cols+j:][:l], rest[(p-done)*l:])
			}
		}
	}
}

// packScalars packs n vectors of k numbers one by one, number p of vector i at
// at + i·step + p·ks, to words a pitch apart, and vectors a width.
func (u *pairKernel) packScalars(to, from []float32, at, width, pitch, step, ks, n, k int) {
	for i := range n {
		for p := 0; p < k; p += 2 {
			low, high := roundBF16(from[at+i*step+p*ks]), float32(0)
			if p+1 < k {
				high = roundBF16(from[at+i*step+(p+1)*ks])
			}
			to[i*width+p/2*pitch] = wordOf(low, high)
		}
	}
}

// packRows packs rows of A, k numbers each, element (i,p) at ao + i·rs + p·ks.
func (u *pairKernel) packRows(to, a []float32, ao, rs, ks, rows, k int, scratch *[]float32) {
	switch {
	case ks == 1:
		u.neighbours(&to[0], &a[ao], pairBlock, rs, rows, 0, 0, 1, k)
	case u.turnWords != nil && rs == 1 && rows > 1:
		pitch := roundUp(rows, u.lanes)
		*scratch = grow(*scratch, words(k)*pitch)
		u.packPairs(*scratch, a, ao, pitch, ks, k, rows)
		u.turnWords(to, unsafe.Pointer(&(*scratch)[0]), pairBlock, 4*pitch, rows, words(k))
	case u.turnWords != nil:
		u.packScalars(to, a, ao, pairBlock, 1, rs, ks, rows, k)
	case rs == 1 || rows == 1:
		u.packPairs(to, a, ao, rows, ks, k, rows)
	default:
		u.packScalars(to, a, ao, 1, rows, rs, ks, rows, k)
	}
}

// packedStrides are the strides of the words that packRows makes.
func (u *pairKernel) packedStrides(ks, rows int) (row, word int) {
	if ks == 1 || u.turnWords != nil {
		return pairBlock, 1
	}
	return 1, rows
}

// packSums packs n ≤ cols columns, whose elements of a row are neighbours, of k
// rows of b, and makes sums of the columns.
func (u *pairKernel) packSums(to, b, sums []float32, bo, bk, k, n int) {
	clear(sums[:u.cols])
	if k > 1 {
		u.pairSums(&to[0], &b[bo], &sums[0], 2*bk, bk, k/2, n)
	}
	if k%2 != 0 {
		u.packPairs(to[k/2*u.cols:], b, bo+(k-1)*bk, u.cols, bk, 1, n)
		for j, v := range b[bo+(k-1)*bk:][:n] {
			sums[j] += v
		}
	}
}
