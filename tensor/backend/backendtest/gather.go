package backendtest

import (
	"github.com/langevin-go/langevin/tensor/backend"
)

// indices are n random row numbers on the device, as int32.
func (b *bench) indices(n, rows int) *operand {
	a := newArray(n)
	for i := range a.v {
		a.v[i] = float64(b.rnd.IntN(rows))
	}
	o := b.add(backend.Int32, layout(b.pick(int(layouts))), a, a.shape)
	b.in = append(b.in, o)
	return o
}

// gather copies rows, bit for bit.
func gather(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	rows, n, width := c.positive(50), c.size(300), c.size(130)
	table := b.input(b.values([]int{rows, width}), rows, width)
	idx := b.indices(n, rows)
	out := b.output(n, width)
	d.Gather(out.view, table.view, idx.view)
	truth := newArray(n, width)
	each(truth.shape, func(i []int) { truth.v[truth.at(i...)] = table.get(int(idx.v[i[0]]), i[1]) })
	b.check("gather", out, truth.v, make([]float64, len(truth.v)))
	return b.finish()
}

// scatterAdd adds rows in order: the truth is rounded after every addition, so
// that any other order shows.
func scatterAdd(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	rows, n, width := c.positive(50), c.size(300), c.size(130)
	table := b.add(dt, layout(c.pick(int(layouts))), b.values([]int{rows, width}), []int{rows, width})
	add := b.input(b.values([]int{n, width}), n, width)
	idx := b.indices(n, rows)
	d.ScatterAdd(table.view, add.view, idx.view)
	truth := append([]float64(nil), table.v...)
	each(add.shape, func(i []int) {
		at := table.at(int(idx.v[i[0]]), i[1])
		truth[at] = round(truth[at]+add.get(i...), dt)
	})
	b.check("scatter-add", table, truth, make([]float64, len(truth)))
	return b.finish()
}
