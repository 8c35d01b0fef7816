package cpu

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// FillNormal draws standard normals; see backend.Device.
func (d *Device) FillNormal(out *backend.View, key rng.Key, first uint64) {
	fillRandom(out, key, first, rng.Normal)
}

// FillUniform draws from [0,1); see backend.Device.
func (d *Device) FillUniform(out *backend.View, key rng.Key, first uint64) {
	fillRandom(out, key, first, rng.Uniform)
}

func fillRandom(out *backend.View, key rng.Key, first uint64, draw func([]float32, rng.Key, uint64)) {
	rows := 1
	if out.Rank > 0 {
		rows = out.Shape[0]
	}
	if rows == 0 {
		return
	}
	n := out.Elems() / rows
	buf := make([]float32, n)
	for i := range rows {
		draw(buf, key, first+uint64(i))
		for j, v := range buf {
			storeFloat(out, i*n+j, v)
		}
	}
}

func storeFloat(out *backend.View, i int, v float32) {
	if out.DType == backend.Float64 {
		out.Floats64()[i] = float64(v)
	} else {
		out.Floats32()[i] = v
	}
}
