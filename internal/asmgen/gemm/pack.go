package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// kernel is a generated function with its Go declaration.
type kernel struct{ name, signature, doc string }

// copyRows generates a copy of lines of rows of vecs vectors, for packing what is
// contiguous already: to[l·toLine + i·toStride + j] = from[l·fromLine + i·fromStride + j]
// for the columns j of fromMask, 0 for the others of toMask. AVX2 copies whole rows.
func copyRows(width, vecs int) kernel {
	k := kernel{name: fmt.Sprintf("copyRows%dx%d", 8*width, vecs)}
	k.doc = fmt.Sprintf("copies lines of rows of %d floats; strides in bytes", vecs*width/4)
	k.signature = "func(to, from *float32, toStride, fromStride, rows, toLine, fromLine, lines int)"
	if width == avx512 {
		k.signature = strings.TrimSuffix(k.signature, ")") + ", toMask, fromMask uint32)"
		k.doc += ", columns outside fromMask become zero, those outside toMask are left alone"
	}
	TEXT(k.name, NOSPLIT, k.signature)
	toStride, fromStride := Load(Param("toStride"), GP64()), Load(Param("fromStride"), GP64())
	toLine, fromLine := Load(Param("to"), GP64()), Load(Param("from"), GP64())
	lineStep := func(name string, line Register) {
		a, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		ADDQ(a.Addr, line)
	}
	lines := Load(Param("lines"), GP64())
	var toMasks, fromMasks []Register
	if width == avx512 {
		toMasks, fromMasks = vectorMasks("toMask", vecs), vectorMasks("fromMask", vecs)
	}
	to, from, rows := GP64(), GP64(), GP64()
	Label(k.name + "line")
	MOVQ(toLine, to)
	MOVQ(fromLine, from)
	Load(Param("rows"), rows)
	Label(k.name + "row")
	for j := range vecs {
		source, dest := Mem{Base: from, Disp: j * width}, Mem{Base: to, Disp: j * width}
		if width == avx512 {
			v := ZMM()
			VMOVUPS_Z(source, fromMasks[j], v)
			VMOVUPS(v, toMasks[j], dest)
		} else {
			v := YMM()
			VMOVUPS(source, v)
			VMOVUPS(v, dest)
		}
	}
	ADDQ(fromStride, from)
	ADDQ(toStride, to)
	DECQ(rows)
	JNZ(LabelRef(k.name + "row"))
	lineStep("toLine", toLine)
	lineStep("fromLine", fromLine)
	DECQ(lines)
	JNZ(LabelRef(k.name + "line"))
	VZEROUPPER()
	RET()
	return k
}

// vectorMasks loads a parameter's bits into a mask register for every 16 lanes.
func vectorMasks(param string, n int) []Register {
	bits := GP32()
	Load(Param(param), bits)
	var masks []Register
	for range n {
		m := K()
		KMOVW(bits, m)
		SHRL(U8(16), bits)
		masks = append(masks, m)
	}
	return masks
}

// transpose generates a transposing copy: as many rows as a vector has lanes,
// each of blocks vectors, become columns: to[p·toStride + i] = from[i·fromStride + p].
func transpose(width int) kernel {
	lanes := width / 4
	k := kernel{
		name:      fmt.Sprintf("transpose%d", 8*width),
		signature: "func(to, from *float32, toStride, fromStride, blocks int)",
		doc:       fmt.Sprintf("copies %d rows of %d·blocks floats into columns; strides in bytes", lanes, lanes),
	}
	TEXT(k.name, NOSPLIT, k.signature)
	to, from := Load(Param("to"), GP64()), Load(Param("from"), GP64())
	toStride, fromStride := Load(Param("toStride"), GP64()), Load(Param("fromStride"), GP64())
	blocks := Load(Param("blocks"), GP64())
	source := GP64()
	Label(k.name + "block")
	MOVQ(from, source)
	row := make([]VecVirtual, lanes)
	for i := range row {
		row[i] = vector(width)
		VMOVUPS(Mem{Base: source}, row[i])
		if i+1 < lanes {
			ADDQ(fromStride, source)
		}
	}
	for _, v := range transposed(width, row) {
		VMOVUPS(v, Mem{Base: to})
		ADDQ(toStride, to)
	}
	ADDQ(U8(width), from)
	DECQ(blocks)
	JNZ(LabelRef(k.name + "block"))
	VZEROUPPER()
	RET()
	return k
}

// transposed exchanges rows and columns in registers: 4×4 blocks within the
// 128-bit lanes first, then the lanes.
func transposed(width int, r []VecVirtual) []VecVirtual {
	pairs := make([]VecVirtual, len(r))
	for i := 0; i < len(r); i += 2 {
		pairs[i], pairs[i+1] = vector(width), vector(width)
		VUNPCKLPS(r[i+1], r[i], pairs[i])
		VUNPCKHPS(r[i+1], r[i], pairs[i+1])
	}
	quads := make([]VecVirtual, len(r)) // quads[4g+c]: column c of each lane, from rows 4g…4g+3
	for g := 0; g < len(r); g += 4 {
		for c := range 4 {
			quads[g+c] = vector(width)
			a, b := pairs[g+c/2], pairs[g+2+c/2]
			if c%2 == 0 {
				VUNPCKLPD(b, a, quads[g+c])
			} else {
				VUNPCKHPD(b, a, quads[g+c])
			}
		}
	}
	out := make([]VecVirtual, len(r))
	for c := range 4 {
		if width == avx2 {
			out[c], out[4+c] = vector(width), vector(width)
			VPERM2F128(U8(0x20), quads[4+c], quads[c], out[c])
			VPERM2F128(U8(0x31), quads[4+c], quads[c], out[4+c])
			continue
		}
		// Lanes (0,2) and (1,3) of row groups 0,1 and of 2,3; then those by twos.
		var even, odd [2]VecVirtual
		for h := range 2 {
			even[h], odd[h] = vector(width), vector(width)
			VSHUFF32X4(U8(0x88), quads[8*h+4+c], quads[8*h+c], even[h])
			VSHUFF32X4(U8(0xdd), quads[8*h+4+c], quads[8*h+c], odd[h])
		}
		for i, half := range [][2]VecVirtual{even, odd} {
			out[4*i+c], out[8+4*i+c] = vector(width), vector(width)
			VSHUFF32X4(U8(0x88), half[1], half[0], out[4*i+c])
			VSHUFF32X4(U8(0xdd), half[1], half[0], out[8+4*i+c])
		}
	}
	return out
}
