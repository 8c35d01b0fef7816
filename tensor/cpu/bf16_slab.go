package cpu

import "unsafe"

// slabLines are lines of a slab that lie inside the input, of one plane of one
// image: to begins with the first line's first column, which stands for input
// position w0 (negative: padding); positions w1…w2 are inside, and so many lines
// begin at element at of the input.
type slabLines struct {
	to         []float32
	w0, w1, w2 int
	at, lines  int
}

// fillWords makes rows r0…r1 ready, as fill does, in copies of words: count of
// them, each made by calls of copy, which finds zeros wherever it does not write
// where the plan looks outside of its input.
func (s *slab) fillWords(p *convPlan, r0, r1, count int, copy func(s *slab, tile int, l slabLines)) {
	s.rows = s.rows[:0]
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
			s.fillImage(p, s.buf[(t*s.tile+i*image)/4:][:image/4], t, n, o0, o1, rows, copy)
		}
		r += rows
	}
}

// fillImage makes what some output rows of one image need.
func (s *slab) fillImage(p *convPlan, to []float32, tile, n, o0, o1, rows int, copy func(s *slab, tile int, l slabLines)) {
	in := &p.in
	d0, h0, w0 := o0*p.stride[0]+p.lo[0], o1*p.stride[1]+p.lo[1], p.lo[2]
	lines, columns := p.linesFor(rows), p.columns()
	h1, h2 := max(0, h0), min(in.size[1], h0+lines)
	w1, w2 := max(0, w0), min(in.size[2], w0+columns)
	if d0 < 0 || d0+p.span[0] >= in.size[0] || h1 != h0 || h2 != h0+lines || w1 != w0 || w2 != w0+columns {
		clear(to)
	}
	if h2 <= h1 || w2 <= w1 {
		return
	}
	for plane := range p.span[0] + 1 {
		if d := d0 + plane; d >= 0 && d < in.size[0] {
			copy(s, tile, slabLines{to[(plane*s.stride[0]+(h1-h0)*s.stride[1])/4:], w0, w1, w2, in.at(n, d, h1), h2 - h1})
		}
	}
}
