package backend

import (
	"fmt"
	"math"
	"strings"
)

// Opcode is a scalar operation of an elementwise program.
type Opcode uint8

// The scalar operations. A, B and C are the instruction's operands; comparisons
// give 1 or 0. Outside a function's domain the result is IEEE's (NaN, ±Inf).
const (
	OpInput    Opcode = iota // tensor operand number A
	OpScalar                 // run-time uniform number A
	OpConst                  // Imm
	OpAdd                    // A+B
	OpSub                    // A−B
	OpMul                    // A·B
	OpDiv                    // A/B
	OpMin                    // smaller of A, B; NaN if either is
	OpMax                    // larger of A, B; NaN if either is
	OpPow                    // A to the power B
	OpLess                   // A<B
	OpLessEq                 // A≤B
	OpEq                     // A==B
	OpSelect                 // A≠0 ? B : C; the branch not taken does not count
	OpMulAdd                 // A·B+C, rounded once or twice
	OpNeg                    // −A
	OpAbs                    // |A|
	OpSign                   // −1, 0, 1; NaN for NaN
	OpSqrt                   // √A
	OpRsqrt                  // 1/√A
	OpRecip                  // 1/A
	OpExp                    // e^A
	OpExpm1                  // e^A−1, accurate near 0
	OpLog                    // ln A
	OpLog1p                  // ln(1+A), accurate near 0
	OpSin                    // sin A
	OpCos                    // cos A
	OpTanh                   // tanh A
	OpSigmoid                // 1/(1+e^−A)
	OpErf                    // erf A
	OpSoftplus               // ln(1+e^A), without overflow
	OpRound                  // nearest integer, ties to even
	OpFloor                  // largest integer ≤ A
	NumOpcodes
)

// Instr is one instruction: its result is the value of its own index.
type Instr struct {
	Op      Opcode
	A, B, C int32
	Imm     float64
}

// Program is a straight-line computation on every element, in single-assignment
// form: instruction i may use results of instructions before it. It is
// immutable once made; devices may attach compiled forms under its address.
type Program struct {
	Name    string
	Inputs  int // tensor operands
	Scalars int // run-time uniforms
	Code    []Instr
	Outputs []int32 // results to store, one per output tensor
}

var opcodeInfo = [NumOpcodes]struct {
	name  string
	arity int
}{
	OpInput: {"input", 0}, OpScalar: {"scalar", 0}, OpConst: {"const", 0},
	OpAdd: {"add", 2}, OpSub: {"sub", 2}, OpMul: {"mul", 2}, OpDiv: {"div", 2},
	OpMin: {"min", 2}, OpMax: {"max", 2}, OpPow: {"pow", 2},
	OpLess: {"less", 2}, OpLessEq: {"lesseq", 2}, OpEq: {"eq", 2},
	OpSelect: {"select", 3}, OpMulAdd: {"muladd", 3},
	OpNeg: {"neg", 1}, OpAbs: {"abs", 1}, OpSign: {"sign", 1}, OpSqrt: {"sqrt", 1},
	OpRsqrt: {"rsqrt", 1}, OpRecip: {"recip", 1}, OpExp: {"exp", 1}, OpExpm1: {"expm1", 1},
	OpLog: {"log", 1}, OpLog1p: {"log1p", 1}, OpSin: {"sin", 1}, OpCos: {"cos", 1},
	OpTanh: {"tanh", 1}, OpSigmoid: {"sigmoid", 1}, OpErf: {"erf", 1},
	OpSoftplus: {"softplus", 1}, OpRound: {"round", 1}, OpFloor: {"floor", 1},
}

func (o Opcode) String() string { return opcodeInfo[o].name }

// Arity is the number of operands that are results of other instructions.
func (o Opcode) Arity() int { return opcodeInfo[o].arity }

// Operands gives the instruction's operand indices.
func (i *Instr) Operands() [3]int32 { return [3]int32{i.A, i.B, i.C} }

// Eval computes one operation in float64: the definition that kernels are
// measured against.
func (o Opcode) Eval(a, b, c float64) float64 {
	truth := func(t bool) float64 {
		if t {
			return 1
		}
		return 0
	}
	switch o {
	case OpAdd:
		return a + b
	case OpSub:
		return a - b
	case OpMul:
		return a * b
	case OpDiv:
		return a / b
	case OpMin:
		return min(a, b) // unlike math.Min, NaN even beside −Inf
	case OpMax:
		return max(a, b)
	case OpPow:
		return math.Pow(a, b)
	case OpLess:
		return truth(a < b)
	case OpLessEq:
		return truth(a <= b)
	case OpEq:
		return truth(a == b)
	case OpSelect:
		if a != 0 {
			return b
		}
		return c
	case OpMulAdd:
		return a*b + c
	case OpNeg:
		return -a
	case OpAbs:
		return math.Abs(a)
	case OpSign:
		if math.IsNaN(a) {
			return a
		}
		return truth(a > 0) - truth(a < 0)
	case OpSqrt:
		return math.Sqrt(a)
	case OpRsqrt:
		return 1 / math.Sqrt(a)
	case OpRecip:
		return 1 / a
	case OpExp:
		return math.Exp(a)
	case OpExpm1:
		return math.Expm1(a)
	case OpLog:
		return math.Log(a)
	case OpLog1p:
		return math.Log1p(a)
	case OpSin:
		return math.Sin(a)
	case OpCos:
		return math.Cos(a)
	case OpTanh:
		return math.Tanh(a)
	case OpSigmoid:
		return 1 / (1 + math.Exp(-a))
	case OpErf:
		return math.Erf(a)
	case OpSoftplus:
		return math.Max(a, 0) + math.Log1p(math.Exp(-math.Abs(a)))
	case OpRound:
		return math.RoundToEven(a)
	case OpFloor:
		return math.Floor(a)
	}
	panic(fmt.Sprintf("backend: opcode %d has no value of its own", o))
}

// Validate reports the first thing wrong with p, nil if nothing is.
func (p *Program) Validate() error {
	for i, in := range p.Code {
		if in.Op >= NumOpcodes {
			return fmt.Errorf("program %s: instruction %d: unknown opcode %d", p.Name, i, in.Op)
		}
		switch in.Op {
		case OpInput:
			if in.A < 0 || int(in.A) >= p.Inputs {
				return fmt.Errorf("program %s: instruction %d: input %d of %d", p.Name, i, in.A, p.Inputs)
			}
		case OpScalar:
			if in.A < 0 || int(in.A) >= p.Scalars {
				return fmt.Errorf("program %s: instruction %d: scalar %d of %d", p.Name, i, in.A, p.Scalars)
			}
		}
		for _, r := range in.operandSlice() {
			if r < 0 || int(r) >= i {
				return fmt.Errorf("program %s: instruction %d uses result %d before it is made", p.Name, i, r)
			}
		}
	}
	if len(p.Outputs) == 0 {
		return fmt.Errorf("program %s has no output", p.Name)
	}
	for _, r := range p.Outputs {
		if r < 0 || int(r) >= len(p.Code) {
			return fmt.Errorf("program %s: output is result %d of %d", p.Name, r, len(p.Code))
		}
	}
	return nil
}

func (i *Instr) operandSlice() []int32 {
	o := i.Operands()
	return o[:i.Op.Arity()]
}

// String lists the program, an instruction a line.
func (p *Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s(%d inputs, %d scalars)\n", p.Name, p.Inputs, p.Scalars)
	for i, in := range p.Code {
		fmt.Fprintf(&b, "  r%d = %s", i, in.Op)
		switch in.Op {
		case OpInput, OpScalar:
			fmt.Fprintf(&b, " %d", in.A)
		case OpConst:
			fmt.Fprintf(&b, " %g", in.Imm)
		default:
			for _, r := range in.operandSlice() {
				fmt.Fprintf(&b, " r%d", r)
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "  store %v\n", p.Outputs)
	return b.String()
}
