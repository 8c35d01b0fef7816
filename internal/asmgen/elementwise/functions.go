package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The elementary functions. Polynomials are minimax fits of relative error
// (Remez exchange), their coefficients rounded to float32 one after another,
// the rest refitted; the fit's own error stands beside each. The largest errors
// in ulp, over all float32 arguments, are those that TestKernelAccuracy allows.

var (
	ln2Hi = float64(math.Nextafter32(float32(math.Ln2), 0)) // below ln 2, so that both parts are positive
	ln2Lo = math.Ln2 - ln2Hi
)

// expReduced brings x to r = x − n·ln 2, |r| ≤ ln2/2 (a little more after rounding).
func (e emitter) expReduced(x Register) (n, r VecVirtual) {
	n = e.vec()
	e.mul(n, x, e.c(math.Log2E))
	e.round(n, n)
	r = e.copy(x)
	e.fnma(r, n, e.c(ln2Hi))
	e.fnma(r, n, e.c(ln2Lo))
	return n, r
}

// exp is e^x. Beyond −104 and 89 the result rounds to 0 and to infinity.
func (e emitter) exp(x Register) VecVirtual {
	x = e.copy(x)
	e.clampHigh(x, e.c(89))
	e.clampLow(x, e.c(-104))
	n, r := e.expReduced(x)
	return e.expOf(r, n)
}

// expTail is q in e^r = 1 + r + r²·q(r), within 3.8e-9.
var expTail = []float64{0.49999988079071045, 0.16666516661643982, 0.041669633239507675, 0.008369115181267262, 0.0013747054617851973}

// expOf is e^r·2^n.
func (e emitter) expOf(r, n Register) VecVirtual {
	p := e.poly(r, expTail...)
	q := e.vec()
	e.mul(q, r, r)
	e.horner(p, q, r)
	e.add(p, p, e.c(1))
	e.scale(p, p, n)
	return p
}

// expm1Reduced is e^r − 1 = r + r²·q(r), within 1.5e-8.
func (e emitter) expm1Reduced(r Register) VecVirtual {
	p := e.poly(r, 0.5, 0.16666540503501892, 0.04166647791862488, 0.008366857655346394, 0.0013933730078861117)
	q := e.vec()
	e.mul(q, r, r)
	e.horner(p, q, r)
	return p
}

// expm1 is 2·(t·(e^r − 1) + (t − ½)) with t = 2^(n−1), which does not overflow before the result does.
func (e emitter) expm1(x Register) VecVirtual {
	y := e.copy(x)
	e.clampHigh(y, e.c(89))
	e.clampLow(y, e.c(-18)) // e^−18 < 2^−25
	n, r := e.expReduced(y)
	p := e.expm1Reduced(r)
	e.sub(n, n, e.c(1))
	t, u := e.power(n), e.vec()
	e.sub(u, t, e.c(0.5))
	e.horner(p, t, u)
	e.add(p, p, p)
	return p
}

// logReduced is ln(1+f) without its two leading terms, f³·P(f), for f from −¼ to
// ½, within 5.3e-9 of ln(1+f).
func (e emitter) logReduced(f Register) (p, square VecVirtual) {
	p = e.poly(f, 0.3333345651626587, -0.2500012516975403, 0.19990608096122742, -0.1664598286151886,
		0.14479054510593414, -0.13174521923065186, 0.10488329082727432, -0.04522290080785751)
	square = e.vec()
	e.mul(square, f, f)
	e.mul(p, p, f)
	e.mul(p, p, square)
	return p, square
}

// logSum is k·ln 2 + ln(1+f), the small parts first.
func (e emitter) logSum(k, f Register) VecVirtual {
	p, square := e.logReduced(f)
	e.fma(p, k, e.c(ln2Lo))
	e.fnma(p, square, e.c(0.5))
	e.add(p, p, f)
	e.fma(p, k, e.c(ln2Hi))
	return p
}

// split writes x as m·2^k with m from ¾ to 1½. With AVX-512 a negative x gives
// NaN, 0 and infinity give k = −∞ and ∞; with AVX2 they are left to fix.
func (e emitter) split(x Register) (m, k VecVirtual) {
	m, k = e.vec(), e.vec()
	if e.wide {
		VGETMANTPS(U8(0b1011), x, m) // interval [¾,1½), NaN for negatives
		VGETEXPPS(x, k)
		below := e.vec()
		VGETEXPPS(m, below)
		e.sub(k, k, below)
		return m, k
	}
	small := e.cmp(less, x, e.c(0x1p-126))
	big := e.vec()
	e.mul(big, x, e.c(0x1p23))
	y, bias := e.vec(), e.vec()
	e.choose(y, small, x, big)
	VANDPS(e.c(-23).Mem, small.Register, bias)
	e.subInt(k, y, e.bits(0x3f400000)) // ¾
	VPSRAD(U8(23), k, k)
	shifted := e.vec()
	VPSLLD(U8(23), k, shifted)
	e.subInt(m, y, shifted)
	VCVTDQ2PS(k, k)
	e.add(k, k, bias)
	return m, k
}

// logEdges puts the values of ln at 0, ∞, NaN and below 0 where AVX2's split leaves nonsense.
func (e emitter) logEdges(y, x Register) {
	if e.wide {
		return
	}
	e.choose(y, e.cmp(equal, x, e.c(0)), y, e.c(math.Inf(-1)))
	e.choose(y, e.cmp(less, x, e.c(0)), y, e.bits(0x7fc00000))
	e.choose(y, e.cmp(unordered, x, x), y, x)
	e.choose(y, e.cmp(equal, x, e.c(math.Inf(1))), y, x)
}

func (e emitter) log(x Register) VecVirtual {
	m, k := e.split(x)
	e.sub(m, m, e.c(1))
	y := e.logSum(k, m)
	e.logEdges(y, x)
	return y
}

// log1p is the logarithm of u = 1+x, corrected by what rounding took from u.
func (e emitter) log1p(x Register) VecVirtual {
	u, b, lost, rest := e.vec(), e.vec(), e.vec(), e.vec()
	e.add(u, x, e.c(1))
	e.sub(b, u, e.c(1)) // the part of x in u
	e.sub(rest, x, b)
	e.sub(b, u, b)
	e.sub(lost, e.load(e.c(1)), b)
	e.add(lost, lost, rest)
	m, k := e.split(u)
	e.sub(m, m, e.c(1))
	// What was lost, in units of 2^k. Beyond 2^126 it no longer counts.
	down := e.vec()
	e.sub(down, e.zero(), k)
	e.clampLow(down, e.c(-126))
	e.clampHigh(down, e.c(126))
	e.fma(m, lost, e.power(down))
	y := e.logSum(k, m)
	e.logEdges(y, u)
	// 1+x was −0 or infinite: the correction is NaN there.
	e.choose(y, e.cmp(equal, x, e.c(-1)), y, e.c(math.Inf(-1)))
	e.choose(y, e.cmp(equal, x, e.c(math.Inf(1))), y, x)
	return y
}

// tanh is (e^2|x| − 1)/(e^2|x| + 1) with the sign of x; from 10 on it rounds to 1.
func (e emitter) tanh(x Register) VecVirtual {
	z := e.abs(x)
	e.clampHigh(z, e.c(10))
	e.add(z, z, z)
	n, r := e.expReduced(z)
	p := e.expm1Reduced(r)
	t, u := e.power(n), e.vec()
	e.sub(u, t, e.c(1))
	e.horner(p, t, u) // e^z − 1
	e.add(u, p, e.c(2))
	e.div(p, p, u)
	e.copySign(p, x)
	return p
}

// sigmoid is 1/(1+E) or, for negative x, E/(1+E), with E = e^−|x|.
func (e emitter) sigmoid(x Register) VecVirtual {
	z := e.vec()
	e.or(z, x, e.bits(0x80000000))
	p := e.exp(z)
	d, top := e.vec(), e.vec()
	e.add(d, p, e.c(1))
	e.choose(top, e.cmp(less, x, e.c(0)), e.load(e.c(1)), p)
	e.div(top, top, d)
	return top
}

// softplus is max(x,0) + ln(1+E), E = e^−|x|; the logarithm is 2·atanh(s),
// s = E/(2+E) ≤ ⅓, within 9.5e-9.
func (e emitter) softplus(x Register) VecVirtual {
	z := e.vec()
	e.or(z, x, e.bits(0x80000000))
	p := e.exp(z)
	s, square := e.vec(), e.vec()
	e.add(s, p, e.c(2))
	e.div(s, p, s)
	e.mul(square, s, s)
	a := e.poly(square, 0.6666640639305115, 0.40022000670433044, 0.27994945645332336, 0.28042975068092346)
	e.mul(a, a, square)
	e.horner(a, s, s)
	e.add(a, a, s)
	top := e.vec()
	e.max(top, e.zero(), x)
	e.add(a, a, top)
	return a
}

// erf is x + x·E(x²) up to 0.92 (within 1e-9) and 1 − e^−g(|x|) beyond, g a fit of
// −ln erfc (the result within 1.7e-9); from 4 on it rounds to 1.
func (e emitter) erf(x Register) VecVirtual {
	a := e.abs(x)
	square := e.vec()
	e.mul(square, x, x)
	near := e.poly(square, 0.12837916612625122, -0.37612631916999817, 0.11283671855926514, -0.026858126744627953,
		0.005197890568524599, -0.0008107086177915335, 8.219926530728117e-05)
	e.horner(near, x, x)
	far := e.copy(a)
	e.clampHigh(far, e.c(4))
	g := e.poly(far, -0.0001840246404753998, -1.1277269124984741, -0.6370900869369507, -0.10401804000139236,
		0.02227151207625866, -0.0030552020762115717, 0.00019724745652638376)
	g = e.exp(g)
	e.sub(g, e.load(e.c(1)), g)
	e.copySign(g, x)
	y := e.vec()
	e.choose(y, e.cmp(less, a, e.c(0.92)), g, near)
	return y
}

// Three parts of π/2 (Cody and Waite). With fused multiply-adds the first
// difference is exact for |x| ≤ sinLimit, and the rest is below an ulp of the remainder.
var (
	halfPi1 = float64(float32(math.Pi / 2))
	halfPi2 = float64(float32(math.Pi/2 - halfPi1))
	halfPi3 = 6.123233995736766e-17 + (math.Pi/2 - halfPi1 - halfPi2) // π/2 exceeds its float64 by 6.1e-17
)

// sine is sin(x + quarter·π/2) for |x| ≤ 2^17.
func (e emitter) sine(x Register, quarter uint32) VecVirtual {
	n, r := e.vec(), e.copy(x)
	e.mul(n, x, e.c(2/math.Pi))
	e.round(n, n)
	e.fnma(r, n, e.c(halfPi1))
	e.fnma(r, n, e.c(halfPi2))
	e.fnma(r, n, e.c(halfPi3))
	z := e.vec()
	e.mul(z, r, r)
	s := e.poly(z, -0.1666666716337204, 0.008333371952176094, -0.00019849838281515986, 2.7990915896225488e-06) // within 2e-10
	e.mul(s, s, z)
	e.horner(s, r, r)
	c := e.poly(z, 0.0416666679084301, -0.0013888973044231534, 2.481918636476621e-05, -2.8600047130566963e-07) // within 1e-11
	e.horner(c, z, e.c(-0.5))
	e.horner(c, z, e.c(1))
	// Odd quarters take the cosine, quarters 2 and 3 change sign.
	q, odd := e.vec(), e.vec()
	VCVTPS2DQ(n, q)
	if quarter != 0 {
		e.addInt(q, q, e.bits(quarter))
	}
	VPSLLD(U8(31), q, odd)
	y := e.vec()
	if e.wide {
		k := K()
		VPMOVD2M(odd, k)
		e.choose(y, mask{k}, s, c)
	} else {
		VBLENDVPS(odd, c, s, y)
	}
	VPSRLD(U8(1), q, q)
	VPSLLD(U8(31), q, q)
	e.xor(y, y, q)
	return y
}
