package cpu

import "unsafe"

// grid is where the positions of a tensor lie: element strides, spatial axes in the middle.
type grid struct {
	data                 []float32
	size, stride         [3]int
	off, sample, channel int
}

// convTap is a term of a plan's sum: how far from o·stride it looks, and where
// its weights begin.
type convTap struct {
	shift [3]int
	w     int
}

// convPlan is what a convolution and its input gradient have in common, a sum
// over taps for each sample n and group of channels:
//
//	out[n,o,j] = Σ_tap Σ_c in[n, o·stride + shift(tap), c] · w[w(tap) + c·wc + j·wj]
//
// where in is zero outside its grid.
type convPlan struct {
	n, groups, cin, cout int // cin and cout are a group's channels
	in, out              grid
	stride               [3]int
	lo, span             [3]int // smallest shift, and largest less smallest
	taps                 []convTap
	w                    []float32
	wc, wj, wg           int // strides of w: summed channel, produced channel, group
	axis                 [3][]axisTap
}

// axisTap is a kernel index along one axis and the shift it stands for.
type axisTap struct{ k, shift int }

// forward plans y = x*w: shift = k·dilation − padding.
func (p *convPlan) forward(s *convShape, y, x, w []float32) {
	p.n, p.groups, p.cin, p.cout = s.n, s.groups, s.cinG, s.coutG
	p.in = grid{x, s.in, s.xs, s.xOff, s.xn, s.xc}
	p.out = grid{y, s.out, s.ys, s.yOff, s.yn, s.yc}
	p.stride = s.stride
	p.w, p.wc, p.wj, p.wg = w, s.wi, s.wo, s.coutG*s.wo
	for ax := range 3 {
		p.axis[ax] = p.axis[ax][:0]
		for k := range s.ker[ax] {
			p.axis[ax] = append(p.axis[ax], axisTap{k, k*s.dilation[ax] - s.lo[ax]})
		}
	}
	p.cross(s)
}

// backward plans the part of the input gradient at positions phase + stride·j.
// Position i of dx meets output o at tap k where i = o·stride + k·dilation − lo;
// for i = phase + stride·j that is o = j + (phase + lo − k·dilation)/stride, for
// the taps that divide evenly.
func (p *convPlan) backward(s *convShape, phase [3]int, dx, dy, w []float32) {
	p.n, p.groups, p.cin, p.cout = s.n, s.groups, s.coutG, s.cinG
	p.in = grid{dy, s.out, s.ys, s.yOff, s.yn, s.yc}
	p.out = grid{dx, s.in, s.xs, s.xOff + dot3(phase, s.xs), s.xn, s.xc}
	p.stride = [3]int{1, 1, 1}
	p.w, p.wc, p.wj, p.wg = w, s.wo, s.wi, s.coutG*s.wo
	for ax := range 3 {
		p.out.size[ax] = (s.in[ax] - phase[ax] + s.stride[ax] - 1) / s.stride[ax]
		p.out.stride[ax] *= s.stride[ax]
		p.axis[ax] = p.axis[ax][:0]
		for k := range s.ker[ax] {
			if at := phase[ax] + s.lo[ax] - k*s.dilation[ax]; at%s.stride[ax] == 0 {
				p.axis[ax] = append(p.axis[ax], axisTap{k, at / s.stride[ax]})
			}
		}
	}
	p.cross(s)
}

// cross lists the taps from the axes' own.
func (p *convPlan) cross(s *convShape) {
	p.taps = p.taps[:0]
	for ax, taps := range p.axis {
		p.lo[ax], p.span[ax] = 0, 0
		if len(taps) == 0 {
			return
		}
		lo, hi := taps[0].shift, taps[0].shift
		for _, t := range taps {
			lo, hi = min(lo, t.shift), max(hi, t.shift)
		}
		p.lo[ax], p.span[ax] = lo, hi-lo
	}
	for _, a := range p.axis[0] {
		for _, b := range p.axis[1] {
			for _, c := range p.axis[2] {
				p.taps = append(p.taps, convTap{[3]int{a.shift, b.shift, c.shift},
					s.wOff + a.k*s.ws[0] + b.k*s.ws[1] + c.k*s.ws[2]})
			}
		}
	}
}

// rows is the number of runs of output positions along the last axis.
func (p *convPlan) rows() int { return p.n * p.out.size[0] * p.out.size[1] }

// locate decodes such a run's number.
func (p *convPlan) locate(r int) (n, o0, o1 int) {
	o1 = r % p.out.size[1]
	r /= p.out.size[1]
	return r / p.out.size[0], r % p.out.size[0], o1
}

// at is the element where row r of the grid's own tensor begins.
func (g *grid) at(n, o0, o1 int) int { return g.off + n*g.sample + o0*g.stride[0] + o1*g.stride[1] }

// inside reports whether the plan never looks outside its input.
func (p *convPlan) inside() bool {
	for ax := range 3 {
		if p.lo[ax] < 0 || (p.out.size[ax]-1)*p.stride[ax]+p.lo[ax]+p.span[ax] >= p.in.size[ax] {
			return false
		}
	}
	return true
}

// extent is a stretch of a tensor's memory, in elements.
type extent struct{ from, to int }

// inputRange is where the input of output rows r0…r1 lies.
func (p *convPlan) inputRange(r0, r1 int) extent {
	at := func(r, d, h int) int {
		n, o0, o1 := p.locate(r)
		d = min(max(0, o0*p.stride[0]+p.lo[0]+d), p.in.size[0]-1)
		h = min(max(0, o1*p.stride[1]+p.lo[1]+h), p.in.size[1]-1)
		return p.in.at(n, d, h)
	}
	return extent{at(r0, 0, 0), at(r1-1, p.span[0], p.span[1]) + p.in.size[2]*p.in.stride[2]}
}

// outputRange is where output rows r0…r1 lie.
func (p *convPlan) outputRange(r0, r1 int) extent {
	return extent{p.out.at(p.locate(r0)), p.out.at(p.locate(r1-1)) + p.out.size[2]*p.out.stride[2]}
}

// soon lists the lines of a stretch, k at a time, unless it is long: then the
// tensor is not dense, and most of it not wanted.
func (g *grid) soon(e extent, k int) fetch {
	if n := 4 * (e.to - e.from); n > 0 && n < 1<<20 && e.from >= 0 && e.from < len(g.data) {
		return soon(unsafe.Pointer(&g.data[e.from]), 64*k, 64, (n+64*k-1)/(64*k))
	}
	return fetch{}
}

// release drops the tensors.
func (p *convPlan) release() { p.in.data, p.out.data, p.w = nil, nil, nil }

// slab is the part of a plan's input that some of its output rows need, in
// reach of constant strides: a copy with the padding filled in, or the input
// itself where it needs no padding. Channels may be cut into tiles, each with
// a copy of its own, so that a tile's channels lie side by side.
type slab struct {
	buf     []float32
	base    unsafe.Pointer
	rows    []int  // bytes from base to where each output row's first tap (at shift lo) looks
	stride  [3]int // bytes between input positions along each axis
	tile    int    // bytes from a tile of channels to the next
	unit    int    // channels that tiles are counted in
	inPlace bool
}

// linesFor is how many input lines some output rows of one image need.
func (p *convPlan) linesFor(rows int) int { return (rows-1)*p.stride[1] + p.span[1] + 1 }

// columns is how many input positions along the last axis an output row needs.
func (p *convPlan) columns() int { return (p.out.size[2]-1)*p.stride[2] + p.span[2] + 1 }

// slabBytes is about what so many rows take, copied.
func (p *convPlan) slabBytes(rows int) int {
	perImage := min(rows, p.out.size[1])
	images := (rows + perImage - 1) / perImage
	return 4 * images * (p.span[0] + 1) * p.linesFor(perImage) * p.columns() * p.groups * p.cin
}

// group is where a group's channels begin, in bytes from base, in a slab with a tile a group.
func (s *slab) group(p *convPlan, g int) int {
	if s.inPlace {
		return 4 * g * p.cin
	}
	return g * s.tile
}

// offset is where a tap looks, in bytes from where the first does.
func (s *slab) offset(p *convPlan, t *convTap) int {
	return (t.shift[0]-p.lo[0])*s.stride[0] + (t.shift[1]-p.lo[1])*s.stride[1] + (t.shift[2]-p.lo[2])*s.stride[2]
}

// layout sets the strides of slabs of up to so many rows; pitch is the floats
// between positions within a tile. The same for every slab of a plan.
func (s *slab) layout(p *convPlan, rows, pitch int, inPlace bool) {
	s.inPlace, s.unit = inPlace, 1
	if inPlace {
		for ax := range 3 {
			s.stride[ax] = 4 * p.in.stride[ax]
		}
		return
	}
	s.stride[2] = 4 * pitch
	s.stride[1] = s.stride[2] * p.columns()
	s.stride[0] = s.stride[1] * p.linesFor(min(rows, p.out.size[1]))
}

// fill makes ready rows r0…r1. tiles cuts each group's channels; of all groups'
// tiles in turn, those from first on are copied, so many.
func (s *slab) fill(p *convPlan, u *microKernel, r0, r1 int, tiles split, first, count int) {
	s.rows = s.rows[:0]
	if s.inPlace {
		s.base = unsafe.Pointer(&p.in.data[0])
		first := p.in.off + p.lo[0]*p.in.stride[0] + p.lo[1]*p.in.stride[1] + p.lo[2]*p.in.stride[2]
		for r := r0; r < r1; r++ {
			n, o0, o1 := p.locate(r)
			s.rows = append(s.rows, 4*(first+n*p.in.sample+o0*p.stride[0]*p.in.stride[0]+o1*p.stride[1]*p.in.stride[1]))
		}
		return
	}
	image := (p.span[0] + 1) * s.stride[0]
	images := (r1-1)/p.out.size[1] - r0/p.out.size[1] + 1
	s.tile = image * images
	s.buf = grow(s.buf, s.tile/4*count)
	s.base = unsafe.Pointer(&s.buf[0])
	for i, r := 0, r0; r < r1; i++ {
		n, o0, o1 := p.locate(r)
		rows := min(r1-r, p.out.size[1]-o1)
		for j := range rows {
			s.rows = append(s.rows, i*image+j*p.stride[1]*s.stride[1])
		}
		for t := range count {
			to := s.buf[(t*s.tile+i*image)/4:][:image/4]
			g, tile := (first+t)/tiles.parts, (first+t)%tiles.parts
			c, width := tiles.part(tile)
			s.copyImage(p, u, to, n, o0, o1, rows, g*p.cin+c*s.unit, width*s.unit)
		}
		r += rows
	}
}

// copyImage copies what some output rows of one image need of width channels from c on.
func (s *slab) copyImage(p *convPlan, u *microKernel, to []float32, n, o0, o1, rows, c, width int) {
	in := &p.in
	d0, h0, w0 := o0*p.stride[0]+p.lo[0], o1*p.stride[1]+p.lo[1], p.lo[2]
	lines, columns := p.linesFor(rows), p.columns()
	// What of it lies inside the input.
	h1, h2 := max(0, h0), min(in.size[1], h0+lines)
	w1, w2 := max(0, w0), min(in.size[2], w0+columns)
	if d0 < 0 || d0+p.span[0] >= in.size[0] || h1 != h0 || h2 != h0+lines || w1 != w0 || w2 != w0+columns {
		clear(to)
	}
	if h2 <= h1 || w2 <= w1 {
		return
	}
	pitch := s.stride[2] / 4
	for plane := range p.span[0] + 1 {
		if d := d0 + plane; d >= 0 && d < in.size[0] {
			at := plane*s.stride[0] + (h1-h0)*s.stride[1] + (w1-w0)*s.stride[2]
			u.copyPositions(to[at/4:], pitch, s.stride[1]/4, in, in.at(n, d, h1)+w1*in.stride[2]+c*in.channel, h2-h1, w2-w1, width)
		}
	}
}

// copyPositions copies width channels of lines of n positions.
func (u *microKernel) copyPositions(to []float32, pitch, line int, in *grid, at, lines, n, width int) {
	if in.channel == 1 && width <= u.lanes && u.copyTile != nil {
		u.copyTile(&to[0], &in.data[at], pitch, in.stride[2], n, width, line, in.stride[1], lines)
		return
	}
	for l := range lines {
		to, at := to[l*line:], at+l*in.stride[1]
		switch {
		case in.channel == 1 && pitch == width && in.stride[2] == width:
			copy(to[:n*width], in.data[at:])
		case in.channel == 1:
			for i := range n {
				copy(to[i*pitch:][:width], in.data[at+i*in.stride[2]:])
			}
		default:
			for i := range n {
				for c := range width {
					to[i*pitch+c] = in.data[at+i*in.stride[2]+c*in.channel]
				}
			}
		}
	}
}
