package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/langevin-go/langevin/tensor/backend"
)

// randomExpr is an expression in single-assignment form, as random bytes spell it.
type randomExpr struct {
	inputs, scalars int
	code            []backend.Instr // operands are indices into code; −1: none
}

// exprOps are the operations that bytes choose from. Domains are kept by
// composing: a logarithm is that of x²+0.1.
var exprOps = []backend.Opcode{
	backend.OpAdd, backend.OpSub, backend.OpMul, backend.OpAdd, backend.OpSub, backend.OpMul, backend.OpDiv,
	backend.OpMin, backend.OpMax, backend.OpPow, backend.OpLess, backend.OpLessEq, backend.OpEq, backend.OpSelect,
	backend.OpMulAdd, backend.OpNeg, backend.OpAbs, backend.OpSign, backend.OpSqrt, backend.OpRsqrt, backend.OpRecip,
	backend.OpExp, backend.OpExpm1, backend.OpLog, backend.OpLog1p, backend.OpSin, backend.OpCos, backend.OpTanh,
	backend.OpSigmoid, backend.OpErf, backend.OpSoftplus, backend.OpRound, backend.OpFloor,
}

var exprConsts = []float64{0, 1, -1, 2, 0.5, -3, math.Copysign(0, -1), 0.1}

// spell makes an expression of bytes: any bytes do.
func spell(b []byte) *randomExpr {
	e := &randomExpr{inputs: 3, scalars: 2}
	put := func(op backend.Opcode, a, b, c int32, imm float64) int32 {
		e.code = append(e.code, backend.Instr{Op: op, A: a, B: b, C: c, Imm: imm})
		return int32(len(e.code) - 1)
	}
	for i := range e.inputs {
		put(backend.OpInput, int32(i), 0, 0, 0)
	}
	for i := range e.scalars {
		put(backend.OpScalar, int32(i), 0, 0, 0)
	}
	tenth := put(backend.OpConst, 0, 0, 0, 0.1)
	const most = 24 // operations
	for i := 0; len(b) >= 4 && i < most; i++ {
		// Late results more often: expressions become deep.
		arg := func(x byte) int32 {
			n := len(e.code)
			if x >= 128 {
				return int32(n - 1 - int(x)%min(n, 4))
			}
			return int32(int(x) % n)
		}
		a, c, d := arg(b[1]), arg(b[2]), arg(b[3])
		positive := func(a int32) int32 { return put(backend.OpAdd, put(backend.OpMul, a, a, 0, 0), tenth, 0, 0) }
		bounded := func(a int32) int32 { return put(backend.OpTanh, a, 0, 0, 0) }
		op := backend.OpConst
		if k := int(b[0]); k < 240 {
			op = exprOps[k%len(exprOps)]
		}
		switch op {
		case backend.OpConst:
			put(op, 0, 0, 0, exprConsts[int(b[1])%len(exprConsts)])
		case backend.OpDiv:
			put(op, a, positive(c), 0, 0)
		case backend.OpPow:
			// A constant, a scalar or any exponent, of a positive base.
			switch b[3] % 3 {
			case 0:
				c = put(backend.OpConst, 0, 0, 0, exprConsts[int(b[2])%len(exprConsts)])
			case 1:
				c = int32(e.inputs + int(b[2])%e.scalars)
			default:
				c = bounded(c)
			}
			put(op, positive(a), c, 0, 0)
		case backend.OpSqrt, backend.OpRsqrt, backend.OpRecip, backend.OpLog, backend.OpLog1p:
			put(op, positive(a), 0, 0, 0)
		case backend.OpExp, backend.OpExpm1:
			put(op, bounded(a), 0, 0, 0)
		default:
			put(op, a, c, d, 0)
		}
		b = b[4:]
	}
	return e
}

// build is e as the library sees it.
func (e *randomExpr) build(in, sc []Expr) Expr {
	v := make([]Expr, len(e.code))
	for i, c := range e.code {
		switch op := c.Op; op {
		case backend.OpInput:
			v[i] = in[c.A]
		case backend.OpScalar:
			v[i] = sc[c.A]
		case backend.OpConst:
			v[i] = in[0].Const(c.Imm)
		default:
			v[i] = Expr{in[0].g, in[0].g.emit(op, v[c.A].id, pick(v, c.B, op.Arity() > 1), pick(v, c.C, op.Arity() > 2), 0)}
		}
	}
	return v[len(v)-1]
}

func pick(v []Expr, i int32, used bool) int32 {
	if used {
		return v[i].id
	}
	return 0
}

// dual is a value with its derivatives for the inputs, and what rounding may
// have done to them: |error| ≤ err. paths is the sum of |products of local
// derivatives| over all paths to an input: the scale on which a gradient's
// rounding errors lie, however its terms cancel.
type dual struct {
	v, err   float64
	d, errD  [3]float64
	paths    [3]float64
	doubtful bool // a branch could go either way, or something is not finite
}

const roundoff = 0x1p-53

// local is a derivative of an operation for one operand, and a bound on how it changes with each operand.
type local struct{ d, second0, second1 float64 }

// combine applies the chain rule for operands x. slack is the absolute size of
// the terms in which the local derivatives may have been computed (1 in 1−tanh²).
func combine(v float64, slack float64, x []*dual, l []local) dual {
	const c = 8 // roundings in one operation, and some
	out := dual{v: v, err: c * roundoff * math.Abs(v)}
	for k, o := range x {
		out.err += math.Abs(l[k].d) * o.err
		out.doubtful = out.doubtful || o.doubtful
		for j := range out.d {
			out.d[j] += l[k].d * o.d[j]
			out.paths[j] += math.Abs(l[k].d) * o.paths[j]
			change := l[k].second0*x[0].err + c*roundoff*(math.Abs(l[k].d)+slack)
			if len(x) > 1 {
				change += l[k].second1 * x[1].err
			}
			out.errD[j] += math.Abs(l[k].d)*o.errD[j] + change*o.paths[j]
		}
	}
	if math.IsNaN(v) || math.Abs(v) > 1e8 {
		out.doubtful = true
	}
	return out
}

// branch is the value of an operation that is constant but for jumps; near is the distance to one.
func branch(v, near float64, x ...*dual) dual {
	l := make([]local, len(x))
	out := combine(v, 0, x, l)
	out.err = 0
	slop := 0.0
	for _, o := range x {
		slop += o.err
	}
	out.doubtful = out.doubtful || near <= slop && slop > 0
	return out
}

// eval computes e at a point whose coordinates are only known to ±err.
func (e *randomExpr) eval(in, sc []float64, err float64) dual {
	v := make([]dual, len(e.code))
	for i, c := range e.code {
		switch c.Op {
		case backend.OpInput:
			v[i] = dual{v: in[c.A], err: err}
			v[i].d[c.A], v[i].paths[c.A] = 1, 1
		case backend.OpScalar:
			v[i] = dual{v: sc[c.A]}
		case backend.OpConst:
			v[i] = dual{v: c.Imm}
		default:
			v[i] = evalOp(c.Op, v, c)
		}
	}
	return v[len(v)-1]
}

func evalOp(op backend.Opcode, all []dual, in backend.Instr) dual {
	x := &all[in.A]
	if f, ok := smooth[op]; ok {
		val, d, second, slack := f(x.v)
		return combine(val, slack, []*dual{x}, []local{{d, second, 0}})
	}
	switch op {
	case backend.OpAbs:
		s := branch(sign(x.v), math.Abs(x.v), x)
		out := combine(math.Abs(x.v), 0, []*dual{x}, []local{{d: s.v}})
		out.doubtful = out.doubtful || s.doubtful
		return out
	case backend.OpSign:
		return branch(sign(x.v), math.Abs(x.v), x)
	case backend.OpRound:
		return branch(math.RoundToEven(x.v), math.Abs(x.v-math.Floor(x.v)-0.5), x)
	case backend.OpFloor:
		return branch(math.Floor(x.v), math.Abs(x.v-math.Round(x.v)), x)
	}
	y := &all[in.B]
	two := []*dual{x, y}
	same := in.A == in.B
	gap := math.Abs(x.v - y.v)
	if same {
		gap = math.Inf(1) // equal for certain
	}
	switch op {
	case backend.OpAdd:
		return combine(x.v+y.v, 0, two, []local{{d: 1}, {d: 1}})
	case backend.OpSub:
		return combine(x.v-y.v, 0, two, []local{{d: 1}, {d: -1}})
	case backend.OpMul:
		return combine(x.v*y.v, 0, two, []local{{y.v, 0, 1}, {x.v, 1, 0}})
	case backend.OpDiv:
		q := x.v / y.v
		return combine(q, 0, two, []local{{1 / y.v, 0, 1 / (y.v * y.v)}, {-q / y.v, 1 / (y.v * y.v), 2 * math.Abs(q) / (y.v * y.v)}})
	case backend.OpPow: // of a positive base
		p, ln := math.Pow(x.v, y.v), math.Log(x.v)
		da := y.v * p / x.v
		mixed := math.Abs(p/x.v) * (1 + math.Abs(y.v*ln))
		return combine(p, 0, two, []local{{da, math.Abs(da * (math.Abs(y.v) + 1) / x.v), mixed}, {p * ln, mixed, p * ln * ln}})
	case backend.OpLess, backend.OpLessEq, backend.OpEq:
		yes := map[backend.Opcode]bool{backend.OpLess: x.v < y.v, backend.OpLessEq: x.v <= y.v, backend.OpEq: x.v == y.v}[op]
		if yes {
			return branch(1, gap, two...)
		}
		return branch(0, gap, two...)
	case backend.OpMin, backend.OpMax:
		first := x.v < y.v
		if op == backend.OpMax {
			first = x.v > y.v
		}
		l := []local{{d: 0.5}, {d: 0.5}}
		if x.v != y.v {
			l = []local{{d: 0}, {d: 1}}
			if first {
				l = []local{{d: 1}, {d: 0}}
			}
		}
		val := y.v
		if first {
			val = x.v
		}
		out := combine(val, 0, two, l)
		out.doubtful = out.doubtful || branch(0, gap, two...).doubtful
		return out
	}
	z := &all[in.C]
	three := []*dual{x, y, z}
	switch op {
	case backend.OpSelect:
		// Only what x is decides; it is 0 for certain where nothing has rounded.
		out := *z
		if x.v != 0 {
			out = *y
		}
		out.doubtful = x.doubtful || y.doubtful || z.doubtful || math.Abs(x.v) <= x.err && x.err > 0
		return out
	case backend.OpMulAdd:
		out := combine(x.v*y.v+z.v, 0, three, []local{{y.v, 0, 1}, {x.v, 1, 0}, {d: 1}})
		out.err += 2 * roundoff * math.Abs(x.v*y.v)
		return out
	}
	panic(fmt.Sprintf("no rule for %v", op))
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// smooth gives value, derivative, a bound on the second derivative, and the
// slack of combine.
var smooth = map[backend.Opcode]func(x float64) (v, d, second, slack float64){
	backend.OpNeg:  func(x float64) (v, d, second, slack float64) { return -x, -1, 0, 0 },
	backend.OpSqrt: func(x float64) (v, d, second, slack float64) { r := math.Sqrt(x); return r, 0.5 / r, 0.25 / (r * x), 0 },
	backend.OpRsqrt: func(x float64) (v, d, second, slack float64) {
		r := 1 / math.Sqrt(x)
		return r, -0.5 * r / x, r / (x * x), 0
	},
	backend.OpRecip: func(x float64) (v, d, second, slack float64) {
		return 1 / x, -1 / (x * x), 2 / math.Abs(x*x*x), 0
	},
	backend.OpExp:   func(x float64) (v, d, second, slack float64) { e := math.Exp(x); return e, e, e, 0 },
	backend.OpExpm1: func(x float64) (v, d, second, slack float64) { e := math.Exp(x); return math.Expm1(x), e, e, 1 },
	backend.OpLog:   func(x float64) (v, d, second, slack float64) { return math.Log(x), 1 / x, 1 / (x * x), 0 },
	backend.OpLog1p: func(x float64) (v, d, second, slack float64) {
		return math.Log1p(x), 1 / (1 + x), 1 / ((1 + x) * (1 + x)), 0
	},
	backend.OpSin: func(x float64) (v, d, second, slack float64) { return math.Sin(x), math.Cos(x), 1, 1 },
	backend.OpCos: func(x float64) (v, d, second, slack float64) { return math.Cos(x), -math.Sin(x), 1, 1 },
	backend.OpTanh: func(x float64) (v, d, second, slack float64) {
		c := math.Cosh(x)
		return math.Tanh(x), 1 / (c * c), 1, 1
	},
	backend.OpSigmoid: func(x float64) (v, d, second, slack float64) {
		e := math.Exp(-math.Abs(x))
		d = e / ((1 + e) * (1 + e))
		if x < 0 {
			return e / (1 + e), d, 1, 1
		}
		return 1 / (1 + e), d, 1, 1
	},
	backend.OpErf: func(x float64) (v, d, second, slack float64) {
		return math.Erf(x), 2 / math.Sqrt(math.Pi) * math.Exp(-x*x), 1, 1
	},
	backend.OpSoftplus: func(x float64) (v, d, second, slack float64) {
		if x > 0 {
			return x + math.Log1p(math.Exp(-x)), 1 / (1 + math.Exp(-x)), 1, 1
		}
		return math.Log1p(math.Exp(x)), math.Exp(x) / (1 + math.Exp(x)), 1, 1
	},
}

// points to evaluate at, a row an input: normal, and some that meet ties, zeros and integers.
func points(r *rand.Rand, inputs, n int) [][]float64 {
	x := make([][]float64, inputs)
	for i := range x {
		x[i] = make([]float64, n)
		for j := range x[i] {
			x[i][j] = r.NormFloat64() * 1.5
			if r.IntN(4) == 0 {
				x[i][j] = float64(r.IntN(5) - 2)
			}
		}
	}
	return x
}

func column(x [][]float64, j int) []float64 {
	c := make([]float64, len(x))
	for i := range x {
		c[i] = x[i][j]
	}
	return c
}
