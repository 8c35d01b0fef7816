package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
	"github.com/langevin-go/langevin/tensor/rng"
)

// FillNormal draws standard normals, the bits of package rng; see backend.Device.
func (d *Device) FillNormal(out *backend.View, key rng.Key, first uint64) {
	d.draw(out, key, first, 1)
}

// FillUniform draws from [0,1); see backend.Device.
func (d *Device) FillUniform(out *backend.View, key rng.Key, first uint64) {
	d.draw(out, key, first, 0)
}

var randomKernel = kernel{topic: "random", f32: "random_f32", f64: "random_f64"}

func (d *Device) draw(out *backend.View, key rng.Key, first uint64, normal int32) {
	total := out.Elems()
	if total == 0 {
		return
	}
	rows := 1
	if out.Rank > 0 {
		rows = out.Shape[0]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.params.random
	a.out, a.first, a.rows, a.n, a.normal = address(out), first, int64(rows), int64(total/rows), normal
	a.k0, a.k1 = key.Words()
	launch(d.core, randomKernel.topic, randomKernel.of(out.DType, false),
		driver.Launch{Grid: [3]int{blocks(rows*blocks(total/rows, 4), 128), 1, 1}, Block: 128}, a)
}
