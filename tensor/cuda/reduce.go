package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// identity is what a reduction without a program runs where nothing is folded.
var identity = &backend.Program{Name: "identity", Inputs: 1, Code: []backend.Instr{{Op: backend.OpInput}}, Outputs: []int32{0}}

// Reduce folds p over axes; see backend.Device.
func (d *Device) Reduce(kind backend.ReduceKind, p *backend.Program, out, sp *backend.View, in []*backend.View, scalars []float64) {
	outputs := out.Elems()
	if outputs == 0 {
		return
	}
	if outputs == sp.Elems() {
		if p == nil {
			p = identity
		}
		d.Elementwise(p, []*backend.View{out}, in, scalars)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reduce(kind, p, out, sp, in, scalars)
}

// fold is how a reduction is cut; it depends on the shape alone, and not on the size of axis 0 where that is kept.
type fold struct {
	lanes  int  // threads of an output
	across bool // neighbouring threads have neighbouring outputs
	piece  int  // terms of a piece
	pieces int
}

const foldThreads = 256

// foldOf cuts a fold of count terms to so many outputs a sample.
func foldOf(count, perSample int, innermostFolded bool) fold {
	f := fold{across: !innermostFolded, piece: max(1, count), pieces: 1}
	if innermostFolded {
		f.lanes = power(blocks(count, 4), 1, foldThreads)
	} else {
		f.lanes = power(blocks(count, 16), 1, 8)
	}
	// A GPU wants some hundreds of blocks; a piece should give each lane some work.
	const wanted, least = 256, 32
	have := blocks(perSample, foldThreads/f.lanes)
	if p := min(blocks(count, f.lanes*least), wanted/max(1, have)); p > 1 {
		f.piece = blocks(count, p)
		f.pieces = blocks(count, f.piece)
	}
	return f
}

func (d *core) reduce(kind backend.ReduceKind, p *backend.Program, out, sp *backend.View, in []*backend.View, scalars []float64) {
	a := &d.params.reduce
	inputs, shared, threads := 1, 0, foldThreads
	a.plain = 1
	if p != nil {
		pl := d.planOf(p)
		a.program.set(pl, scalars)
		inputs, a.plain = pl.inputs, 0
		threads = pl.threads(p.Name, out.DType.Size(), foldThreads)
		shared = threads * pl.slots * out.DType.Size()
	}
	var s spacer
	s.start(&a.space)
	for i, v := range in[:inputs] {
		s.add(&a.in[i], v)
	}
	s.add(&a.out, out)
	outputs, count, perSample, last := 1, 1, 1, true
	for ax, n := range sp.Shape[:sp.Rank] {
		if out.Shape[ax] == n { // kept, or of size 1
			s.axis(ax, n)
			outputs *= n
			if ax > 0 {
				perSample *= n
			}
		}
		if n > 1 {
			last = out.Shape[ax] == n
		}
	}
	a.kept = a.space.rank
	s.floor = int(a.kept)
	for ax, n := range sp.Shape[:sp.Rank] {
		if out.Shape[ax] != n {
			s.axis(ax, n)
			count *= n
		}
	}
	f := foldOf(count, perSample, !last)
	f.lanes = min(f.lanes, threads)
	a.outputs, a.count, a.piece = int64(outputs), int64(count), int64(f.piece)
	a.kind, a.lanes, a.across, a.partial = int32(kind), int32(f.lanes), 0, 0
	if f.across {
		a.across = 1
	}
	var part driver.Ptr
	if f.pieces > 1 {
		part = d.scratch(8 * f.pieces * outputs)
		a.partial = uint64(part)
	}
	name, second := "reduce_f32", "combine_f32"
	if out.DType == backend.Float64 {
		name, second = "reduce_f64", "combine_f64"
	}
	launch(d, "reduce", name, driver.Launch{Grid: [3]int{blocks(outputs, threads/f.lanes), f.pieces, 1}, Block: threads, Shared: shared}, a)
	if f.pieces > 1 {
		c := &d.params.combine
		c.outputs, c.pieces, c.partial, c.kind = int64(outputs), int64(f.pieces), uint64(part), int32(kind)
		c.space, c.out = a.space, a.out
		c.space.rank = a.kept
		launch(d, "reduce", second, driver.Launch{Grid: [3]int{blocks(outputs, 128), 1, 1}, Block: 128}, c)
		d.release(part)
	}
}
