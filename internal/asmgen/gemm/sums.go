package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// sumRows generates the sum of a packed panel's rows: even ones and odd ones
// apart, then both.
func sumRows(width int) kernel {
	k := kernel{fmt.Sprintf("sumRows%d", 8*width), "func(sum, from *float32, rows int)",
		fmt.Sprintf("adds up rows of %d floats, even and odd ones apart first", 2*width/4)}
	TEXT(k.name, NOSPLIT, k.signature)
	sum, from, rows := Load(Param("sum"), GP64()), Load(Param("from"), GP64()), Load(Param("rows"), GP64())
	var even, odd [2]VecVirtual
	for j := range even {
		even[j], odd[j] = vector(width), vector(width)
		VXORPS(even[j].AsX(), even[j].AsX(), even[j].AsX())
		VXORPS(odd[j].AsX(), odd[j].AsX(), odd[j].AsX())
	}
	add := func(row int, to [2]VecVirtual) {
		for j, v := range to {
			VADDPS(Mem{Base: from, Disp: (2*row + j) * width}, v, v)
		}
	}
	SUBQ(U8(2), rows)
	JL(LabelRef(k.name + "last"))
	Label(k.name + "pair")
	add(0, even)
	add(1, odd)
	ADDQ(I32(4*width), from)
	SUBQ(U8(2), rows)
	JGE(LabelRef(k.name + "pair"))
	Label(k.name + "last")
	ADDQ(U8(2), rows)
	JZ(LabelRef(k.name + "join"))
	add(0, even)
	Label(k.name + "join")
	for j, v := range even {
		VADDPS(odd[j], v, v)
		VMOVUPS(v, Mem{Base: sum, Disp: j * width})
	}
	VZEROUPPER()
	RET()
	return k
}
