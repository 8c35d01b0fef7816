package cpu

import (
	"sync"
	"unsafe"
)

// Convolutions from or to a few channels, as at the ends of a network: there
// the taps, not the channels, fill a register tile's columns or rows.

const (
	// fewChannels is what counts as few.
	fewChannels = 4
	// fewTaps bounds the tile's columns: taps times few channels.
	fewTaps = 128
	// smallPositions is about how many positions a slab of these has.
	smallPositions = 512
)

// small reports whether a plan's output is to be computed by smallTask: its
// channels are few, its input's are not, and taps may share what they read.
func (p *convPlan) small() bool {
	return p.groups == 1 && p.cout <= fewChannels && p.cin >= 2*fewChannels && len(p.taps) > 1 &&
		len(p.taps)*p.cout <= fewTaps && p.stride == [3]int{1, 1, 1}
}

// smallTask computes a plan with few output channels j in two steps:
//
//	z[n,i,(tap,j)] = Σ_c in[n,i,c] · w[tap,c,j];  out[n,o,j] = Σ_tap z[n, o+shift(tap), (tap,j)]
//
// A chunk is a slab of output rows of one image.
type smallTask struct {
	*convPlan
	u        *microKernel
	bias     []float32
	packed   []float32
	slabRows int
	perPlane int // slabs of a plane
	offsets  []int
	workers  []smallWorker
}

type smallWorker struct {
	args tileArgs
	edge []float32
	z    []float32 // planes of lines of columns, zero outside the input
	next fetch     // the line of input after this
}

var smallTasks = sync.Pool{New: func() any { return new(smallTask) }}

func (p *convPlan) convolveSmall(d *Device, bias []float32) {
	t := smallTasks.Get().(*smallTask)
	t.convPlan, t.u, t.bias = p, d.level.micro(), bias
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, smallWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	width := len(p.taps) * p.cout
	t.packed = grow(t.packed, p.cin*((width+t.u.cols-1)/t.u.cols)*t.u.cols)
	t.packWeights(width)
	columns := p.columns()
	rows := splitEvenly(p.out.size[1], max(1, smallPositions/max(1, columns)))
	t.slabRows = rows.base + min(1, rows.extra)
	t.perPlane = (p.out.size[1] + t.slabRows - 1) / t.slabRows
	t.offsets = t.offsets[:0]
	line := columns * width
	plane := line * p.linesFor(t.slabRows)
	for i := range p.taps {
		s := &p.taps[i].shift
		t.offsets = append(t.offsets, (s[0]-p.lo[0])*plane+(s[1]-p.lo[1])*line+(s[2]-p.lo[2])*width+i*p.cout)
	}
	d.pool.do(t, p.n*p.out.size[0]*t.perPlane)
	t.convPlan, t.bias = nil, nil
	for i := range t.workers {
		t.workers[i].args.release()
	}
	smallTasks.Put(t)
}

// packWeights packs w as a matrix of cin rows and a column for each tap and channel.
func (t *smallTask) packWeights(width int) {
	clear(t.packed)
	cols := t.u.cols
	for i, tap := range t.taps {
		for j := range t.cout {
			column := i*t.cout + j
			to := t.packed[column/cols*t.cin*cols+column%cols:]
			for c := range t.cin {
				to[c*cols] = t.w[tap.w+c*t.wc+j*t.wj]
			}
		}
	}
}

func (t *smallTask) run(worker, chunk int) {
	w := &t.workers[worker]
	p := t.convPlan
	o1 := chunk % t.perPlane * t.slabRows
	rows := min(t.slabRows, p.out.size[1]-o1)
	chunk /= t.perPlane
	n, o0 := chunk/p.out.size[0], chunk%p.out.size[0]
	width, columns := len(p.taps)*p.cout, p.columns()
	line := columns * width
	plane := line * p.linesFor(t.slabRows)
	w.z = grow(w.z, (p.span[0]+1)*plane)
	clear(w.z[:(p.span[0]+1)*plane])
	for i := range p.span[0] + 1 {
		d := o0 + p.lo[0] + i
		for l := range p.linesFor(rows) {
			if h := o1 + p.lo[1] + l; d >= 0 && d < p.in.size[0] && h >= 0 && h < p.in.size[1] {
				t.products(w, w.z[i*plane+l*line:], p.in.at(n, d, h), width, columns)
			}
		}
	}
	for r := range rows {
		t.gather(w.z[r*line:], p.out.at(n, o0, o1+r), width)
	}
}

// products computes z along a line of the input that begins at element at.
func (t *smallTask) products(w *smallWorker, z []float32, at, width, columns int) {
	p, u, a := t.convPlan, t.u, &w.args
	first, last := max(0, p.lo[2]), min(p.in.size[2], p.lo[2]+columns)
	if last <= first {
		return
	}
	a.segs, a.nsegs, a.k, a.rs, a.ks = unsafe.Pointer(noSegment), 1, p.cin, 4*p.in.stride[2], 4*p.in.channel
	a.bs, a.cs, a.alpha, a.accumulate, a.bias = 4*u.cols, 4*width, 1, 0, nil
	w.next = p.in.soon(extent{at + p.in.stride[1], at + p.in.stride[1] + p.in.size[2]*p.in.stride[2]}, p.cin)
	tiles := splitEvenly(last-first, u.rows)
	for i := range tiles.parts {
		col, rows := tiles.part(i)
		a.a = unsafe.Pointer(&p.in.data[at+(first+col)*p.in.stride[2]])
		for j := 0; j < width; j += u.cols {
			a.fetchNext(&w.next)
			a.b = unsafe.Pointer(&t.packed[j*p.cin])
			a.c = unsafe.Pointer(&z[(first+col-p.lo[2])*width+j])
			u.run(a, rows, min(u.cols, width-j), w.edge)
		}
	}
}

// gather sums up an output row, whose first position's first tap is at z[0].
func (t *smallTask) gather(z []float32, at, width int) {
	for o := range t.out.size[2] {
		for j := range t.cout {
			sum := float32(0)
			for _, off := range t.offsets {
				sum += z[off+o*width+j]
			}
			if t.bias != nil {
				sum += t.bias[j]
			}
			t.out.data[at+o*t.out.stride[2]+j*t.out.channel] = sum
		}
	}
}
