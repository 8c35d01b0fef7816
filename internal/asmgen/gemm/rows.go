package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The softmax of attention, a row at a time. Rows are whole vectors: the caller
// fills up a row's end with −Inf.

// broadcast holds a float in every lane of a register.
func broadcast(width int, x float64) VecVirtual {
	bits, g, v := GP32(), XMM(), vector(width)
	MOVL(U32(math.Float32bits(float32(x))), bits)
	VMOVD(bits, g)
	VBROADCASTSS(g, v)
	return v
}

// constant is a float in every lane: of a register, or of memory with AVX2,
// which has registers for a few only.
func constant(width int, x float64) Op {
	if width == avx512 {
		return broadcast(width, x)
	}
	bits := math.Float32bits(float32(x))
	m, ok := constants[bits]
	if !ok {
		m = GLOBL(fmt.Sprintf("lanes%08x", bits), attr.RODATA|attr.NOPTR)
		for i := range width / 4 {
			DATA(4*i, U32(bits))
		}
		constants[bits] = m
	}
	return m
}

var constants = map[uint32]Mem{}

// expConstants are what exp keeps from element to element.
type expConstants struct {
	width                    int
	least, most              VecVirtual
	log2e, ln2hi, ln2lo, one Op
	poly                     []Op
}

func newExp(width int) *expConstants {
	c := &expConstants{
		width: width,
		least: broadcast(width, -104), most: broadcast(width, 89), // to 0 and +Inf from there on
		log2e: constant(width, math.Log2E),
		// ln 2 in two parts, the first exact in few bits (Cody and Waite).
		ln2hi: constant(width, 0.693359375), ln2lo: constant(width, -2.12194440e-4),
		one: constant(width, 1),
	}
	// e^r = 1 + r + r²·P(r) on |r| ≤ ln2/2 (Moshier's Cephes, expf).
	for _, a := range []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		c.poly = append(c.poly, constant(width, a))
	}
	return c
}

// exp replaces x by e^x. NaN stays, −Inf gives 0.
func (c *expConstants) exp(x VecVirtual) {
	n, y := vector(c.width), vector(c.width)
	VMAXPS(x, c.least, x)
	VMINPS(x, c.most, x)
	VMULPS(c.log2e, x, n)
	if c.width == avx512 {
		VRNDSCALEPS(U8(0), n, n)
	} else {
		VROUNDPS(U8(0), n, n)
	}
	VFNMADD231PS(c.ln2hi, n, x)
	VFNMADD231PS(c.ln2lo, n, x)
	VMOVUPS(c.poly[0], y)
	for _, a := range c.poly[1:] {
		VFMADD213PS(a, x, y)
	}
	square := vector(c.width)
	VMULPS(x, x, square)
	VADDPS(c.one, x, x)
	VFMADD231PS(square, y, x)
	if c.width == avx512 {
		VSCALEFPS(n, x, x)
		return
	}
	// 2ⁿ in two factors, each a normal number.
	half := vector(c.width)
	VCVTPS2DQ(n, n)
	VPSRAD(U8(1), n, half)
	VPSUBD(half, n, n)
	for _, h := range []VecVirtual{half, n} {
		VPSLLD(U8(23), h, h)
		VPADDD(c.one, h, h) // the bits of 1 are 127<<23
		VMULPS(h, x, x)
	}
}

// horizontal folds a vector's lanes into lane 0.
func horizontal(width int, v VecVirtual, fold func(a, b, to Op)) {
	if width == avx512 {
		half := YMM()
		VEXTRACTF64X4(U8(1), v, half)
		fold(half, v.AsY(), v.AsY())
	}
	quarter := XMM()
	VEXTRACTF128(U8(1), v.AsY(), quarter)
	fold(quarter, v.AsX(), v.AsX())
	VPERMILPS(U8(0x4e), v.AsX(), quarter)
	fold(quarter, v.AsX(), v.AsX())
	VPERMILPS(U8(0xb1), v.AsX(), quarter)
	fold(quarter, v.AsX(), v.AsX())
}

// rowMax generates the largest of a row.
func rowMax(width int) kernel {
	k := kernel{fmt.Sprintf("rowMax%d", 8*width), "func(row *float32, vectors int) float32",
		fmt.Sprintf("is the largest element of a row of vectors of %d floats; NaN may be passed over", width/4)}
	TEXT(k.name, NOSPLIT, k.signature)
	row, n := Load(Param("row"), GP64()), Load(Param("vectors"), GP64())
	top := broadcast(width, math.Inf(-1))
	Label(k.name + "loop")
	VMAXPS(Mem{Base: row}, top, top)
	ADDQ(U8(width), row)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	horizontal(width, top, func(a, b, to Op) { VMAXPS(a, b, to) })
	Store(top.AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
	return k
}

// rowExp generates p = exp(p − m) and the sum of p.
func rowExp(width int) kernel {
	k := kernel{fmt.Sprintf("rowExp%d", 8*width), "func(row *float32, vectors int, m float32) float32",
		"replaces a row p by exp(p−m) and returns its sum"}
	TEXT(k.name, NOSPLIT, k.signature)
	row, n := Load(Param("row"), GP64()), Load(Param("vectors"), GP64())
	m, sum := vector(width), vector(width)
	a, _ := Param("m").Resolve()
	VBROADCASTSS(a.Addr, m)
	c := newExp(width)
	VXORPS(sum.AsX(), sum.AsX(), sum.AsX())
	Label(k.name + "loop")
	x := vector(width)
	VMOVUPS(Mem{Base: row}, x)
	VSUBPS(m, x, x)
	c.exp(x)
	VADDPS(x, sum, sum)
	VMOVUPS(x, Mem{Base: row})
	ADDQ(U8(width), row)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	horizontal(width, sum, func(a, b, to Op) { VADDPS(a, b, to) })
	Store(sum.AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
	return k
}

// rowGrad generates the gradient of a row of scores.
func rowGrad(width int) kernel {
	k := kernel{fmt.Sprintf("rowGrad%d", 8*width), "func(row, grad *float32, vectors int, lse, mean, scale float32)",
		"replaces a row p of scores by exp(p−lse), and its gradient g by scale·p·(g−mean)"}
	TEXT(k.name, NOSPLIT, k.signature)
	row, grad, n := Load(Param("row"), GP64()), Load(Param("grad"), GP64()), Load(Param("vectors"), GP64())
	uniform := func(name string) VecVirtual {
		v := vector(width)
		a, _ := Param(name).Resolve()
		VBROADCASTSS(a.Addr, v)
		return v
	}
	lse, mean, scale := uniform("lse"), uniform("mean"), uniform("scale")
	c := newExp(width)
	Label(k.name + "loop")
	x, g := vector(width), vector(width)
	VMOVUPS(Mem{Base: row}, x)
	VSUBPS(lse, x, x)
	c.exp(x)
	VMOVUPS(x, Mem{Base: row})
	VMOVUPS(Mem{Base: grad}, g)
	VSUBPS(mean, g, g)
	VMULPS(x, g, g)
	VMULPS(scale, g, g)
	VMOVUPS(g, Mem{Base: grad})
	ADDQ(U8(width), row)
	ADDQ(U8(width), grad)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}
