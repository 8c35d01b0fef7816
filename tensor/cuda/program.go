package cuda

import (
	"fmt"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// instr is an instruction as kernels read it: of slots, and uniforms. See program.cuh.
type instr struct {
	op, dst, a, b, c uint16
	_                [3]uint16
}

const (
	uniform   = 0x8000
	constants = 64 // uniforms below are the call's scalars
)

// plan is a program on the device.
type plan struct {
	code, constants driver.Ptr
	instrs, slots   int
	result          [maxOutputs]uint16
	inputs          int
	scalars         int
}

// planOf gives a program's plan; programs are immutable, so it is made once.
func (d *core) planOf(p *backend.Program) *plan {
	if pl, ok := d.plans[p]; ok {
		return pl
	}
	c := compile(p)
	pl := &c.plan
	bytes := asBytes(c.code)
	all := append(append([]byte(nil), bytes...), asBytes(c.values)...)
	if len(all) > 0 {
		if pl.code = d.scratch(len(all)); pl.code != 0 {
			d.upload(pl.code, all)
		}
		pl.constants = pl.code + driver.Ptr(len(bytes))
	}
	if d.failed == nil {
		d.plans[p] = pl
	}
	return pl
}

func asBytes[T any](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// compiler makes a plan: it drops what no output needs and lets values share
// slots, each free again after its last use.
type compiler struct {
	plan
	code   []instr
	values []float64 // constants
	ref    []uint16  // of each result
	last   []int     // the instruction that uses it last; -1: none; len(code): an output
	free   []uint16
}

func compile(p *backend.Program) *compiler {
	if p.Inputs > maxInputs || len(p.Outputs) > maxOutputs || p.Scalars > maxScalars {
		panic(fmt.Sprintf("cuda: program %s has %d inputs, %d outputs, %d scalars: at most %d, %d, %d can be", p.Name, p.Inputs, len(p.Outputs), p.Scalars, maxInputs, maxOutputs, maxScalars))
	}
	n := len(p.Code)
	c := &compiler{ref: make([]uint16, n), last: make([]int, n)}
	c.inputs, c.scalars = p.Inputs, p.Scalars
	for i := range c.last {
		c.last[i] = -1
	}
	for _, r := range p.Outputs {
		c.last[r] = n
	}
	for i := n - 1; i >= 0; i-- {
		if c.last[i] < 0 {
			continue
		}
		operands := p.Code[i].Operands()
		for _, r := range operands[:p.Code[i].Op.Arity()] {
			c.last[r] = max(c.last[r], i)
		}
	}
	for i := range p.Code {
		if c.last[i] >= 0 {
			c.emit(i, &p.Code[i])
		}
	}
	for i, r := range p.Outputs {
		c.result[i] = c.ref[r]
	}
	c.instrs = len(c.code)
	return c
}

func (c *compiler) emit(i int, in *backend.Instr) {
	switch in.Op {
	case backend.OpScalar:
		c.ref[i] = uniform | uint16(in.A)
		return
	case backend.OpConst:
		c.ref[i] = uniform | uint16(constants+len(c.values))
		c.values = append(c.values, in.Imm)
		return
	}
	out := instr{op: uint16(in.Op)}
	if in.Op == backend.OpInput {
		out.a = uint16(in.A)
	} else {
		// Kernels read three operands whatever the operation: the first again where there are fewer.
		refs := [3]uint16{c.ref[in.A], c.ref[in.A], c.ref[in.A]}
		operands := in.Operands()
		for k, r := range operands[:in.Op.Arity()] {
			refs[k] = c.ref[r]
		}
		out.a, out.b, out.c = refs[0], refs[1], refs[2]
		for k, r := range operands[:in.Op.Arity()] {
			if c.last[r] == i && c.ref[r]&uniform == 0 && !contains(operands[:k], r) {
				c.free = append(c.free, c.ref[r])
			}
		}
	}
	if n := len(c.free); n > 0 {
		out.dst = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		out.dst = uint16(c.slots)
		c.slots++
	}
	c.ref[i] = out.dst
	c.code = append(c.code, out)
}

func contains(list []int32, r int32) bool {
	for _, x := range list {
		if x == r {
			return true
		}
	}
	return false
}

// set fills in a kernel's program. Scalars beyond the program's do not count.
func (p *program) set(pl *plan, scalars []float64) {
	p.code, p.constants = uint64(pl.code), uint64(pl.constants)
	copy(p.scalar[:], scalars[:pl.scalars])
	p.instrs, p.slots, p.result = int32(pl.instrs), int32(pl.slots), pl.result
}

// sharedBytes is what every block may have without asking.
const sharedBytes = 48 << 10

// threads gives how many threads of a block have room for slots of so many
// bytes each: at most most, a multiple of 32.
func (pl *plan) threads(name string, bytes, most int) int {
	t := most
	for t*pl.slots*bytes > sharedBytes {
		t /= 2
	}
	if t < 32 {
		panic(fmt.Sprintf("cuda: program %s needs %d values at once, at most %d can be", name, pl.slots, sharedBytes/32/bytes))
	}
	return t
}

// spacer lays out operands by the axes of a space, joining neighbours that lie
// behind one another in all of them.
type spacer struct {
	sp    *space
	ops   [maxInputs + maxOutputs]*operand
	views [maxInputs + maxOutputs]*backend.View
	n     int
	floor int // axes below are not joined with
}

func (s *spacer) start(sp *space) {
	*s = spacer{sp: sp}
	sp.rank = 0
}

func (s *spacer) add(o *operand, v *backend.View) {
	o.base = address(v)
	s.ops[s.n], s.views[s.n] = o, v
	s.n++
}

// axis adds axis ax of size n as the innermost so far.
func (s *spacer) axis(ax, n int) {
	if n == 1 {
		return
	}
	r := int(s.sp.rank)
	joined := r > s.floor
	for i := 0; i < s.n && joined; i++ {
		joined = s.ops[i].stride[r-1] == int64(s.views[i].Stride[ax]*n)
	}
	if joined {
		r--
		s.sp.shape[r] *= int64(n)
	} else {
		s.sp.shape[r] = int64(n)
		s.sp.rank++
	}
	for i := range s.n {
		s.ops[i].stride[r] = int64(s.views[i].Stride[ax])
	}
}
