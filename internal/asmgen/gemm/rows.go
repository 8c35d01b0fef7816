package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The softmax of attention. Rows are whole vectors: the caller fills up a row's
// end with −Inf.

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
	return lanes(width, x)
}

// lanes is a vector of one float in memory.
func lanes(width int, x float64) Mem {
	bits := math.Float32bits(float32(x))
	key := [2]uint32{uint32(width), bits}
	m, ok := constants[key]
	if !ok {
		m = GLOBL(fmt.Sprintf("lanes%d_%08x", 8*width, bits), attr.RODATA|attr.NOPTR)
		for i := range width / 4 {
			DATA(4*i, U32(bits))
		}
		constants[key] = m
	}
	return m
}

var constants = map[[2]uint32]Mem{}

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
	// The coefficients of e^r = 1 + r + r²·P(r) on |r| ≤ ln2/2 (Moshier's Cephes, expf).
	for _, a := range []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		c.poly = append(c.poly, constant(width, a))
	}
	return c
}

// exp gives e^x, and overwrites x. NaN stays, −Inf gives 0.
func (c *expConstants) exp(x VecVirtual) VecVirtual {
	n, y := vector(c.width), vector(c.width)
	VMAXPS(x, c.least, x)
	if c.width == avx2 {
		VMINPS(x, c.most, x)
	}
	VMULPS(c.log2e, x, n)
	if c.width == avx512 {
		VRNDSCALEPS(U8(0), n, n)
	} else {
		VROUNDPS(U8(0), n, n)
	}
	VFNMADD231PS(c.ln2hi, n, x)
	VFNMADD231PS(c.ln2lo, n, x)
	VMOVUPS(c.poly[0], y)
	for _, a := range append(c.poly[1:], c.one, c.one) {
		VFMADD213PS(a, x, y)
	}
	if c.width == avx512 {
		VSCALEFPS(n, y, y)
		return y
	}
	// 2ⁿ in two factors, each a normal number.
	half := vector(c.width)
	VCVTPS2DQ(n, n)
	VPSRAD(U8(1), n, half)
	VPSUBD(half, n, n)
	for _, h := range []VecVirtual{half, n} {
		VPSLLD(U8(23), h, h)
		VPADDD(c.one, h, h) // the bits of 1 are 127<<23
		VMULPS(h, y, y)
	}
	return y
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

// spreadLane0 copies lane 0 to all lanes.
func spreadLane0(v VecVirtual) { VBROADCASTSS(v.AsX(), v) }

// element is float32 i of the array that a register points to, in every lane.
func element(width int, array, i Register) VecVirtual {
	v := vector(width)
	VBROADCASTSS(Mem{Base: array, Index: i, Scale: 4}, v)
	return v
}

// softmaxRows generates the online softmax (Milakov and Gimelshein, 2018) of a
// block of scores: for each row, with t its greatest score so far,
//
//	factor = exp(top − t);  p = exp(p − t);  sum = sum·factor + Σ p;  top = t
func softmaxRows(width int) kernel {
	k := kernel{fmt.Sprintf("softmaxRows%d", 8*width),
		"func(p *float32, stride, rows, vectors int, top, sum, factor *float32)",
		"replaces rows p by exp(p−t), t being a row's greatest element or top, and brings top, sum and factor up to date"}
	TEXT(k.name, NOSPLIT, k.signature)
	p, stride := Load(Param("p"), GP64()), Load(Param("stride"), GP64())
	rows, vectors := Load(Param("rows"), GP64()), Load(Param("vectors"), GP64())
	tops, sums, factors := Load(Param("top"), GP64()), Load(Param("sum"), GP64()), Load(Param("factor"), GP64())
	c := newExp(width)
	i, at, n := GP64(), GP64(), GP64()
	XORQ(i, i)
	Label(k.name + "row")

	top := element(width, tops, i)
	old, t := vector(width), vector(width)
	VMOVAPS(top, t)
	VMOVAPS(top, old)
	MOVQ(p, at)
	MOVQ(vectors, n)
	Label(k.name + "max")
	VMAXPS(Mem{Base: at}, t, t)
	ADDQ(U8(width), at)
	DECQ(n)
	JNZ(LabelRef(k.name + "max"))
	horizontal(width, t, func(a, b, to Op) { VMAXPS(a, b, to) })
	VMOVSS(t.AsX(), Mem{Base: tops, Index: i, Scale: 4})
	spreadLane0(t)
	// Where all is −Inf, subtract something finite: every exp gives 0.
	VMAXPS(constant(width, -math.MaxFloat32), t, t)
	VSUBPS(t, old, old)
	factor := c.exp(old)
	VMOVSS(factor.AsX(), Mem{Base: factors, Index: i, Scale: 4})

	sum := vector(width)
	VXORPS(sum.AsX(), sum.AsX(), sum.AsX())
	MOVQ(p, at)
	MOVQ(vectors, n)
	Label(k.name + "exp")
	x := vector(width)
	VMOVUPS(Mem{Base: at}, x)
	VSUBPS(t, x, x)
	e := c.exp(x)
	VADDPS(e, sum, sum)
	VMOVUPS(e, Mem{Base: at})
	ADDQ(U8(width), at)
	DECQ(n)
	JNZ(LabelRef(k.name + "exp"))
	horizontal(width, sum, func(a, b, to Op) { VADDPS(a, b, to) })
	VFMADD231SS(Mem{Base: sums, Index: i, Scale: 4}, factor.AsX(), sum.AsX())
	VMOVSS(sum.AsX(), Mem{Base: sums, Index: i, Scale: 4})

	ADDQ(stride, p)
	INCQ(i)
	CMPQ(i, rows)
	JNE(LabelRef(k.name + "row"))
	VZEROUPPER()
	RET()
	return k
}

// softmaxGradRows generates the gradient of a block of scores.
func softmaxGradRows(width int) kernel {
	k := kernel{fmt.Sprintf("softmaxGradRows%d", 8*width),
		"func(p, grad *float32, stride, rows, vectors int, lse, mean *float32, scale float32)",
		"replaces rows p of scores by exp(p−lse), and the gradients of those by scale·p·(grad−mean), those of the scores"}
	TEXT(k.name, NOSPLIT, k.signature)
	p, grad, stride := Load(Param("p"), GP64()), Load(Param("grad"), GP64()), Load(Param("stride"), GP64())
	rows, vectors := Load(Param("rows"), GP64()), Load(Param("vectors"), GP64())
	lses, means := Load(Param("lse"), GP64()), Load(Param("mean"), GP64())
	scale := vector(width)
	a, _ := Param("scale").Resolve()
	VBROADCASTSS(a.Addr, scale)
	c := newExp(width)
	i, n, at := GP64(), GP64(), GP64()
	XORQ(i, i)
	Label(k.name + "row")
	lse, mean := element(width, lses, i), element(width, means, i)
	XORQ(at, at)
	MOVQ(vectors, n)
	Label(k.name + "loop")
	x, g := vector(width), vector(width)
	row, gradRow := Mem{Base: p, Index: at, Scale: 1}, Mem{Base: grad, Index: at, Scale: 1}
	VMOVUPS(row, x)
	VSUBPS(lse, x, x)
	e := c.exp(x)
	VMOVUPS(e, row)
	VMOVUPS(gradRow, g)
	VSUBPS(mean, g, g)
	VMULPS(scale, e, e)
	VMULPS(e, g, g)
	VMOVUPS(g, gradRow)
	ADDQ(U8(width), at)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	ADDQ(stride, p)
	ADDQ(stride, grad)
	INCQ(i)
	CMPQ(i, rows)
	JNE(LabelRef(k.name + "row"))
	VZEROUPPER()
	RET()
	return k
}

// rowDot generates the product of two vectors.
func rowDot(width int) kernel {
	k := kernel{fmt.Sprintf("rowDot%d", 8*width), "func(a, b *float32, vectors int) float32",
		fmt.Sprintf("is the sum of a·b over vectors of %d floats", width/4)}
	TEXT(k.name, NOSPLIT, k.signature)
	a, b, n := Load(Param("a"), GP64()), Load(Param("b"), GP64()), Load(Param("vectors"), GP64())
	sum := vector(width)
	VXORPS(sum.AsX(), sum.AsX(), sum.AsX())
	Label(k.name + "loop")
	x := vector(width)
	VMOVUPS(Mem{Base: a}, x)
	VFMADD231PS(Mem{Base: b}, x, sum)
	ADDQ(U8(width), a)
	ADDQ(U8(width), b)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	horizontal(width, sum, func(a, b, to Op) { VADDPS(a, b, to) })
	Store(sum.AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
	return k
}

// rowScale generates the product of a vector and a number.
func rowScale(width int) kernel {
	k := kernel{fmt.Sprintf("rowScale%d", 8*width), "func(a *float32, vectors int, f float32)",
		fmt.Sprintf("multiplies vectors of %d floats by f", width/4)}
	TEXT(k.name, NOSPLIT, k.signature)
	a, n := Load(Param("a"), GP64()), Load(Param("vectors"), GP64())
	f, x := vector(width), vector(width)
	m, _ := Param("f").Resolve()
	VBROADCASTSS(m.Addr, f)
	Label(k.name + "loop")
	VMULPS(Mem{Base: a}, f, x)
	VMOVUPS(x, Mem{Base: a})
	ADDQ(U8(width), a)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}

// rowAdd generates the sum of two vectors.
func rowAdd(width int) kernel {
	k := kernel{fmt.Sprintf("rowAdd%d", 8*width), "func(a, b *float32, vectors int)",
		fmt.Sprintf("adds vectors b of %d floats to a", width/4)}
	TEXT(k.name, NOSPLIT, k.signature)
	a, b, n := Load(Param("a"), GP64()), Load(Param("b"), GP64()), Load(Param("vectors"), GP64())
	Label(k.name + "loop")
	x := vector(width)
	VMOVUPS(Mem{Base: a}, x)
	VADDPS(Mem{Base: b}, x, x)
	VMOVUPS(x, Mem{Base: a})
	ADDQ(U8(width), a)
	ADDQ(U8(width), b)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}
