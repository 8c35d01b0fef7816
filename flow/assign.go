package flow

import (
	"fmt"
	"math"
)

// Assigner solves dense linear assignment problems exactly, in float64: prices
// from an auction, then the method of Jonker and Volgenant ("A shortest augmenting
// path algorithm for dense and sparse linear assignment problems", Computing 38,
// 1987), which is O(n³) from any prices and has little left to do from good ones. It
// uses its storage again; it belongs to one goroutine.
type Assigner struct {
	n    int
	cost []float64
	v    []float64 // dual prices of the columns
	dist []float64 // shortest reduced distances to columns
	colOf, rowOf,
	pred []int32 // matches, −1: none; rows on shortest paths
	cols       []int32 // columns: settled, then of equal distance, then the others
	free, rest []int32 // rows without a column
}

// Solve gives each row of the row-major n×n matrix of finite costs a column of
// its own, so that the sum of costs is smallest: result[row] = column. It is
// valid until the next Solve.
func (a *Assigner) Solve(cost []float64, n int) []int32 {
	if len(cost) != n*n {
		panic(fmt.Sprintf("flow: %d costs for an assignment of %d", len(cost), n))
	}
	a.n, a.cost = n, cost
	a.v, a.dist = grow(a.v, n), grow(a.dist, n)
	a.colOf, a.rowOf, a.pred, a.cols = grow(a.colOf, n), grow(a.rowOf, n), grow(a.pred, n), grow(a.cols, n)
	a.free = a.free[:0]
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

// reduceRows gives each free row its best column, driving out the row that had
// it, and lowers the column's price to where the second best is as good.
func (a *Assigner) reduceRows() {
	queue := append(a.rest[:0], a.free...)
	left := a.free[:0]
	// Rows driven out are looked at again at once, which with rounding need not
	// end; the shortest paths take what is left.
	again := 4 * a.n
	for k := 0; k < len(queue); {
		i := queue[k]
		k++
		j1, j2, first, second := a.bestTwo(i)
		price := a.v[j1] - (second - first)
		lower := price < a.v[j1]
		out := a.rowOf[j1]
		if lower {
			a.v[j1] = price
		} else if out >= 0 && j2 >= 0 {
			j1 = j2
			out = a.rowOf[j1]
		}
		a.colOf[i], a.rowOf[j1] = j1, i
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

// bestTwo finds the columns of the two smallest reduced costs of a row; the second
// −1 if n=1. It is where the time goes: eight columns that are all worse are passed
// over at once.
func (a *Assigner) bestTwo(i int32) (j1, j2 int32, first, second float64) {
	j1, j2, first, second = -1, -1, math.Inf(1), math.Inf(1)
	costs := a.row(i)
	v := a.v[:len(costs)]
	for j := 0; j < len(costs); j += 8 {
		if j+8 <= len(costs) {
			c, w := (*[8]float64)(costs[j:]), (*[8]float64)(v[j:])
			if c[0]-w[0] >= second && c[1]-w[1] >= second && c[2]-w[2] >= second && c[3]-w[3] >= second &&
				c[4]-w[4] >= second && c[5]-w[5] >= second && c[6]-w[6] >= second && c[7]-w[7] >= second {
				continue
			}
		}
		for k := j; k < min(j+8, len(costs)); k++ {
			r := costs[k] - v[k]
			switch {
			case r < first:
				j1, j2, first, second = int32(k), j1, r, first
			case r < second:
				j2, second = int32(k), r
			}
		}
	}
	if j2 < 0 {
		second = first
	}
	return j1, j2, first, second
}

// augment matches a free row along the shortest alternating path (Dijkstra on reduced costs).
func (a *Assigner) augment(start int32) {
	n := int32(a.n)
	for j, c := range a.row(start) {
		a.dist[j], a.pred[j], a.cols[j] = c-a.v[j], start, int32(j)
	}
	cols, dist, v := a.cols, a.dist, a.v
	// cols[:low] are settled, cols[low:up] are at distance least, to be scanned.
	low, up := int32(0), int32(0)
	settled, end := int32(0), int32(-1)
	least := 0.0
search:
	for {
		if low == up {
			settled = low
			least = dist[cols[up]]
			up++
			for k := up; k < n; k++ {
				j := cols[k]
				if h := dist[j]; h <= least {
					if h < least {
						up, least = low, h
					}
					cols[k], cols[up] = cols[up], j
					up++
				}
			}
			for _, j := range cols[low:up] {
				if a.rowOf[j] < 0 {
					end = j
					break search
				}
			}
		}
		j1 := cols[low]
		low++
		i := a.rowOf[j1]
		costs := a.row(i)
		h := costs[j1] - v[j1] - least
		for k := up; k < n; k++ {
			j := cols[k]
			r := costs[j] - v[j] - h
			if r >= dist[j] {
				continue
			}
			dist[j], a.pred[j] = r, i
			if r <= least { // rounding may bring it below
				if a.rowOf[j] < 0 {
					end = j
					break search
				}
				cols[k], cols[up] = cols[up], j
				up++
			}
		}
	}
	for _, j := range cols[:settled] {
		v[j] += dist[j] - least
	}
	for j := end; ; {
		i := a.pred[j]
		a.rowOf[j] = i
		j, a.colOf[i] = a.colOf[i], j
		if i == start {
			return
		}
	}
}
