package cpu

import (
	"sync"
	"unsafe"
)

// The weight gradient in bfloat16 sums over positions, so its words are pairs of
// neighbouring output positions. A slab of x has a word for every position and
// channel, of that position and the one a stride further on, because taps may
// begin at odd positions too; see conv_weight.go for the rest.

// pairPositions is about how many output positions a slab has.
const pairPositions = 448

// pairWeightTask computes a weight gradient; see weightTask, whose sizes these are.
type pairWeightTask struct {
	convPlan
	dw        []float32
	pairs     *pairKernel
	tiles     split // of a group's input channels
	panels    int   // of a group's output channels
	slabRows  int
	slabs     split // into parts
	tileParts split // all groups' tiles
	depth     int   // words of an output row
	offsets   []int // of the taps, in bytes
	partial   []float32
	size      int
	direct    bool
	reducing  bool
	workers   []pairWeightWorker
}

type pairWeightWorker struct {
	args          tileArgs
	slab          slab
	dy            []float32 // panels of the slab's rows of dy
	scratch       []float32
	nextX, nextDy fetch
}

var pairWeightTasks = sync.Pool{New: func() any { return new(pairWeightTask) }}

func (t *pairWeightTask) release() {
	t.convPlan.release()
	t.dw = nil
	for i := range t.workers {
		t.workers[i].args.release()
		t.workers[i].slab.base = nil
	}
	pairWeightTasks.Put(t)
}

// gradient computes dw; the plan is that of the forward convolution.
func (t *pairWeightTask) gradient(d *Device, dw []float32) {
	t.dw, t.pairs = dw, d.pairs
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, pairWeightWorker{})
	}
	t.tiles = splitEvenly(t.cin, t.pairs.rows)
	t.panels = (t.cout + t.pairs.cols - 1) / t.pairs.cols
	width := t.out.size[2]
	t.depth = words(width)
	t.slabRows = max(1, pairPositions/max(1, width))
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
	if !t.direct {
		t.partial = grow(t.partial, parts*t.size)
	}
	t.reducing = false
	d.pool.do(t, parts*t.tileParts.parts)
	if !t.direct {
		t.reducing = true
		d.pool.do(t, len(t.taps)*t.cin)
	}
}

func (t *pairWeightTask) run(worker, chunk int) {
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
		w.slab.fillWords(&t.convPlan, r0, r1, tiles, func(s *slab, i int, l slabLines) { t.copyLines(s, tile+i, l) })
		t.packRows(w, r0, r1)
		w.nextX, w.nextDy = fetch{}, fetch{}
		if next := min(t.rows(), r1+t.slabRows); i+1 < slabs {
			k := (r1 - r0) * t.depth
			w.nextX = t.in.soon(t.inputRange(r1, next), k)
			w.nextDy = t.out.soon(t.outputRange(r1, next), k)
		}
		t.add(w, part, tile, tiles, r0, r1, i == 0)
	}
}

// copyLines makes words of neighbouring positions of a tile of input channels.
// Where only one of the two is inside the input, the other is zero.
func (t *pairWeightTask) copyLines(s *slab, tile int, l slabLines) {
	c, n := t.tiles.part(tile % t.tiles.parts)
	step := t.stride[2]
	at := l.at + (tile/t.tiles.parts*t.cin+c)*t.in.channel
	before, both := max(l.w0, l.w1-step), max(l.w1, l.w2-step)
	t.pair(s, l, at, n, before, min(l.w1, l.w2-step)-before, false, true)
	t.pair(s, l, at, n, l.w1, both-l.w1, true, true)
	t.pair(s, l, at, n, both, l.w2-both, true, false)
}

// words makes count words of n channels from position w on, of one or both halves.
func (t *pairWeightTask) pair(s *slab, l slabLines, at, n, w, count int, low, high bool) {
	if count <= 0 {
		return
	}
	in, pitch, line, step := &t.in, s.stride[2]/4, s.stride[1]/4, t.stride[2]
	to := l.to[(w-l.w0)*pitch:]
	if in.channel == 1 {
		var lowMask, highMask uint32
		from, second := at+w*in.stride[2], step*in.stride[2]
		if low {
			lowMask = 1<<n - 1
		} else {
			from, second = from+second, 0
		}
		if high {
			highMask = 1<<n - 1
		} else {
			second = 0
		}
		t.pairs.pairRows(&to[0], &in.data[from], pitch, in.stride[2], second, count, line, in.stride[1], l.lines, n, lowMask, highMask)
		return
	}
	for i := range l.lines {
		for p := range count {
			for c := range n {
				var a, b float32
				from := at + i*in.stride[1] + (w+p)*in.stride[2] + c*in.channel
				if low {
					a = roundBF16(in.data[from])
				}
				if high {
					b = roundBF16(in.data[from+step*in.stride[2]])
				}
				to[i*line+p*pitch+c] = wordOf(a, b)
			}
		}
	}
}

// packRows packs rows of dy into panels.
func (t *pairWeightTask) packRows(w *pairWeightWorker, r0, r1 int) {
	cols := t.pairs.cols
	panel := (r1 - r0) * t.depth * cols
	w.dy = grow(w.dy, t.groups*t.panels*panel)
	for r := r0; r < r1; r++ {
		from := t.out.at(t.locate(r))
		for i := range t.groups * t.panels {
			g, j := i/t.panels, i%t.panels*cols
			t.pairs.packColumns(w.dy[i*panel+(r-r0)*t.depth*cols:], t.out.data, from+(g*t.cout+j)*t.out.channel,
				t.out.stride[2], t.out.channel, t.out.size[2], min(cols, t.cout-j), &w.scratch)
		}
	}
}

// add adds a slab's part of the sum for some tiles.
func (t *pairWeightTask) add(w *pairWeightWorker, part, tile0, tiles, r0, r1 int, first bool) {
	u, a := &t.pairs.microKernel, &w.args
	a.nsegs, a.k, a.segs = r1-r0, t.depth, unsafe.Pointer(&w.slab.rows[0])
	a.rs, a.ks, a.bs, a.cs = 4, 2*t.stride[2]*w.slab.stride[2], 4*u.cols, 4*t.groups*t.cout
	if t.direct {
		a.cs = 4 * t.wc
	}
	a.alpha, a.beta, a.accumulate, a.bias = 1, 1, 1, nil
	if first {
		a.accumulate = 0
	}
	panels, panel := u.together(t.panels), (r1-r0)*t.depth*u.cols
	for p := 0; p < t.panels; p += panels {
		j := p * u.cols
		for i := range tiles {
			g := (tile0 + i) / t.tiles.parts
			c, rows := t.tiles.part((tile0 + i) % t.tiles.parts)
			b := unsafe.Pointer(&w.dy[(g*t.panels+p)*panel])
			source := unsafe.Add(w.slab.base, i*w.slab.tile)
			for tap := range t.taps {
				a.a, a.b = unsafe.Add(source, t.offsets[tap]), b
				a.c = t.sumAt(part, tap, c, g*t.cout+j)
				u.runRow(a, rows, min(t.cout, (p+panels)*u.cols)-j, 4*panel, nil, &w.nextX, &w.nextDy)
			}
		}
	}
}

// sumAt is where a part sums up the gradient of the weight of tap, input
// channel ci of co's group, and output channel co.
func (t *pairWeightTask) sumAt(part, tap, ci, co int) unsafe.Pointer {
	if t.direct {
		return unsafe.Pointer(&t.dw[t.taps[tap].w+ci*t.wc+co])
	}
	return unsafe.Pointer(&t.partial[part*t.size+(tap*t.cin+ci)*t.groups*t.cout+co])
}

// reduce adds up the parts for input channel i of all taps in turn.
func (t *pairWeightTask) reduce(i int) {
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
