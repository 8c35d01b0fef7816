package backendtest

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// ulps is the largest error of an operation whose result is not simply rounded
// correctly, in units in the last place. CUDA's documented float functions and
// the polynomials of tensor/cpu stay below it.
var ulps = map[backend.Opcode]float64{
	backend.OpDiv: 1, backend.OpSqrt: 1, backend.OpRecip: 1, backend.OpRsqrt: 2, backend.OpMulAdd: 0.5,
	backend.OpPow: 4, backend.OpExp: 4, backend.OpExpm1: 4, backend.OpLog: 4, backend.OpLog1p: 4,
	backend.OpSin: 4, backend.OpCos: 4, backend.OpTanh: 4, backend.OpSigmoid: 4, backend.OpErf: 4, backend.OpSoftplus: 4,
}

// value is a truth with the error that a device may have made so far. made
// tells results from operands: the sign of a zero that was made is left open.
type value struct {
	v, err float64
	made   bool
}

func round(v float64, dt backend.DType) float64 {
	if dt == backend.Float64 {
		return v
	}
	return float64(float32(v))
}

// apply evaluates one operation on rounded operands and bounds the error of the
// result: the operation's own, plus what the operands' errors make of it, taken
// from its values at the corners of their intervals (twice, for curvature).
func apply(op backend.Opcode, dt backend.DType, in [3]value) value {
	exact := op.Eval(in[0].v, in[1].v, in[2].v)
	r := value{v: round(exact, dt), made: true}
	for i, divisor := range [3]bool{op == backend.OpRecip || op == backend.OpRsqrt || op == backend.OpPow, op == backend.OpDiv} {
		if divisor && in[i].v == 0 && in[i].made {
			return value{v: r.v, err: math.NaN(), made: true}
		}
	}
	if k := ulps[op]; k > 0 {
		r.err = (k + 0.5) * ulp(exact, dt)
		if dt == backend.Float64 {
			r.err += evalError(op, in, exact)
		}
		if op == backend.OpMulAdd {
			r.err += ulp(in[0].v*in[1].v, dt)
			if product := math.Abs(in[0].v * in[1].v); product > largest(dt) && !math.IsInf(product, 0) {
				r.err = math.NaN() // overflow depends on where the device rounds
			}
		}
		if !math.IsInf(exact, 0) && math.Abs(exact)+r.err >= largest(dt) {
			r.err = math.Inf(1)
		}
	}
	carried, corners := 0.0, 27
	if in[0].err == 0 && in[1].err == 0 && in[2].err == 0 {
		corners = 0
	}
	for corner := range corners {
		var x [3]float64
		skip := false
		for i, c := 0, corner; i < 3; i, c = i+1, c/3 {
			x[i] = in[i].v + float64(c%3-1)*in[i].err
			skip = skip || i >= op.Arity() && c%3 != 1 || in[i].err == 0 && c%3 != 1
		}
		if skip || corner == 13 {
			continue
		}
		y := round(op.Eval(x[0], x[1], x[2]), dt)
		if y != r.v { // equal infinities differ by nothing
			carried = math.Max(carried, math.Abs(y-r.v)) // NaN stays
		}
	}
	if op == backend.OpSelect && in[0].err == 0 { // the branch not taken may be anything
		taken := in[2]
		if in[0].v != 0 {
			taken = in[1]
		}
		return taken
	}
	r.err += 2 * carried
	return r
}

// evalError bounds the error of the truth itself in float64, where it is Go's: sin and cos reduce
// their argument to an accuracy of some 2⁻⁵³, of which much is left where they are near 0; a
// power is made by repeated squaring and as e^(b·ln a), either of which multiplies errors.
func evalError(op backend.Opcode, in [3]value, exact float64) float64 {
	switch op {
	case backend.OpSin, backend.OpCos:
		return 0x1p-53
	case backend.OpPow:
		if a, b := math.Abs(in[0].v), math.Abs(in[1].v); exact != 0 && a > 0 && !math.IsInf(a+b+math.Abs(exact), 0) {
			return 0x1p-52 * b * (1 + math.Abs(math.Log(a))) * math.Abs(exact)
		}
	}
	return 0
}

// run evaluates p at one point. vals has room for every instruction.
func run(p *backend.Program, dt backend.DType, in, scalars []float64, vals []value) {
	for i := range p.Code {
		c := &p.Code[i]
		switch c.Op {
		case backend.OpInput:
			vals[i] = value{v: in[c.A]}
		case backend.OpScalar:
			vals[i] = value{v: round(scalars[c.A], dt)}
		case backend.OpConst:
			vals[i] = value{v: round(c.Imm, dt)}
		default:
			var o [3]value
			operands := c.Operands()
			for j, r := range operands[:c.Op.Arity()] {
				o[j] = vals[r]
			}
			vals[i] = apply(c.Op, dt, o)
		}
	}
}

// single is the program that applies one operation to its tensor operands.
func single(op backend.Opcode) *backend.Program {
	p := &backend.Program{Name: op.String(), Inputs: op.Arity()}
	for i := range p.Inputs {
		p.Code = append(p.Code, backend.Instr{Op: backend.OpInput, A: int32(i)})
	}
	p.Code = append(p.Code, backend.Instr{Op: op, A: 0, B: 1, C: 2})
	p.Outputs = []int32{int32(p.Inputs)}
	return p
}

// program is a random one with some inputs, scalars and constants.
func (c *choices) program(outputs int) *backend.Program {
	p := &backend.Program{Name: "random", Inputs: c.pick(5), Scalars: c.pick(3)}
	for i := range p.Inputs {
		p.Code = append(p.Code, backend.Instr{Op: backend.OpInput, A: int32(i)})
	}
	for i := range p.Scalars {
		p.Code = append(p.Code, backend.Instr{Op: backend.OpScalar, A: int32(i)})
	}
	if len(p.Code) == 0 || c.flip() {
		p.Code = append(p.Code, backend.Instr{Op: backend.OpConst, Imm: c.rnd.NormFloat64()})
	}
	for range c.pick(12) {
		n := len(p.Code)
		op := backend.OpAdd + backend.Opcode(c.pick(int(backend.NumOpcodes-backend.OpAdd)))
		p.Code = append(p.Code, backend.Instr{Op: op, A: int32(c.pick(n)), B: int32(c.pick(n)), C: int32(c.pick(n))})
	}
	for i := range outputs {
		r := len(p.Code) - 1
		if i > 0 || c.pick(4) == 0 {
			r = c.pick(len(p.Code))
		}
		p.Outputs = append(p.Outputs, int32(r))
	}
	return p
}

func (c *choices) scalars(p *backend.Program) []float64 {
	s := make([]float64, p.Scalars)
	for i := range s {
		s[i] = c.rnd.NormFloat64()
	}
	return s
}
