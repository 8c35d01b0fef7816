package cpu

import (
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// space is the set of points that a program runs at, numbered row-major, with
// axes merged where no operand tells them apart. It has at least one axis.
type space struct {
	rank  int
	shape [backend.MaxRank]int
	total int
}

// inner is the length of a row: of the last axis.
func (s *space) inner() int { return s.shape[s.rank-1] }

// operand is one tensor as seen from a space.
type operand[T real] struct {
	base   *T // the first element
	stride [backend.MaxRank]int
	mode   operandMode
	fixed  bool // all strides but the last are 0: every row is the same
	buf    int  // which block buffer holds its values when they cannot be used in place
}

type operandMode uint8

const (
	linear   operandMode = iota // dense: point i is element i
	uniform                     // one element throughout
	strided_                    // anything else
)

// set takes the view's address and strides.
func (o *operand[T]) set(v *backend.View) {
	o.base = nil
	if v.Mem.Size > 0 {
		var z T
		o.base = (*T)(unsafe.Add(v.Mem.Host, v.Off*int(unsafe.Sizeof(z))))
	}
	o.stride = v.Stride
}

// merge sets the space to shape with axes of size 1 dropped and neighbours
// merged, and brings the operands' strides to it. sorted puts axes of larger
// strides of ops[0] first, for operands that lie permuted.
func merge[T real](s *space, v *backend.View, sorted bool, ops []operand[T]) {
	var axes [backend.MaxRank]int
	n := 0
	s.total = 1
	for ax, d := range v.Shape[:v.Rank] {
		s.total *= d
		if d == 1 {
			continue
		}
		at := n
		for sorted && at > 0 && ops[0].stride[axes[at-1]] < ops[0].stride[ax] {
			axes[at] = axes[at-1]
			at--
		}
		axes[at] = ax
		n++
	}
	var shape [backend.MaxRank]int
	rank := 0
	for i, ax := range axes[:n] {
		d := v.Shape[ax]
		join := i > 0
		for k := 0; join && k < len(ops); k++ {
			join = ops[k].stride[axes[i-1]] == ops[k].stride[ax]*d
		}
		if join {
			shape[rank-1] *= d
			axes[rank-1] = ax
			continue
		}
		shape[rank] = d
		axes[rank] = ax
		rank++
	}
	if rank == 0 {
		shape[0], rank = 1, 1
	}
	s.rank, s.shape = rank, shape
	for k := range ops {
		var stride [backend.MaxRank]int
		for i := range min(n, rank) {
			stride[i] = ops[k].stride[axes[i]]
		}
		ops[k].stride = stride
		ops[k].classify(s)
	}
}

func (o *operand[T]) classify(s *space) {
	o.mode, o.fixed = linear, true
	zero, want := true, 1
	for i := s.rank - 1; i >= 0; i-- {
		if o.stride[i] != want && s.total > 1 {
			o.mode = strided_
		}
		zero = zero && o.stride[i] == 0
		o.fixed = o.fixed && (i == s.rank-1 || o.stride[i] == 0)
		want *= s.shape[i]
	}
	if zero && s.total > 1 {
		o.mode = uniform
	}
}

// spacePoint is a point of a space, decoded.
type spacePoint struct {
	idx [backend.MaxRank]int
}

func (s *space) decode(i int, p *spacePoint) {
	for ax := s.rank - 1; ax > 0; ax-- {
		q := i / s.shape[ax]
		p.idx[ax] = i - q*s.shape[ax]
		i = q
	}
	p.idx[0] = i
}

// offset is where the operand's element for a place lies.
func (o *operand[T]) offset(s *space, p *spacePoint) int {
	at := 0
	for ax := range s.rank {
		at += p.idx[ax] * o.stride[ax]
	}
	return at
}

func elemAt[T real](base *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(base), i*int(unsafe.Sizeof(*base))))
}

// repeats reports whether the n points from p on read the same elements as any
// others that start at the same element and do so too: they lie within a row,
// or in whole rows that are all the same.
func (o *operand[T]) repeats(s *space, p *spacePoint, n int) bool {
	last := s.rank - 1
	if p.idx[last]+n <= s.shape[last] {
		return true
	}
	if p.idx[last] != 0 {
		return false
	}
	return o.fixed || o.stride[last-1] == 0 && p.idx[last-1]*s.shape[last]+n <= s.shape[last-1]*s.shape[last]
}

// gather copies the elements of the points from p on into dst. fill is the
// kernel that repeats one element.
func (o *operand[T]) gather(s *space, p spacePoint, dst []T, fill kernel[T]) {
	o.walk(s, p, len(dst), func(at, done, rows, cols int) {
		if o.stride[s.rank-1] == 0 && cols >= 8 {
			for r := range rows {
				v := elemAt(o.base, at+r*o.rowStride(s))
				fill(&dst[done+r*cols], v, v, v, cols)
			}
			return
		}
		copyIn(dst[done:done+rows*cols], o.base, at, o.rowStride(s), o.stride[s.rank-1], rows, cols)
	})
}

// scatter copies src to the elements of the points from p on.
func (o *operand[T]) scatter(s *space, p spacePoint, src []T) {
	o.walk(s, p, len(src), func(at, done, rows, cols int) {
		copyOut(o.base, at, o.rowStride(s), o.stride[s.rank-1], src[done:done+rows*cols], rows, cols)
	})
}

func (o *operand[T]) rowStride(s *space) int {
	if s.rank == 1 {
		return 0
	}
	return o.stride[s.rank-2]
}

// walk cuts n points from p on into boxes of the last two axes: f gets the
// offset of a box's first element, the points before it, and its sides.
func (o *operand[T]) walk(s *space, p spacePoint, n int, f func(at, done, rows, cols int)) {
	last := s.rank - 1
	inner := s.shape[last]
	for done := 0; done < n; {
		rows, cols := 1, min(n-done, inner-p.idx[last])
		if last > 0 && cols == inner {
			rows = min((n-done)/inner, s.shape[last-1]-p.idx[last-1])
		}
		f(o.offset(s, &p), done, rows, cols)
		done += rows * cols
		p.idx[last] += cols
		if p.idx[last] < inner {
			return
		}
		p.idx[last] = 0
		for ax := last - 1; ax >= 0; ax-- {
			p.idx[ax] += rows
			rows = 1
			if p.idx[ax] < s.shape[ax] {
				break
			}
			p.idx[ax] = 0
		}
	}
}

// copyIn fills dst, rows of cols, from elements with a stride between rows and
// one within. The longer way is the inner loop.
func copyIn[T real](dst []T, base *T, at, rowStride, stride, rows, cols int) {
	switch {
	case stride == 1 && cols >= 8:
		for r := range rows {
			copy(dst[r*cols:][:cols], unsafe.Slice(elemAt(base, at+r*rowStride), cols))
		}
	case rows <= cols:
		for r := range rows {
			// Counted, not stepped: a pointer must never leave its memory.
			from := at + r*rowStride
			to := dst[r*cols:][:cols]
			for i := range to {
				to[i] = *elemAt(base, from)
				from += stride
			}
		}
	default:
		for c := range cols {
			from := at + c*stride
			for i := c; i < len(dst); i += cols {
				dst[i] = *elemAt(base, from)
				from += rowStride
			}
		}
	}
}

// copyOut is the reverse of copyIn.
func copyOut[T real](base *T, at, rowStride, stride int, src []T, rows, cols int) {
	switch {
	case stride == 1 && cols >= 8:
		for r := range rows {
			copy(unsafe.Slice(elemAt(base, at+r*rowStride), cols), src[r*cols:][:cols])
		}
	case rows <= cols:
		for r := range rows {
			to := at + r*rowStride
			for _, v := range src[r*cols:][:cols] {
				*elemAt(base, to) = v
				to += stride
			}
		}
	default:
		for c := range cols {
			to := at + c*stride
			for i := c; i < len(src); i += cols {
				*elemAt(base, to) = src[i]
				to += rowStride
			}
		}
	}
}

func fillSlice[T real](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}
