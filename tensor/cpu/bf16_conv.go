package cpu

import (
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Direct convolution in bfloat16: that of float32 (see conv_direct.go) on a slab
// of words, pairs of channels.

// convPairTask runs a plan; of convTask's sizes, those of channels count words.
type convPairTask struct {
	convTask
	pairs   *pairKernel
	depth   int // words of a group's input channels
	workers []convPairWorker
}

type convPairWorker struct {
	args    tileArgs
	slab    slab
	scratch []float32
	next    fetch // input that the next chunk needs
}

var convPairTasks = sync.Pool{New: func() any { return new(convPairTask) }}

// convPairs computes a direction of a convolution in words. It reports false,
// having done nothing, where a result's channels are not contiguous.
func (d *Device) convPairs(kind convKind, p *backend.Conv, y, x, w, bias *backend.View) bool {
	t := convPairTasks.Get().(*convPairTask)
	defer t.release()
	s := &t.shape
	s.set(p, y, x, w)
	if t.convGemm(d, kind, y, x, w, bias) {
		return true
	}
	t.pairs, t.u = d.pairs, &d.pairs.microKernel
	switch kind {
	case convForward:
		if s.yc != 1 && s.cout > 1 {
			return false
		}
		if bias != nil {
			t.bias, t.biasCopy = contiguousFloats(bias, t.biasCopy)
		}
		t.forward(s, elements[float32](y), elements[float32](x), elements[float32](w))
		t.convolve(d)
	case convInputGrad:
		if s.xc != 1 && s.cin > 1 {
			return false
		}
		for i := range points(s.stride) {
			t.backward(s, position(i, s.stride), elements[float32](x), elements[float32](y), elements[float32](w))
			t.convolve(d)
		}
	case convWeightGrad:
		if s.n == 0 || s.cinG == 0 {
			return false
		}
		g := pairWeightTasks.Get().(*pairWeightTask)
		g.forward(s, elements[float32](y), elements[float32](x), nil)
		if dw := elements[float32](w); !g.winogradWeights(d, dw) {
			g.gradient(d, dw)
		}
		g.release()
	}
	return true
}

func (t *convPairTask) release() {
	t.convPlan.release()
	t.bias = nil
	t.x, t.y, t.weights, t.transposed = backend.View{}, backend.View{}, backend.View{}, backend.View{}
	for i := range t.workers {
		t.workers[i].args.release()
		t.workers[i].slab.base = nil
	}
	convPairTasks.Put(t)
}

// convolve runs the plan on the device.
func (t *convPairTask) convolve(d *Device) {
	if points(t.out.size) == 0 {
		return
	}
	if t.winogradPairs() {
		t.convolveWinograd(d, t.bias)
		return
	}
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, convPairWorker{})
	}
	t.choose(d)
	if len(t.passes) > 0 {
		t.packed = grow(t.packed, t.groups*t.panels*t.panelFloats)
		t.packing = true
		if n := t.groups * t.panels; n*t.panelFloats < 1<<15 {
			for i := range n {
				t.run(0, i)
			}
		} else {
			d.pool.do(t, n)
		}
		t.packing = false
	}
	d.pool.do(t, (t.rows()+t.slabRows-1)/t.slabRows)
}

// choose decides how to cut the work. Blocks of the sum depend on taps and
// channels alone, so that a sample's result does not depend on the batch.
func (t *convPairTask) choose(d *Device) {
	t.depth = words(t.cin)
	t.passes = t.passes[:0]
	switch s := splitEvenly(len(t.taps), max(1, convBlock/max(1, t.depth))); {
	case len(t.taps) == 0 || t.cin == 0:
	case t.depth <= convBlock:
		for i := range s.parts {
			tap, n := s.part(i)
			t.passes = append(t.passes, convPass{tap, n, 0, t.depth})
		}
	default:
		s := splitEvenly(t.depth, convBlock)
		for tap := range t.taps {
			for i := range s.parts {
				c, k := s.part(i)
				t.passes = append(t.passes, convPass{tap, 1, c, k})
			}
		}
	}
	t.tiles = splitEvenly(t.out.size[2], t.u.rows)
	t.panels = (t.cout + t.u.cols - 1) / t.u.cols
	t.panelFloats = len(t.taps) * t.depth * t.u.cols
	longest := 1
	for _, p := range t.passes {
		longest = max(longest, p.taps*p.k)
	}
	t.colBlock = max(1, t.u.blockBytes()/(4*longest*t.u.cols))

	rowFlops := 2 * max(1, len(t.taps)*t.cin*t.cout*t.groups*t.out.size[2])
	rows := max(1, min(t.rows()/(4*d.pool.threads), slabFlops/rowFlops))
	if t.rows()*rowFlops <= soloFlops {
		rows = t.rows()
	}
	for rows > 1 && t.slabBytes(rows)/2 > slabLimit {
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
		t.workers[i].slab.layout(&t.convPlan, rows, t.depth, false)
	}
	t.offsets = t.offsets[:0]
	for i := range t.taps {
		t.offsets = append(t.offsets, t.workers[0].slab.offset(&t.convPlan, &t.taps[i]))
	}
}

func (t *convPairTask) run(worker, chunk int) {
	w := &t.workers[worker]
	if t.packing {
		t.packPanel(w, chunk)
		return
	}
	r0 := chunk * t.slabRows
	r1 := min(t.rows(), r0+t.slabRows)
	if len(t.passes) == 0 {
		t.constant(r0, r1)
		return
	}
	w.slab.fillWords(&t.convPlan, r0, r1, t.groups, t.copyLines)
	w.next = fetch{}
	if n0 := r0 + len(t.workers)*t.slabRows; n0 < t.rows() {
		w.next = t.in.soon(t.inputRange(n0, min(t.rows(), n0+t.slabRows)), t.passes[0].taps*t.passes[0].k)
	}
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
func (t *convPairTask) outputRow(w *convPairWorker, pass, g, r, from, p0, p1 int) {
	u, a, p := t.u, &w.args, &t.passes[pass]
	step := t.stride[2] * w.slab.stride[2]
	n, o0, o1 := t.locate(r)
	a.segs, a.nsegs, a.k = unsafe.Pointer(&t.offsets[p.tap]), p.taps, p.k
	a.rs, a.ks, a.bs, a.cs = step, 4, 4*u.cols, 4*t.out.stride[2]
	a.alpha, a.beta, a.accumulate = 1, 1, min(1, pass)
	to := t.out.at(n, o0, o1) + g*t.cout
	source := unsafe.Add(w.slab.base, from+g*w.slab.tile+4*p.c)
	for tile := range t.tiles.parts {
		o, rows := t.tiles.part(tile)
		a.a = unsafe.Add(source, o*step)
		j := p0 * u.cols
		a.b = unsafe.Pointer(&t.packed[(g*t.panels+p0)*t.panelFloats+(p.tap*t.depth+p.c)*u.cols])
		a.c = unsafe.Pointer(&t.out.data[to+o*t.out.stride[2]+j])
		a.bias = nil
		if pass == 0 && t.bias != nil {
			a.bias = unsafe.Pointer(&t.bias[g*t.cout+j])
		}
		u.runRow(a, rows, min(t.cout, p1*u.cols)-j, 4*t.panelFloats, nil, &w.next)
	}
}

// packPanel packs the weights of a panel of a group: taps in order, channels within.
func (t *convPairTask) packPanel(w *convPairWorker, i int) {
	g, j := i/t.panels, i%t.panels*t.u.cols
	to := t.packed[i*t.panelFloats:][:t.panelFloats]
	for tap := range t.taps {
		t.pairs.packColumns(to[tap*t.depth*t.u.cols:], t.w, t.taps[tap].w+g*t.wg+j*t.wj,
			t.wc, t.wj, t.cin, min(t.u.cols, t.cout-j), &w.scratch)
	}
}

// copyLines makes words of neighbouring channels of group g.
func (t *convPairTask) copyLines(s *slab, g int, l slabLines) {
	in, pitch, line := &t.in, s.stride[2]/4, s.stride[1]/4
	to := l.to[(l.w1-l.w0)*pitch:]
	at, n := l.at+l.w1*in.stride[2]+g*t.cin*in.channel, l.w2-l.w1
	switch {
	case in.channel == 1 && in.stride[2] == t.cin && t.cin%2 == 0: // a line is a row
		t.pairs.neighbours(&to[0], &in.data[at], 0, 0, 1, line, in.stride[1], l.lines, n*t.cin)
	case in.channel == 1:
		t.pairs.neighbours(&to[0], &in.data[at], pitch, in.stride[2], n, line, in.stride[1], l.lines, t.cin)
	default:
		for i := range l.lines {
			t.pairs.packScalars(to[i*line:], in.data, at+i*in.stride[1], pitch, 1, in.stride[2], in.channel, n, t.cin)
		}
	}
}
