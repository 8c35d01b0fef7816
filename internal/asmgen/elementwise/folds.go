package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// foldLanes is the number of accumulators of a fold: enough to hide an addition's latency.
const foldLanes = 4

func (e emitter) folds() {
	e.sum()
	e.extreme("vecMaximum", "the largest element, NaN if any is", e.max)
	e.extreme("vecMinimum", "the smallest element, NaN if any is", e.min)
	e.above()
}

func (e emitter) sum() {
	TEXT("vecSum"+e.suffix(), NOSPLIT, "func(a *float32, n int) float32")
	Doc("vecSum" + e.suffix() + ": the sum of n elements, lane by lane and then pairwise.")
	a, n := pointer("a"), pointer("n")
	var acc []VecVirtual
	for range foldLanes {
		acc = append(acc, e.zero())
	}
	e.loop(n, foldLanes, func(at GPVirtual, vectors int, tail *mask) {
		for i, v := range e.fetch(a, at, vectors, tail) {
			e.add(acc[i], acc[i], v)
		}
	})
	e.store(e.across(e.merge(acc, e.add), func(d, x, y Register) { VADDPS(x, y, d) }))
}

// merge combines accumulators pairwise.
func (e emitter) merge(acc []VecVirtual, f func(d, a Register, b Op)) VecVirtual {
	for n := len(acc) / 2; n > 0; n /= 2 {
		for i := range n {
			f(acc[i], acc[i], acc[i+n])
		}
	}
	return acc[0]
}

// across combines the lanes of v, halving them.
func (e emitter) across(v VecVirtual, f func(d, x, y Register)) VecVirtual {
	if e.wide {
		high := YMM()
		VEXTRACTF64X4(U8(1), v, high)
		f(v.AsY(), high, v.AsY())
	}
	high := XMM()
	VEXTRACTF128(U8(1), v.AsY(), high)
	f(v.AsX(), high, v.AsX())
	VPERMILPS(U8(0b01001110), v.AsX(), high)
	f(v.AsX(), high, v.AsX())
	VPERMILPS(U8(0b10110001), v.AsX(), high)
	f(v.AsX(), high, v.AsX())
	return v
}

// store returns lane 0 as the function's result.
func (e emitter) store(v VecVirtual) {
	Store(v.AsX(), ReturnIndex(0))
	e.end()
}

// extreme folds by min or max. These drop NaN, so the bits of NaNs are kept
// apart, and laid over the result in the end.
func (e emitter) extreme(name, doc string, f func(d, a Register, b Op)) {
	TEXT(name+e.suffix(), NOSPLIT, "func(a *float32, n int) float32")
	Doc(name + e.suffix() + ": " + doc + ". n is positive.")
	a, n := pointer("a"), pointer("n")
	first := e.vec()
	VBROADCASTSS(Mem{Base: a}, first)
	var acc, bad []VecVirtual
	for range foldLanes {
		acc = append(acc, e.copy(first))
		bad = append(bad, e.zero())
	}
	e.loop(n, foldLanes, func(at GPVirtual, vectors int, tail *mask) {
		for i, v := range e.fetch(a, at, vectors, tail) {
			if tail != nil { // the lanes left out count as the first element
				if e.wide {
					e.choose(v, *tail, first, v)
				} else {
					VBLENDVPS(tail.Register, v, first, v)
				}
			}
			f(acc[i], v, acc[i])
			if e.wide {
				k := e.cmp(unordered, v, v)
				VMOVAPS(v, k.Register, bad[i])
			} else {
				e.or(bad[i], bad[i], e.cmp(unordered, v, v).Register)
			}
		}
	})
	or := e.merge(bad, e.or)
	m := e.merge(acc, f)
	e.across(m, func(d, x, y Register) {
		if name == "vecMaximum" {
			VMAXPS(x, y, d)
		} else {
			VMINPS(x, y, d)
		}
	})
	e.across(or, func(d, x, y Register) { VORPS(x, y, d) })
	// or is zero, or a NaN: that stays one whatever bits join it.
	VORPS(or.AsX(), m.AsX(), m.AsX())
	e.store(m)
}

// above tells whether any |a[i]| exceeds a limit.
func (e emitter) above() {
	TEXT("vecAbove"+e.suffix(), NOSPLIT, "func(a *float32, n int, limit float32) bool")
	Doc("vecAbove" + e.suffix() + ": whether any |a[i]| exceeds limit.")
	a, n := pointer("a"), pointer("n")
	limit := e.vec()
	VBROADCASTSS(NewParamAddr("limit", 16), limit)
	big := e.zero()
	e.loop(n, foldLanes, func(at GPVirtual, vectors int, tail *mask) {
		for _, v := range e.fetch(a, at, vectors, tail) {
			e.max(big, e.abs(v), big)
		}
	})
	found := GP8()
	e.across(big, func(d, x, y Register) { VMAXPS(x, y, d) })
	VUCOMISS(limit.AsX(), big.AsX())
	SETHI(found)
	Store(found, ReturnIndex(0))
	e.end()
}
