package cpu

import (
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/tensor/backend"
)

// wholes are the kernels of one plan at each level, nil where there is none.
// They compute what the operations' own kernels do, bit for bit.
type wholes struct{ avx2, avx512 program[float32] }

// wholeOf finds the kernels that were generated for a plan.
func wholeOf(p *plan) wholes {
	l := p.listing()
	return wholes{programs256[l], programs512[l]}
}

// listing is what a whole kernel is made from and found by: how many slots there
// are of each kind, the operations in order, and the slots that get results.
// Values of constants are not part of it. It is "" for plans that have no use
// for a kernel of their own, or cannot have one: of a single operation, with
// copies, or with functions that look at a whole block before they choose a way.
func (p *plan) listing() string {
	if len(p.ops) < 2 || len(p.copies) > 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "slots i%d o%d u%d", p.prog.Inputs, len(p.prog.Outputs), len(p.uniforms))
	for _, op := range p.ops {
		switch op.op {
		case backend.OpPow, backend.OpSin, backend.OpCos:
			return ""
		}
		fmt.Fprintf(&b, "; %s = %s", p.slotName(op.dst), op.op)
		for _, s := range []int32{op.a, op.b, op.c}[:op.op.Arity()] {
			fmt.Fprintf(&b, " %s", p.slotName(s))
		}
	}
	b.WriteString("; results")
	for _, s := range p.result {
		if s < p.outSlot(0) || s >= p.uniformSlot(0) && s < p.regSlot(0) {
			return "" // nothing computes it
		}
		fmt.Fprintf(&b, " %s", p.slotName(s))
	}
	return b.String()
}

func (p *plan) slotName(s int32) string {
	switch {
	case s < p.outSlot(0):
		return fmt.Sprintf("i%d", s)
	case s < p.uniformSlot(0):
		return fmt.Sprintf("o%d", s-p.outSlot(0))
	case s < p.regSlot(0):
		return fmt.Sprintf("u%d", s-p.uniformSlot(0))
	}
	return fmt.Sprintf("r%d", s-p.regSlot(0))
}
