package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// Elementwise runs p at every point; see backend.Device.
func (d *Device) Elementwise(p *backend.Program, out, in []*backend.View, scalars []float64) {
	total := out[0].Elems()
	if total == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	pl := d.planOf(p)
	a := &d.params.elementwise
	a.total, a.outputs = int64(total), int32(len(out))
	a.program.set(pl, scalars)
	var s spacer
	s.start(&a.space)
	for i, v := range in[:pl.inputs] {
		s.add(&a.in[i], v)
	}
	for i, v := range out {
		s.add(&a.out[i], v)
	}
	for ax, n := range out[0].Shape[:out[0].Rank] {
		s.axis(ax, n)
	}
	name, each, size := "elementwise4_f32", 4, out[0].DType.Size()
	if out[0].DType == backend.Float64 {
		name, each = "elementwise_f64", 1
	} else if pl.slots*4*size*128 > sharedBytes {
		name, each = "elementwise_f32", 1
	}
	threads := pl.threads(p.Name, each*size, 128)
	launch(d.core, "elementwise", name, driver.Launch{
		Grid: [3]int{blocks(total, each*threads), 1, 1}, Block: threads, Shared: each * threads * pl.slots * size}, a)
}
