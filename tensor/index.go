package tensor

import "math"

// Indices are read back and checked on the host: one that is out of range panics.

// pick takes the slices at(0), …, at(m−1) along an axis. at gives numbers in range.
func (t *Tensor) pick(axis, m int, at func(i int) int) *Tensor {
	s, shape := t.s, t.v.Shape
	n, outer, inner := t.around(axis)
	s.flat = grown(s.flat, outer*m)
	for i := range m {
		k := at(i)
		for o := range outer {
			s.flat[o*m+i] = int32(o*n + k)
		}
	}
	shape[axis] = m
	return t.Reshape(outer*n, inner).Gather(s.Ints(s.flat, outer*m)).Reshape(shape[:t.v.Rank]...)
}

// around is the size of an axis and the numbers of positions before and behind it.
func (t *Tensor) around(axis int) (n, outer, inner int) {
	n, outer, inner = t.v.Shape[axis], 1, 1
	for i, d := range t.Shape() {
		if i < axis {
			outer *= d
		}
		if i > axis {
			inner *= d
		}
	}
	if t.Elems() > math.MaxInt32 {
		shapePanic("indexing", "fewer than 2³¹ elements", t)
	}
	return n, outer, inner
}

// indices reads idx back and checks it.
func indices(op string, idx *Tensor, n int) []int32 {
	if idx.v.DType != Int32 {
		usagePanic(op, "indices are %v, want int32", idx.v.DType)
	}
	idx.check(op)
	at := idx.readInts()
	for i, k := range at {
		if k < 0 || int(k) >= n {
			usagePanic(op, "index %d at element %d: want 0 to %d", k, i, n-1)
		}
	}
	return at
}

// IndexSelect takes the slices of t that idx (int32, one axis) names along an axis.
func (t *Tensor) IndexSelect(axis int, idx *Tensor) *Tensor {
	const op = "IndexSelect"
	axis = t.axis(op, axis)
	if idx.v.Rank != 1 {
		shapePanic(op, "indices of one axis", t, idx)
	}
	at := indices(op, idx, t.v.Shape[axis])
	return t.pick(axis, len(at), func(i int) int { return int(at[i]) })
}

// alongAxis brings t and idx to shapes that agree but for axis, t's rank, by broadcasting.
func (t *Tensor) alongAxis(op string, axis int, idx *Tensor) (x, k *Tensor) {
	if idx.v.Rank != t.v.Rank {
		shapePanic(op, "indices of as many axes", t, idx)
	}
	a, b := t.v.Shape, idx.v.Shape
	for i := range t.v.Rank {
		switch {
		case i == axis || a[i] == b[i]:
		case a[i] == 1:
			a[i] = b[i]
		case b[i] == 1:
			b[i] = a[i]
		default:
			shapePanic(op, "sizes that are equal or 1 on the other axes", t, idx)
		}
	}
	r := t.v.Rank
	return t.Expand(a[:r]...), idx.Expand(b[:r]...)
}

// flatIndices turns indices along an axis of t into indices of its row-major elements.
func (t *Tensor) flatIndices(op string, axis int, idx *Tensor) []int32 {
	n, _, inner := t.around(axis)
	at := indices(op, idx, n)
	m := idx.v.Shape[axis]
	t.s.flat = grown(t.s.flat, len(at))
	for i, k := range at {
		o, j := i/(m*inner), i%inner
		t.s.flat[i] = int32((o*n+int(k))*inner + j)
	}
	return t.s.flat
}

// TakeAlong takes from each line of t along an axis the elements that idx (int32, as many axes)
// names: result[i][j] = t[i][idx[i][j]] for axis 1 of 2. The other axes are
// broadcast. It is torch.gather, and NumPy's take_along_axis.
func (t *Tensor) TakeAlong(axis int, idx *Tensor) *Tensor {
	const op = "TakeAlong"
	axis = t.axis(op, axis)
	x, k := t.alongAxis(op, axis, idx)
	flat := x.flatIndices(op, axis, k)
	return x.Reshape(-1, 1).Gather(t.s.Ints(flat, len(flat))).Reshape(k.Shape()...)
}

// ScatterAdd adds src to t at the places along an axis that idx (int32, as many axes) names:
// result[i][idx[i][j]] += src[i][j] for axis 1 of 2. idx and src are
// broadcast against each other, and to t on the other axes.
func (t *Tensor) ScatterAdd(axis int, idx *Tensor, src Operand) *Tensor {
	const op = "ScatterAdd"
	axis = t.axis(op, axis)
	rows, flat := t.scattered(op, axis, idx, src.in(t.s))
	sum := t.s.scatter(rows.Reshape(-1, 1), t.s.Ints(flat, len(flat)), t.Elems())
	return t.Add(sum.Reshape(t.Shape()...))
}

// Scatter is ScatterAdd that overwrites; where several elements go to one place, the last one in row-major order stays.
func (t *Tensor) Scatter(axis int, idx *Tensor, src Operand) *Tensor {
	const op = "Scatter"
	axis = t.axis(op, axis)
	rows, flat := t.scattered(op, axis, idx, src.in(t.s))
	// Each element of the result comes from t or from src: one table, one Gather.
	n := t.Elems()
	s := t.s
	s.ints = grown(s.ints, n)
	for i := range s.ints {
		s.ints[i] = int32(i)
	}
	for i, to := range flat {
		s.ints[to] = int32(n + i)
	}
	return Concat(0, t.Reshape(-1, 1), rows.Reshape(-1, 1)).Gather(s.Ints(s.ints, n)).Reshape(t.Shape()...)
}

// scattered is src in idx's shape, and where its elements go among t's.
func (t *Tensor) scattered(op string, axis int, idx, src *Tensor) (rows *Tensor, flat []int32) {
	if src.v.Rank != t.v.Rank || idx.v.Rank != t.v.Rank {
		shapePanic(op, "indices and values of as many axes", t, idx, src)
	}
	shape := t.v.Shape
	shape[axis] = max(idx.v.Shape[axis], src.v.Shape[axis])
	if idx.v.Shape[axis] == 0 || src.v.Shape[axis] == 0 {
		shape[axis] = 0
	}
	to := t.v
	to.Shape = shape
	if !broadcasts(&idx.v, &to) || !broadcasts(&src.v, &to) {
		shapePanic(op, "indices and values that broadcast to the tensor's shape on the other axes", t, idx, src)
	}
	r := t.v.Rank
	k := idx.Expand(shape[:r]...)
	return src.Expand(shape[:r]...), t.flatIndices(op, axis, k)
}

// OneHot is 1 at (…, labels[…]) and 0 elsewhere: labels (int32, any shape) in 0…k−1 give shape (labels…, k).
func (s *Scope) OneHot(labels *Tensor, k int) *Tensor {
	if labels.v.Rank == MaxRank || k < 0 {
		usagePanic("OneHot", "%d classes for labels of shape %v", k, append([]int(nil), labels.Shape()...))
	}
	shape := labels.v.Shape
	shape[labels.v.Rank] = k
	r := labels.v.Rank + 1
	idx := labels.Unsqueeze(-1)
	return s.Full(0, shape[:r]...).ScatterAdd(-1, idx, s.Full(1).Expand(idx.Shape()...))
}
