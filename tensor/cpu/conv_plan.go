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

// group is where a group's first tile begins, in bytes from base.
func (s *slab) group(p *convPlan, g int, tiles split) int {
	if s.inPlace {
		return 4 * g * p.cin
	}
	return g * tiles.parts * s.tile
}

// offset is where a tap looks, in bytes from where the first does.
func (s *slab) offset(p *convPlan, t *convTap) int {
	return (t.shift[0]-p.lo[0])*s.stride[0] + (t.shift[1]-p.lo[1])*s.stride[1] + (t.shift[2]-p.lo[2])*s.stride[2]
}

// layout sets the strides of slabs of up to so many rows; pitch is the floats
// between positions within a tile. The same for every slab of a plan.
func (s *slab) layout(p *convPlan, rows, pitch int, inPlace bool) {
	s.inPlace = inPlace
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

// fill makes ready rows r0…r1. tiles cuts each group's channels.
func (s *slab) fill(p *convPlan, u *microKernel, r0, r1 int, tiles split) {
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
	s.buf = grow(s.buf, s.tile/4*tiles.parts*p.groups+16)
	s.base = unsafe.Pointer(&s.buf[0])
	for i, r := 0, r0; r < r1; i++ {
		n, o0, o1 := p.locate(r)
		rows := min(r1-r, p.out.size[1]-o1)
		for j := range rows {
			s.rows = append(s.rows, i*image+j*p.stride[1]*s.stride[1])
		}
		for plane := range p.span[0] + 1 {
			for line := range p.linesFor(rows) {
				s.fillLine(p, u, i*image+plane*s.stride[0]+line*s.stride[1], n,
					o0*p.stride[0]+p.lo[0]+plane, o1*p.stride[1]+p.lo[1]+line, tiles)
			}
		}
		r += rows
	}
}

// fillLine copies line (d,h) of sample n to byte offset at in each tile, zero where there is none.
func (s *slab) fillLine(p *convPlan, u *microKernel, at, n, d, h int, tiles split) {
	in, pitch, columns := &p.in, s.stride[2]/4, p.columns()
	left := min(columns, max(0, -p.lo[2]))               // columns before the input
	right := min(columns, max(left, in.size[2]-p.lo[2])) // first column after it
	if d < 0 || d >= in.size[0] || h < 0 || h >= in.size[1] {
		left, right = columns, columns
	}
	from := in.at(n, d, h) + (left+p.lo[2])*in.stride[2]
	for g := range p.groups {
		for t := range tiles.parts {
			c, width := tiles.part(t)
			to := s.buf[(at+(g*tiles.parts+t)*s.tile)/4:][:columns*pitch]
			clear(to[:left*pitch])
			clear(to[right*pitch:])
			u.copyPositions(to[left*pitch:], pitch, in.data, from+(g*p.cin+c)*in.channel, in.stride[2], in.channel, right-left, width)
		}
	}
}

// copyPositions copies width channels of n positions.
func (u *microKernel) copyPositions(to []float32, pitch int, from []float32, at, stride, channel, n, width int) {
	switch {
	case n <= 0:
	case channel == 1 && pitch == width && stride == width:
		copy(to[:n*width], from[at:])
	case channel == 1 && width <= u.lanes && u.copyTile != nil:
		u.copyTile(&to[0], &from[at], pitch, stride, n, width)
	case channel == 1:
		for i := range n {
			copy(to[i*pitch:][:width], from[at+i*stride:])
		}
	default:
		for i := range n {
			for c := range width {
				to[i*pitch+c] = from[at+i*stride+c*channel]
			}
		}
	}
}
