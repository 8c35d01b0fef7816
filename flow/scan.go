package flow

import (
	"math"
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/cpu"
)

// scans are the inner loops of an assignment for one instruction set. They see
// multiples of scanUnit elements. Where several columns are equally good they may
// name any of them, always the same one.
type scans struct {
	// bestTwo gives the two smallest c[j] − v[j], and the j of the first.
	bestTwo32 func(c, v *float32, n int) (j int, first, second float32)
	bestTwo64 func(c, v *float64, n int) (j int, first, second float64)
	// relax sets dist[j], pred[j] = c[j]−v[j]−h, i where that is less, and gives the j
	// of the least dist. It leaves NaNs alone and does not count them.
	relax func(dist, c, v *float64, pred *int64, n int, h float64, i int64) (j int)
	// extremes are the smallest and the largest element.
	extremes func(c *float64, n int) (lo, hi float64)
	// narrow is to[j] = (c[j] − lo)·scale.
	narrow func(to *float32, c *float64, n int, lo, scale float64)
	// dots is c[i][j] = Σ_k x[4k+i]·y[cols·k+j] for 4 rows, which lie stride bytes apart.
	dots func(c *float64, stride int, x, y *float64, dim int)
	cols int // of dots
}

// scanUnit is what the counts of scans are multiples of; dotRows the rows of dots.
const (
	scanUnit = 32
	dotRows  = 4
)

// bestScans are those of the level that the CPU device works at.
var bestScans = sync.OnceValue(func() *scans { return scansOf(cpu.Default().Level()) })

// goScans define what the others do.
var goScans = &scans{
	bestTwo32: func(c, v *float32, n int) (int, float32, float32) {
		return bestTwo(unsafe.Slice(c, n), unsafe.Slice(v, n))
	},
	bestTwo64: func(c, v *float64, n int) (int, float64, float64) {
		return bestTwo(unsafe.Slice(c, n), unsafe.Slice(v, n))
	},
	relax: func(dist, c, v *float64, pred *int64, n int, h float64, i int64) int {
		return relax(unsafe.Slice(dist, n), unsafe.Slice(c, n), unsafe.Slice(v, n), unsafe.Slice(pred, n), h, i)
	},
	extremes: func(c *float64, n int) (float64, float64) { return extremes(unsafe.Slice(c, n)) },
	narrow: func(to *float32, c *float64, n int, lo, scale float64) {
		narrow(unsafe.Slice(to, n), unsafe.Slice(c, n), lo, scale)
	},
	dots: dots,
	cols: goDotCols,
}

// bestTwo passes eight columns that are all worse over at once.
func bestTwo[T float32 | float64](c, v []T) (j int, first, second T) {
	inf := T(math.Inf(1))
	j, first, second = -1, inf, inf
	v = v[:len(c)]
	for at := 0; at < len(c); at += 8 {
		if at+8 <= len(c) {
			c, w := (*[8]T)(c[at:]), (*[8]T)(v[at:])
			if c[0]-w[0] >= second && c[1]-w[1] >= second && c[2]-w[2] >= second && c[3]-w[3] >= second &&
				c[4]-w[4] >= second && c[5]-w[5] >= second && c[6]-w[6] >= second && c[7]-w[7] >= second {
				continue
			}
		}
		for k := at; k < min(at+8, len(c)); k++ {
			switch r := c[k] - v[k]; {
			case r < first:
				j, first, second = k, r, first
			case r < second:
				second = r
			}
		}
	}
	return j, first, second
}

func relax(dist, c, v []float64, pred []int64, h float64, i int64) int {
	best, where := math.Inf(1), -1
	v, dist, pred = v[:len(c)], dist[:len(c)], pred[:len(c)]
	for j, x := range c {
		if r := x - v[j] - h; r < dist[j] {
			dist[j], pred[j] = r, i
		}
		if dist[j] < best {
			best, where = dist[j], j
		}
	}
	return where
}

func extremes(c []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range c {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

func narrow(to []float32, c []float64, lo, scale float64) {
	for j, x := range c {
		to[j] = float32((x - lo) * scale)
	}
}

const goDotCols = 2

func dots(c *float64, stride int, x, y *float64, dim int) {
	var s [dotRows][goDotCols]float64
	xs, ys := unsafe.Slice(x, dotRows*dim), unsafe.Slice(y, goDotCols*dim)
	for len(xs) >= dotRows && len(ys) >= goDotCols {
		y0, y1 := ys[0], ys[1]
		for i, a := range xs[:dotRows] {
			s[i][0] += a * y0
			s[i][1] += a * y1
		}
		xs, ys = xs[dotRows:], ys[goDotCols:]
	}
	for i := range s {
		*(*[goDotCols]float64)(unsafe.Add(unsafe.Pointer(c), i*stride)) = s[i]
	}
}

// bestTwo is the kernel's on a row of any length: the two smallest reduced costs
// and the column of the first; the second +Inf if there is one column only.
func (k *scans) bestTwo(c, v []float64) (j int, first, second float64) {
	whole := len(c) &^ (scanUnit - 1)
	if whole == 0 {
		return bestTwo(c, v)
	}
	j, first, second = k.bestTwo64(&c[0], &v[0], whole)
	if whole < len(c) {
		if j2, first2, second2 := bestTwo(c[whole:], v[whole:]); first2 < first {
			j, first, second = whole+j2, first2, min(first, second2)
		} else {
			second = min(second, first2)
		}
	}
	return j, first, second
}

// relaxRow is the kernel's relax on a row of any length; −1 if no distance is finite.
func (k *scans) relaxRow(dist, c, v []float64, pred []int64, h float64, i int64) int {
	whole := len(c) &^ (scanUnit - 1)
	if whole == 0 {
		return relax(dist, c, v, pred, h, i)
	}
	j := k.relax(&dist[0], &c[0], &v[0], &pred[0], whole, h, i)
	if whole < len(c) {
		if j2 := relax(dist[whole:], c[whole:], v[whole:], pred[whole:], h, i); j2 >= 0 && (j < 0 || !(dist[whole+j2] >= dist[j])) {
			j = whole + j2
		}
	}
	return j
}

func (k *scans) extremesOf(c []float64) (lo, hi float64) {
	whole := len(c) &^ (scanUnit - 1)
	lo, hi = extremes(c[whole:])
	if whole > 0 {
		lo2, hi2 := k.extremes(&c[0], whole)
		lo, hi = min(lo, lo2), max(hi, hi2)
	}
	return lo, hi
}

func (k *scans) narrowRow(to []float32, c []float64, lo, scale float64) {
	whole := len(c) &^ (scanUnit - 1)
	if whole > 0 {
		k.narrow(&to[0], &c[0], whole, lo, scale)
	}
	narrow(to[whole:], c[whole:], lo, scale)
}
