package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// emitter writes vector instructions for one instruction set and one type of
// element. Its methods name the destination first: op(d, a, b) is d = a op b.
type emitter struct {
	wide   bool // AVX-512, else AVX2
	double bool // float64, else float32
}

func newEmitter(wide, double bool) emitter { return emitter{wide, double} }

// bytes is the size of a vector, width that of an element.
func (e emitter) bytes() int {
	if e.wide {
		return 64
	}
	return 32
}

func (e emitter) width() int {
	if e.double {
		return 8
	}
	return 4
}

func (e emitter) lanes() int { return e.bytes() / e.width() }

// size names the kernel's element and vector: 64x512.
func (e emitter) size() string { return fmt.Sprintf("%dx%d", 8*e.width(), 8*e.bytes()) }

func (e emitter) vec() VecVirtual {
	if e.wide {
		return ZMM()
	}
	return YMM()
}

func pointer(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

func element(p, at GPVirtual, disp int) Mem { return Mem{Base: p, Index: at, Scale: 1, Disp: disp} }

func (e emitter) begin(name, args, doc string) {
	TEXT(name, NOSPLIT, "func("+args+")")
	Doc(name + ": " + doc + ".")
	Pragma("noescape")
}

func end() {
	VZEROUPPER()
	RET()
}

// loop emits f for so many vectors at a time. f gets the byte offset so far.
func (e emitter) loop(n GPVirtual, vectors int, f func(at GPVirtual)) {
	at := GP64()
	XORQ(at, at)
	if e.double {
		SHLQ(U8(3), n)
	} else {
		SHLQ(U8(2), n)
	}
	Label("loop")
	f(at)
	ADDQ(I32(vectors*e.bytes()), at)
	CMPQ(at, n)
	JL(LabelRef("loop"))
}

// either chooses between the instructions for float32 and float64.
func (e emitter) either(single, double func(ops ...Op), ops ...Op) {
	if e.double {
		double(ops...)
	} else {
		single(ops...)
	}
}

func (e emitter) loadu(m Mem, v Register)  { VMOVUPS(m, v) }
func (e emitter) storeu(v Register, m Mem) { VMOVUPS(v, m) }

func (e emitter) sub(d, a Register, b Op) { e.either(VSUBPS, VSUBPD, b, a, d) }

// min and max give a where either is NaN.
func (e emitter) min(d, a, b Register) { e.either(VMINPS, VMINPD, a, b, d) }
func (e emitter) max(d, a, b Register) { e.either(VMAXPS, VMAXPD, a, b, d) }

func (e emitter) addInt(d, a, b Register) { e.either(VPADDD, VPADDQ, b, a, d) }

func (e emitter) copy(a Register) VecVirtual {
	d := e.vec()
	VMOVAPS(a, d)
	return d
}

func (e emitter) zero() VecVirtual {
	d := e.vec()
	VXORPS(d, d, d)
	return d
}

// less and equal are the lanes where a < b, and a == b.
func (e emitter) less(a, b Register) Register  { return e.compare(1, a, b) }
func (e emitter) equal(a, b Register) Register { return e.compare(0, a, b) }

func (e emitter) compare(predicate uint8, a, b Register) Register {
	var m Register = YMM()
	if e.wide {
		m = K()
	}
	e.either(func(o ...Op) { VCMPPS(o...) }, func(o ...Op) { VCMPPD(o...) }, U8(predicate), b, a, m)
	return m
}

// choose is d = m ? yes : no.
func (e emitter) choose(d, m, no, yes Register) {
	if e.wide {
		e.either(VBLENDMPS, VBLENDMPD, yes, no, m, d)
		return
	}
	if e.double {
		VBLENDVPD(m, yes, no, d)
	} else {
		VBLENDVPS(m, yes, no, d)
	}
}

var tables = map[string]Mem{}

// table is a vector of constants in memory.
func (e emitter) table(name string, f func(i int) uint64) Mem {
	name += e.size()
	m, ok := tables[name]
	if !ok {
		m = GLOBL(name, attr.RODATA|attr.NOPTR)
		for i := range e.lanes() {
			if e.double {
				DATA(8*i, U64(f(i)))
			} else {
				DATA(4*i, U32(f(i)))
			}
		}
		tables[name] = m
	}
	return m
}

func (e emitter) constant(name string, f func(i int) uint64) VecVirtual {
	v := e.vec()
	VMOVUPS(e.table(name, f), v)
	return v
}

// counting is from, from+1, …
func (e emitter) counting(from int) VecVirtual {
	return e.constant(fmt.Sprintf("from%d_", from), func(i int) uint64 { return uint64(from + i) })
}

// repeat is n in every lane.
func (e emitter) repeat(n int) VecVirtual {
	return e.constant(fmt.Sprintf("step%d_", n), func(int) uint64 { return uint64(n) })
}

// infinity is +Inf, with sign 1 −Inf, in every lane.
func (e emitter) infinity(sign int) VecVirtual {
	return e.constant(fmt.Sprintf("infinity%d_", sign), func(int) uint64 {
		if e.double {
			return math.Float64bits(math.Inf(1 - 2*sign))
		}
		return uint64(math.Float32bits(float32(math.Inf(1 - 2*sign))))
	})
}

// across combines the lanes of v, halving them, into the first.
func (e emitter) across(v VecVirtual, f func(d, a, b Register)) VecVirtual {
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
	if !e.double {
		VPERMILPS(U8(0b10110001), v.AsX(), high)
		f(v.AsX(), high, v.AsX())
	}
	return v
}

func (e emitter) lowest(v VecVirtual) VecVirtual { return e.across(v, e.min) }

// broadcastLowest repeats the first lane.
func (e emitter) broadcastLowest(v VecVirtual) VecVirtual {
	d := e.vec()
	e.either(VBROADCASTSS, VBROADCASTSD, v.AsX(), d)
	return d
}

// lane is the first of the lanes of m, alone.
func (e emitter) lane(m Register) Register {
	bits := GP32()
	if e.wide {
		KMOVW(m, bits)
		BSFL(bits, ECX)
		MOVL(U32(1), bits)
		SHLL(CL, bits)
		k := K()
		KMOVW(bits, k)
		return k
	}
	if e.double {
		VMOVMSKPD(m, bits)
	} else {
		VMOVMSKPS(m, bits)
	}
	BSFL(bits, bits)
	x, one := XMM(), YMM()
	VMOVD(bits, x)
	e.either(VPBROADCASTD, VPBROADCASTQ, x, one)
	e.either(VPCMPEQD, VPCMPEQQ, e.table("from0_", func(i int) uint64 { return uint64(i) }), one, one)
	return one
}

// pick is the integer in a lane.
func (e emitter) pick(v VecVirtual, lane Register) GPVirtual {
	var x VecVirtual
	switch {
	case e.wide && e.double:
		x = ZMM()
		VPCOMPRESSQ_Z(v, lane, x)
	case e.wide:
		x = ZMM()
		VPCOMPRESSD_Z(v, lane, x)
	default:
		x = YMM()
		VANDPS(v, lane, x)
		x = e.across(x, func(d, a, b Register) { VORPS(a, b, d) })
	}
	r := GP64()
	if e.double {
		VMOVQ(x.AsX(), r)
	} else {
		VMOVD(x.AsX(), r.As32()) // the upper half becomes 0
	}
	return r
}
