package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The transforms of F(4×4, 3×3), of 6×6 patches, with AVX-512. They interpolate at
// 0, ±a, ±b and ∞; a = 5/8 and b = 3/2 lose less than whole numbers do, and
// all their products below are float32 numbers:
//
//	Bᵀ: x4 − (a²+b²)·x2 + a²b²·x0
//	    (x4 − b²·x2) ± a·(x3 − b²·x1)
//	    (x4 − a²·x2) ± b·(x3 − a²·x1)
//	    x5 − (a²+b²)·x3 + a²b²·x1
//	G:  x0/(a²b²), (x0 + a²·x2 ± a·x1)/(2a²(a²−b²)), (x0 + b²·x2 ± b·x1)/(2b²(b²−a²)), x2
//	Aᵀ: row i is x0·0ⁱ + aⁱ·(x1 + (−1)ⁱ·x2) + bⁱ·(x3 + (−1)ⁱ·x4), the last with x5 added
const (
	pointA, pointB = 5. / 8, 3. / 2
	squareA        = pointA * pointA
	squareB        = pointB * pointB
	weight0        = 1 / (squareA * squareB)
	weightA        = 1 / (2 * squareA * (squareA - squareB))
	weightB        = 1 / (2 * squareB * (squareB - squareA))
)

// pairsOfPoints are ±a and ±b: what a filter is multiplied by for them, besides.
var pairsOfPoints = [2]struct{ p, square, weight float64 }{{pointA, squareA, weightA}, {pointB, squareB, weightB}}

// memory512 is a constant in memory, for kernels that have no registers for theirs.
func memory512(x float64) Mem { return lanes(avx512, x) }

// lattice addresses rows of numbers in memory through a pointer that moves from
// column to column: row r is r·stride bytes on.
type lattice struct{ at, stride, stride3, stride5 Register }

// newLattice makes one whose pointer is not set. stride is kept.
func newLattice(stride Register, rows int) lattice {
	l := lattice{at: GP64(), stride: stride}
	if rows > 3 {
		l.stride3 = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, l.stride3)
	}
	if rows > 5 {
		l.stride5 = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, l.stride5)
	}
	return l
}

func (l lattice) row(r int) Mem {
	m := Mem{Base: l.at, Index: l.stride, Scale: 1}
	switch r {
	case 0:
		return Mem{Base: l.at}
	case 3:
		m.Index = l.stride3
	case 5:
		m.Index = l.stride5
	default:
		m.Scale = uint8(r)
	}
	return m
}

// Arithmetic with operands in memory or registers, results in new registers.

func load512(m Op) VecVirtual {
	v := ZMM()
	VMOVUPS(m, v)
	return v
}

// plusTimes is v + x·y in place, minusTimes v − x·y; x may be in memory.
func plusTimes(v VecVirtual, x, y Op) VecVirtual {
	VFMADD231PS(x, y, v)
	return v
}

func minusTimes(v VecVirtual, x, y Op) VecVirtual {
	VFNMADD231PS(x, y, v)
	return v
}

// eitherSide is even ± odd·p, in the registers of even and a new one.
func eitherSide(even, odd, p VecVirtual) (plus, minus VecVirtual) {
	minus = ZMM()
	VMOVAPS(even, minus)
	return plusTimes(even, odd, p), minusTimes(minus, odd, p)
}

func timesNew(x Op, y VecVirtual) VecVirtual {
	v := ZMM()
	VMULPS(x, y, v)
	return v
}

// points4 are the constants of the transforms of patches and of gradients.
type points4 struct{ a, b, a2, b2, sum, product VecVirtual }

func newPoints4() points4 {
	c := func(x float64) VecVirtual { return broadcast(avx512, x) }
	return points4{c(pointA), c(pointB), c(squareA), c(squareB), c(squareA + squareB), c(squareA * squareB)}
}

// ends is x4 − (a²+b²)·x2 + a²b²·x0; pair is (x4 − q·x2) ± p·(x3 − q·x1).
func (c points4) ends(x0, x2, x4 Op) VecVirtual {
	return plusTimes(minusTimes(load512(x4), x2, c.sum), x0, c.product)
}

func (c points4) pair(p, q VecVirtual, x1, x2, x3, x4 Op) (plus, minus VecVirtual) {
	return eitherSide(minusTimes(load512(x4), x2, q), minusTimes(load512(x3), x1, q), p)
}

// spreadPair is (x0 + p²·x2) ± p·(x1 + p²·x3).
func (c points4) spreadPair(p, square VecVirtual, x0, x1, x2, x3 Op) (plus, minus VecVirtual) {
	return eitherSide(plusTimes(load512(x0), x2, square), plusTimes(load512(x1), x3, square), p)
}

// moveParam adds bytes to a pointer among the parameters, in memory.
func moveParam(name string, bytes Register) {
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	ADDQ(bytes, a.Addr)
}

// moveFour adds four strides to a pointer among the parameters.
func moveFour(name string, stride Register) {
	t := GP64()
	MOVQ(stride, t)
	SHLQ(U8(2), t)
	moveParam(name, t)
}

func winogradInput4() kernel {
	k := kernel{"winogradInput4x512",
		"func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)",
		"transforms 6×6 patches of input, four positions apart; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("toStep", "line", "pixel")
	c, d := newPoints4(), newLattice(p["line"], 6)
	from, out, at := GP64(), GP64(), GP64()
	columns := func(f func(c int)) {
		MOVQ(from, d.at)
		for c := range 6 {
			f(c)
			if c < 5 {
				ADDQ(p["pixel"], d.at)
			}
		}
	}
	row := func(t [6]VecVirtual) {
		next := func(v VecVirtual) { store(v, at, p["toStep"]) }
		next(c.ends(t[0], t[2], t[4]))
		for _, q := range [2][2]VecVirtual{{c.a, c.b2}, {c.b, c.a2}} {
			plus, minus := c.pair(q[0], q[1], t[1], t[2], t[3], t[4])
			next(plus)
			next(minus)
		}
		next(c.ends(t[1], t[3], t[5]))
	}
	tileLoop(k.name, func() {
		Load(Param("from"), from)
		Load(Param("to"), out)
	}, func() {
		MOVQ(out, at)
		var t, u [6]VecVirtual
		columns(func(i int) { t[i] = c.ends(d.row(0), d.row(2), d.row(4)) })
		row(t)
		for _, q := range [2][2]VecVirtual{{c.a, c.b2}, {c.b, c.a2}} {
			columns(func(i int) { t[i], u[i] = c.pair(q[0], q[1], d.row(1), d.row(2), d.row(3), d.row(4)) })
			row(t)
			row(u)
		}
		columns(func(i int) { t[i] = c.ends(d.row(1), d.row(3), d.row(5)) })
		row(t)
		ADDQ(U8(64), from)
		ADDQ(U8(64), out)
	}, func() {
		moveFour("from", p["pixel"])
		toTile := Load(Param("toTile"), GP64())
		moveParam("to", toTile)
	})
	return k
}

func winogradOutput4() kernel {
	k := kernel{"winogradOutput4x512",
		"func(to, from, bias *float32, fromStep, fromTile, line, pixel, tiles, vectors int)",
		"transforms products into 4×4 outputs and adds bias; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("fromStep", "line", "pixel")
	six, in := GP64(), GP64() // six steps: a row of the 36
	LEAQ(Mem{Base: p["fromStep"], Index: p["fromStep"], Scale: 1}, six)
	LEAQ(Mem{Base: six, Index: six, Scale: 2}, six)
	m := newLattice(six, 6)
	out := newLattice(p["pixel"], 4)
	to, bias := GP64(), GP64()
	// column folds a column of six products into four.
	column := func() (y [4]VecVirtual) {
		pair := func(r int) (sum, difference VecVirtual) {
			sum, difference = load512(m.row(r)), ZMM()
			VSUBPS(m.row(r+1), sum, difference)
			VADDPS(m.row(r+1), sum, sum)
			return sum, difference
		}
		sumA, differenceA := pair(1)
		sumB, differenceB := pair(3)
		y[0] = plus(avx512, sumA, sumB)
		VADDPS(m.row(0), y[0], y[0])
		y[1] = plusTimes(timesNew(memory512(pointA), differenceA), memory512(pointB), differenceB)
		y[3] = plusTimes(load512(m.row(5)), memory512(pointA*squareA), differenceA)
		plusTimes(y[3], memory512(pointB*squareB), differenceB)
		y[2] = plusTimes(timesNew(memory512(squareA), sumA), memory512(squareB), sumB)
		return y
	}
	tileLoop(k.name, func() {
		Load(Param("from"), in)
		Load(Param("to"), to)
		Load(Param("bias"), bias)
	}, func() {
		MOVQ(in, m.at)
		var y [4][4]VecVirtual // by row
		for r, v := range column() {
			y[r][0] = v
		}
		for i, q := range pairsOfPoints {
			ADDQ(p["fromStep"], m.at)
			left := column()
			ADDQ(p["fromStep"], m.at)
			for r, right := range column() {
				difference := minus(avx512, left[r], right)
				VADDPS(right, left[r], right)
				VADDPS(right, y[r][0], y[r][0])
				if i == 0 {
					y[r][1] = timesNew(memory512(q.p), difference)
					y[r][2] = timesNew(memory512(q.square), right)
					y[r][3] = timesNew(memory512(q.p*q.square), difference)
					continue
				}
				plusTimes(y[r][1], memory512(q.p), difference)
				plusTimes(y[r][2], memory512(q.square), right)
				plusTimes(y[r][3], memory512(q.p*q.square), difference)
			}
		}
		ADDQ(p["fromStep"], m.at)
		for r, v := range column() {
			VADDPS(v, y[r][3], y[r][3])
		}
		b := load512(Mem{Base: bias})
		MOVQ(to, out.at)
		for r := range y {
			for c, v := range y[r] {
				VADDPS(b, v, v)
				VMOVUPS(v, out.row(c))
			}
			if r < 3 {
				ADDQ(p["line"], out.at)
			}
		}
		ADDQ(U8(64), to)
		ADDQ(U8(64), in)
		ADDQ(U8(64), bias)
	}, func() {
		moveFour("to", p["pixel"])
		fromTile := Load(Param("fromTile"), GP64())
		moveParam("from", fromTile)
	})
	return k
}

func winogradFilter4() kernel {
	k := kernel{"winogradFilter4x512",
		"func(to, from *float32, toStep, line, pixel, vectors int)",
		"transforms 3×3 filters, a tap of which lies in a stretch of vectors, for tiles of 4×4; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "toStep", "line", "pixel", "vectors")
	g := newGrid(p["from"], p["line"], p["pixel"], 3)
	// widen gives G·(x0,x1,x2).
	widen := func(x0, x1, x2 VecVirtual) (u [6]VecVirtual) {
		u[0], u[5] = timesNew(memory512(weight0), x0), x2
		for i, q := range pairsOfPoints {
			even := ZMM()
			VMOVAPS(x0, even)
			plusTimes(even, memory512(q.square), x2)
			odd := timesNew(memory512(q.p), x1)
			u[1+2*i], u[2+2*i] = plus(avx512, even, odd), minus(avx512, even, odd)
			for _, v := range u[1+2*i : 3+2*i] {
				VMULPS(memory512(q.weight), v, v)
			}
		}
		return u
	}
	at := GP64()
	Label(k.name + "loop")
	MOVQ(p["to"], at)
	var t [3][6]VecVirtual // by column
	for c := range 3 {
		t[c] = widen(load512(g.at(0, c)), load512(g.at(1, c)), load512(g.at(2, c)))
	}
	for r := range 6 {
		for _, u := range widen(t[0][r], t[1][r], t[2][r]) {
			store(u, at, p["toStep"])
		}
	}
	g.advance(64)
	ADDQ(U8(64), p["to"])
	DECQ(p["vectors"])
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}

func winogradSpread4() kernel {
	k := kernel{"winogradSpread4x512",
		"func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)",
		"transforms 4×4 gradients of outputs; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("toStep", "line", "pixel")
	c, d := newPoints4(), newLattice(p["line"], 4)
	from, out, at := GP64(), GP64(), GP64()
	columns := func(f func(c int)) {
		MOVQ(from, d.at)
		for c := range 4 {
			f(c)
			if c < 3 {
				ADDQ(p["pixel"], d.at)
			}
		}
	}
	points := [2][2]VecVirtual{{c.a, c.a2}, {c.b, c.b2}}
	row := func(t [4]VecVirtual) {
		next := func(v VecVirtual) { store(v, at, p["toStep"]) }
		next(t[0])
		for _, q := range points {
			plus, minus := c.spreadPair(q[0], q[1], t[0], t[1], t[2], t[3])
			next(plus)
			next(minus)
		}
		next(t[3])
	}
	tileLoop(k.name, func() {
		Load(Param("from"), from)
		Load(Param("to"), out)
	}, func() {
		MOVQ(out, at)
		var t, u [4]VecVirtual
		columns(func(i int) { t[i] = load512(d.row(0)) })
		row(t)
		for _, q := range points {
			columns(func(i int) { t[i], u[i] = c.spreadPair(q[0], q[1], d.row(0), d.row(1), d.row(2), d.row(3)) })
			row(t)
			row(u)
		}
		columns(func(i int) { t[i] = load512(d.row(3)) })
		row(t)
		ADDQ(U8(64), from)
		ADDQ(U8(64), out)
	}, func() {
		moveFour("from", p["pixel"])
		toTile := Load(Param("toTile"), GP64())
		moveParam("to", toTile)
	})
	return k
}

func winogradFilterGrad4() kernel {
	k := kernel{"winogradFilterGrad4x512",
		"func(to, from *float32, fromStep, line, pixel, vectors int)",
		"transforms gradients of filters transformed for tiles of 4×4 back to 3×3; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "fromStep", "line", "pixel", "vectors")
	g := newGrid(p["to"], p["line"], p["pixel"], 3)
	// fold gives Gᵀ·u.
	fold := func(u [6]VecVirtual) (x [3]VecVirtual) {
		x[0], x[2] = timesNew(memory512(weight0), u[0]), u[5]
		for i, q := range pairsOfPoints {
			difference := minus(avx512, u[1+2*i], u[2+2*i])
			sum := plus(avx512, u[1+2*i], u[2+2*i])
			plusTimes(x[0], memory512(q.weight), sum)
			plusTimes(x[2], memory512(q.weight*q.square), sum)
			if i == 0 {
				x[1] = timesNew(memory512(q.weight*q.p), difference)
			} else {
				plusTimes(x[1], memory512(q.weight*q.p), difference)
			}
		}
		return x
	}
	at := GP64()
	Label(k.name + "loop")
	MOVQ(p["from"], at)
	var t [3][6]VecVirtual // by column of the filter
	for r := range 6 {
		var u [6]VecVirtual
		for c := range u {
			u[c] = load512(Mem{Base: at})
			ADDQ(p["fromStep"], at)
		}
		for c, v := range fold(u) {
			t[c][r] = v
		}
	}
	for c := range t {
		for r, v := range fold(t[c]) {
			VMOVUPS(v, g.at(r, c))
		}
	}
	g.advance(64)
	ADDQ(U8(64), p["from"])
	DECQ(p["vectors"])
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}
