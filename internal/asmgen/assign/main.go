// Command assign generates the kernels of flow's assignment: scans of rows of
// costs less prices, with AVX-512 and with AVX2. Counts are multiples of 32
// float32 or 16 float64; the Go around them does what is left over.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	for _, wide := range []bool{true, false} {
		for _, double := range []bool{false, true} {
			newEmitter(wide, double).bestTwo()
		}
		e := newEmitter(wide, true)
		e.relax()
		e.extremes()
		e.narrow()
		e.dots()
	}
	Generate()
}

// bestTwo keeps in every lane the smallest difference, where it was, and the
// second smallest, in two sets, which do not wait for each other.
func (e emitter) bestTwo() {
	float := "float32"
	if e.double {
		float = "float64"
	}
	e.begin("bestTwo"+e.size(), "c, v *"+float+", n int) (j int, first, second "+float,
		"the two smallest c[j] - v[j], and the j of the first")
	c, v, n := pointer("c"), pointer("v"), pointer("n")
	type set struct{ first, second, at, here VecVirtual }
	const sets = 2
	step := e.repeat(sets * e.lanes())
	var s [sets]set
	for i := range s {
		s[i] = set{e.infinity(0), e.infinity(0), e.zero(), e.counting(i * e.lanes())}
	}
	e.loop(n, sets, func(at GPVirtual) {
		for i, s := range s {
			r, larger := e.vec(), e.vec()
			e.loadu(element(c, at, i*e.bytes()), r)
			e.sub(r, r, element(v, at, i*e.bytes()))
			m := e.less(r, s.first)
			e.max(larger, r, s.first)
			e.min(s.second, s.second, larger)
			e.min(s.first, s.first, r)
			e.choose(s.at, m, s.at, s.here)
			e.addInt(s.here, s.here, step)
		}
	})
	a, b := s[0], s[1]
	m, larger := e.less(b.first, a.first), e.vec()
	e.max(larger, a.first, b.first)
	e.min(a.second, a.second, b.second)
	e.min(a.second, a.second, larger)
	e.min(a.first, a.first, b.first)
	e.choose(a.at, m, a.at, b.at)

	least := e.broadcastLowest(e.lowest(e.copy(a.first)))
	lane := e.lane(e.equal(a.first, least))
	Store(e.pick(a.at, lane), ReturnIndex(0))
	Store(least.AsX(), ReturnIndex(1))
	// The rest of the winner's lane, and the best of the others.
	e.choose(a.first, lane, a.first, a.second)
	Store(e.lowest(a.first).AsX(), ReturnIndex(2))
	end()
}

// relax is a step of Dijkstra's method: shorter ways, and the nearest column.
func (e emitter) relax() {
	e.begin("relax"+e.size(), "dist, c, v *float64, pred *int64, n int, h float64, i int64) (j int",
		"dist[j], pred[j] = c[j]-v[j]-h, i where that is less; and the j of the least dist. NaNs are left alone and out")
	dist, c, v, pred, n := pointer("dist"), pointer("c"), pointer("v"), pointer("pred"), pointer("n")
	h, row := e.vec(), e.vec()
	VBROADCASTSD(NewParamAddr("h", 40), h)
	VPBROADCASTQ(NewParamAddr("i", 48), row)
	best, where, here, step := e.infinity(0), e.zero(), e.counting(0), e.repeat(e.lanes())
	e.loop(n, 1, func(at GPVirtual) {
		r, old, from := e.vec(), e.vec(), e.vec()
		e.loadu(element(c, at, 0), r)
		e.sub(r, r, element(v, at, 0))
		e.sub(r, r, h)
		e.loadu(element(dist, at, 0), old)
		m := e.less(r, old)
		e.loadu(element(pred, at, 0), from)
		e.choose(from, m, from, row)
		e.storeu(from, element(pred, at, 0))
		e.choose(old, m, old, r)
		e.storeu(old, element(dist, at, 0))
		near := e.less(old, best)
		e.choose(best, near, best, old)
		e.choose(where, near, where, here)
		e.addInt(here, here, step)
	})
	lane := e.lane(e.equal(best, e.broadcastLowest(e.lowest(e.copy(best)))))
	Store(e.pick(where, lane), ReturnIndex(0))
	end()
}

func (e emitter) extremes() {
	e.begin("extremes"+e.size(), "c *float64, n int) (lo, hi float64", "the smallest and the largest element")
	c, n := pointer("c"), pointer("n")
	const sets = 2
	var lo, hi [sets]VecVirtual
	for i := range sets {
		lo[i], hi[i] = e.infinity(0), e.infinity(1)
	}
	e.loop(n, sets, func(at GPVirtual) {
		for i := range sets {
			x := e.vec()
			e.loadu(element(c, at, i*e.bytes()), x)
			e.min(lo[i], lo[i], x)
			e.max(hi[i], hi[i], x)
		}
	})
	e.min(lo[0], lo[0], lo[1])
	e.max(hi[0], hi[0], hi[1])
	Store(e.lowest(lo[0]).AsX(), ReturnIndex(0))
	Store(e.across(hi[0], e.max).AsX(), ReturnIndex(1))
	end()
}

func (e emitter) narrow() {
	e.begin("narrow"+e.size(), "to *float32, c *float64, n int, lo, scale float64", "to[j] = (c[j] - lo)*scale")
	to, c, n := pointer("to"), pointer("c"), pointer("n")
	lo, scale := e.vec(), e.vec()
	VBROADCASTSD(NewParamAddr("lo", 24), lo)
	VBROADCASTSD(NewParamAddr("scale", 32), scale)
	e.loop(n, 1, func(at GPVirtual) {
		x := e.vec()
		e.loadu(element(c, at, 0), x)
		e.sub(x, x, lo)
		VMULPD(scale, x, x)
		half := GP64()
		MOVQ(at, half)
		SHRQ(U8(1), half)
		if e.wide {
			y := YMM()
			VCVTPD2PS(x, y)
			VMOVUPS(y, element(to, half, 0))
		} else {
			y := XMM()
			VCVTPD2PSY(x, y)
			VMOVUPS(y, element(to, half, 0))
		}
	})
	end()
}

// dotRows is how many rows a block of dots has.
const dotRows = 4

// dots is a block of a matrix product in registers.
func (e emitter) dots() {
	e.begin("dots"+e.size(), "c *float64, stride int, x, y *float64, dim int",
		"c[i][j] = sum over k of x[4*k+i] * y[m*k+j], 4 rows, stride bytes apart, by the m columns of two vectors")
	c, stride, x, y, dim := pointer("c"), pointer("stride"), pointer("x"), pointer("y"), pointer("dim")
	var acc [dotRows][2]VecVirtual
	for i := range acc {
		acc[i] = [2]VecVirtual{e.zero(), e.zero()}
	}
	Label("next")
	b := [2]VecVirtual{e.vec(), e.vec()}
	for j := range b {
		e.loadu(Mem{Base: y, Disp: j * e.bytes()}, b[j])
	}
	for i := range acc {
		a := e.vec()
		VBROADCASTSD(Mem{Base: x, Disp: 8 * i}, a)
		for j := range b {
			VFMADD231PD(a, b[j], acc[i][j])
		}
	}
	ADDQ(U8(8*dotRows), x)
	ADDQ(I32(2*e.bytes()), y)
	DECQ(dim)
	JNZ(LabelRef("next"))
	for i := range acc {
		for j := range acc[i] {
			e.storeu(acc[i][j], Mem{Base: c, Disp: j * e.bytes()})
		}
		ADDQ(stride, c)
	}
	end()
}
