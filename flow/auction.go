package flow

import "math"

// Settings of the auction, found by trial on normal, uniform and two-dimensional
// toy data of 64 to 1024 points. They decide how long Solve takes, not what it finds.
const (
	auctionFirst  = 8   // the first increment is this part of the costs' spread
	auctionLast   = 32  // the last is this part of the spread over n
	auctionFactor = 5   // between the increments of two rounds
	auctionBids   = 500 // a row, on average, after which the auction is broken off
)

// auction finds prices at which nearly every row's best column is its own (Bertsekas,
// "The auction algorithm", Annals of Operations Research 14, 1988): rows without a
// column take their best one from whoever has it, and lower v there by what the
// second best is worse, and an increment. Rounds begin with large increments, which
// find the rough prices soon, and end with small ones.
func (a *Assigner) auction() {
	n := a.n
	clear(a.v)
	a.unmatch()
	first, last, ok := a.increments()
	budget := auctionBids * n
	for eps := first; ok; eps = max(eps/auctionFactor, last) {
		a.unmatch()
		for len(a.free) > 0 && budget > 0 {
			budget--
			i := a.free[len(a.free)-1]
			a.free = a.free[:len(a.free)-1]
			j, _, best, second := a.bestTwo(i)
			a.v[j] -= second - best + eps
			if out := a.rowOf[j]; out >= 0 {
				a.colOf[out] = -1
				a.free = append(a.free, out)
			}
			a.colOf[i], a.rowOf[j] = j, i
		}
		ok = eps > last && budget > 0
	}
}

// increments are those of the first and last round; ok is false where the costs
// are all equal, or so nearly equal that prices could not show it.
func (a *Assigner) increments() (first, last float64, ok bool) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range a.cost {
		lo, hi = min(lo, c), max(hi, c)
	}
	spread := hi - lo
	// Below this, subtracting an increment from a price might not change it.
	least := 0x1p-40 * max(math.Abs(lo), math.Abs(hi))
	first, last = spread/auctionFirst, max(spread/float64(auctionLast*a.n), least)
	return first, last, first > least && !math.IsInf(spread, 1)
}

// unmatch frees all rows; the first is on top.
func (a *Assigner) unmatch() {
	a.free = a.free[:0]
	for i := a.n - 1; i >= 0; i-- {
		a.free = append(a.free, int32(i))
		a.colOf[i], a.rowOf[i] = -1, -1
	}
}

// keepTight frees the rows for which another column is better than their own, so
// that the prices and what is left of the matching are optimal together.
func (a *Assigner) keepTight() {
	a.free = a.free[:0]
	for i := range int32(a.n) {
		j := a.colOf[i]
		if j >= 0 {
			if _, _, best, _ := a.bestTwo(i); a.row(i)[j]-a.v[j] <= best {
				continue
			}
			a.colOf[i], a.rowOf[j] = -1, -1
		}
		a.free = append(a.free, i)
	}
}
