package cpu

import "github.com/langevin-go/langevin/tensor/backend"

// Gather copies rows of a table; see backend.Device.
func (d *Device) Gather(out, table, idx *backend.View) {
	ix := idx.Ints32()
	for i := range out.Shape[0] {
		row := int(ix[i*idx.Stride[0]])
		for j := range out.Shape[1] {
			storeAt(out, viewAt(out, []int{i, j}), loadAt(table, viewAt(table, []int{row, j})))
		}
	}
}

// ScatterAdd adds rows into a table; see backend.Device.
func (d *Device) ScatterAdd(table, rows, idx *backend.View) {
	ix := idx.Ints32()
	for i := range rows.Shape[0] {
		row := int(ix[i*idx.Stride[0]])
		for j := range rows.Shape[1] {
			o := viewAt(table, []int{row, j})
			storeAt(table, o, loadAt(table, o)+loadAt(rows, viewAt(rows, []int{i, j})))
		}
	}
}
