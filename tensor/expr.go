package tensor

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Expr is a scalar expression, from which NewPointwise makes an elementwise
// operation with its derivatives of every order.
type Expr struct {
	g  *graph
	id int32
}

// graph holds expressions as instructions, each written once.
type graph struct {
	code  []backend.Instr
	index map[instrKey]int32
}

// instrKey tells instructions apart. Constants differ by their bits: −0 is not
// 0, and a NaN is itself.
type instrKey struct {
	op      backend.Opcode
	a, b, c int32
	imm     uint64
}

func newGraph() *graph { return &graph{index: make(map[instrKey]int32)} }

// emit adds an instruction, or finds it, or does without it.
func (g *graph) emit(op backend.Opcode, a, b, c int32, imm float64) int32 {
	in := backend.Instr{Op: op, A: a, B: b, C: c, Imm: imm}
	if id, ok := g.simplify(in); ok {
		return id
	}
	key := instrKey{op, a, b, c, math.Float64bits(imm)}
	if id, ok := g.index[key]; ok {
		return id
	}
	g.code = append(g.code, in)
	id := int32(len(g.code) - 1)
	g.index[key] = id
	return id
}

func (g *graph) constant(x float64) int32 { return g.emit(backend.OpConst, 0, 0, 0, x) }

func (g *graph) isConst(id int32, x float64) bool {
	return g.code[id].Op == backend.OpConst && g.code[id].Imm == x
}

// simplify knows the identities that derivatives are full of. x·0 = 0 is among
// them: a factor that is identically zero stays so where the other is infinite.
func (g *graph) simplify(in backend.Instr) (int32, bool) {
	if n := in.Op.Arity(); n > 0 {
		var v [3]float64
		all := true
		for i, r := range in.Operands() {
			if i < n {
				all = all && g.code[r].Op == backend.OpConst
				v[i] = g.code[r].Imm
			}
		}
		if all {
			return g.constant(in.Op.Eval(v[0], v[1], v[2])), true
		}
	}
	switch in.Op {
	case backend.OpAdd:
		if g.isConst(in.A, 0) {
			return in.B, true
		}
		if g.isConst(in.B, 0) {
			return in.A, true
		}
	case backend.OpSub:
		if g.isConst(in.B, 0) {
			return in.A, true
		}
		if g.isConst(in.A, 0) {
			return g.emit(backend.OpNeg, in.B, 0, 0, 0), true
		}
	case backend.OpMul:
		if g.isConst(in.A, 0) || g.isConst(in.B, 0) {
			return g.constant(0), true
		}
		if g.isConst(in.A, 1) {
			return in.B, true
		}
		if g.isConst(in.B, 1) {
			return in.A, true
		}
		if g.isConst(in.A, -1) {
			return g.emit(backend.OpNeg, in.B, 0, 0, 0), true
		}
		if g.isConst(in.B, -1) {
			return g.emit(backend.OpNeg, in.A, 0, 0, 0), true
		}
	case backend.OpDiv:
		if g.isConst(in.B, 1) {
			return in.A, true
		}
		if g.isConst(in.A, 0) {
			return in.A, true
		}
	case backend.OpNeg:
		if p := g.code[in.A]; p.Op == backend.OpNeg {
			return p.A, true
		}
	case backend.OpSelect:
		if in.B == in.C {
			return in.B, true
		}
	}
	return 0, false
}

func (x Expr) un(op backend.Opcode) Expr { return Expr{x.g, x.g.emit(op, x.id, 0, 0, 0)} }
func (x Expr) bin(op backend.Opcode, y Expr) Expr {
	return Expr{x.g, x.g.emit(op, x.id, y.id, 0, 0)}
}

// Const is a constant beside x.
func (x Expr) Const(c float64) Expr { return Expr{x.g, x.g.constant(c)} }

func (x Expr) Add(y Expr) Expr    { return x.bin(backend.OpAdd, y) }
func (x Expr) Sub(y Expr) Expr    { return x.bin(backend.OpSub, y) }
func (x Expr) Mul(y Expr) Expr    { return x.bin(backend.OpMul, y) }
func (x Expr) Div(y Expr) Expr    { return x.bin(backend.OpDiv, y) }
func (x Expr) Min(y Expr) Expr    { return x.bin(backend.OpMin, y) }
func (x Expr) Max(y Expr) Expr    { return x.bin(backend.OpMax, y) }
func (x Expr) Pow(y Expr) Expr    { return x.bin(backend.OpPow, y) }
func (x Expr) Less(y Expr) Expr   { return x.bin(backend.OpLess, y) }
func (x Expr) LessEq(y Expr) Expr { return x.bin(backend.OpLessEq, y) }
func (x Expr) Eq(y Expr) Expr     { return x.bin(backend.OpEq, y) }

func (x Expr) Greater(y Expr) Expr   { return y.Less(x) }
func (x Expr) GreaterEq(y Expr) Expr { return y.LessEq(x) }
func (x Expr) NotEq(y Expr) Expr     { return x.Eq(y).RSubConst(1) } // 1 beside a NaN

// Select is y where x is not 0, z elsewhere.
func (x Expr) Select(y, z Expr) Expr {
	return Expr{x.g, x.g.emit(backend.OpSelect, x.id, y.id, z.id, 0)}
}

// MulAdd is x·y+z.
func (x Expr) MulAdd(y, z Expr) Expr {
	return Expr{x.g, x.g.emit(backend.OpMulAdd, x.id, y.id, z.id, 0)}
}

func (x Expr) Scale(c float64) Expr     { return x.Mul(x.Const(c)) }
func (x Expr) AddConst(c float64) Expr  { return x.Add(x.Const(c)) }
func (x Expr) PowConst(c float64) Expr  { return x.Pow(x.Const(c)) }
func (x Expr) RSubConst(c float64) Expr { return x.Const(c).Sub(x) }
func (x Expr) Square() Expr             { return x.Mul(x) }
func (x Expr) Neg() Expr                { return x.un(backend.OpNeg) }
func (x Expr) Abs() Expr                { return x.un(backend.OpAbs) }
func (x Expr) Sign() Expr               { return x.un(backend.OpSign) }
func (x Expr) Sqrt() Expr               { return x.un(backend.OpSqrt) }
func (x Expr) Rsqrt() Expr              { return x.un(backend.OpRsqrt) }
func (x Expr) Recip() Expr              { return x.un(backend.OpRecip) }
func (x Expr) Exp() Expr                { return x.un(backend.OpExp) }
func (x Expr) Expm1() Expr              { return x.un(backend.OpExpm1) }
func (x Expr) Log() Expr                { return x.un(backend.OpLog) }
func (x Expr) Log1p() Expr              { return x.un(backend.OpLog1p) }
func (x Expr) Sin() Expr                { return x.un(backend.OpSin) }
func (x Expr) Cos() Expr                { return x.un(backend.OpCos) }
func (x Expr) Tanh() Expr               { return x.un(backend.OpTanh) }
func (x Expr) Sigmoid() Expr            { return x.un(backend.OpSigmoid) }
func (x Expr) Erf() Expr                { return x.un(backend.OpErf) }
func (x Expr) Softplus() Expr           { return x.un(backend.OpSoftplus) }
func (x Expr) Round() Expr              { return x.un(backend.OpRound) }
func (x Expr) Floor() Expr              { return x.un(backend.OpFloor) }

// adjoints gives d root/d i times seed for every instruction i up to root, −1
// where the root does not depend on i. This is the table of derivatives.
func (g *graph) adjoints(root, seed int32) []int32 {
	adj := make([]int32, root+1)
	for i := range adj {
		adj[i] = -1
	}
	adj[root] = seed
	push := func(to int32, d Expr) {
		if adj[to] < 0 {
			adj[to] = d.id
		} else {
			adj[to] = Expr{g, adj[to]}.Add(d).id
		}
	}
	for i := root; i >= 0; i-- {
		if adj[i] < 0 {
			continue
		}
		in := g.code[i]
		y, d := Expr{g, i}, Expr{g, adj[i]}
		e := func(id int32) Expr { return Expr{g, id} }
		a := e(in.A)
		switch in.Op {
		case backend.OpInput, backend.OpScalar, backend.OpConst,
			backend.OpLess, backend.OpLessEq, backend.OpEq,
			backend.OpSign, backend.OpRound, backend.OpFloor:
			// constant almost everywhere
		case backend.OpAdd:
			push(in.A, d)
			push(in.B, d)
		case backend.OpSub:
			push(in.A, d)
			push(in.B, d.Neg())
		case backend.OpMul:
			push(in.A, d.Mul(e(in.B)))
			push(in.B, d.Mul(a))
		case backend.OpDiv:
			q := d.Div(e(in.B))
			push(in.A, q)
			push(in.B, q.Mul(y).Neg())
		case backend.OpMin, backend.OpMax:
			// Half each where they are equal.
			b := e(in.B)
			below, above := a.Less(b), b.Less(a)
			half := a.Eq(b).Select(d.Scale(0.5), d.Const(0))
			if in.Op == backend.OpMin {
				below, above = above, below
			}
			push(in.A, above.Select(d, half))
			push(in.B, below.Select(d, half))
		case backend.OpPow:
			b := e(in.B)
			if g.code[in.B].Op == backend.OpConst {
				c := g.code[in.B].Imm
				push(in.A, d.Mul(a.PowConst(c-1).Scale(c)))
				break
			}
			// a⁰ does not change with a, though a⁻¹ is infinite at 0.
			flat := b.Eq(d.Const(0))
			push(in.A, flat.Select(d.Const(0), d.Mul(b.Mul(a.Pow(b.AddConst(-1))))))
			if g.code[in.B].Op != backend.OpScalar {
				// 0^b does not change with b>0, though ln 0 is infinite.
				zero := a.Eq(d.Const(0))
				push(in.B, zero.Select(d.Const(0), d.Mul(y.Mul(a.Log()))))
			}
		case backend.OpSelect:
			zero := d.Const(0)
			push(in.B, a.Select(d, zero))
			push(in.C, a.Select(zero, d))
		case backend.OpMulAdd:
			push(in.A, d.Mul(e(in.B)))
			push(in.B, d.Mul(a))
			push(in.C, d)
		case backend.OpNeg:
			push(in.A, d.Neg())
		case backend.OpAbs:
			push(in.A, d.Mul(a.Sign()))
		case backend.OpSqrt:
			push(in.A, d.Scale(0.5).Div(y))
		case backend.OpRsqrt:
			push(in.A, d.Scale(-0.5).Mul(y).Mul(y.Square()))
		case backend.OpRecip:
			push(in.A, d.Mul(y.Square()).Neg())
		case backend.OpExp:
			push(in.A, d.Mul(y))
		case backend.OpExpm1:
			push(in.A, d.Mul(y.AddConst(1)))
		case backend.OpLog:
			push(in.A, d.Div(a))
		case backend.OpLog1p:
			push(in.A, d.Div(a.AddConst(1)))
		case backend.OpSin:
			push(in.A, d.Mul(a.Cos()))
		case backend.OpCos:
			push(in.A, d.Mul(a.Sin()).Neg())
		case backend.OpTanh:
			push(in.A, d.Mul(y.Square().RSubConst(1)))
		case backend.OpSigmoid:
			push(in.A, d.Mul(y.Mul(y.RSubConst(1))))
		case backend.OpErf:
			const twoOverSqrtPi = 1.12837916709551257389615890312154517
			push(in.A, d.Mul(a.Square().Neg().Exp().Scale(twoOverSqrtPi)))
		case backend.OpSoftplus:
			push(in.A, d.Mul(a.Sigmoid()))
		}
	}
	return adj
}

// compile makes a program of what roots need. Operand i of the program is the
// graph's input args[i].
func (g *graph) compile(name string, scalars int, roots ...int32) (p *backend.Program, args []int32) {
	used := make([]bool, len(g.code))
	var visit func(id int32)
	visit = func(id int32) {
		if used[id] {
			return
		}
		used[id] = true
		ops := g.code[id].Operands()
		for _, r := range ops[:g.code[id].Op.Arity()] {
			visit(r)
		}
	}
	for _, r := range roots {
		visit(r)
	}
	p = &backend.Program{Name: name, Scalars: scalars}
	at := make([]int32, len(g.code))
	for id, in := range g.code {
		if !used[id] {
			continue
		}
		switch n := in.Op.Arity(); {
		case in.Op == backend.OpInput:
			args = append(args, in.A)
			in.A = int32(len(args) - 1)
		case n > 0:
			in.A = at[in.A]
			if n > 1 {
				in.B = at[in.B]
			}
			if n > 2 {
				in.C = at[in.C]
			}
		}
		at[id] = int32(len(p.Code))
		p.Code = append(p.Code, in)
	}
	for _, r := range roots {
		p.Outputs = append(p.Outputs, at[r])
	}
	p.Inputs = len(args)
	return p, args
}
