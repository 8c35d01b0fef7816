// Command elementwise generates the block kernels of tensor/cpu: one for each
// operation of an elementwise program, folds of a block to a number, and the
// inner loops of normalisation, softmax and random numbers, with AVX-512 and with AVX2.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	for _, e := range []emitter{{wide: true}, {wide: false}} {
		e.operations()
		e.pow()
		e.folds()
		e.norm()
		e.random()
	}
	Generate()
}

// loop emits f for groups of unroll vectors, then for single ones, then for the
// last lanes. f gets the byte offset so far and, at the end, the mask of lanes left.
func (e emitter) loop(n GPVirtual, unroll int, f func(at GPVirtual, vectors int, tail *mask)) {
	at := GP64()
	XORQ(at, at)
	for _, u := range []int{unroll, 1} {
		if u == 1 {
			Label("single")
		} else {
			Label("group")
		}
		CMPQ(n, I32(u*e.lanes()))
		if u == 1 {
			JL(LabelRef("rest"))
		} else {
			JL(LabelRef("single"))
		}
		f(at, u, nil)
		ADDQ(I32(4*u*e.lanes()), at)
		SUBQ(I32(u*e.lanes()), n)
		if u == 1 {
			JMP(LabelRef("single"))
			break
		}
		JMP(LabelRef("group"))
	}
	Label("rest")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	m := e.tail(n)
	f(at, 1, &m)
	Label("done")
}

// element is the address of vector i after at.
func (e emitter) element(p Register, at GPVirtual, i int) Mem {
	return Mem{Base: p, Index: at, Scale: 1, Disp: 4 * e.lanes() * i}
}

// fetch loads vectors from p on.
func (e emitter) fetch(p Register, at GPVirtual, vectors int, tail *mask) []VecVirtual {
	v := make([]VecVirtual, vectors)
	for i := range v {
		if tail != nil {
			v[i] = e.loadTail(*tail, e.element(p, at, i))
			continue
		}
		v[i] = e.vec()
		VMOVUPS(e.element(p, at, i), v[i])
	}
	return v
}

func (e emitter) put(v []VecVirtual, p Register, at GPVirtual, tail *mask) {
	for i := range v {
		if tail != nil {
			e.storeTail(*tail, v[i], e.element(p, at, i))
			continue
		}
		VMOVUPS(v[i], e.element(p, at, i))
	}
}

// pointer loads a parameter.
func pointer(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

func (e emitter) end() {
	VZEROUPPER()
	RET()
}

// operation emits the kernel dst[i] = f(a[i], b[i], c[i]) of so many operands.
func (e emitter) operation(name, doc string, arity, unroll int, f func(x []VecVirtual) VecVirtual) {
	TEXT(name+e.suffix(), NOSPLIT, "func(dst, a, b, c *float32, n int)")
	Doc(name + e.suffix() + ": dst[i] = " + doc + ".")
	dst := pointer("dst")
	var in []GPVirtual
	for _, p := range []string{"a", "b", "c"}[:arity] {
		in = append(in, pointer(p))
	}
	n := pointer("n")
	e.loop(n, unroll, func(at GPVirtual, vectors int, tail *mask) {
		var operands [][]VecVirtual
		for _, p := range in {
			operands = append(operands, e.fetch(p, at, vectors, tail))
		}
		out := make([]VecVirtual, vectors)
		for i := range out {
			var x []VecVirtual
			for _, o := range operands {
				x = append(x, o[i])
			}
			out[i] = f(x)
		}
		e.put(out, dst, at, tail)
	})
	e.end()
}

// result is a fresh register that f fills.
func (e emitter) result(f func(d VecVirtual)) VecVirtual {
	d := e.vec()
	f(d)
	return d
}

func (e emitter) operations() {
	const cheap = 4 // vectors at a time
	binary := func(name, doc string, f func(d, a Register, b Op)) {
		e.operation(name, doc, 2, cheap, func(x []VecVirtual) VecVirtual {
			return e.result(func(d VecVirtual) { f(d, x[0], x[1]) })
		})
	}
	binary("vecAdd", "a[i] + b[i]", e.add)
	binary("vecSub", "a[i] - b[i]", e.sub)
	binary("vecMul", "a[i] * b[i]", e.mul)
	binary("vecDiv", "a[i] / b[i]", e.div)
	// min and max give b where either is NaN: where a is, a is wanted.
	binary("vecMin", "min(a[i], b[i])", func(d, a Register, b Op) { e.min(d, a, b); e.choose(d, e.cmp(unordered, a, a), d, a) })
	binary("vecMax", "max(a[i], b[i])", func(d, a Register, b Op) { e.max(d, a, b); e.choose(d, e.cmp(unordered, a, a), d, a) })
	compare := func(name, doc string, predicate uint8) {
		e.operation(name, doc, 2, cheap, func(x []VecVirtual) VecVirtual { return e.ones(e.cmp(predicate, x[0], x[1])) })
	}
	compare("vecLess", "a[i] < b[i]", less)
	compare("vecLessEq", "a[i] <= b[i]", lessEqual)
	compare("vecEq", "a[i] == b[i]", equal)
	e.operation("vecSelect", "b[i] if a[i] != 0, else c[i]", 3, 2, func(x []VecVirtual) VecVirtual {
		return e.result(func(d VecVirtual) { e.choose(d, e.cmp(unequal, x[0], e.c(0)), x[2], x[1]) })
	})
	e.operation("vecMulAdd", "a[i]*b[i] + c[i], rounded once", 3, cheap, func(x []VecVirtual) VecVirtual {
		e.horner(x[0], x[1], x[2])
		return x[0]
	})

	e.begin("vecFill", "dst, a, b, c *float32, n int", "dst[i] = a[0]")
	first := e.vec()
	VBROADCASTSS(Mem{Base: pointer("a")}, first)
	dst := pointer("dst")
	e.loop(pointer("n"), cheap, func(at GPVirtual, vectors int, tail *mask) {
		v := make([]VecVirtual, vectors)
		for i := range v {
			v[i] = first
		}
		e.put(v, dst, at, tail)
	})
	e.end()

	unary := func(name, doc string, unroll int, f func(x Register) VecVirtual) {
		e.operation(name, doc, 1, unroll, func(x []VecVirtual) VecVirtual { return f(x[0]) })
	}
	in := func(f func(d, a Register)) func(Register) VecVirtual {
		return func(x Register) VecVirtual { return e.result(func(d VecVirtual) { f(d, x) }) }
	}
	unary("vecNeg", "-a[i]", cheap, in(func(d, a Register) { e.xor(d, a, e.bits(0x80000000)) }))
	unary("vecAbs", "|a[i]|", cheap, e.abs)
	unary("vecSign", "the sign of a[i]: -1, 0, 1, NaN", 2, in(func(d, a Register) {
		e.add(d, a, e.c(0)) // no negative zero
		e.choose(d, e.cmp(greater, a, e.c(0)), d, e.c(1))
		e.choose(d, e.cmp(less, a, e.c(0)), d, e.c(-1))
	}))
	unary("vecSqrt", "sqrt(a[i])", cheap, in(func(d, a Register) { VSQRTPS(a, d) }))
	unary("vecRsqrt", "1/sqrt(a[i])", 2, in(func(d, a Register) { VSQRTPS(a, d); e.div(d, e.load(e.c(1)), d) }))
	unary("vecRecip", "1/a[i]", 2, in(func(d, a Register) { e.div(d, e.load(e.c(1)), a) }))
	unary("vecRound", "a[i] to the nearest integer, ties to even", cheap, in(e.round))
	unary("vecFloor", "the largest integer up to a[i]", cheap, in(e.floor))
	unary("vecExp", "e**a[i]", 1, e.exp)
	unary("vecExpm1", "e**a[i] - 1", 1, e.expm1)
	unary("vecLog", "ln(a[i])", 1, e.log)
	unary("vecLog1p", "ln(1 + a[i])", 1, e.log1p)
	unary("vecTanh", "tanh(a[i])", 1, e.tanh)
	unary("vecSigmoid", "1/(1 + e**-a[i])", 1, e.sigmoid)
	unary("vecSoftplus", "ln(1 + e**a[i])", 1, e.softplus)
	unary("vecErf", "erf(a[i])", 1, e.erf)
	unary("vecSin", "sin(a[i]), |a[i]| <= 2**17", 1, func(x Register) VecVirtual { return e.sine(x, 0) })
	unary("vecCos", "cos(a[i]), |a[i]| <= 2**17", 1, func(x Register) VecVirtual { return e.sine(x, 1) })
}
