package cpu

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Reduce folds p over axes; see backend.Device.
func (d *Device) Reduce(kind backend.ReduceKind, p *backend.Program, out, space *backend.View, in []*backend.View, scalars []float64) {
	var vals []float64
	if p != nil {
		vals = make([]float64, len(p.Code))
	}
	acc := make([]float64, out.Elems())
	for i := range acc {
		acc[i] = [...]float64{0, math.Inf(-1), math.Inf(1)}[kind]
	}
	dense := *out
	dense.Off = 0
	dense.RowMajor()
	for i := range out.Rank {
		if out.Shape[i] == 1 {
			dense.Stride[i] = 0
		}
	}
	eachPoint(space.Shape[:space.Rank], func(idx []int) {
		var v float64
		if p == nil {
			v = loadAt(in[0], viewAt(in[0], idx))
		} else {
			evalAt(p, in, scalars, idx, out.DType != backend.Float64, vals)
			v = vals[p.Outputs[0]]
		}
		a := &acc[viewAt(&dense, idx)]
		switch kind {
		case backend.Sum:
			*a += v
		case backend.Max:
			*a = math.Max(*a, v)
		case backend.Min:
			*a = math.Min(*a, v)
		}
	})
	eachPoint(out.Shape[:out.Rank], func(idx []int) {
		storeAt(out, viewAt(out, idx), acc[viewAt(&dense, idx)])
	})
}
