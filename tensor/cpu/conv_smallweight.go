package cpu

import (
	"sync"
	"unsafe"
)

// smallWeightTask computes a weight gradient where one side has few channels.
// The values of that side that meet a position of the other, a row for each tap
// and channel, are written out (they are few); what remains is a matrix product,
// summed over all positions of the other side:
//
//	few input channels:  dw[(tap,ci), co] = Σ_o x[o·stride+shift(tap), ci] · dy[o, co]
//	few output channels: dw[(tap,co), ci] = Σ_i dy[i−shift(tap), co] · x[i, ci]   (stride 1)
//
// A chunk is a part of the positions, with a buffer of its own.
type smallWeightTask struct {
	*convPlan
	u         *microKernel
	few, many *grid
	channels  int // of the few
	columns   int // channels of the many
	sign      int // of shift, as seen from the many's positions
	stride    [3]int
	rows      int // taps times the few's channels
	slabLines int
	slabs     split
	partial   []float32
	workers   []smallWeightWorker
}

type smallWeightWorker struct {
	args tileArgs
	edge []float32
	a, b []float32
	next fetch
}

var smallWeightTasks = sync.Pool{New: func() any { return new(smallWeightTask) }}

// smallWeights computes the weight gradient so if it is one of these; it
// reports false, having done nothing, if not.
func (p *convPlan) smallWeights(d *Device, dw []float32) bool {
	few := func(n int) bool { return n <= fewChannels && n*len(p.taps) <= fewTaps }
	if p.groups != 1 || len(p.taps) == 1 || p.cin == 0 ||
		!few(p.cin) && !(few(p.cout) && p.stride == [3]int{1, 1, 1}) {
		return false
	}
	t := smallWeightTasks.Get().(*smallWeightTask)
	t.convPlan, t.u = p, d.level.micro()
	if few(p.cin) {
		t.few, t.many, t.channels, t.columns, t.sign, t.stride = &p.in, &p.out, p.cin, p.cout, 1, p.stride
	} else {
		t.few, t.many, t.channels, t.columns, t.sign, t.stride = &p.out, &p.in, p.cout, p.cin, -1, [3]int{1, 1, 1}
	}
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, smallWeightWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	t.rows = len(p.taps) * t.channels
	t.slabLines = max(1, smallPositions/max(1, t.many.size[2]))
	slabs := (t.lines() + t.slabLines - 1) / t.slabLines
	parts := max(1, min(weightChunks, slabs))
	t.slabs = split{parts, slabs / parts, slabs % parts}
	t.partial = grow(t.partial, parts*t.rows*t.columns)
	d.pool.do(t, parts)
	t.reduce(dw, slabs)
	t.convPlan, t.few, t.many = nil, nil, nil
	for i := range t.workers {
		t.workers[i].args.release()
	}
	smallWeightTasks.Put(t)
	return true
}

// lines is the number of lines of positions of the side with many channels.
func (t *smallWeightTask) lines() int { return t.n * t.many.size[0] * t.many.size[1] }

func (t *smallWeightTask) locateLine(l int) (n, d, h int) {
	h = l % t.many.size[1]
	l /= t.many.size[1]
	return l / t.many.size[0], l % t.many.size[0], h
}

func (t *smallWeightTask) run(worker, part int) {
	w := &t.workers[worker]
	first, slabs := t.slabs.part(part)
	for i := range slabs {
		l0 := (first + i) * t.slabLines
		t.add(w, t.partial[part*t.rows*t.columns:], l0, min(t.lines(), l0+t.slabLines), i > 0)
	}
}

// add adds up, or begins with, the positions of lines l0…l1.
func (t *smallWeightTask) add(w *smallWeightWorker, sum []float32, l0, l1 int, more bool) {
	u, g, width := t.u, &w.args, t.many.size[2]
	k := (l1 - l0) * width
	panels := (t.columns + u.cols - 1) / u.cols
	w.a, w.b = grow(w.a, k*t.rows), grow(w.b, panels*k*u.cols)
	clear(w.a[:k*t.rows])
	for l := l0; l < l1; l++ {
		n, d, h := t.locateLine(l)
		t.spread(w.a[(l-l0)*width*t.rows:], n, d, h)
		at := t.many.at(n, d, h)
		for p := range panels {
			u.packColumns(w.b[(p*k+(l-l0)*width)*u.cols:], t.many.data, at+p*u.cols*t.many.channel,
				t.many.stride[2], t.many.channel, width, min(u.cols, t.columns-p*u.cols))
		}
	}
	w.next = fetch{}
	if l1 < t.lines() {
		last := min(t.lines(), 2*l1-l0) - 1
		w.next = t.many.soon(extent{t.many.at(t.locateLine(l1)), t.many.at(t.locateLine(last)) + width*t.many.stride[2]}, k)
	}
	g.segs, g.nsegs, g.k, g.rs, g.ks = unsafe.Pointer(noSegment), 1, k, 4, 4*t.rows
	g.bs, g.cs, g.alpha, g.beta, g.accumulate, g.bias = 4*u.cols, 4*t.columns, 1, 1, 0, nil
	if more {
		g.accumulate = 1
	}
	tiles := splitEvenly(t.rows, u.rows)
	for i := range tiles.parts {
		row, rows := tiles.part(i)
		g.a = unsafe.Pointer(&w.a[row])
		for p := range panels {
			j := p * u.cols
			g.b = unsafe.Pointer(&w.b[p*k*u.cols])
			g.c = unsafe.Pointer(&sum[row*t.columns+j])
			g.fetchNext(&w.next)
			u.run(g, rows, min(u.cols, t.columns-j), w.edge)
		}
	}
}

// spread writes out what of the few channels meets a line of the many.
func (t *smallWeightTask) spread(to []float32, n, d, h int) {
	few, channels := t.few, t.channels
	for i := range t.taps {
		s := &t.taps[i].shift
		fd, fh := d*t.stride[0]+t.sign*s[0], h*t.stride[1]+t.sign*s[1]
		if fd < 0 || fd >= few.size[0] || fh < 0 || fh >= few.size[1] {
			continue
		}
		// The positions o with 0 ≤ o·step + shift < size.
		step, shift := t.stride[2], t.sign*s[2]
		first, last := 0, 0
		if shift < 0 {
			first = (step - 1 - shift) / step
		}
		if room := few.size[2] - shift; room > 0 {
			last = min(t.many.size[2], (room+step-1)/step)
		}
		if first >= last {
			continue
		}
		at := few.at(n, fd, fh) + (first*step+shift)*few.stride[2]
		for c := range channels {
			spreadLine(to[first*t.rows+i*channels+c:], t.rows, few.data[at+c*few.channel:], step*few.stride[2], last-first)
		}
	}
}

// spreadLine copies n elements from one stride to another.
func spreadLine(to []float32, toStride int, from []float32, fromStride, n int) {
	i, j := 0, 0
	for range n {
		to[i] = from[j]
		i += toStride
		j += fromStride
	}
}

// reduce adds up the parts in order and puts the sums in their places.
func (t *smallWeightTask) reduce(dw []float32, slabs int) {
	fewStep, manyStep := t.wc, t.wj
	if t.sign < 0 {
		fewStep, manyStep = t.wj, t.wc
	}
	for r := range t.rows {
		at := t.taps[r/t.channels].w + r%t.channels*fewStep
		for j := range t.columns {
			sum := float32(0)
			for p := range min(t.slabs.parts, slabs) {
				sum += t.partial[(p*t.rows+r)*t.columns+j]
			}
			dw[at+j*manyStep] = sum
		}
	}
}
