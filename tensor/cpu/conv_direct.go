package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Direct convolution: the register tile of the matrix product, its rows some
// neighbouring output positions, its segments the kernel taps. Nothing like
// im2col is made; see convPlan and slab.

const (
	// convBlock is the most terms (taps times channels) that a tile sums up in one go.
	convBlock = 1152
	// slabLimit is what a slab may take of the L2 cache.
	slabLimit = 320 << 10
	// slabFlops is work enough for a chunk.
	slabFlops = 16 << 20
)

// convPass is a part of the sum that one call of a tile kernel computes: some
// taps over all channels, or one tap over some.
type convPass struct{ tap, taps, c, k int }

// convTask runs a plan. A chunk is a slab of output rows.
type convTask struct {
	convPlan
	shape       convShape
	u           *microKernel
	bias        []float32
	biasCopy    []float32
	passes      []convPass
	offsets     []int // of the taps, in bytes
	slabRows    int
	tiles       split // of an output row
	panels      int   // of a group
	panelFloats int
	colBlock    int // panels of a block of columns
	packing     bool
	packed      []float32
	workers     []convWorker
	// Operands of a matrix product.
	x, y, weights, transposed backend.View
}

type convWorker struct {
	args tileArgs
	edge []float32
	slab slab
}

var convTasks = sync.Pool{New: func() any { return new(convTask) }}

// release drops what the task must not keep alive.
func (t *convTask) release() {
	t.convPlan.release()
	t.bias = nil
	t.x, t.y, t.weights, t.transposed = backend.View{}, backend.View{}, backend.View{}, backend.View{}
	for i := range t.workers {
		t.workers[i].args.release()
		t.workers[i].slab.base = nil
	}
	convTasks.Put(t)
}

// convolve runs the plan on the device.
func (t *convTask) convolve(d *Device) {
	if points(t.out.size) == 0 {
		return
	}
	switch {
	case t.small():
		t.convolveSmall(d, t.bias)
		return
	case t.manyTiles() && t.winograd(d.level.micro()) != nil:
		t.convolveWinograd(d, t.bias)
		return
	}
	t.u = d.level.micro()
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, convWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	t.choose(d)
	if len(t.taps) > 0 && t.cin > 0 {
		t.packed = grow(t.packed, t.groups*t.panels*t.panelFloats)
		t.packing = true
		if n := t.groups * t.panels; n*t.panelFloats < 1<<15 {
			for i := range n {
				t.run(0, i)
			}
		} else {
			d.pool.do(t, n)
		}
	}
	t.packing = false
	d.pool.do(t, (t.rows()+t.slabRows-1)/t.slabRows)
}

// choose decides how to cut the work. Blocks of the sum depend on taps and
// channels alone, so that a sample's result does not depend on the batch.
func (t *convTask) choose(d *Device) {
	cin, cout := t.cin, t.cout
	t.passes = t.passes[:0]
	if cin <= convBlock {
		s := splitEvenly(len(t.taps), max(1, convBlock/max(1, cin)))
		for i := range s.parts {
			tap, n := s.part(i)
			t.passes = append(t.passes, convPass{tap, n, 0, cin})
		}
	} else {
		s := splitEvenly(cin, convBlock)
		for tap := range t.taps {
			for i := range s.parts {
				c, k := s.part(i)
				t.passes = append(t.passes, convPass{tap, 1, c, k})
			}
		}
	}
	if len(t.taps) == 0 || cin == 0 {
		t.passes = t.passes[:0]
	}
	t.tiles = splitEvenly(t.out.size[2], t.u.rows)
	t.panels = (cout + t.u.cols - 1) / t.u.cols
	t.panelFloats = len(t.taps) * cin * t.u.cols
	longest := 1
	for _, p := range t.passes {
		longest = max(longest, p.taps*p.k)
	}
	t.colBlock = max(1, t.u.blockBytes()/(4*longest*t.u.cols))

	inPlace := t.inside() && t.in.channel == 1
	rowFlops := 2 * max(1, len(t.taps)*cin*cout*t.groups*t.out.size[2])
	rows := min(t.rows()/(4*d.pool.threads), slabFlops/rowFlops)
	if t.rows()*rowFlops <= soloFlops {
		rows = t.rows()
	}
	rows = max(1, rows)
	for !inPlace && rows > 1 && t.slabBytes(rows) > slabLimit {
		rows = (rows + 1) / 2
	}
	if h := t.out.size[1]; rows < h {
		s := splitEvenly(h, rows) // equal parts of an image
		rows = s.base + min(1, s.extra)
	} else {
		rows -= rows % h // whole images
	}
	t.slabRows = rows
	for i := range t.workers {
		t.workers[i].slab.layout(&t.convPlan, rows, cin, inPlace)
	}
	t.offsets = t.offsets[:0]
	for i := range t.taps {
		t.offsets = append(t.offsets, t.workers[0].slab.offset(&t.convPlan, &t.taps[i]))
	}
}

func (t *convTask) run(worker, chunk int) {
	if t.packing {
		t.packPanel(chunk)
		return
	}
	w := &t.workers[worker]
	r0 := chunk * t.slabRows
	r1 := min(t.rows(), r0+t.slabRows)
	if len(t.passes) == 0 {
		t.constant(r0, r1)
		return
	}
	w.slab.fill(&t.convPlan, t.u, r0, r1, split{parts: 1, base: t.cin}, 0, t.groups)
	for i := range t.passes {
		for g := range t.groups {
			for p := 0; p < t.panels; p += t.colBlock {
				for r := r0; r < r1; r++ {
					t.outputRow(w, i, g, r, w.slab.rows[r-r0], p, min(t.panels, p+t.colBlock))
				}
			}
		}
	}
}

// outputRow computes panels p0…p1 of output row r, whose input begins at byte from.
func (t *convTask) outputRow(w *convWorker, pass, g, r, from, p0, p1 int) {
	u, a, p := t.u, &w.args, &t.passes[pass]
	cin, cout := t.cin, t.cout
	step := t.stride[2] * w.slab.stride[2]
	n, o0, o1 := t.locate(r)
	a.fetchNothing()
	a.segs, a.nsegs, a.k = unsafe.Pointer(&t.offsets[p.tap]), p.taps, p.k
	a.rs, a.ks, a.bs, a.cs = step, 4, 4*u.cols, 4*t.out.stride[2]
	a.alpha, a.beta, a.accumulate = 1, 1, min(1, pass)
	to := t.out.at(n, o0, o1) + g*cout
	source := unsafe.Add(w.slab.base, from+w.slab.group(&t.convPlan, g)+4*p.c)
	for tile := range t.tiles.parts {
		o, rows := t.tiles.part(tile)
		a.a = unsafe.Add(source, o*step)
		for panel := p0; panel < p1; panel++ {
			j := panel * u.cols
			a.b = unsafe.Pointer(&t.packed[(g*t.panels+panel)*t.panelFloats+(p.tap*cin+p.c)*u.cols])
			a.c = unsafe.Pointer(&t.out.data[to+o*t.out.stride[2]+j])
			a.bias = nil
			if pass == 0 && t.bias != nil {
				a.bias = unsafe.Pointer(&t.bias[g*cout+j])
			}
			u.run(a, rows, min(u.cols, cout-j), w.edge)
		}
	}
}

// constant fills rows that no tap reaches with the bias.
func (t *convTask) constant(r0, r1 int) {
	cout := t.groups * t.cout
	for r := r0; r < r1; r++ {
		at := t.out.at(t.locate(r))
		for range t.out.size[2] {
			y := t.out.data[at:][:cout]
			clear(y)
			copy(y, t.bias)
			at += t.out.stride[2]
		}
	}
}

// packPanel packs the weights of a panel of a group: taps in order, channels within.
func (t *convTask) packPanel(i int) {
	g, j := i/t.panels, i%t.panels*t.u.cols
	to := t.packed[i*t.panelFloats:][:t.panelFloats]
	cin := t.cin
	for tap := range t.taps {
		t.u.packColumns(to[tap*cin*t.u.cols:], t.w, t.taps[tap].w+g*t.wg+j*t.wj,
			t.wc, t.wj, cin, min(t.u.cols, t.cout-j))
	}
}
