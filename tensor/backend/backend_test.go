package backend

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	in := Instr{Op: OpInput}
	for _, c := range []struct {
		name string
		p    Program
		want string // a part of the message, empty: valid
	}{
		{"good", Program{Inputs: 1, Code: []Instr{in, {Op: OpExp}}, Outputs: []int32{1}}, ""},
		{"unused operands may be anything", Program{Inputs: 1, Code: []Instr{in, {Op: OpNeg, B: 9, C: -1}}, Outputs: []int32{1}}, ""},
		{"no output", Program{Inputs: 1, Code: []Instr{in}}, "no output"},
		{"input out of range", Program{Inputs: 1, Code: []Instr{{Op: OpInput, A: 1}}, Outputs: []int32{0}}, "input 1 of 1"},
		{"scalar out of range", Program{Scalars: 2, Code: []Instr{{Op: OpScalar, A: -1}}, Outputs: []int32{0}}, "scalar -1 of 2"},
		{"forward use", Program{Inputs: 1, Code: []Instr{in, {Op: OpAdd, A: 0, B: 1}}, Outputs: []int32{1}}, "instruction 1 uses result 1"},
		{"unknown opcode", Program{Code: []Instr{{Op: NumOpcodes}}, Outputs: []int32{0}}, "unknown opcode"},
		{"output out of range", Program{Code: []Instr{{Op: OpConst}}, Outputs: []int32{1}}, "output is result 1 of 1"},
	} {
		err := c.p.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestProgramString(t *testing.T) {
	p := Program{Name: "silu", Inputs: 1, Scalars: 1, Outputs: []int32{3},
		Code: []Instr{{Op: OpInput}, {Op: OpSigmoid}, {Op: OpScalar}, {Op: OpMulAdd, A: 0, B: 1, C: 2}}}
	want := "silu(1 inputs, 1 scalars)\n  r0 = input 0\n  r1 = sigmoid r0\n  r2 = scalar 0\n  r3 = muladd r0 r1 r2\n  store [3]\n"
	if got := p.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestOpcodes holds Eval to values from closed forms, and every opcode to having
// a name, an arity and a value.
func TestOpcodes(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		op         Opcode
		a, b, c, r float64
	}{
		{OpAdd, 2, 3, 0, 5}, {OpSub, 2, 3, 0, -1}, {OpMul, 2, 3, 0, 6}, {OpDiv, 3, 2, 0, 1.5}, {OpDiv, 1, 0, 0, inf},
		{OpMin, 2, 3, 0, 2}, {OpMin, nan, 3, 0, nan}, {OpMin, -inf, nan, 0, nan}, {OpMax, 2, 3, 0, 3}, {OpMax, inf, nan, 0, nan},
		{OpPow, 2, 0.5, 0, math.Sqrt2}, {OpLess, 1, 2, 0, 1}, {OpLess, nan, 2, 0, 0}, {OpLessEq, 2, 2, 0, 1}, {OpEq, 2, 2, 0, 1}, {OpEq, nan, nan, 0, 0},
		{OpSelect, 1, 2, nan, 2}, {OpSelect, 0, nan, 3, 3}, {OpSelect, nan, 2, 3, 2}, {OpMulAdd, 2, 3, 4, 10},
		{OpNeg, 2, 0, 0, -2}, {OpAbs, -2, 0, 0, 2}, {OpSign, -7, 0, 0, -1}, {OpSign, 0, 0, 0, 0}, {OpSign, nan, 0, 0, nan},
		{OpSqrt, 4, 0, 0, 2}, {OpRsqrt, 4, 0, 0, 0.5}, {OpRecip, 4, 0, 0, 0.25}, {OpExp, 1, 0, 0, math.E}, {OpExpm1, 1, 0, 0, math.E - 1},
		{OpLog, math.E, 0, 0, 1}, {OpLog1p, math.E - 1, 0, 0, 1}, {OpSin, math.Pi / 2, 0, 0, 1}, {OpCos, math.Pi, 0, 0, -1},
		{OpTanh, math.Ln2, 0, 0, 0.6}, {OpSigmoid, math.Log(3), 0, 0, 0.75}, {OpErf, inf, 0, 0, 1}, {OpSoftplus, 0, 0, 0, math.Ln2}, {OpSoftplus, 1000, 0, 0, 1000},
		{OpRound, 2.5, 0, 0, 2}, {OpRound, 3.5, 0, 0, 4}, {OpFloor, -0.5, 0, 0, -1},
	} {
		got := c.op.Eval(c.a, c.b, c.c)
		if got != c.r && !(math.IsNaN(got) && math.IsNaN(c.r)) && !(math.Abs(got-c.r) < 1e-15*math.Abs(c.r)) {
			t.Errorf("%v(%v, %v, %v) = %v, want %v", c.op, c.a, c.b, c.c, got, c.r)
		}
	}
	for op := range NumOpcodes {
		if op.String() == "" {
			t.Errorf("opcode %d has no name", op)
		}
		if op >= OpAdd && op.Arity() == 0 {
			t.Errorf("%v has no operands", op)
		}
	}
}

func TestView(t *testing.T) {
	v := View{DType: Float32, Rank: 3, Shape: [MaxRank]int{2, 1, 3}}
	v.RowMajor()
	if v.Elems() != 6 || !v.Contiguous() || v.Stride[0] != 3 || v.Stride[2] != 1 {
		t.Errorf("%+v: want 6 dense elements", v)
	}
	v.Stride[1] = 77 // of an axis of size 1: it does not matter
	if !v.Contiguous() {
		t.Error("the stride of an axis of size 1 counts")
	}
	v.Stride[0] = 4
	if v.Contiguous() {
		t.Error("rows with a gap count as dense")
	}
	if (&View{}).Elems() != 1 {
		t.Error("a scalar has one element")
	}
	for dt, size := range map[DType]int{Float32: 4, Float64: 8, BFloat16: 2, Int32: 4} {
		if dt.Size() != size {
			t.Errorf("%v has %d bytes, want %d", dt, dt.Size(), size)
		}
	}
}

// TestConvOut compares with sizes counted by hand: positions where all taps fit, of which there may be none.
func TestConvOut(t *testing.T) {
	c := Conv{Spatial: 1}
	for in := 1; in < 12; in++ {
		for k := 1; k < 7; k++ {
			for stride := 1; stride < 4; stride++ {
				for i := range 4 {
					dilation, pad := 1+i/2, i%2
					c.Stride[0], c.Dilation[0], c.PadLo[0], c.PadHi[0] = stride, dilation, pad, 2*pad
					want := 0
					for at := 0; at+dilation*(k-1) < in+3*pad; at += stride {
						want++
					}
					if c.Out(0, in, k) != want {
						t.Errorf("in %d, kernel %d, %+v: %d, want %d", in, k, c, c.Out(0, in, k), want)
					}
				}
			}
		}
	}
}

func TestAllocError(t *testing.T) {
	cause := errors.New("no more")
	err := error(&AllocError{Device: "gpu", Bytes: 8, Err: cause})
	if !errors.Is(err, cause) || err.Error() != "out of memory on gpu: no more" {
		t.Error(err)
	}
}
