package cpu

import (
	"github.com/langevin-go/langevin/tensor/backend"
)

// viewAt is the offset of element idx.
func viewAt(v *backend.View, idx []int) int {
	o := v.Off
	for i, j := range idx {
		o += j * v.Stride[i]
	}
	return o
}

func eachPoint(shape []int, f func(idx []int)) {
	var store [backend.MaxRank]int
	idx := store[:len(shape)]
	for _, d := range shape {
		if d == 0 {
			return
		}
	}
	for {
		f(idx)
		i := len(shape) - 1
		for ; i >= 0; i-- {
			idx[i]++
			if idx[i] < shape[i] {
				break
			}
			idx[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

func loadAt(v *backend.View, o int) float64 {
	if v.DType == backend.Float64 {
		return elements[float64](v)[o]
	}
	return float64(elements[float32](v)[o])
}

func storeAt(v *backend.View, o int, x float64) {
	if v.DType == backend.Float64 {
		elements[float64](v)[o] = x
	} else {
		elements[float32](v)[o] = float32(x)
	}
}

// evalAt runs p at one point; vals has room for every instruction.
func evalAt(p *backend.Program, in []*backend.View, scalars []float64, idx []int, single bool, vals []float64) {
	for i := range p.Code {
		c := &p.Code[i]
		var v float64
		switch c.Op {
		case backend.OpInput:
			v = loadAt(in[c.A], viewAt(in[c.A], idx))
		case backend.OpScalar:
			v = scalars[c.A]
		case backend.OpConst:
			v = c.Imm
		default:
			var o [3]float64
			operands := c.Operands()
			for j, r := range operands[:c.Op.Arity()] {
				o[j] = vals[r]
			}
			v = c.Op.Eval(o[0], o[1], o[2])
		}
		if single {
			v = float64(float32(v))
		}
		vals[i] = v
	}
}

// Elementwise runs p at every point; see backend.Device.
func (d *Device) Elementwise(p *backend.Program, out, in []*backend.View, scalars []float64) {
	vals := make([]float64, len(p.Code))
	o := out[0]
	eachPoint(o.Shape[:o.Rank], func(idx []int) {
		evalAt(p, in, scalars, idx, o.DType != backend.Float64, vals)
		for j, r := range p.Outputs {
			storeAt(out[j], viewAt(out[j], idx), vals[r])
		}
	})
}
