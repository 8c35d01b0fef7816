package cpu

import (
	"math"
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// plan is a program made ready for blocks. Its operations work on slots; a slot
// is a block of elements: an input, an output, a uniform (the same value
// throughout: constants, scalars and what follows from them alone), or a register.
type plan struct {
	prog     *backend.Program
	ops      []planOp
	uniforms []int32 // instructions whose values are filled into uniform slots
	regs     int
	copies   []planCopy
	result   []int32 // slot of each output's value
	producer []int32 // operation that writes output i; copies follow the operations
	lastUse  []int32 // last operation or copy that reads input j
	cost     int     // of an element, in units of a cheap vector operation
	whole    wholes
}

type planOp struct {
	op           backend.Opcode
	dst, a, b, c int32
}

// planCopy stores a value that has no home in an output slot of its own.
type planCopy struct{ dst, src int32 }

// Slots are numbered inputs first, then outputs, uniforms, registers.
func (p *plan) inSlot(i int) int32  { return int32(i) }
func (p *plan) outSlot(i int) int32 { return int32(p.prog.Inputs + i) }
func (p *plan) uniformSlot(i int) int32 {
	return int32(p.prog.Inputs + len(p.prog.Outputs) + i)
}
func (p *plan) regSlot(i int) int32 { return p.uniformSlot(len(p.uniforms)) + int32(i) }
func (p *plan) slots() int          { return int(p.regSlot(p.regs)) }

// plans caches compiled programs by address: programs are immutable.
type plans struct{ direct, inner sync.Map }

// programPlans serves all devices: a plan depends on the program alone.
var programPlans plans

// get gives p's plan: one that writes outputs, or (inner) one whose results
// stay where they arise, for a reduction to read.
func (c *plans) get(p *backend.Program, inner bool) *plan {
	m := &c.direct
	if inner {
		m = &c.inner
	}
	if v, ok := m.Load(p); ok {
		return v.(*plan)
	}
	v, _ := m.LoadOrStore(p, compile(p, inner))
	return v.(*plan)
}

// identity is what a reduction without a program runs.
var identity = &backend.Program{Name: "identity", Inputs: 1, Code: []backend.Instr{{Op: backend.OpInput}}, Outputs: []int32{0}}

// opCost is the price of an operation relative to an addition.
func opCost(op backend.Opcode) int {
	switch op {
	case backend.OpPow, backend.OpErf:
		return 16
	case backend.OpExp, backend.OpExpm1, backend.OpLog, backend.OpLog1p, backend.OpSin, backend.OpCos,
		backend.OpTanh, backend.OpSigmoid, backend.OpSoftplus:
		return 8
	case backend.OpDiv, backend.OpSqrt, backend.OpRsqrt, backend.OpRecip:
		return 3
	}
	return 1
}

// compiler is the state of making a plan.
type compiler struct {
	*plan
	inner   bool
	same    []int32 // instruction → the first one that computes the same
	uniform []bool
	last    []int32 // instruction → the last one that uses it; len(code): an output
	slot    []int32
	free    []int32 // registers
}

func compile(p *backend.Program, inner bool) *plan {
	n := len(p.Code)
	c := &compiler{plan: &plan{prog: p}, inner: inner,
		same: make([]int32, n), uniform: make([]bool, n), last: make([]int32, n), slot: make([]int32, n)}
	c.analyse()
	c.lastUse = make([]int32, p.Inputs)
	c.producer = make([]int32, len(p.Outputs))
	for i := range p.Code {
		if c.uniform[i] && c.last[i] >= 0 && c.same[i] == int32(i) && c.needsFill(int32(i)) {
			c.slot[i] = c.uniformSlot(len(c.uniforms))
			c.uniforms = append(c.uniforms, int32(i))
		}
	}
	home := c.homes()
	for i := range p.Code {
		c.emit(int32(i), home)
	}
	c.finish(home)
	c.whole = wholeOf(c.plan)
	return c.plan
}

// analyse finds equal instructions, uniform ones, and each one's last use (-1: never used).
func (c *compiler) analyse() {
	type key struct {
		op      backend.Opcode
		a, b, c int32
		imm     uint64
	}
	code := c.prog.Code
	seen := map[key]int32{}
	for i := range code {
		in := &code[i]
		k := key{op: in.Op}
		c.uniform[i] = in.Op != backend.OpInput
		switch in.Op {
		case backend.OpInput, backend.OpScalar:
			k.a = in.A
		case backend.OpConst:
			k.imm = math.Float64bits(in.Imm)
		default:
			k.a, k.b, k.c = c.operands(in)
			for j, r := range [3]int32{k.a, k.b, k.c} {
				c.uniform[i] = c.uniform[i] && (j >= in.Op.Arity() || c.uniform[r])
			}
		}
		c.last[i] = -1
		if first, ok := seen[k]; ok {
			c.same[i] = first
		} else {
			c.same[i] = int32(i)
			seen[k] = int32(i)
		}
	}
	for _, r := range c.prog.Outputs {
		c.last[c.same[r]] = int32(len(code))
	}
	for i := len(code) - 1; i >= 0; i-- {
		if c.same[i] != int32(i) || c.last[i] < 0 {
			continue
		}
		o := code[i].Operands()
		for _, r := range o[:code[i].Op.Arity()] {
			c.last[c.same[r]] = max(c.last[c.same[r]], int32(i))
		}
	}
}

// operands are those of an instruction, equal ones made one, missing ones 0.
func (c *compiler) operands(in *backend.Instr) (x, y, z int32) {
	o := in.Operands()
	for j := range o {
		if j < in.Op.Arity() {
			o[j] = c.same[o[j]]
		} else {
			o[j] = 0
		}
	}
	return o[0], o[1], o[2]
}

// needsFill reports whether a uniform is read by anything that is not uniform itself.
func (c *compiler) needsFill(i int32) bool {
	if c.last[i] == int32(len(c.prog.Code)) {
		return true
	}
	for j := range c.prog.Code {
		in := &c.prog.Code[j]
		if c.uniform[j] || c.last[j] < 0 || c.same[j] != int32(j) {
			continue
		}
		o := in.Operands()
		for _, r := range o[:in.Op.Arity()] {
			if c.same[r] == i {
				return true
			}
		}
	}
	return false
}

// homes gives each computed result that is stored the first output it goes to.
func (c *compiler) homes() map[int32]int {
	home := map[int32]int{}
	if c.inner {
		return home
	}
	for i, r := range c.prog.Outputs {
		r = c.same[r]
		if _, taken := home[r]; !taken && !c.uniform[r] && c.prog.Code[r].Op != backend.OpInput {
			home[r] = i
		}
	}
	return home
}

func (c *compiler) emit(i int32, home map[int32]int) {
	in := &c.prog.Code[i]
	if c.same[i] != i || c.last[i] < 0 || c.uniform[i] {
		return
	}
	if in.Op == backend.OpInput {
		c.slot[i] = c.inSlot(int(in.A))
		return
	}
	at := int32(len(c.ops))
	op := planOp{op: in.Op}
	x, y, z := c.operands(in)
	slots := [3]*int32{&op.a, &op.b, &op.c}
	for j, r := range [3]int32{x, y, z} {
		if j >= in.Op.Arity() {
			*slots[j] = op.a // unread
			continue
		}
		*slots[j] = c.slot[r]
		if c.prog.Code[r].Op == backend.OpInput {
			c.lastUse[c.prog.Code[r].A] = at
		}
		if c.last[r] == i && c.slot[r] >= c.regSlot(0) {
			c.release(c.slot[r])
		}
	}
	if k, ok := home[i]; ok {
		op.dst = c.outSlot(k)
		c.producer[k] = at
	} else {
		op.dst = c.register()
	}
	c.slot[i] = op.dst
	c.ops = append(c.ops, op)
	c.cost += opCost(in.Op)
}

func (c *compiler) release(slot int32) {
	for _, s := range c.free {
		if s == slot {
			return
		}
	}
	c.free = append(c.free, slot)
}

// register takes the most recently freed one: it is the warmest in cache.
func (c *compiler) register() int32 {
	if n := len(c.free); n > 0 {
		s := c.free[n-1]
		c.free = c.free[:n-1]
		return s
	}
	c.regs++
	return c.regSlot(c.regs - 1)
}

// finish lists the copies and the results' slots.
func (c *compiler) finish(home map[int32]int) {
	for i, r := range c.prog.Outputs {
		r = c.same[r]
		c.result = append(c.result, c.slot[r])
		if k, ok := home[r]; c.inner || ok && k == i {
			continue
		}
		c.producer[i] = int32(len(c.ops) + len(c.copies))
		if c.prog.Code[r].Op == backend.OpInput {
			c.lastUse[c.prog.Code[r].A] = c.producer[i]
		}
		c.copies = append(c.copies, planCopy{c.outSlot(i), c.slot[r]})
	}
	c.cost += c.prog.Inputs + len(c.prog.Outputs)
}

// uniformValues computes the values of the uniform slots. Every step is rounded to T.
func uniformValues[T real](p *plan, scalars []float64, vals, out []T) ([]T, []T) {
	code := p.prog.Code
	if len(p.uniforms) == 0 {
		return vals, out[:0]
	}
	if cap(vals) < len(code) {
		vals = make([]T, len(code))
	}
	vals, out = vals[:len(code)], out[:0]
	last := p.uniforms[len(p.uniforms)-1]
	for i := range code[:last+1] {
		in := &code[i]
		switch in.Op {
		case backend.OpInput: // feeds no uniform
		case backend.OpScalar:
			vals[i] = T(scalars[in.A])
		case backend.OpConst:
			vals[i] = T(in.Imm)
		default:
			o := [3]float64{}
			r := in.Operands()
			for j := range in.Op.Arity() {
				o[j] = float64(vals[r[j]])
			}
			vals[i] = T(in.Op.Eval(o[0], o[1], o[2]))
		}
	}
	for _, i := range p.uniforms {
		out = append(out, vals[i])
	}
	return vals, out
}
