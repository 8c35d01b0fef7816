package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// shape is a random one of up to limit elements (about) and rank axes.
func (c *choices) shape(rank, limit int) []int {
	s := make([]int, c.pick(rank+1))
	for i := range s {
		s[i] = c.size(limit)
		limit = max(1, limit/max(1, s[i]))
	}
	c.rnd.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s
}

// thin is shape with random axes cut down to 1, to be broadcast.
func (c *choices) thin(shape []int) []int {
	s := append([]int(nil), shape...)
	for i := range s {
		if s[i] > 0 && c.pick(3) == 0 {
			s[i] = 1
		}
	}
	return s
}

// values are mostly normal, now and then special.
func (c *choices) values(shape []int) *array {
	a := newArray(shape...)
	a.v = c.normals(len(a.v), 1+3*float64(c.pick(2)))
	if c.pick(3) == 0 {
		for i := range a.v {
			if c.rnd.IntN(4) == 0 {
				a.v[i] = specials[c.rnd.IntN(len(specials))]
			}
		}
	}
	return a
}

// elementwise runs a random program on random layouts.
func elementwise(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	outputs := 1 + c.pick(3)
	return b.elementwise(c.program(outputs), c.shape(5, 1<<13))
}

func (b *bench) elementwise(p *backend.Program, shape []int) error {
	scalars := b.scalars(p)
	var in, out []*operand
	inPlace := b.pick(3) == 0 && p.Inputs > 0
	for i := range p.Inputs {
		if i == 0 && inPlace { // input 0 is overwritten by output 0
			in = append(in, b.add(b.dt, layout(b.pick(int(layouts))), b.values(shape), shape))
			continue
		}
		in = append(in, b.input(b.values(b.thin(shape)), shape...))
	}
	for i := range p.Outputs {
		if i == 0 && inPlace {
			out = append(out, in[0])
			continue
		}
		out = append(out, b.output(shape...))
	}
	return b.runElementwise(p, out, in, scalars)
}

// copies moves a tensor from one layout to another, broadcast or not.
func copies(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	p := &backend.Program{Name: "copy", Inputs: 1, Code: []backend.Instr{{Op: backend.OpInput}}, Outputs: []int32{0}}
	shape := c.shape(5, 1<<13)
	from := shape
	if c.flip() {
		from = c.thin(shape)
	}
	return b.runElementwise(p, []*operand{b.output(shape...)}, []*operand{b.input(b.values(from), shape...)}, nil)
}

// inPlace overwrites both inputs of a program by outputs that are made before
// the inputs have been read for the last time: a device must not store early.
func inPlace(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	p := &backend.Program{Name: "in place", Inputs: 2, Outputs: []int32{2, 3 + int32(c.pick(2)), int32(c.pick(2))},
		Code: []backend.Instr{{Op: backend.OpInput}, {Op: backend.OpInput, A: 1},
			{Op: backend.OpAdd, A: 0, B: 1}, {Op: backend.OpMul, A: 0, B: 1}, {Op: backend.OpSub, A: 3, B: 0}}}
	shape := c.shape(4, 1<<13)
	var in []*operand
	for range 2 {
		in = append(in, b.add(dt, layout(c.pick(int(layouts))), b.values(shape), shape))
	}
	return b.runElementwise(p, []*operand{in[0], in[1], b.output(shape...)}, in, nil)
}

func views(o []*operand) []*backend.View {
	v := make([]*backend.View, len(o))
	for i := range o {
		v[i] = o[i].view
	}
	return v
}

func (b *bench) runElementwise(p *backend.Program, out, in []*operand, scalars []float64) error {
	if err := p.Validate(); err != nil {
		return err
	}
	b.d.Elementwise(p, views(out), views(in), scalars)
	truth := make([]array, len(out))
	bound := make([][]float64, len(out))
	vals, point := make([]value, len(p.Code)), make([]float64, len(in))
	each(out[0].shape, func(idx []int) {
		for i, o := range in {
			point[i] = o.get(idx...)
		}
		run(p, b.dt, point, scalars, vals)
		for i, r := range p.Outputs {
			truth[i].v = append(truth[i].v, vals[r].v)
			bound[i] = append(bound[i], vals[r].err)
		}
	})
	for i, o := range out {
		b.check("output "+fmt.Sprint(i)+" of\n"+p.String(), o, truth[i].v, bound[i])
	}
	return b.finish()
}

// testSpecials runs every operation on all pairs (triples) of special values
// and, for functions of one argument, on a sweep over all magnitudes.
func testSpecials(t *testing.T, d backend.Device, dt backend.DType) {
	for op := backend.OpAdd; op < backend.NumOpcodes; op++ {
		var args [3][]float64
		switch op.Arity() {
		case 1:
			args[0] = append(args[0], specials...)
			for e := -149.0; e < 128; e += 0.0625 {
				x := math.Exp2(e) * 1.0000001
				args[0] = append(args[0], x, -x)
			}
		case 2:
			for _, x := range specials {
				for _, y := range specials {
					args[0], args[1] = append(args[0], x), append(args[1], y)
				}
			}
		case 3:
			for i, x := range specials {
				for j, y := range specials {
					args[0], args[1] = append(args[0], x), append(args[1], y)
					args[2] = append(args[2], specials[(i*31+j*17)%len(specials)])
				}
			}
		}
		b := &bench{choices: newChoices([]byte{byte(op)}), d: d, dt: dt}
		n := len(args[0])
		var in []*operand
		for i := range op.Arity() {
			in = append(in, b.input(&array{[]int{n}, args[i]}, n))
		}
		if err := b.runElementwise(single(op), []*operand{b.output(n)}, in, nil); err != nil {
			t.Errorf("%v: %v", op, err)
		}
	}
}
