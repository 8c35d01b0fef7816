package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The kernels of bfloat16 products: bf16_amd64.s. A word is a pair of bfloat16
// numbers that lie next to each other along the summed axis, the first in the
// low half. In words, a product of pairs is what a product of floats is in
// floats, so the tiles are those of float32 with another multiply-add.

// bf16Kernels generates them.
func bf16Kernels() (all []kernel) {
	for rows := 1; rows <= maxRows512; rows++ {
		for vecs := 1; vecs <= 2; vecs++ {
			all = append(all, tile{avx512, rows, vecs, true}.generate())
		}
	}
	return append(all, pairRows(1), pairRows(2), pairSums(), convertRows(), roundedDot(), winogradInputPairs(), winogradInputRows(), winogradSpreadRows())
}

// pairOpcodes are AVX512_BF16's instructions of form zmm, zmm, zmm, which
// neither avo nor Go's assembler knows: the second byte of EVEX (mandatory
// prefix F3 or F2) and the opcode, in map 0F38, W0.
var pairOpcodes = map[string]struct{ prefix, opcode uint8 }{
	"VDPBF16PS":      {0b10, 0x52}, // acc += a.low·b.low + a.high·b.high
	"VCVTNE2PS2BF16": {0b11, 0x72}, // to = bfloat16 of low, in the lower half, and of high
}

// dotPairs is acc += a·b of words.
func dotPairs(b, a, acc VecVirtual) {
	Instruction(&ir.Instruction{Opcode: "VDPBF16PS", Operands: []Op{b, a, acc}, Inputs: []Op{b, a, acc}, Outputs: []Op{acc}, ISA: []string{"AVX512_BF16"}})
}

// roundPair rounds two vectors to bfloat16, to nearest even, into one.
func roundPair(low, high, to VecVirtual) {
	Instruction(&ir.Instruction{Opcode: "VCVTNE2PS2BF16", Operands: []Op{low, high, to}, Inputs: []Op{low, high}, Outputs: []Op{to}, ISA: []string{"AVX512_BF16"}})
}

var pairInstruction = regexp.MustCompile(`(?m)^\t(VDPBF16PS|VCVTNE2PS2BF16) +Z(\d+), Z(\d+), Z(\d+)$`)

// encode rewrites those instructions in a generated file as the bytes that they are.
func encode(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out := pairInstruction.ReplaceAllStringFunc(string(text), func(line string) string {
		m := pairInstruction.FindStringSubmatch(line)
		op := pairOpcodes[m[1]]
		var r [3]uint8 // ModRM.rm, EVEX.vvvv, ModRM.reg
		for i := range r {
			n, _ := strconv.Atoi(m[2+i]) // the pattern has digits only
			r[i] = uint8(n)
		}
		not := func(x, bit uint8) uint8 { return ^x >> bit & 1 }
		p0 := not(r[2], 3)<<7 | not(r[0], 4)<<6 | not(r[0], 3)<<5 | not(r[2], 4)<<4 | 0b010
		p1 := (^r[1]&15)<<3 | 1<<2 | op.prefix
		p2 := 0b10<<5 | not(r[1], 4)<<3
		modrm := 0b11<<6 | (r[2]&7)<<3 | r[0]&7
		return fmt.Sprintf("\tLONG $0x%02x%02x%02x62; WORD $0x%02x%02x // %s", p2, p1, p0, modrm, op.opcode, strings.Join(strings.Fields(line), " "))
	})
	return os.WriteFile(path, []byte(out), 0o644)
}

// interleaved is, of a vector that roundPair made, the words.
func interleaved(v, order VecVirtual) { VPERMW(v, order, v) }

var orderTable *Mem

// loadOrder loads interleaved's order, halves i and 16+i to word i, from one
// table for all kernels.
func loadOrder() VecVirtual {
	if orderTable == nil {
		m := GLOBL("wordOrder", attr.RODATA|attr.NOPTR)
		for i := range 16 {
			DATA(4*i, U32(i|(16+i)<<16))
		}
		orderTable = &m
	}
	v := ZMM()
	VMOVUPS(*orderTable, v)
	return v
}

// pairRows generates the conversion that makes a word of numbers of two rows.
func pairRows(vecs int) kernel {
	k := kernel{fmt.Sprintf("pairRows512x%d", vecs),
		"func(to, from *float32, toStride, fromStride, second, rows, toLine, fromLine, lines int, toMask, firstMask, secondMask uint32)",
		fmt.Sprintf("makes lines of rows of %d words, to[j] = (from[j], from[second+j]), of which what is outside firstMask and secondMask is zero and what is outside toMask is left alone; strides in bytes", 16*vecs)}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("toStride", "fromStride", "second", "lines")
	toLine, fromLine := Load(Param("to"), GP64()), Load(Param("from"), GP64())
	toMasks, firstMasks, secondMasks := vectorMasks("toMask", vecs), vectorMasks("firstMask", vecs), vectorMasks("secondMask", vecs)
	order := loadOrder()
	to, from, rows := GP64(), GP64(), GP64()
	Label(k.name + "line")
	MOVQ(toLine, to)
	MOVQ(fromLine, from)
	Load(Param("rows"), rows)
	Label(k.name + "row")
	for j := range vecs {
		a, b := ZMM(), ZMM()
		VMOVUPS_Z(Mem{Base: from, Disp: 64 * j}, firstMasks[j], a)
		VMOVUPS_Z(Mem{Base: from, Index: p["second"], Scale: 1, Disp: 64 * j}, secondMasks[j], b)
		roundPair(a, b, a)
		interleaved(a, order)
		VMOVUPS(a, toMasks[j], Mem{Base: to, Disp: 64 * j})
	}
	ADDQ(p["fromStride"], from)
	ADDQ(p["toStride"], to)
	DECQ(rows)
	JNZ(LabelRef(k.name + "row"))
	addParam("toLine", toLine)
	addParam("fromLine", fromLine)
	DECQ(p["lines"])
	JNZ(LabelRef(k.name + "line"))
	VZEROUPPER()
	RET()
	return k
}

// pairSums generates pairRows of one line of 32 words, which also adds up the
// rows: first ones and second ones apart, then both.
func pairSums() kernel {
	k := kernel{"pairSums512",
		"func(to, from, sum *float32, fromStride, second, rows int, mask uint32)",
		"makes rows of 32 words, to[j] = (from[j], from[second+j]) and zero outside mask, and sum, 32 sums of the numbers that they are made of; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "sum", "fromStride", "second", "rows")
	masks := vectorMasks("mask", 2)
	order := loadOrder()
	var sums [2][2]VecVirtual // of a vector: of first and of second numbers
	for j := range sums {
		for i := range sums[j] {
			sums[j][i] = ZMM()
			VXORPS(sums[j][i].AsX(), sums[j][i].AsX(), sums[j][i].AsX())
		}
	}
	Label(k.name + "row")
	for j, s := range sums {
		a, b := ZMM(), ZMM()
		VMOVUPS_Z(Mem{Base: p["from"], Disp: 64 * j}, masks[j], a)
		VMOVUPS_Z(Mem{Base: p["from"], Index: p["second"], Scale: 1, Disp: 64 * j}, masks[j], b)
		VADDPS(a, s[0], s[0])
		VADDPS(b, s[1], s[1])
		roundPair(a, b, a)
		interleaved(a, order)
		VMOVUPS(a, Mem{Base: p["to"], Disp: 64 * j})
	}
	ADDQ(p["fromStride"], p["from"])
	ADDQ(U32(128), p["to"])
	DECQ(p["rows"])
	JNZ(LabelRef(k.name + "row"))
	for j, s := range sums {
		VADDPS(s[1], s[0], s[0])
		VMOVUPS(s[0], Mem{Base: p["sum"], Disp: 64 * j})
	}
	VZEROUPPER()
	RET()
	return k
}

// addParam adds a parameter, in memory, to a register.
func addParam(name string, r Register) {
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	ADDQ(a.Addr, r)
}

func subParam(name string, r Register) {
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	SUBQ(a.Addr, r)
}

// convertRows generates the conversion that makes words of neighbours.
func convertRows() kernel {
	k := kernel{"convertRows512",
		"func(to, from *float32, toStride, fromStride, rows, toLine, fromLine, lines, blocks int, tail, tailWords uint32)",
		"makes words of neighbours: lines of rows, each of blocks of 32 floats and then those of tail, which fill tailWords; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("toStride", "fromStride", "lines")
	toLine, fromLine := Load(Param("to"), GP64()), Load(Param("from"), GP64())
	tail, tailWords := vectorMasks("tail", 2), vectorMasks("tailWords", 1)
	to, from, rows := GP64(), GP64(), GP64()
	t, f, n := GP64(), GP64(), GP64()
	a, b := ZMM(), ZMM()
	Label(k.name + "line")
	MOVQ(toLine, to)
	MOVQ(fromLine, from)
	Load(Param("rows"), rows)
	Label(k.name + "row")
	MOVQ(to, t)
	MOVQ(from, f)
	Load(Param("blocks"), n)
	TESTQ(n, n)
	JZ(LabelRef(k.name + "tail"))
	Label(k.name + "block")
	VMOVUPS(Mem{Base: f}, a)
	VMOVUPS(Mem{Base: f, Disp: 64}, b)
	roundPair(a, b, a)
	VMOVUPS(a, Mem{Base: t})
	ADDQ(U8(64), t)
	ADDQ(U32(128), f)
	DECQ(n)
	JNZ(LabelRef(k.name + "block"))
	Label(k.name + "tail")
	KORTESTW(tailWords[0], tailWords[0])
	JZ(LabelRef(k.name + "next"))
	VMOVUPS_Z(Mem{Base: f}, tail[0], a)
	VMOVUPS_Z(Mem{Base: f, Disp: 64}, tail[1], b)
	roundPair(a, b, a)
	VMOVUPS(a, tailWords[0], Mem{Base: t})
	Label(k.name + "next")
	ADDQ(p["fromStride"], from)
	ADDQ(p["toStride"], to)
	DECQ(rows)
	JNZ(LabelRef(k.name + "row"))
	addParam("toLine", toLine)
	addParam("fromLine", fromLine)
	DECQ(p["lines"])
	JNZ(LabelRef(k.name + "line"))
	VZEROUPPER()
	RET()
	return k
}

// roundedDot generates the product of a vector as it enters products and another.
func roundedDot() kernel {
	k := kernel{"roundedDot512", "func(a, b *float32, vectors int) float32",
		"is the sum of a·b over vectors of 16 floats, those of a rounded to bfloat16"}
	TEXT(k.name, NOSPLIT, k.signature)
	a, b, n := Load(Param("a"), GP64()), Load(Param("b"), GP64()), Load(Param("vectors"), GP64())
	sum, x := ZMM(), ZMM()
	VXORPS(sum.AsX(), sum.AsX(), sum.AsX())
	Label(k.name + "loop")
	VMOVUPS(Mem{Base: a}, x)
	roundPair(x, x, x)
	VPMOVZXWD(x.AsY(), x)
	VPSLLD(U8(16), x, x)
	VFMADD231PS(Mem{Base: b}, x, sum)
	ADDQ(U8(64), a)
	ADDQ(U8(64), b)
	DECQ(n)
	JNZ(LabelRef(k.name + "loop"))
	horizontal(avx512, sum, func(a, b, to Op) { VADDPS(a, b, to) })
	Store(sum.AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
	return k
}

// winogradInputPairs generates V = Bᵀ·d·B in words for tiles along a line, two
// positions apart; see winogradInput.
func winogradInputPairs() kernel {
	k := kernel{"winogradInputPairs512",
		"func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)",
		"transforms 4×4 patches of input, two positions apart, 32 channels a vector, to words of neighbouring channels; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "toStep", "line", "pixel")
	d := grid{rows: []Register{GP64(), GP64(), GP64(), GP64()}, pixel: p["pixel"], pixel3: GP64()}
	LEAQ(Mem{Base: p["pixel"], Index: p["pixel"], Scale: 2}, d.pixel3)
	out, at := GP64(), GP64()
	tileLoop(k.name, func() {
		MOVQ(p["from"], d.rows[0])
		for i := 1; i < 4; i++ {
			MOVQ(d.rows[i-1], d.rows[i])
			ADDQ(p["line"], d.rows[i])
		}
		MOVQ(p["to"], out)
	}, func() {
		MOVQ(out, at)
		for _, rows := range [4]struct {
			a, b  int
			minus bool
		}{{0, 2, true}, {1, 2, false}, {2, 1, true}, {1, 3, true}} {
			var t [2][4]VecVirtual
			for half := range t {
				for c := range t[half] {
					t[half][c] = combine(avx512, d.at(rows.a, c).Offset(64*half), d.at(rows.b, c).Offset(64*half), rows.minus)
				}
			}
			pair := func(f func(t [4]VecVirtual) VecVirtual) {
				low, high := f(t[0]), f(t[1])
				roundPair(low, high, low)
				store(low, at, p["toStep"])
			}
			pair(func(t [4]VecVirtual) VecVirtual { return minus(avx512, t[0], t[2]) })
			pair(func(t [4]VecVirtual) VecVirtual { return plus(avx512, t[1], t[2]) })
			pair(func(t [4]VecVirtual) VecVirtual { return minus(avx512, t[2], t[1]) })
			pair(func(t [4]VecVirtual) VecVirtual { return minus(avx512, t[1], t[3]) })
		}
		for _, r := range d.rows {
			ADDQ(U32(128), r)
		}
		ADDQ(U8(64), out)
	}, func() {
		LEAQ(Mem{Base: p["from"], Index: p["pixel"], Scale: 2}, p["from"])
		addParam("toTile", p["to"])
	})
	return k
}

// pairOutputs makes words of the 16 numbers that transform gives for the tile
// at hand and, after next, for another, and stores them.
func pairOutputs(transform func(take func(VecVirtual)), next func(), order VecVirtual, at, step Register) {
	var first []VecVirtual
	transform(func(v VecVirtual) { first = append(first, v) })
	next()
	i := 0
	transform(func(v VecVirtual) {
		roundPair(first[i], v, v)
		interleaved(v, order)
		store(v, at, step)
		i++
	})
}

// winogradInputRows generates V = Bᵀ·d·B in words of two tiles, of two lines of
// them; see winogradInput.
func winogradInputRows() kernel {
	k := kernel{"winogradInputRows512",
		"func(to, from *float32, second, toStep, toTile, line, pixel, tiles, vectors int)",
		"transforms 4×4 patches of input, two positions apart, to words of each and of the patch second bytes further on; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "toStep", "pixel")
	d := grid{rows: []Register{GP64(), GP64(), GP64(), GP64()}, pixel: p["pixel"], pixel3: GP64()}
	LEAQ(Mem{Base: p["pixel"], Index: p["pixel"], Scale: 2}, d.pixel3)
	order := loadOrder()
	out, at := GP64(), GP64()
	transform := func(take func(VecVirtual)) {
		for _, rows := range [4]struct {
			a, b  int
			minus bool
		}{{0, 2, true}, {1, 2, false}, {2, 1, true}, {1, 3, true}} {
			var t [4]VecVirtual
			for c := range t {
				t[c] = combine(avx512, d.at(rows.a, c), d.at(rows.b, c), rows.minus)
			}
			take(minus(avx512, t[0], t[2]))
			take(plus(avx512, t[1], t[2]))
			take(minus(avx512, t[2], t[1]))
			take(minus(avx512, t[1], t[3]))
		}
	}
	tileLoop(k.name, func() {
		MOVQ(p["from"], d.rows[0])
		for i := 1; i < 4; i++ {
			MOVQ(d.rows[i-1], d.rows[i])
			addParam("line", d.rows[i])
		}
		MOVQ(p["to"], out)
	}, func() {
		MOVQ(out, at)
		pairOutputs(transform, func() {
			for _, r := range d.rows {
				addParam("second", r)
			}
		}, order, at, p["toStep"])
		for _, r := range d.rows {
			subParam("second", r)
		}
		d.advance(64)
		ADDQ(U8(64), out)
	}, func() {
		LEAQ(Mem{Base: p["from"], Index: p["pixel"], Scale: 2}, p["from"])
		addParam("toTile", p["to"])
	})
	return k
}

// winogradSpreadRows generates A·dy·Aᵀ in words of two tiles, of two lines of
// them; see winogradSpread.
func winogradSpreadRows() kernel {
	k := kernel{"winogradSpreadRows512",
		"func(to, from *float32, second, toStep, toTile, line, pixel, tiles, vectors int, keep uint32)",
		"transforms 2×2 gradients of outputs to words of each and of the one second bytes further on, which is 0 where keep is not set; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "second", "toStep", "line", "pixel")
	keep := vectorMasks("keep", 1)[0]
	order := loadOrder()
	zero := ZMM()
	VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
	y := grid{rows: []Register{GP64(), GP64()}, pixel: p["pixel"]}
	out, at := GP64(), GP64()
	load := func(from Mem, to VecVirtual) { VMOVUPS(from, to) }
	transform := func(take func(VecVirtual)) {
		var d [2][2]VecVirtual
		for r := range d {
			for c := range d[r] {
				d[r][c] = ZMM()
				load(y.at(r, c), d[r][c])
			}
		}
		spread := spreadGradient(avx512, zero)
		left, right := spread(d[0][0], d[1][0]), spread(d[0][1], d[1][1])
		for r := range 4 {
			for _, v := range spread(left[r], right[r]) {
				take(v)
			}
		}
	}
	tileLoop(k.name, func() {
		MOVQ(p["from"], y.rows[0])
		MOVQ(p["from"], y.rows[1])
		ADDQ(p["line"], y.rows[1])
		MOVQ(p["to"], out)
	}, func() {
		MOVQ(out, at)
		pairOutputs(transform, func() {
			for _, r := range y.rows {
				ADDQ(p["second"], r)
			}
			load = func(from Mem, to VecVirtual) { VMOVUPS_Z(from, keep, to) }
		}, order, at, p["toStep"])
		for _, r := range y.rows {
			SUBQ(p["second"], r)
		}
		y.advance(64)
		ADDQ(U8(64), out)
	}, func() {
		LEAQ(Mem{Base: p["from"], Index: p["pixel"], Scale: 2}, p["from"])
		addParam("toTile", p["to"])
	})
	return k
}
