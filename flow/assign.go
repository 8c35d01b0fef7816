package flow

import (
	"fmt"
	"math"
)

// Assigner solves dense linear assignment problems exactly, in float64: prices
// from an auction, then the method of Jonker and Volgenant ("A shortest augmenting
// path algorithm for dense and sparse linear assignment problems", Computing 38,
// 1987), which is O(n³) from any prices and has little left to do from good ones. It
// uses its storage again; it belongs to one goroutine. The zero value is ready.
type Assigner struct {
	scans *scans // nil: the best

	n            int
	cost         []float64
	v            []float64 // dual prices of the columns
	colOf, rowOf []int32   // matches, −1: none
	free, rest   []int32   // rows without a column

	// of the auction
	rough  []float32 // the costs, brought to [0, 1], in rows of a multiple of scanUnit
	prices []float32

	// of shortest paths
	dist    []float64 // shortest reduced distances to columns; NaN: settled
	pred    []int64   // rows on the paths
	settled []settled
}

// settled is a column whose distance is final.
type settled struct {
	col  int
	dist float64
}

// Solve gives each row of the row-major n×n matrix of finite costs a column of
// its own, so that the sum of costs is smallest: result[row] = column. It is
// valid until the next Solve.
func (a *Assigner) Solve(cost []float64, n int) []int32 {
	if len(cost) != n*n {
		panic(fmt.Sprintf("flow: %d costs for an assignment of %d", len(cost), n))
	}
	if a.scans == nil {
		a.scans = bestScans()
	}
	a.n, a.cost = n, cost
	a.v, a.dist, a.pred = grow(a.v, n), grow(a.dist, n), grow(a.pred, n)
	a.colOf, a.rowOf, a.free = grow(a.colOf, n), grow(a.rowOf, n), a.free[:0]
	if n == 0 {
		return a.colOf
	}
	a.auction()
	a.keepTight()
	for range 2 {
		a.reduceRows()
	}
	for _, row := range a.free {
		a.augment(row)
	}
	return a.colOf
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (a *Assigner) row(i int32) []float64 { return a.cost[int(i)*a.n : int(i+1)*a.n] }

// bestTwo finds the two smallest reduced costs of a row, and the column of the
// first. They are equal if there is but one column.
func (a *Assigner) bestTwo(i int32) (j int32, first, second float64) {
	at, first, second := a.scans.bestTwo(a.row(i), a.v)
	if a.n == 1 {
		second = first
	}
	return int32(at), first, second
}

// keepTight frees the rows for which another column is better than their own, so
// that the prices and what is left of the matching are optimal together.
func (a *Assigner) keepTight() {
	a.free = a.free[:0]
	for i := range int32(a.n) {
		j := a.colOf[i]
		if j >= 0 {
			if _, best, _ := a.bestTwo(i); a.row(i)[j]-a.v[j] <= best {
				continue
			}
			a.colOf[i], a.rowOf[j] = -1, -1
		}
		a.free = append(a.free, i)
	}
}

// reduceRows gives each free row its best column, driving out the row that had
// it, and lowers the column's price to where the second best is as good.
func (a *Assigner) reduceRows() {
	queue := append(a.rest[:0], a.free...)
	left := a.free[:0]
	// Rows driven out are looked at again at once, which with rounding need not
	// end; the shortest paths take what is left.
	again := a.n
	for k := 0; k < len(queue); {
		i := queue[k]
		k++
		j, first, second := a.bestTwo(i)
		price := a.v[j] - (second - first)
		lower := price < a.v[j]
		if lower {
			a.v[j] = price
		} else if a.rowOf[j] >= 0 {
			j = a.freeAmong(i, j, first)
		}
		out := a.rowOf[j]
		a.colOf[i], a.rowOf[j] = j, i
		if out < 0 {
			continue
		}
		a.colOf[out] = -1
		if lower && again > 0 {
			again--
			k--
			queue[k] = out
		} else {
			left = append(left, out)
		}
	}
	a.free, a.rest = left, queue
}

// freeAmong is a column without a row that is as good for row i as column j, or j.
func (a *Assigner) freeAmong(i, j int32, first float64) int32 {
	for k, c := range a.row(i) {
		if a.rowOf[k] < 0 && c-a.v[k] <= first {
			return int32(k)
		}
	}
	return j
}

// augment matches a free row along the shortest alternating path (Dijkstra on reduced costs).
func (a *Assigner) augment(start int32) {
	for j := range a.dist {
		a.dist[j] = math.Inf(1)
	}
	a.settled = a.settled[:0]
	j := a.nearest(start, 0)
	least := a.dist[j]
	for a.rowOf[j] >= 0 {
		a.settled = append(a.settled, settled{j, a.dist[j]})
		a.dist[j] = math.NaN()
		i := a.rowOf[j]
		j = a.nearest(i, a.row(i)[j]-a.v[j]-least)
		least = max(least, a.dist[j]) // rounding may bring it below
	}
	for _, s := range a.settled {
		a.v[s.col] += s.dist - least
	}
	for {
		i := int32(a.pred[j])
		a.rowOf[j] = i
		next := a.colOf[i]
		a.colOf[i] = int32(j)
		if i == start {
			return
		}
		j = int(next)
	}
}

// nearest shortens the ways to columns by those through row i, whose own is −h,
// and gives the nearest column that is not settled.
func (a *Assigner) nearest(i int32, h float64) int {
	j := a.scans.relaxRow(a.dist, a.row(i), a.v, a.pred, h, int64(i))
	if j < 0 || math.IsNaN(a.dist[j]) {
		panic("flow: the costs of an assignment are not finite, or their differences are not")
	}
	return j
}
