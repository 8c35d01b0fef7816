package tensor

import "github.com/langevin-go/langevin/tensor/backend"

type reshapeOp struct{}

func (reshapeOp) name() string { return "reshape" }
func (reshapeOp) vjp(s *Scope, n *node, grad *Tensor) {
	s.add(n, 0, grad.Reshape(n.in[0].Shape()...))
}

// Reshape gives the same elements, row-major, another shape. One size may be −1:
// it follows from the others, unless one of those is 0. It is a view where strides allow, else a copy.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	t.check("Reshape")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.Reshape(shape...) })
	}
	s := t.s
	r := s.header()
	r.v = t.v
	r.v.Rank = len(shape)
	if len(shape) > MaxRank {
		usagePanic("Reshape", "%d axes, at most %d", len(shape), MaxRank)
	}
	n, infer := 1, -1
	for i, d := range shape {
		r.v.Shape[i] = d
		switch {
		case d == -1 && infer < 0:
			infer = i
		case d < 0:
			usagePanic("Reshape", "to %v: sizes are at least 0, and one of them may be −1", append([]int(nil), shape...))
		default:
			n *= d
		}
	}
	total := t.Elems()
	if infer >= 0 && n == 0 {
		usagePanic("Reshape", "to %v: beside a size of 0, −1 could be any", append([]int(nil), shape...))
	}
	if infer >= 0 && total%n == 0 {
		r.v.Shape[infer] = total / n
		n = total
	}
	if n != total {
		shapePanic("Reshape", "as many elements as the new shape", t, r)
	}
	src := t
	if !viewReshape(&r.v, &t.v) {
		src = t.copied()
		r.v.Mem, r.v.Off = src.v.Mem, src.v.Off
		r.v.RowMajor()
	}
	r.blk = src.blk
	if r.blk != nil {
		r.blk.refs++
	}
	s.record(reshapeOp{}, r, t)
	return r
}

// viewReshape sets to's strides so that it shows from's elements in row-major
// order, and reports whether there are such strides.
func viewReshape(to, from *backend.View) bool {
	if from.Contiguous() {
		to.RowMajor()
		return true
	}
	// Walk both shapes from the last axis; runs of from's axes that are dense
	// among themselves can be cut anew.
	i, j := from.Rank-1, to.Rank-1
	for i >= 0 && j >= 0 {
		if from.Shape[i] == 1 {
			i--
			continue
		}
		run, stride := from.Shape[i], from.Stride[i]
		for i > 0 && (from.Shape[i-1] == 1 || from.Stride[i-1] == run*stride) {
			i--
			run *= from.Shape[i]
		}
		i--
		for j >= 0 && run > 1 || j >= 0 && to.Shape[j] == 1 {
			if to.Shape[j] == 0 || run%to.Shape[j] != 0 {
				return false
			}
			to.Stride[j] = stride
			stride *= to.Shape[j]
			run /= to.Shape[j]
			j--
		}
		if run != 1 {
			return false
		}
	}
	for ; j >= 0; j-- {
		to.Stride[j] = 1
	}
	return true
}

// copied is a dense copy without history.
func (t *Tensor) copied() *Tensor {
	c := t.s.like(t)
	t.s.copyInto(&c.v, t)
	return c
}

type copyOp struct{}

func (copyOp) name() string                        { return "copy" }
func (copyOp) vjp(s *Scope, n *node, grad *Tensor) { s.add(n, 0, grad) }

// Contiguous is t itself if its elements lie densely in row-major order, else a dense copy.
func (t *Tensor) Contiguous() *Tensor {
	t.check("Contiguous")
	if t.level > 0 {
		return linear1(t, (*Tensor).Contiguous)
	}
	if t.v.Contiguous() {
		return t
	}
	c := t.copied()
	t.s.record(copyOp{}, c, t)
	return c
}

type permuteOp struct{}

func (permuteOp) name() string { return "permute" }
func (permuteOp) vjp(s *Scope, n *node, grad *Tensor) {
	var inverse [MaxRank]int
	for i := range n.out.v.Rank {
		inverse[n.ints[i]] = i
	}
	s.add(n, 0, grad.Permute(inverse[:n.out.v.Rank]...))
}

// Permute reorders the axes: axis i of the result is axis axes[i] of t. It is a view.
func (t *Tensor) Permute(axes ...int) *Tensor {
	t.check("Permute")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.Permute(axes...) })
	}
	if len(axes) != t.v.Rank {
		usagePanic("Permute", "%d axes for a tensor of shape %v", len(axes), append([]int(nil), t.Shape()...))
	}
	r := t.s.view(t)
	var seen uint32
	for i, a := range axes {
		a = t.axis("Permute", a)
		if seen>>a&1 == 1 {
			usagePanic("Permute", "axis %d appears twice", a)
		}
		seen |= 1 << a
		r.v.Shape[i], r.v.Stride[i] = t.v.Shape[a], t.v.Stride[a]
	}
	if n := t.s.record(permuteOp{}, r, t); n != nil {
		for i, a := range axes {
			n.ints[i] = t.axis("Permute", a)
		}
	}
	return r
}

// T swaps the last two axes. It is a view.
func (t *Tensor) T() *Tensor {
	if t.v.Rank < 2 {
		shapePanic("T", "at least two axes", t)
	}
	var axes [MaxRank]int
	r := t.v.Rank
	for i := range r {
		axes[i] = i
	}
	axes[r-1], axes[r-2] = r-2, r-1
	return t.Permute(axes[:r]...)
}

type sliceOp struct{}

func (sliceOp) name() string { return "slice" }
func (sliceOp) vjp(s *Scope, n *node, grad *Tensor) {
	axis, start, step := n.ints[0], n.ints[1], n.ints[2]
	if s.Recording() {
		s.add(n, 0, grad.unslice(axis, start, step, n.in[0].v.Shape[axis]))
		return
	}
	s.addToSlice(n, 0, grad, axis, start, step)
}

func sliceView(v *backend.View, axis, start, step, size int) {
	v.Off += start * v.Stride[axis]
	v.Stride[axis] *= step
	v.Shape[axis] = size
}

// Slice takes the elements start ≤ i < end along an axis. It is a view.
func (t *Tensor) Slice(axis, start, end int) *Tensor { return t.SliceStep(axis, start, end, 1) }

// SliceStep takes every step-th element from start on, before end. It is a view.
func (t *Tensor) SliceStep(axis, start, end, step int) *Tensor {
	t.check("Slice")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.SliceStep(axis, start, end, step) })
	}
	axis = t.axis("Slice", axis)
	if start < 0 || end < start || end > t.v.Shape[axis] || step < 1 {
		usagePanic("Slice", "%d:%d:%d along axis %d of shape %v", start, end, step, axis, append([]int(nil), t.Shape()...))
	}
	r := t.s.view(t)
	sliceView(&r.v, axis, start, step, (end-start+step-1)/step)
	if n := t.s.record(sliceOp{}, r, t); n != nil {
		n.ints[0], n.ints[1], n.ints[2] = axis, start, step
	}
	return r
}

type unsliceOp struct{}

func (unsliceOp) name() string { return "unslice" }
func (unsliceOp) vjp(s *Scope, n *node, grad *Tensor) {
	axis, start, step := n.ints[0], n.ints[1], n.ints[2]
	end := start + (n.in[0].v.Shape[axis]-1)*step + 1
	s.add(n, 0, grad.SliceStep(axis, start, max(start, end), step))
}

// unslice puts t into zeros of the given size along an axis: the adjoint of SliceStep.
func (t *Tensor) unslice(axis, start, step, size int) *Tensor {
	t.check("unslice")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.unslice(axis, start, step, size) })
	}
	s := t.s
	r := s.header()
	r.v = t.v
	r.v.Shape[axis] = size
	s.back(r)
	s.fill(r, 0)
	s.part = r.v
	sliceView(&s.part, axis, start, step, t.v.Shape[axis])
	s.copyInto(&s.part, t)
	if n := s.record(unsliceOp{}, r, t); n != nil {
		n.ints[0], n.ints[1], n.ints[2] = axis, start, step
	}
	return r
}

// Pad puts zeros around t along an axis.
func (t *Tensor) Pad(axis, before, after int) *Tensor {
	axis = t.axis("Pad", axis)
	if before < 0 || after < 0 {
		usagePanic("Pad", "%d before and %d after", before, after)
	}
	return t.unslice(axis, before, 1, before+t.v.Shape[axis]+after)
}

type concatOp struct{}

func (concatOp) name() string { return "concat" }
func (concatOp) vjp(s *Scope, n *node, grad *Tensor) {
	at, axis := 0, n.ints[0]
	for i, t := range n.in {
		size := t.v.Shape[axis]
		if t.needs {
			s.add(n, i, grad.Slice(axis, at, at+size))
		}
		at += size
	}
}

// Concat joins tensors along an axis; their other sizes are equal.
func Concat(axis int, ts ...*Tensor) *Tensor {
	if len(ts) == 0 {
		usagePanic("Concat", "no tensors")
	}
	first := ts[0]
	s := first.s
	if l := highest(ts...); l > 0 {
		return concatDual(l, axis, ts)
	}
	axis = first.axis("Concat", axis)
	r := s.header()
	r.v = first.v
	r.v.Shape[axis] = 0
	for _, t := range ts {
		t.check("Concat")
		if t.v.DType != first.v.DType {
			dtypePanic("Concat", first.v.DType, t.v.DType)
		}
		if t.s != s {
			usagePanic("Concat", "the tensors belong to two scopes")
		}
		if t.v.Rank != first.v.Rank {
			shapePanic("Concat", "equal ranks", ts...)
		}
		for i := range t.v.Rank {
			if i != axis && t.v.Shape[i] != first.v.Shape[i] {
				shapePanic("Concat", "equal sizes on the other axes", ts...)
			}
		}
		r.v.Shape[axis] += t.v.Shape[axis]
	}
	s.back(r)
	at := 0
	for _, t := range ts {
		s.part = r.v
		sliceView(&s.part, axis, at, 1, t.v.Shape[axis])
		s.copyInto(&s.part, t)
		at += t.v.Shape[axis]
	}
	if n := s.record(concatOp{}, r, ts...); n != nil {
		n.ints[0] = axis
	}
	return r
}

// concatDual joins values and tangents; where there is no tangent, zeros.
func concatDual(level uint32, axis int, ts []*Tensor) *Tensor {
	s := ts[0].s
	values, tangents := s.ptrs.take(len(ts)), s.ptrs.take(len(ts))
	for i, t := range ts {
		values[i], tangents[i] = t.strip(level)
		if tangents[i] == nil {
			tangents[i] = s.Full(0).Expand(t.Shape()...)
		}
	}
	return s.dual(level, Concat(axis, values...), Concat(axis, tangents...))
}

type expandOp struct{}

func (expandOp) name() string { return "expand" }
func (expandOp) vjp(s *Scope, n *node, grad *Tensor) {
	s.add(n, 0, grad.SumTo(n.in[0].Shape()...))
}

// Expand repeats axes of size 1 (and missing leading axes) to the given shape. It is a view.
func (t *Tensor) Expand(shape ...int) *Tensor {
	t.check("Expand")
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.Expand(shape...) })
	}
	if len(shape) > MaxRank {
		usagePanic("Expand", "%d axes, at most %d", len(shape), MaxRank)
	}
	r := t.s.view(t)
	var to backend.View
	to.Rank = len(shape)
	copy(to.Shape[:], shape)
	lead := len(shape) - t.v.Rank
	for i, d := range t.Shape() {
		if lead < 0 || d != 1 && d != shape[lead+i] {
			usagePanic("Expand", "shape %v does not broadcast to %v", append([]int(nil), t.Shape()...), append([]int(nil), shape...))
		}
	}
	for _, d := range shape {
		if d < 0 {
			usagePanic("Expand", "a negative size in shape %v", append([]int(nil), shape...))
		}
	}
	broadcastView(&r.v, &to)
	t.s.record(expandOp{}, r, t)
	return r
}
