package cpu

import (
	"sync"
	"unsafe"
)

// The weight gradient is a matrix product for each tap, dw = xᵀ·dy, summed over
// all output positions. The register tile's rows are input channels, which a
// slab keeps side by side in tiles, and its segments are output rows. The
// positions are cut into parts by the shape alone; each part sums into a buffer
// of its own, and the buffers are added up in order.

const (
	// weightPositions is about how many output positions a slab has: its tiles
	// of x and a panel of dy then stay in the L1 cache together.
	weightPositions = 224
	// weightChunks is how many chunks there are, given the work.
	weightChunks = 16
	// partPositions is the fewest positions of a part: adding up parts must stay cheap.
	partPositions = 1024
	// partialBytes is what all parts' buffers may take.
	partialBytes = 16 << 20
)

// weightTask computes a weight gradient. A chunk is a part of the positions
// times a part of the tiles of input channels; then, reducing, it is an input
// channel of a tap.
type weightTask struct {
	convPlan
	dw        []float32
	u         *microKernel
	tiles     split // of a group's input channels
	panels    int   // of a group's output channels
	slabRows  int
	slabs     split // into parts
	tileParts split // all groups' tiles
	offsets   []int // of the taps, in bytes
	partial   []float32
	size      int  // floats of a part's buffer
	direct    bool // there is one part, and it sums into dw itself
	reducing  bool
	packDy    bool
	workers   []weightWorker
}

type weightWorker struct {
	args tileArgs
	edge []float32
	slab slab
	dy   []float32 // panels of the slab's rows of dy
	// What of x and dy the next slab needs.
	nextX, nextDy fetch
}

var weightTasks = sync.Pool{New: func() any { return new(weightTask) }}

func (t *weightTask) release() {
	t.convPlan.release()
	t.dw = nil
	for i := range t.workers {
		t.workers[i].args.release()
		t.workers[i].slab.base = nil
	}
	weightTasks.Put(t)
}

// gradient runs the task; the plan is that of the forward convolution.
func (t *weightTask) gradient(d *Device) {
	t.u = d.level.micro()
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, weightWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	t.tiles = splitEvenly(t.cin, t.u.rows)
	t.panels = (t.cout + t.u.cols - 1) / t.u.cols
	width := t.out.size[2]
	t.slabRows = max(1, weightPositions/max(1, width))
	if h := t.out.size[1]; t.slabRows < h {
		s := splitEvenly(h, t.slabRows)
		t.slabRows = s.base + min(1, s.extra)
	} else {
		t.slabRows -= t.slabRows % h
	}
	slabs := (t.rows() + t.slabRows - 1) / t.slabRows
	t.size = len(t.taps) * t.cin * t.groups * t.cout
	parts := max(1, min(weightChunks, slabs, t.rows()*width/partPositions, partialBytes/(4*t.size)))
	t.slabs = split{parts, slabs / parts, slabs % parts}
	all := t.groups * t.tiles.parts
	t.tileParts = splitEvenly(all, max(1, all*parts/weightChunks))
	t.direct = parts == 1 && t.wj == 1
	pitch := t.tiles.base + min(1, t.tiles.extra)
	for i := range t.workers {
		t.workers[i].slab.layout(&t.convPlan, t.slabRows, pitch, false)
	}
	t.offsets = t.offsets[:0]
	for i := range t.taps {
		t.offsets = append(t.offsets, t.workers[0].slab.offset(&t.convPlan, &t.taps[i]))
	}
	if slabs == 0 {
		t.direct = false
	}
	t.packDy = !t.denseDy()
	t.reducing = false
	if !t.direct {
		t.partial = grow(t.partial, parts*t.size)
	}
	if slabs == 0 {
		clear(t.partial[:t.size])
	}
	d.pool.do(t, parts*t.tileParts.parts)
	if !t.direct {
		t.reducing = true
		d.pool.do(t, len(t.taps)*t.cin)
	}
}

// denseDy reports whether a panel can be read from dy itself: contiguous
// channels, and one stride from position to position over all of it.
func (t *weightTask) denseDy() bool {
	o := &t.out
	return o.channel == 1 && o.stride[1] == o.size[2]*o.stride[2] && o.stride[0] == o.size[1]*o.stride[1] &&
		o.sample == o.size[0]*o.stride[0] && (t.u.masked || t.cout%t.u.cols == 0) && t.groups*t.panels == 1
}

func (t *weightTask) run(worker, chunk int) {
	if t.reducing {
		t.reduce(chunk)
		return
	}
	w := &t.workers[worker]
	part := chunk / t.tileParts.parts
	tile, tiles := t.tileParts.part(chunk % t.tileParts.parts)
	slab0, slabs := t.slabs.part(part)
	for i := range slabs {
		r0 := (slab0 + i) * t.slabRows
		r1 := min(t.rows(), r0+t.slabRows)
		w.slab.fill(&t.convPlan, t.u, r0, r1, t.tiles, tile, tiles)
		if t.packDy {
			t.packRows(w, r0, r1)
		}
		w.nextX, w.nextDy = fetch{}, fetch{}
		if next := min(t.rows(), r1+t.slabRows); i+1 < slabs {
			k := (r1 - r0) * t.out.size[2]
			w.nextX = t.in.soon(t.inputRange(r1, next), k)
			w.nextDy = t.out.soon(t.outputRange(r1, next), k)
		}
		t.add(w, part, tile, tiles, r0, r1, i == 0)
	}
}

// packRows packs rows of dy into panels.
func (t *weightTask) packRows(w *weightWorker, r0, r1 int) {
	width, cols := t.out.size[2], t.u.cols
	panel := (r1 - r0) * width * cols
	w.dy = grow(w.dy, t.groups*t.panels*panel)
	for r := r0; r < r1; r++ {
		from := t.out.at(t.locate(r))
		for i := range t.groups * t.panels {
			g, j := i/t.panels, i%t.panels*cols
			t.u.packColumns(w.dy[i*panel+(r-r0)*width*cols:], t.out.data, from+(g*t.cout+j)*t.out.channel,
				t.out.stride[2], t.out.channel, width, min(cols, t.cout-j))
		}
	}
}

// add adds a slab's part of the sum for some tiles.
func (t *weightTask) add(w *weightWorker, part, tile0, tiles, r0, r1 int, first bool) {
	u, a := t.u, &w.args
	a.nsegs, a.k, a.segs = r1-r0, t.out.size[2], unsafe.Pointer(&w.slab.rows[0])
	a.rs, a.ks, a.cs = 4, t.stride[2]*w.slab.stride[2], 4*t.groups*t.cout
	if t.direct {
		a.cs = 4 * t.wc
	}
	a.alpha, a.beta, a.accumulate, a.bias = 1, 1, 1, nil
	if first {
		a.accumulate = 0
	}
	for p := range t.panels {
		j := p * u.cols
		for i := range tiles {
			g := (tile0 + i) / t.tiles.parts
			c, rows := t.tiles.part((tile0 + i) % t.tiles.parts)
			if t.packDy {
				a.b, a.bs = unsafe.Pointer(&w.dy[(g*t.panels+p)*(r1-r0)*t.out.size[2]*u.cols]), 4*u.cols
			} else {
				a.b, a.bs = unsafe.Pointer(&t.out.data[t.out.at(t.locate(r0))]), 4*t.out.stride[2]
			}
			source := unsafe.Add(w.slab.base, i*w.slab.tile)
			for tap := range t.taps {
				a.a = unsafe.Add(source, t.offsets[tap])
				a.c = t.sumAt(part, tap, c, g*t.cout+j)
				a.fetchNext(&w.nextX, &w.nextDy)
				u.run(a, rows, min(u.cols, t.cout-j), w.edge)
			}
		}
	}
}

// sumAt is where a part sums up the gradient of the weight of tap, input
// channel ci of co's group, and output channel co.
func (t *weightTask) sumAt(part, tap, ci, co int) unsafe.Pointer {
	if t.direct {
		return unsafe.Pointer(&t.dw[t.taps[tap].w+ci*t.wc+co])
	}
	return unsafe.Pointer(&t.partial[part*t.size+(tap*t.cin+ci)*t.groups*t.cout+co])
}

// reduce adds up the parts for input channel i of all taps in turn.
func (t *weightTask) reduce(i int) {
	channels := t.groups * t.cout
	sum := t.partial[i*channels:][:channels]
	for p := 1; p < t.slabs.parts; p++ {
		for j, v := range t.partial[p*t.size+i*channels:][:channels] {
			sum[j] += v
		}
	}
	at := t.taps[i/t.cin].w + i%t.cin*t.wc
	for _, v := range sum {
		t.dw[at] = v
		at += t.wj
	}
}
