package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The transforms of Winograd's F(2×2, 3×3) (Lavin and Gray, 2016): of a 4×4
// patch of input, a 3×3 filter, and 4×4 products into 2×2 outputs,
//
//	V = Bᵀ·d·B,  U = G·g·Gᵀ,  y = Aᵀ·M·A
//
// and their adjoints, for the gradient of the filter: A·dy·Aᵀ and Gᵀ·dU·G.
// Lanes are channels. The 16 numbers of a transform lie toStep bytes apart.

// grid addresses rows and columns at constant strides.
type grid struct {
	rows          []Register
	pixel, pixel3 Register
}

// newGrid makes pointers to n rows that lie line bytes apart.
func newGrid(base, line, pixel Register, n int) grid {
	g := grid{pixel: pixel}
	for i := range n {
		r := GP64()
		if i == 0 {
			MOVQ(base, r)
		} else {
			MOVQ(g.rows[i-1], r)
			ADDQ(line, r)
		}
		g.rows = append(g.rows, r)
	}
	p3 := GP64()
	LEAQ(Mem{Base: pixel, Index: pixel, Scale: 2}, p3)
	g.pixel3 = p3
	return g
}

func (g grid) at(r, c int) Mem {
	m := Mem{Base: g.rows[r]}
	switch c {
	case 1:
		m.Index, m.Scale = g.pixel, 1
	case 2:
		m.Index, m.Scale = g.pixel, 2
	case 3:
		m.Index, m.Scale = g.pixel3, 1
	}
	return m
}

func (g grid) advance(bytes int) {
	for _, r := range g.rows {
		ADDQ(U8(bytes), r)
	}
}

// params loads integer and pointer parameters.
func params(names ...string) map[string]Register {
	m := map[string]Register{}
	for _, n := range names {
		m[n] = Load(Param(n), GP64())
	}
	return m
}

// combine gives a ± b of two numbers in memory.
func combine(width int, a, b Mem, minus bool) VecVirtual {
	v := vector(width)
	VMOVUPS(a, v)
	if minus {
		VSUBPS(b, v, v)
	} else {
		VADDPS(b, v, v)
	}
	return v
}

func minus(width int, a, b VecVirtual) VecVirtual {
	v := vector(width)
	VSUBPS(b, a, v)
	return v
}

func plus(width int, a, b VecVirtual) VecVirtual {
	v := vector(width)
	VADDPS(b, a, v)
	return v
}

// tileLoop runs body for each of tiles tiles and, within, for vectors vectors
// of channels. before sets a tile's pointers, after moves to the next.
func tileLoop(name string, before, body, after func()) {
	tiles, n := Load(Param("tiles"), GP64()), GP64()
	Label(name + "tile")
	before()
	Load(Param("vectors"), n)
	Label(name + "channels")
	body()
	DECQ(n)
	JNZ(LabelRef(name + "channels"))
	after()
	DECQ(tiles)
	JNZ(LabelRef(name + "tile"))
	VZEROUPPER()
	RET()
}

// store writes v to p and moves p to the next of the 16.
func store(v VecVirtual, p, step Register) {
	VMOVUPS(v, Mem{Base: p})
	ADDQ(step, p)
}

// winogradInput generates V = Bᵀ·d·B for tiles along a line, two positions apart.
func winogradInput(width int) kernel {
	k := kernel{fmt.Sprintf("winogradInput%d", 8*width),
		"func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)",
		"transforms 4×4 patches of input, two positions apart; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "toStep", "line", "pixel")
	var d grid
	d.rows = []Register{GP64(), GP64(), GP64(), GP64()}
	d.pixel, d.pixel3 = p["pixel"], GP64()
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
			var t [4]VecVirtual
			for c := range t {
				t[c] = combine(width, d.at(rows.a, c), d.at(rows.b, c), rows.minus)
			}
			store(minus(width, t[0], t[2]), at, p["toStep"])
			store(plus(width, t[1], t[2]), at, p["toStep"])
			store(minus(width, t[2], t[1]), at, p["toStep"])
			store(minus(width, t[1], t[3]), at, p["toStep"])
		}
		d.advance(width)
		ADDQ(U8(width), out)
	}, func() {
		LEAQ(Mem{Base: p["from"], Index: p["pixel"], Scale: 2}, p["from"])
		a, _ := Param("toTile").Resolve()
		ADDQ(a.Addr, p["to"])
	})
	return k
}

// winogradOutput generates y = Aᵀ·M·A + bias.
func winogradOutput(width int) kernel {
	k := kernel{fmt.Sprintf("winogradOutput%d", 8*width),
		"func(to, from, bias *float32, fromStep, fromTile, line, pixel, tiles, vectors int)",
		"transforms products into 2×2 outputs and adds bias; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "fromStep", "line", "pixel")
	y := grid{rows: []Register{GP64(), GP64()}, pixel: p["pixel"]}
	in, at, bias := GP64(), GP64(), GP64()
	tileLoop(k.name, func() {
		MOVQ(p["to"], y.rows[0])
		MOVQ(p["to"], y.rows[1])
		ADDQ(p["line"], y.rows[1])
		MOVQ(p["from"], in)
		Load(Param("bias"), bias)
	}, func() {
		// t[0][c] = m0+m1+m2, t[1][c] = m1−m2−m3, rows being four steps apart.
		var t [2][4]VecVirtual
		for c := range 4 {
			t[0][c], t[1][c] = vector(width), vector(width)
		}
		MOVQ(in, at)
		for r := range 4 {
			for c := range 4 {
				m := Mem{Base: at}
				switch r {
				case 0:
					VMOVUPS(m, t[0][c])
				case 1:
					v := vector(width)
					VMOVUPS(m, v)
					VADDPS(v, t[0][c], t[0][c])
					VMOVAPS(v, t[1][c])
				case 2:
					v := vector(width)
					VMOVUPS(m, v)
					VADDPS(v, t[0][c], t[0][c])
					VSUBPS(v, t[1][c], t[1][c])
				case 3:
					VSUBPS(m, t[1][c], t[1][c])
				}
				ADDQ(p["fromStep"], at)
			}
		}
		b := vector(width)
		VMOVUPS(Mem{Base: bias}, b)
		for r := range 2 {
			left := plus(width, plus(width, t[r][0], t[r][1]), t[r][2])
			right := minus(width, minus(width, t[r][1], t[r][2]), t[r][3])
			VMOVUPS(plus(width, left, b), y.at(r, 0))
			VMOVUPS(plus(width, right, b), y.at(r, 1))
		}
		y.advance(width)
		ADDQ(U8(width), in)
		ADDQ(U8(width), bias)
	}, func() {
		LEAQ(Mem{Base: p["to"], Index: p["pixel"], Scale: 2}, p["to"])
		a, _ := Param("fromTile").Resolve()
		ADDQ(a.Addr, p["from"])
	})
	return k
}

// winogradFilter generates U = G·g·Gᵀ.
func winogradFilter(width int) kernel {
	k := kernel{fmt.Sprintf("winogradFilter%d", 8*width),
		"func(to, from *float32, toStep, line, pixel, vectors int)",
		"transforms 3×3 filters, a tap of which lies in a stretch of vectors; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "toStep", "line", "pixel", "vectors")
	g := newGrid(p["from"], p["line"], p["pixel"], 3)
	half := broadcast(width, 0.5)
	// spread gives G·(a,b,c).
	spread := func(a, b, c VecVirtual) [4]VecVirtual {
		sum := plus(width, a, c)
		s, d := plus(width, sum, b), minus(width, sum, b)
		VMULPS(half, s, s)
		VMULPS(half, d, d)
		return [4]VecVirtual{a, s, d, c}
	}
	at := GP64()
	Label(k.name + "loop")
	MOVQ(p["to"], at)
	var t [3][4]VecVirtual // by column
	for c := range 3 {
		var v [3]VecVirtual
		for r := range 3 {
			v[r] = vector(width)
			VMOVUPS(g.at(r, c), v[r])
		}
		t[c] = spread(v[0], v[1], v[2])
	}
	for r := range 4 {
		for _, u := range spread(t[0][r], t[1][r], t[2][r]) {
			store(u, at, p["toStep"])
		}
	}
	g.advance(width)
	ADDQ(U8(width), p["to"])
	DECQ(p["vectors"])
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}

// spreadGradient gives A·(a,b): a, a+b, a−b, −b.
func spreadGradient(width int, zero VecVirtual) func(a, b VecVirtual) [4]VecVirtual {
	return func(a, b VecVirtual) [4]VecVirtual {
		return [4]VecVirtual{a, plus(width, a, b), minus(width, a, b), minus(width, zero, b)}
	}
}

// winogradSpread generates A·dy·Aᵀ for tiles along a line.
func winogradSpread(width int) kernel {
	k := kernel{fmt.Sprintf("winogradSpread%d", 8*width),
		"func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)",
		"transforms 2×2 gradients of outputs; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "toStep", "line", "pixel")
	y := grid{rows: []Register{GP64(), GP64()}, pixel: p["pixel"]}
	out, at := GP64(), GP64()
	zero := vector(width)
	VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
	tileLoop(k.name, func() {
		MOVQ(p["from"], y.rows[0])
		MOVQ(p["from"], y.rows[1])
		ADDQ(p["line"], y.rows[1])
		MOVQ(p["to"], out)
	}, func() {
		MOVQ(out, at)
		var d [2][2]VecVirtual
		for r := range 2 {
			for c := range 2 {
				d[r][c] = vector(width)
				VMOVUPS(y.at(r, c), d[r][c])
			}
		}
		spread := spreadGradient(width, zero)
		left, right := spread(d[0][0], d[1][0]), spread(d[0][1], d[1][1])
		for r := range 4 {
			for _, v := range spread(left[r], right[r]) {
				store(v, at, p["toStep"])
			}
		}
		y.advance(width)
		ADDQ(U8(width), out)
	}, func() {
		LEAQ(Mem{Base: p["from"], Index: p["pixel"], Scale: 2}, p["from"])
		a, _ := Param("toTile").Resolve()
		ADDQ(a.Addr, p["to"])
	})
	return k
}

// winogradFilterGrad generates Gᵀ·dU·G.
func winogradFilterGrad(width int) kernel {
	k := kernel{fmt.Sprintf("winogradFilterGrad%d", 8*width),
		"func(to, from *float32, fromStep, line, pixel, vectors int)",
		"transforms gradients of transformed filters back to 3×3; strides in bytes"}
	TEXT(k.name, NOSPLIT, k.signature)
	p := params("to", "from", "fromStep", "line", "pixel", "vectors")
	g := newGrid(p["to"], p["line"], p["pixel"], 3)
	half := constant(width, 0.5)
	// fold gives Gᵀ·(a,b,c,d): a+(b+c)/2, (b−c)/2, (b+c)/2+d.
	fold := func(a, b, c, d VecVirtual) [3]VecVirtual {
		s, m := plus(width, b, c), minus(width, b, c)
		VMULPS(half, s, s)
		VMULPS(half, m, m)
		return [3]VecVirtual{plus(width, a, s), m, plus(width, s, d)}
	}
	at := GP64()
	Label(k.name + "loop")
	MOVQ(p["from"], at)
	var t [4][3]VecVirtual
	for r := range 4 {
		var u [4]VecVirtual
		for c := range 4 {
			u[c] = vector(width)
			VMOVUPS(Mem{Base: at}, u[c])
			ADDQ(p["fromStep"], at)
		}
		t[r] = fold(u[0], u[1], u[2], u[3])
	}
	for c := range 3 {
		for r, v := range fold(t[0][c], t[1][c], t[2][c], t[3][c]) {
			VMOVUPS(v, g.at(r, c))
		}
	}
	g.advance(width)
	ADDQ(U8(width), p["from"])
	DECQ(p["vectors"])
	JNZ(LabelRef(k.name + "loop"))
	VZEROUPPER()
	RET()
	return k
}
