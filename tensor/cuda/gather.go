package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

var (
	gatherKernel  = kernel{topic: "gather", f32: "gather_f32", f64: "gather_f64"}
	scatterKernel = kernel{topic: "gather", f32: "scatter_f32", f64: "scatter_f64"}
)

// Gather copies rows of a table; see backend.Device.
func (d *Device) Gather(out, table, idx *backend.View) {
	if out.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.rowsOf(out, table, idx)
	launch(d.core, gatherKernel.topic, gatherKernel.of(out.DType, false), driver.Launch{Grid: [3]int{blocks(out.Elems(), 256), 1, 1}, Block: 256}, a)
}

// ScatterAdd adds rows into a table; see backend.Device.
func (d *Device) ScatterAdd(table, rows, idx *backend.View) {
	if rows.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.rowsOf(rows, table, idx)
	threads := power(rows.Shape[1], 32, 256)
	launch(d.core, scatterKernel.topic, scatterKernel.of(rows.DType, false),
		driver.Launch{Grid: [3]int{table.Shape[0], blocks(rows.Shape[1], threads), 1}, Block: threads}, a)
}

func (d *core) rowsOf(rows, table, idx *backend.View) *gatherParams {
	a := &d.params.gather
	*a = gatherParams{rows: address(rows), table: address(table), index: address(idx),
		n: int64(rows.Shape[0]), entries: int64(table.Shape[0]), channels: int64(rows.Shape[1]),
		rowStride: int64(rows.Stride[0]), rowChannel: int64(rows.Stride[1]),
		tableStride: int64(table.Stride[0]), tableChannel: int64(table.Stride[1]), idxStride: int64(idx.Stride[0])}
	return a
}
