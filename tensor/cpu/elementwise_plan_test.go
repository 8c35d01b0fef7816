package cpu

import (
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// TestPlan compiles a program with an instruction that is there twice, one that
// nothing uses, a uniform computed from uniforms, and an output stored twice.
func TestPlan(t *testing.T) {
	p := &backend.Program{Name: "plan", Inputs: 2, Scalars: 1, Code: []backend.Instr{
		{Op: backend.OpInput},                    // 0
		{Op: backend.OpInput, A: 1},              // 1
		{Op: backend.OpScalar},                   // 2
		{Op: backend.OpConst, Imm: 2},            // 3
		{Op: backend.OpMul, A: 2, B: 3},          // 4: uniform
		{Op: backend.OpAdd, A: 0, B: 1},          // 5
		{Op: backend.OpAdd, A: 0, B: 1},          // 6: is 5
		{Op: backend.OpExp, A: 0},                // 7: not used
		{Op: backend.OpMul, A: 5, B: 6},          // 8
		{Op: backend.OpNeg, A: 8},                // 9
		{Op: backend.OpMulAdd, A: 9, B: 4, C: 1}, // 10
	}, Outputs: []int32{10, 10, 4, 0}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	pl := compile(p, false)
	if len(pl.ops) != 4 { // 5, 8, 9, 10
		t.Errorf("%d operations, want 4: %v", len(pl.ops), pl.ops)
	}
	if len(pl.uniforms) != 1 || pl.uniforms[0] != 4 {
		t.Errorf("uniforms %v are filled, want instruction 4 alone", pl.uniforms)
	}
	if pl.regs != 1 { // each result takes the register of its operand
		t.Errorf("%d registers, want 1", pl.regs)
	}
	if got := pl.ops[3].dst; got != pl.outSlot(0) {
		t.Errorf("the last operation writes slot %d, want output 0's, %d", got, pl.outSlot(0))
	}
	if len(pl.copies) != 3 {
		t.Errorf("%d copies, want 3: the second store, the uniform and the input", len(pl.copies))
	}
	if _, u := uniformValues[float32](pl, []float64{0.5}, nil, nil); len(u) != 1 || u[0] != 1 {
		t.Errorf("uniform values %v, want 1", u)
	}
	if inner := compile(p, true); len(inner.copies) != 0 || inner.result[0] != inner.ops[3].dst {
		t.Errorf("a reduction's plan stores something: %+v", inner)
	}
}

// TestMerge brings views to the fewest axes.
func TestMerge(t *testing.T) {
	view := func(shape, stride []int) *backend.View {
		v := &backend.View{Rank: len(shape)}
		copy(v.Shape[:], shape)
		copy(v.Stride[:], stride)
		return v
	}
	for _, c := range []struct {
		name  string
		views []*backend.View
		want  []int
		modes []operandMode
	}{
		{"dense", []*backend.View{view([]int{2, 3, 4}, []int{12, 4, 1}), view([]int{2, 3, 4}, []int{12, 4, 1})}, []int{24}, []operandMode{linear, linear}},
		{"channel bias", []*backend.View{view([]int{2, 3, 4}, []int{12, 4, 1}), view([]int{2, 3, 4}, []int{0, 0, 1})}, []int{6, 4}, []operandMode{linear, strided_}},
		{"scalar", []*backend.View{view([]int{2, 3, 4}, []int{12, 4, 1}), view([]int{2, 3, 4}, []int{0, 0, 0})}, []int{24}, []operandMode{linear, uniform}},
		{"both permuted alike", []*backend.View{view([]int{4, 2, 3}, []int{1, 12, 4}), view([]int{4, 2, 3}, []int{1, 12, 4})}, []int{24}, []operandMode{linear, linear}},
		{"transposed", []*backend.View{view([]int{3, 4}, []int{4, 1}), view([]int{3, 4}, []int{1, 3})}, []int{3, 4}, []operandMode{linear, strided_}},
		{"a slice of channels", []*backend.View{view([]int{2, 3, 4}, []int{24, 8, 1}), view([]int{2, 3, 4}, []int{12, 4, 1})}, []int{6, 4}, []operandMode{strided_, linear}},
		{"one element", []*backend.View{view([]int{1, 1}, []int{9, 9})}, []int{1}, []operandMode{linear}},
	} {
		ops := make([]operand[float32], len(c.views))
		for i, v := range c.views {
			ops[i].stride = v.Stride
		}
		var s space
		merge(&s, c.views[0], true, ops)
		if s.rank != len(c.want) {
			t.Errorf("%s: %d axes %v, want %v", c.name, s.rank, s.shape[:s.rank], c.want)
			continue
		}
		for i, d := range c.want {
			if s.shape[i] != d {
				t.Errorf("%s: shape %v, want %v", c.name, s.shape[:s.rank], c.want)
			}
		}
		for i, m := range c.modes {
			if ops[i].mode != m {
				t.Errorf("%s: operand %d is of mode %d, want %d", c.name, i, ops[i].mode, m)
			}
		}
	}
}
