package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// emitter writes vector instructions for one instruction set. Its methods name
// the destination first: op(d, a, b) is d = a op b. b may be a constant.
type emitter struct {
	wide bool // AVX-512, else AVX2 and FMA
}

// lanes is the number of float32 in a vector.
func (e emitter) lanes() int {
	if e.wide {
		return 16
	}
	return 8
}

func (e emitter) suffix() string {
	if e.wide {
		return "512"
	}
	return "256"
}

func (e emitter) vec() VecVirtual {
	if e.wide {
		return ZMM()
	}
	return YMM()
}

// constant is a value in read-only memory: four bytes that AVX-512
// instructions broadcast, a whole vector for AVX2.
type constant struct {
	Mem
	bits uint32
}

var constants = map[string]constant{}

// held are the constants that registers of the kernel being written hold.
var held map[uint32]VecVirtual

// hold keeps constants in registers from here to the kernel's end: loads of
// constants take as long as arithmetic. AVX2 has no registers to spare.
func (e emitter) hold(cs ...constant) {
	if !e.wide {
		return
	}
	for _, c := range cs {
		if held[c.bits] == nil {
			held[c.bits] = e.load(c)
		}
	}
}

func (e emitter) bits(b uint32) constant {
	name := fmt.Sprintf("c%d_%08x", e.lanes(), b)
	if c, ok := constants[name]; ok {
		return c
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	n := 8
	if e.wide {
		n = 1
	}
	for i := range n {
		DATA(4*i, U32(b))
	}
	constants[name] = constant{m, b}
	return constants[name]
}

func (e emitter) c(f float64) constant { return e.bits(math.Float32bits(float32(f))) }

// load is a register that holds a constant.
func (e emitter) load(c constant) VecVirtual {
	if r := held[c.bits]; r != nil {
		return e.copy(r)
	}
	v := e.vec()
	if e.wide {
		VBROADCASTSS(c.Mem, v)
	} else {
		VMOVUPS(c.Mem, v)
	}
	return v
}

// register is a register that holds a constant and is not to be changed.
func (e emitter) register(c constant) VecVirtual {
	if r := held[c.bits]; r != nil {
		return r
	}
	return e.load(c)
}

// arith emits the broadcasting form of an instruction where its operand asks for it.
func (e emitter) arith(plain, bcst func(ops ...Op), b Op, rest ...Op) {
	if c, ok := b.(constant); ok {
		if r := held[c.bits]; r != nil {
			plain(append([]Op{r}, rest...)...)
			return
		}
		if e.wide {
			bcst(append([]Op{c.Mem}, rest...)...)
			return
		}
		b = c.Mem
	}
	plain(append([]Op{b}, rest...)...)
}

func (e emitter) add(d, a Register, b Op) { e.arith(VADDPS, VADDPS_BCST, b, a, d) }
func (e emitter) sub(d, a Register, b Op) { e.arith(VSUBPS, VSUBPS_BCST, b, a, d) }
func (e emitter) mul(d, a Register, b Op) { e.arith(VMULPS, VMULPS_BCST, b, a, d) }
func (e emitter) div(d, a Register, b Op) { e.arith(VDIVPS, VDIVPS_BCST, b, a, d) }

// reciprocal is d = 1/a for 2⁻¹²⁶ ≤ a ≤ 2¹²⁶: with AVX-512 an estimate within 2⁻¹⁴
// and a step of Newton's, which doubles its digits.
func (e emitter) reciprocal(d, a Register) {
	if !e.wide {
		e.div(d, e.load(e.c(1)), a)
		return
	}
	y, off := e.vec(), e.load(e.c(1))
	VRCP14PS(a, y)
	e.fnma(off, a, y)
	e.horner(off, y, y)
	VMOVAPS(off, d)
}

func (e emitter) and(d, a Register, b Op) { e.arith(VANDPS, VANDPS_BCST, b, a, d) }
func (e emitter) or(d, a Register, b Op)  { e.arith(VORPS, VORPS_BCST, b, a, d) }
func (e emitter) xor(d, a Register, b Op) { e.arith(VXORPS, VXORPS_BCST, b, a, d) }

// min and max give b where either is NaN.
func (e emitter) min(d, a Register, b Op) { e.arith(VMINPS, VMINPS_BCST, b, a, d) }
func (e emitter) max(d, a Register, b Op) { e.arith(VMAXPS, VMAXPS_BCST, b, a, d) }

// clampHigh and clampLow limit x and let NaN through.
func (e emitter) clampHigh(x Register, c constant) { e.min(x, e.register(c), x) }
func (e emitter) clampLow(x Register, c constant)  { e.max(x, e.register(c), x) }

// fma is d = a·b + d, fnma d = d − a·b, horner d = d·a + b.
func (e emitter) fma(d, a Register, b Op)    { e.arith(VFMADD231PS, VFMADD231PS_BCST, b, a, d) }
func (e emitter) fnma(d, a Register, b Op)   { e.arith(VFNMADD231PS, VFNMADD231PS_BCST, b, a, d) }
func (e emitter) horner(d, a Register, b Op) { e.arith(VFMADD213PS, VFMADD213PS_BCST, b, a, d) }

func (e emitter) addInt(d, a Register, b Op) { e.arith(VPADDD, VPADDD_BCST, b, a, d) }
func (e emitter) subInt(d, a Register, b Op) { e.arith(VPSUBD, VPSUBD_BCST, b, a, d) }

func (e emitter) copy(a Register) VecVirtual {
	d := e.vec()
	VMOVAPS(a, d)
	return d
}

// poly is the polynomial with the given coefficients, lowest first, at x.
func (e emitter) poly(x Register, c ...float64) VecVirtual {
	p := e.load(e.c(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		e.horner(p, x, e.c(c[i]))
	}
	return p
}

// round is the nearest integer, floor the next below.
func (e emitter) round(d, a Register) { e.rounding(8, d, a) }
func (e emitter) floor(d, a Register) { e.rounding(9, d, a) }

func (e emitter) rounding(mode uint8, d, a Register) {
	if e.wide {
		VRNDSCALEPS(U8(mode), a, d)
	} else {
		VROUNDPS(U8(mode), a, d)
	}
}

// power is 2^n for an integer-valued n, −126 to 127.
func (e emitter) power(n Register) VecVirtual {
	p := e.vec()
	VCVTPS2DQ(n, p)
	e.addInt(p, p, e.bits(127))
	VPSLLD(U8(23), p, p)
	return p
}

// scale is d = a·2^n, rounded once, for |n| up to 252.
func (e emitter) scale(d, a, n Register) {
	if e.wide {
		VSCALEFPS(n, a, d)
		return
	}
	i, half := e.vec(), e.vec()
	VCVTPS2DQ(n, i)
	VPSRAD(U8(1), i, half)
	e.subInt(i, i, half)
	for _, h := range []VecVirtual{half, i} {
		e.addInt(h, h, e.bits(127))
		VPSLLD(U8(23), h, h)
	}
	e.mul(d, a, half) // exact, unless it overflows for good
	e.mul(d, d, i)
}

func (e emitter) abs(a Register) VecVirtual {
	d := e.vec()
	e.and(d, a, e.bits(0x7fffffff))
	return d
}

// copySign gives d, which is not negative, the sign of a.
func (e emitter) copySign(d, a Register) {
	s := e.vec()
	e.and(s, a, e.bits(0x80000000))
	e.or(d, d, s)
}

// Predicates of comparisons; those on NaN give false, except unequal and unordered.
const (
	equal     = 0
	less      = 1
	lessEqual = 2
	unordered = 3
	unequal   = 4
	greater   = 14
	atLeast   = 13
)

// mask is a set of lanes.
type mask struct{ Register }

func (e emitter) cmp(predicate uint8, a Register, b Op) mask {
	if e.wide {
		k := K()
		e.arith(func(o ...Op) { VCMPPS(append([]Op{U8(predicate)}, o...)...) },
			func(o ...Op) { VCMPPS_BCST(append([]Op{U8(predicate)}, o...)...) }, b, a, k)
		return mask{k}
	}
	m := YMM()
	if c, ok := b.(constant); ok {
		b = c.Mem
	}
	VCMPPS(U8(predicate), b, a, m)
	return mask{m}
}

// choose is d = m ? yes : no.
func (e emitter) choose(d Register, m mask, no Register, yes Op) {
	if e.wide {
		e.arith(VBLENDMPS, VBLENDMPS_BCST, yes, no, m.Register, d)
		return
	}
	if c, ok := yes.(constant); ok {
		yes = c.Mem
	}
	VBLENDVPS(m.Register, yes, no, d)
}

// ones is 1 in the lanes of m and 0 elsewhere.
func (e emitter) ones(m mask) VecVirtual {
	d := e.vec()
	if e.wide {
		VMOVAPS_Z(e.load(e.c(1)), m.Register, d)
	} else {
		VANDPS(e.c(1).Mem, m.Register, d)
	}
	return d
}

// tail is what restricts loads and stores to the last few lanes.
func (e emitter) tail(n GPVirtual) mask {
	if e.wide {
		one, k := GP32(), K()
		MOVQ(n, RCX)
		MOVL(U32(1), one)
		SHLL(CL, one)
		DECL(one)
		KMOVW(one, k)
		return mask{k}
	}
	p, m := GP64(), YMM()
	LEAQ(tailTable(), p)
	NEGQ(n)
	VMOVUPS(Mem{Base: p, Index: n, Scale: 4, Disp: 32}, m)
	NEGQ(n)
	return mask{m}
}

// tailTable is eight words of ones, eight of zeros: from word 8−n on, n lanes are chosen.
func tailTable() Mem {
	const name = "tail"
	if c, ok := constants[name]; ok {
		return c.Mem
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 16 {
		v := uint32(0xffffffff)
		if i >= 8 {
			v = 0
		}
		DATA(4*i, U32(v))
	}
	constants[name] = constant{Mem: m}
	return m
}

func (e emitter) loadTail(m mask, from Mem) VecVirtual {
	v := e.vec()
	if e.wide {
		VMOVUPS_Z(from, m.Register, v)
	} else {
		VMASKMOVPS(from, m.Register, v)
	}
	return v
}

func (e emitter) storeTail(m mask, v Register, to Mem) {
	if e.wide {
		VMOVUPS(v, m.Register, to)
	} else {
		VMASKMOVPS(v, m.Register, to)
	}
}

func (e emitter) zero() VecVirtual {
	v := e.vec()
	VXORPS(v, v, v)
	return v
}
