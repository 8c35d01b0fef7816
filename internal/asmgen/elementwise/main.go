// Command elementwise generates the block kernels of tensor/cpu: one for each
// operation of an elementwise program and one for each program that training
// runs most, folds of a block to a number, and the inner loops of
// normalisation, softmax and random numbers, with AVX-512 and with AVX2.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	table := flag.String("table", "", "file for the Go table of programs")
	flag.Parse()
	programs := parsePrograms()
	check(tabulate(*table, programs))
	ConstraintExpr("amd64")
	for _, e := range []emitter{{wide: true}, {wide: false}} {
		e.operations()
		e.programs(programs)
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

// result is a fresh register that f fills.
func (e emitter) result(f func(d VecVirtual)) VecVirtual {
	d := e.vec()
	f(d)
	return d
}
