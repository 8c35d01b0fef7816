package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Powers are computed in float64, half a vector at a time: the error of a
// float32 logarithm, multiplied by an exponent, would show.

// c64 is a float64 constant, bits64 one given by its bits.
func (e emitter) c64(f float64) constant { return e.bits64(math.Float64bits(f)) }

func (e emitter) bits64(b uint64) constant {
	name := fmt.Sprintf("d%d_%016x", e.lanes(), b)
	if c, ok := constants[name]; ok {
		return c
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	n := 4
	if e.wide {
		n = 1
	}
	for i := range n {
		DATA(8*i, U64(b))
	}
	constants[name] = constant{Mem: m}
	return constants[name]
}

func (e emitter) load64(c constant) VecVirtual {
	v := e.vec()
	if e.wide {
		VBROADCASTSD(c.Mem, v)
	} else {
		VMOVUPD(c.Mem, v)
	}
	return v
}

func (e emitter) add64(d, a Register, b Op)    { e.arith(VADDPD, VADDPD_BCST, b, a, d) }
func (e emitter) sub64(d, a Register, b Op)    { e.arith(VSUBPD, VSUBPD_BCST, b, a, d) }
func (e emitter) mul64(d, a Register, b Op)    { e.arith(VMULPD, VMULPD_BCST, b, a, d) }
func (e emitter) min64(d, a Register, b Op)    { e.arith(VMINPD, VMINPD_BCST, b, a, d) }
func (e emitter) max64(d, a Register, b Op)    { e.arith(VMAXPD, VMAXPD_BCST, b, a, d) }
func (e emitter) horner64(d, a Register, b Op) { e.arith(VFMADD213PD, VFMADD213PD_BCST, b, a, d) }
func (e emitter) addLong(d, a Register, b Op)  { e.arith(VPADDQ, VPADDQ_BCST, b, a, d) }
func (e emitter) subLong(d, a Register, b Op)  { e.arith(VPSUBQ, VPSUBQ_BCST, b, a, d) }
func (e emitter) or64(d, a Register, b Op)     { e.arith(VORPD, VORPD_BCST, b, a, d) }

func (e emitter) poly64(x Register, c []float64) VecVirtual {
	p := e.load64(e.c64(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		e.horner64(p, x, e.c64(c[i]))
	}
	return p
}

// log2 is the binary logarithm of a positive finite x, within 1e-13:
// x = m·2^k, m from √½ to √2, log₂m = 2/ln2·atanh(s), s = (m−1)/(m+1), |s| ≤ 0.172.
func (e emitter) log2(x VecVirtual) VecVirtual {
	const lowest = 0x3fe6a09e00000000 // √½
	k, m, up := e.vec(), e.vec(), e.vec()
	e.addLong(k, x, e.bits64(0x3ff0000000000000-lowest))
	VPSRLQ(U8(52), k, k) // biased
	e.subLong(m, k, e.bits64(1023))
	VPSLLQ(U8(52), m, m)
	e.subLong(m, x, m)
	e.or64(k, k, e.c64(0x1p52)) // the integer, as the last bits of 2^52 + k
	e.sub64(k, k, e.c64(0x1p52+1023))
	e.add64(up, m, e.c64(1))
	e.sub64(m, m, e.c64(1))
	VDIVPD(up, m, m)
	z := e.vec()
	e.mul64(z, m, m)
	var series []float64 // 2/ln2 · z^i/(2i+1); the first one left out is below 1e-13
	for i := range 8 {
		series = append(series, 2/math.Ln2/float64(2*i+1))
	}
	p := e.poly64(z, series)
	e.horner64(p, m, k)
	return p
}

// exp2 is 2^y, y limited to ±300: n = round(y), and the series of 2^(y−n).
func (e emitter) exp2(y VecVirtual) VecVirtual {
	e.min64(y, y, e.c64(300))
	e.max64(y, y, e.c64(-300))
	n := e.vec()
	e.add64(n, y, e.c64(0x1.8p52)) // the integer, as the last bits
	t := e.vec()
	e.sub64(t, n, e.c64(0x1.8p52))
	e.sub64(y, y, t)
	var series []float64 // ln2^i/i!; the first one left out is below 1e-13
	for i, c := 0, 1.0; i < 12; i++ {
		series = append(series, c)
		c *= math.Ln2 / float64(i+1)
	}
	p := e.poly64(y, series)
	VPSLLQ(U8(52), n, n)
	e.addLong(p, p, n)
	return p
}

func (e emitter) power64(a, b VecVirtual) VecVirtual {
	l := e.log2(a)
	e.mul64(l, l, b)
	return e.exp2(l)
}

// halves are the two halves of v in float64.
func (e emitter) halves(v VecVirtual) (low, high VecVirtual) {
	low, high = e.vec(), e.vec()
	if e.wide {
		top := YMM()
		VEXTRACTF64X4(U8(1), v, top)
		VCVTPS2PD(v.AsY(), low)
		VCVTPS2PD(top, high)
		return low, high
	}
	top := XMM()
	VEXTRACTF128(U8(1), v, top)
	VCVTPS2PD(v.AsX(), low)
	VCVTPS2PD(top, high)
	return low, high
}

// whole rounds two halves to float32.
func (e emitter) whole(low, high VecVirtual) VecVirtual {
	d := e.vec()
	if e.wide {
		l, h := YMM(), YMM()
		VCVTPD2PS(low, l)
		VCVTPD2PS(high, h)
		VINSERTF64X4(U8(1), h, l.AsZ(), d)
		return d
	}
	l, h := XMM(), XMM()
	VCVTPD2PSY(low, l)
	VCVTPD2PSY(high, h)
	VINSERTF128(U8(1), h, l.AsY(), d)
	return d
}

func (e emitter) pow() {
	pow := operation{"pow", "vecPow", "a[i]**b[i], a[i] positive, both finite", 2, 1, func(x []VecVirtual) VecVirtual {
		aLow, aHigh := e.halves(x[0])
		bLow, bHigh := e.halves(x[1])
		return e.whole(e.power64(aLow, bLow), e.power64(aHigh, bHigh))
	}}
	pow.emit(e)

	e.beginFold("vecPowable", "a, b *float32, n int", "bool", "whether every a[i] is positive and all are finite")
	bad := e.zero()
	e.rows(nil, []string{"a", "b"}, 2, func(x []VecVirtual, _ int, tail *mask) []VecVirtual {
		a, b := x[0], x[1]
		if tail != nil { // the lanes left out are 0 and would count
			one := e.load(e.c(1))
			if e.wide {
				e.choose(a, *tail, one, a)
			} else {
				VBLENDVPS(tail.Register, a, one, a)
			}
		}
		e.or(bad, bad, e.ones(e.cmp(lessEqual, a, e.c(0))))
		for _, v := range []VecVirtual{a, b} { // v−v: 0, or NaN for ∞ and NaN
			e.sub(v, v, v)
			e.or(bad, bad, v)
		}
		return nil
	})
	e.across(bad, func(d, x, y Register) { VORPS(x, y, d) })
	word, ok := GP32(), GP8()
	VMOVD(bad.AsX(), word)
	ADDL(word, word) // −0 does not count
	TESTL(word, word)
	SETEQ(ok)
	Store(ok, ReturnIndex(0))
	e.end()
}
