package cpu

import (
	"math"
	"unsafe"
)

// microNEON has tiles in assembly; what surrounds them is plain Go. Without
// transforms there is no Winograd.
var microNEON = microKernel{rows: 12, lanes: 4, cols: 8, tile: &tilesNEON,
	copyFull: copyFullNEON, transpose: transposeNEON, sumRows: sumRowsNEON,
	softmaxRows: softmaxRowsNEON, softmaxGradRows: softmaxGradRowsNEON, rowDot: rowDotNEON, rowScale: rowScaleNEON}

// micro is the level's family of tile kernels, nil for plain Go.
func (l Level) micro() *microKernel {
	if l == NEON {
		return &microNEON
	}
	return nil
}

// floats are the n floats that lie off bytes behind p.
func floats(p *float32, off, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), off)), n)
}

func copyFullNEON(to, from *float32, fromStride, k int) {
	for p := range k {
		*(*[8]float32)(floats(to, 32*p, 8)) = *(*[8]float32)(floats(from, 4*p*fromStride, 8))
	}
}

func transposeNEON(to, from *float32, toStride, fromStride, blocks int) {
	for i := range 4 {
		for p, v := range floats(from, i*fromStride, 4*blocks) {
			floats(to, p*toStride, 4)[i] = v
		}
	}
}

func sumRowsNEON(sum, from *float32, rows int) {
	var parts [2][8]float32 // even and odd rows
	for i := range rows {
		for j, v := range floats(from, 32*i, 8) {
			parts[i%2][j] += v
		}
	}
	for j := range floats(sum, 0, 8) {
		floats(sum, 0, 8)[j] = parts[0][j] + parts[1][j]
	}
}

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

func softmaxRowsNEON(p *float32, stride, rows, vectors int, top, sum, factor *float32) {
	tops, sums, factors := floats(top, 0, rows), floats(sum, 0, rows), floats(factor, 0, rows)
	for i := range rows {
		row := floats(p, i*stride, 4*vectors)
		t := tops[i]
		for _, v := range row {
			t = max(t, v)
		}
		old := tops[i]
		tops[i] = t
		// Where all is −Inf, subtract something finite: every exp gives 0.
		t = max(t, -math.MaxFloat32)
		factors[i] = exp32(old - t)
		var s [4]float32
		for j := 0; j < len(row); j += 4 {
			for l := range s {
				e := exp32(row[j+l] - t)
				row[j+l] = e
				s[l] += e
			}
		}
		sums[i] = sums[i]*factors[i] + (s[0] + s[2] + (s[1] + s[3]))
	}
}

func softmaxGradRowsNEON(p, grad *float32, stride, rows, vectors int, lse, mean *float32, scale float32) {
	lses, means := floats(lse, 0, rows), floats(mean, 0, rows)
	for i := range rows {
		row, g := floats(p, i*stride, 4*vectors), floats(grad, i*stride, 4*vectors)
		for j, v := range row {
			row[j] = exp32(v - lses[i])
			g[j] = scale * row[j] * (g[j] - means[i])
		}
	}
}

func rowDotNEON(a, b *float32, vectors int) float32 {
	var s [4]float32
	x, y := floats(a, 0, 4*vectors), floats(b, 0, 4*vectors)
	for j := 0; j < len(x); j += 4 {
		for l := range s {
			s[l] += x[j+l] * y[j+l]
		}
	}
	return s[0] + s[2] + (s[1] + s[3])
}

func rowScaleNEON(a *float32, vectors int, f float32) {
	x := floats(a, 0, 4*vectors)
	for i := range x {
		x[i] *= f
	}
}
