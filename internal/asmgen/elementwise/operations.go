package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// operation is one of a program's. f may overwrite its first operand.
type operation struct {
	opcode string // as tensor/backend prints it
	kernel string
	doc    string
	arity  int
	unroll int // vectors at a time
	f      func(x []VecVirtual) VecVirtual
}

// emit makes the kernel dst[i] = f(a[i], b[i], c[i]) of so many operands.
func (o *operation) emit(e emitter) {
	name := o.kernel + e.suffix()
	TEXT(name, NOSPLIT, "func(dst, a, b, c *float32, n int)")
	Doc(name + ": dst[i] = " + o.doc + ".")
	dst := pointer("dst")
	var in []GPVirtual
	for _, p := range []string{"a", "b", "c"}[:o.arity] {
		in = append(in, pointer(p))
	}
	n := pointer("n")
	e.loop(n, o.unroll, func(at GPVirtual, vectors int, tail *mask) {
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
			out[i] = o.f(x)
		}
		e.put(out, dst, at, tail)
	})
	e.end()
}

// table lists the operations but for pow and filling, which have loops of their own.
func (e emitter) table() (all []operation) {
	const cheap = 4 // vectors at a time of what is one instruction, or two
	binary := func(opcode, kernel, doc string, f func(d, a Register, b Op)) {
		all = append(all, operation{opcode, kernel, doc, 2, cheap, func(x []VecVirtual) VecVirtual {
			return e.result(func(d VecVirtual) { f(d, x[0], x[1]) })
		}})
	}
	binary("add", "vecAdd", "a[i] + b[i]", e.add)
	binary("sub", "vecSub", "a[i] - b[i]", e.sub)
	binary("mul", "vecMul", "a[i] * b[i]", e.mul)
	binary("div", "vecDiv", "a[i] / b[i]", e.div)
	// min and max give b where either is NaN: where a is, a is wanted.
	binary("min", "vecMin", "min(a[i], b[i])", func(d, a Register, b Op) { e.min(d, a, b); e.choose(d, e.cmp(unordered, a, a), d, a) })
	binary("max", "vecMax", "max(a[i], b[i])", func(d, a Register, b Op) { e.max(d, a, b); e.choose(d, e.cmp(unordered, a, a), d, a) })
	compare := func(opcode, kernel, doc string, predicate uint8) {
		all = append(all, operation{opcode, kernel, doc, 2, cheap, func(x []VecVirtual) VecVirtual {
			return e.ones(e.cmp(predicate, x[0], x[1]))
		}})
	}
	compare("less", "vecLess", "a[i] < b[i]", less)
	compare("lesseq", "vecLessEq", "a[i] <= b[i]", lessEqual)
	compare("eq", "vecEq", "a[i] == b[i]", equal)
	all = append(all, operation{"select", "vecSelect", "b[i] if a[i] != 0, else c[i]", 3, 2, func(x []VecVirtual) VecVirtual {
		return e.result(func(d VecVirtual) { e.choose(d, e.cmp(unequal, x[0], e.c(0)), x[2], x[1]) })
	}}, operation{"muladd", "vecMulAdd", "a[i]*b[i] + c[i], rounded once", 3, cheap, func(x []VecVirtual) VecVirtual {
		e.horner(x[0], x[1], x[2])
		return x[0]
	}})
	unary := func(opcode, kernel, doc string, unroll int, f func(x Register) VecVirtual) {
		all = append(all, operation{opcode, kernel, doc, 1, unroll, func(x []VecVirtual) VecVirtual { return f(x[0]) }})
	}
	in := func(f func(d, a Register)) func(Register) VecVirtual {
		return func(x Register) VecVirtual { return e.result(func(d VecVirtual) { f(d, x) }) }
	}
	unary("neg", "vecNeg", "-a[i]", cheap, in(func(d, a Register) { e.xor(d, a, e.bits(0x80000000)) }))
	unary("abs", "vecAbs", "|a[i]|", cheap, e.abs)
	unary("sign", "vecSign", "the sign of a[i]: -1, 0, 1, NaN", 2, in(func(d, a Register) {
		e.add(d, a, e.c(0)) // no negative zero
		e.choose(d, e.cmp(greater, a, e.c(0)), d, e.c(1))
		e.choose(d, e.cmp(less, a, e.c(0)), d, e.c(-1))
	}))
	unary("sqrt", "vecSqrt", "sqrt(a[i])", cheap, in(func(d, a Register) { VSQRTPS(a, d) }))
	unary("rsqrt", "vecRsqrt", "1/sqrt(a[i])", 2, in(func(d, a Register) { VSQRTPS(a, d); e.div(d, e.load(e.c(1)), d) }))
	unary("recip", "vecRecip", "1/a[i]", 2, in(func(d, a Register) { e.div(d, e.load(e.c(1)), a) }))
	unary("round", "vecRound", "a[i] to the nearest integer, ties to even", cheap, in(e.round))
	unary("floor", "vecFloor", "the largest integer up to a[i]", cheap, in(e.floor))
	unary("exp", "vecExp", "e**a[i]", 1, e.exp)
	unary("expm1", "vecExpm1", "e**a[i] - 1", 1, e.expm1)
	unary("log", "vecLog", "ln(a[i])", 1, e.log)
	unary("log1p", "vecLog1p", "ln(1 + a[i])", 1, e.log1p)
	unary("tanh", "vecTanh", "tanh(a[i])", 1, e.tanh)
	unary("sigmoid", "vecSigmoid", "1/(1 + e**-a[i])", 1, e.sigmoid)
	unary("softplus", "vecSoftplus", "ln(1 + e**a[i])", 1, e.softplus)
	unary("erf", "vecErf", "erf(a[i])", 1, e.erf)
	unary("sin", "vecSin", "sin(a[i]), |a[i]| <= 2**17", 1, func(x Register) VecVirtual { return e.sine(x, 0) })
	unary("cos", "vecCos", "cos(a[i]), |a[i]| <= 2**17", 1, func(x Register) VecVirtual { return e.sine(x, 1) })
	return all
}

func (e emitter) operations() {
	for _, o := range e.table() {
		o.emit(e)
	}
	e.begin("vecFill", "dst, a, b, c *float32, n int", "dst[i] = a[0]")
	first := e.vec()
	VBROADCASTSS(Mem{Base: pointer("a")}, first)
	dst := pointer("dst")
	e.loop(pointer("n"), 4, func(at GPVirtual, vectors int, tail *mask) {
		v := make([]VecVirtual, vectors)
		for i := range v {
			v[i] = first
		}
		e.put(v, dst, at, tail)
	})
	e.end()
}
