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

// auctionLeast is the smallest increment, of a spread of 1: prices of some units
// would hardly change by less.
const auctionLeast = 0x1p-18

// auction finds prices at which nearly every row's best column is its own (Bertsekas,
// "The auction algorithm", Annals of Operations Research 14, 1988): rows without a
// column take their best one from whoever has it, and lower v there by what the
// second best is worse, and an increment. Rounds begin with large increments, which
// find the rough prices soon, and end with small ones. Since prices are all that is
// wanted of it, float32 will do.
func (a *Assigner) auction() {
	n := a.n
	clear(a.v)
	a.unmatch()
	spread, ok := a.narrowCosts()
	if !ok {
		return
	}
	stride := len(a.prices)
	budget := auctionBids * n
	last := max(float32(1)/float32(auctionLast*n), auctionLeast)
	for eps := float32(1) / auctionFirst; ; eps = max(eps/auctionFactor, last) {
		a.unmatch()
		for len(a.free) > 0 && budget > 0 {
			budget--
			i := a.free[len(a.free)-1]
			a.free = a.free[:len(a.free)-1]
			j, best, second := a.scans.bestTwo32(&a.rough[int(i)*stride], &a.prices[0], stride)
			a.prices[j] -= second - best + eps
			if out := a.rowOf[j]; out >= 0 {
				a.colOf[out] = -1
				a.free = append(a.free, out)
			}
			a.colOf[i], a.rowOf[j] = int32(j), i
		}
		if eps <= last || budget == 0 {
			break
		}
	}
	for j := range a.v {
		a.v[j] = float64(a.prices[j]) * spread
	}
}

// narrowCosts brings the costs to [0, 1] and the prices to 0. Behind the last column
// prices are −∞, so that none of those is ever the best. It is false where the costs are
// all equal, or so nearly equal, or so far apart, that prices could not show it.
func (a *Assigner) narrowCosts() (spread float64, ok bool) {
	lo, hi := a.scans.extremesOf(a.cost)
	spread = hi - lo
	if !(spread > 0x1p-37*max(math.Abs(lo), math.Abs(hi))) || math.IsInf(spread, 1) || math.IsInf(1/spread, 1) {
		return spread, false
	}
	stride := (a.n + scanUnit - 1) &^ (scanUnit - 1)
	a.rough, a.prices = grow(a.rough, a.n*stride), grow(a.prices, stride)
	for i := range a.n {
		row := a.rough[i*stride:][:stride]
		a.scans.narrowRow(row, a.row(int32(i)), lo, 1/spread)
		clear(row[a.n:])
	}
	clear(a.prices)
	for j := a.n; j < stride; j++ {
		a.prices[j] = float32(math.Inf(-1))
	}
	return spread, true
}

// unmatch frees all rows; the first is on top.
func (a *Assigner) unmatch() {
	a.free = a.free[:0]
	for i := a.n - 1; i >= 0; i-- {
		a.free = append(a.free, int32(i))
		a.colOf[i], a.rowOf[i] = -1, -1
	}
}
