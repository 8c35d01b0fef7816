package backendtest

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// random compares a fill with package rng, bit for bit.
func random(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	shape := c.shape(4, 1<<13)
	key := rng.Key{Seed: c.rnd.Uint64(), Stream: c.rnd.Uint32(), Step: c.rnd.Uint64()}
	first := c.rnd.Uint64() >> (c.pick(2) * 60)
	rows := 1
	if len(shape) > 0 {
		rows = shape[0]
	}
	for _, kind := range []struct {
		name string
		fill func(*backend.View, rng.Key, uint64)
		draw func([]float32, rng.Key, uint64)
	}{{"normal", d.FillNormal, rng.Normal}, {"uniform", d.FillUniform, rng.Uniform}} {
		out := b.outputIn(layout(c.pick(int(padded))), shape...) // dense, at any offset
		kind.fill(out.view, key, first)
		var truth []float64
		for i := range rows {
			row := make([]float32, len(out.v)/max(1, rows))
			kind.draw(row, key, first+uint64(i))
			for _, v := range row {
				truth = append(truth, float64(v))
			}
		}
		b.check(fmt.Sprintf("%s of key %v from sample %d", kind.name, key, first), out, truth, make([]float64, len(truth)))
	}
	return b.finish()
}
