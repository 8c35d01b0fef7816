package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Random numbers: a lane is a Philox block, a vector of blocks at a time. What
// follows repeats tensor/rng operation by operation, each rounded on its own,
// so the bits are the same; see there for the formulas.

func (e emitter) random() {
	e.draws("vecUniform", "uniforms", func(w [4]VecVirtual) [4]VecVirtual {
		for _, v := range w {
			VPSRLD(U8(8), v, v)
			VCVTDQ2PS(v, v)
			e.mul(v, v, e.c(0x1p-24))
		}
		return w
	})
	e.draws("vecNormals", "standard normals", func(w [4]VecVirtual) (n [4]VecVirtual) {
		n[0], n[1] = e.boxMuller(w[0], w[1])
		n[2], n[3] = e.boxMuller(w[2], w[3])
		return n
	})
}

// draws emits a kernel that fills groups of a vector of blocks, four elements each.
func (e emitter) draws(name, what string, f func(w [4]VecVirtual) [4]VecVirtual) {
	e.begin(name, "out *float32, counters *uint32, groups int, k0, k1 uint32",
		"the "+what+" of the blocks whose counters are given, four vectors of words; after each group, word 2 of every counter grows by the number of lanes")
	out, counters, groups := pointer("out"), pointer("counters"), pointer("groups")
	Label("loop")
	var w [4]VecVirtual
	for i := range w {
		w[i] = e.vec()
		VMOVUPS(Mem{Base: counters, Disp: 4 * e.lanes() * i}, w[i])
	}
	next := e.vec()
	e.addInt(next, w[2], e.bits(uint32(e.lanes())))
	VMOVUPS(next, Mem{Base: counters, Disp: 4 * e.lanes() * 2})
	w = e.philox(w)
	for i, v := range e.interleave(f(w)) {
		VMOVUPS(v, Mem{Base: out, Disp: 4 * e.lanes() * i})
	}
	ADDQ(I32(16*e.lanes()), out)
	DECQ(groups)
	JNZ(LabelRef("loop"))
	e.end()
}

// philox is ten rounds of Philox4x32 in every lane.
func (e emitter) philox(c [4]VecVirtual) [4]VecVirtual {
	k0, k1 := e.word("k0"), e.word("k1")
	m0, m1 := e.load(e.bits(0xD2511F53)), e.load(e.bits(0xCD9E8D57))
	for round := range 10 {
		if round > 0 {
			e.addInt(k0, k0, e.bits(0x9E3779B9))
			e.addInt(k1, k1, e.bits(0xBB67AE85))
		}
		lo0, hi0 := e.product(c[0], m0)
		lo1, hi1 := e.product(c[2], m1)
		e.xor(hi1, hi1, c[1])
		e.xor(hi1, hi1, k0)
		e.xor(hi0, hi0, c[3])
		e.xor(hi0, hi0, k1)
		c = [4]VecVirtual{hi1, lo1, hi0, lo0}
	}
	return c
}

// word loads a uint32 parameter into all lanes.
func (e emitter) word(name string) VecVirtual {
	x, v := XMM(), e.vec()
	VMOVD(Load(Param(name), GP32()), x)
	VPBROADCASTD(x, v)
	return v
}

// product gives both halves of a·m in every lane: even lanes and odd ones are
// multiplied apart.
func (e emitter) product(a, m VecVirtual) (lo, hi VecVirtual) {
	lo, hi = e.vec(), e.vec()
	odd := e.vec()
	VPMULLD(m, a, lo)
	VPSRLQ(U8(32), a, odd)
	VPMULUDQ(m, odd, odd)
	VPMULUDQ(m, a, hi)
	VPSRLQ(U8(32), hi, hi)
	if e.wide {
		VMOVDQA32(odd, e.oddLanes(), hi)
	} else {
		VPBLENDD(U8(0b10101010), odd, hi, hi)
	}
	return lo, hi
}

func (e emitter) oddLanes() Register {
	r, k := GP32(), K()
	MOVL(U32(0xaaaa), r)
	KMOVW(r, k)
	return k
}

// interleave turns lanes into runs: element j of lane i goes to place 4·i+j.
func (e emitter) interleave(n [4]VecVirtual) (out [4]VecVirtual) {
	var t, r [4]VecVirtual
	for i := range t {
		t[i], r[i], out[i] = e.vec(), e.vec(), e.vec()
	}
	VUNPCKLPS(n[1], n[0], t[0])
	VUNPCKLPS(n[3], n[2], t[1])
	VUNPCKHPS(n[1], n[0], t[2])
	VUNPCKHPS(n[3], n[2], t[3])
	VUNPCKLPD(t[1], t[0], r[0]) // lanes 0, 4, …
	VUNPCKHPD(t[1], t[0], r[1]) // lanes 1, 5, …
	VUNPCKLPD(t[3], t[2], r[2])
	VUNPCKHPD(t[3], t[2], r[3])
	if !e.wide {
		VPERM2F128(U8(0x20), r[1], r[0], out[0])
		VPERM2F128(U8(0x20), r[3], r[2], out[1])
		VPERM2F128(U8(0x31), r[1], r[0], out[2])
		VPERM2F128(U8(0x31), r[3], r[2], out[3])
		return out
	}
	VSHUFF32X4(U8(0x44), r[1], r[0], t[0]) // lanes 0, 4, 1, 5
	VSHUFF32X4(U8(0x44), r[3], r[2], t[1]) // 2, 6, 3, 7
	VSHUFF32X4(U8(0xee), r[1], r[0], t[2])
	VSHUFF32X4(U8(0xee), r[3], r[2], t[3])
	VSHUFF32X4(U8(0x88), t[1], t[0], out[0]) // 0, 1, 2, 3
	VSHUFF32X4(U8(0xdd), t[1], t[0], out[1])
	VSHUFF32X4(U8(0x88), t[3], t[2], out[2])
	VSHUFF32X4(U8(0xdd), t[3], t[2], out[3])
	return out
}

// rounded is d·x + c with the product rounded.
func (e emitter) rounded(d, x Register, c float64) {
	e.mul(d, d, x)
	e.add(d, d, e.c(c))
}

// boxMuller repeats rng.boxMuller.
func (e emitter) boxMuller(a, b VecVirtual) (x, y VecVirtual) {
	u := e.vec()
	VPSRLD(U8(8), a, u)
	e.addInt(u, u, u)
	e.addInt(u, u, e.bits(1))
	VCVTDQ2PS(u, u)
	e.mul(u, u, e.c(1.0/(1<<25)))
	r := e.exactLog(u)
	e.mul(r, r, e.c(-2))
	VSQRTPS(r, r)
	VPSRLD(U8(8), b, b)
	s, c := e.sincosTurn(b)
	e.mul(c, c, r)
	e.mul(s, s, r)
	return c, s
}

// exactLog repeats rng.logf.
func (e emitter) exactLog(u VecVirtual) VecVirtual {
	k, m := e.vec(), e.vec()
	VPSRLD(U8(23), u, k)
	e.addInt(k, k, e.bits(^uint32(126))) // −127
	e.and(m, u, e.bits(0x7fffff))
	e.or(m, m, e.bits(127<<23))
	big := e.cmp(atLeast, m, e.c(1.4142135))
	half, next := e.vec(), e.vec()
	e.mul(half, m, e.c(0.5))
	e.addInt(next, k, e.bits(1))
	e.choose(m, big, m, half)
	e.choose(k, big, k, next)
	VCVTDQ2PS(k, k)

	s, z := e.vec(), e.vec()
	e.sub(s, m, e.c(1))
	e.add(m, m, e.c(1))
	e.div(s, s, m)
	e.mul(z, s, s)
	p := e.load(e.c(1.0 / 9))
	e.rounded(p, z, 1.0/7)
	e.rounded(p, z, 1.0/5)
	e.rounded(p, z, 1.0/3)
	e.mul(p, p, z)
	e.mul(p, p, s)
	e.add(p, p, s)
	e.add(p, p, p)
	low := e.vec()
	e.mul(low, k, e.c(1.42860677e-6))
	e.add(p, p, low)
	e.mul(k, k, e.c(0.693145752))
	e.add(p, p, k)
	return p
}

// sincosTurn repeats rng.sincosTurn.
func (e emitter) sincosTurn(v VecVirtual) (sin, cos VecVirtual) {
	q, x, z := e.vec(), e.vec(), e.vec()
	e.addInt(q, v, e.bits(1<<21))
	VPSRLD(U8(22), q, q)
	VPSLLD(U8(22), q, x)
	e.subInt(x, v, x)
	VCVTDQ2PS(x, x)
	e.mul(x, x, e.c(2*3.14159265358979323846264338327950288419716939937510582097494459/(1<<24)))
	e.mul(z, x, x)
	s := e.load(e.c(2.75573192e-6))
	e.rounded(s, z, -1.98412698e-4)
	e.rounded(s, z, 8.33333333e-3)
	e.rounded(s, z, -0.166666667)
	e.mul(s, s, z)
	e.mul(s, s, x)
	e.add(s, s, x)
	c := e.load(e.c(2.48015873e-5))
	e.rounded(c, z, -1.38888889e-3)
	e.rounded(c, z, 4.16666667e-2)
	e.rounded(c, z, -0.5)
	e.rounded(c, z, 1)
	// Odd quarters swap the two; the sine is negative in quarters 2 and 3, the cosine in 1 and 2.
	odd := e.vec()
	VPSLLD(U8(31), q, odd)
	sin, cos = e.vec(), e.vec()
	if e.wide {
		k := K()
		VPMOVD2M(odd, k)
		e.choose(sin, mask{k}, s, c)
		e.choose(cos, mask{k}, c, s)
	} else {
		VBLENDVPS(odd, c, s, sin)
		VBLENDVPS(odd, s, c, cos)
	}
	sign := e.vec()
	e.and(sign, q, e.bits(2))
	VPSLLD(U8(30), sign, sign)
	e.xor(sin, sin, sign)
	e.addInt(q, q, e.bits(1))
	e.and(sign, q, e.bits(2))
	VPSLLD(U8(30), sign, sign)
	e.xor(cos, cos, sign)
	return sin, cos
}
