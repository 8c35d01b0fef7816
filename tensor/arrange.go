package tensor

// Operations that put elements elsewhere, made of views, copies and Concat. Their
// derivatives follow from those.

// Unsqueeze puts an axis of size 1 before axis (−1: last). It is a view.
func (t *Tensor) Unsqueeze(axis int) *Tensor {
	r := t.v.Rank
	if axis < 0 {
		axis += r + 1
	}
	if axis < 0 || axis > r || r == MaxRank {
		usagePanic("Unsqueeze", "axis %d of a tensor of shape %v", axis, append([]int(nil), t.Shape()...))
	}
	var shape [MaxRank]int
	copy(shape[:axis], t.Shape())
	shape[axis] = 1
	copy(shape[axis+1:], t.Shape()[axis:])
	return t.Reshape(shape[:r+1]...)
}

// Squeeze drops the given axes, which have size 1; without axes, all that have. It is a view.
func (t *Tensor) Squeeze(axes ...int) *Tensor {
	var set uint32
	for _, a := range axes {
		a = t.axis("Squeeze", a)
		if t.v.Shape[a] != 1 {
			shapePanic("Squeeze", "size 1 along the axes", t)
		}
		set |= 1 << a
	}
	if len(axes) == 0 {
		for i, d := range t.Shape() {
			if d == 1 {
				set |= 1 << i
			}
		}
	}
	return t.squeezed(set)
}

// Transpose swaps two axes. It is a view.
func (t *Tensor) Transpose(a, b int) *Tensor {
	var axes [MaxRank]int
	for i := range axes {
		axes[i] = i
	}
	a, b = t.axis("Transpose", a), t.axis("Transpose", b)
	axes[a], axes[b] = b, a
	return t.Permute(axes[:t.v.Rank]...)
}

// MoveAxis takes an axis out and puts it in again as axis to of the result. It is a view.
func (t *Tensor) MoveAxis(from, to int) *Tensor {
	from, to = t.axis("MoveAxis", from), t.axis("MoveAxis", to)
	var axes [MaxRank]int
	k := 0
	for i := range t.v.Rank {
		if i == to {
			axes[i] = from
			continue
		}
		if k == from {
			k++
		}
		axes[i] = k
		k++
	}
	return t.Permute(axes[:t.v.Rank]...)
}

// Diagonal is the elements with equal indices on axes a and b. These two go, and a last axis of the
// smaller one's size comes instead, as in torch.diagonal.
func (t *Tensor) Diagonal(a, b int) *Tensor {
	a, b = t.axis("Diagonal", a), t.axis("Diagonal", b)
	if a == b {
		usagePanic("Diagonal", "axis %d twice", a)
	}
	if a > b {
		a, b = b, a
	}
	y := t.MoveAxis(b, -1).MoveAxis(a, -2)
	r := y.v.Rank
	n, m := y.v.Shape[r-2], y.v.Shape[r-1]
	var shape [MaxRank]int
	copy(shape[:r-2], y.Shape())
	shape[r-2] = n * m
	return y.Reshape(shape[:r-1]...).SliceStep(-1, 0, min(n, m)*m, m+1)
}

// Split cuts t along an axis into views of the given sizes, which add up to the axis's.
func (t *Tensor) Split(axis int, sizes ...int) []*Tensor {
	axis = t.axis("Split", axis)
	parts, at := make([]*Tensor, len(sizes)), 0
	for _, n := range sizes {
		if n < 0 {
			usagePanic("Split", "a part of size %d", n)
		}
		at += n
	}
	if at != t.v.Shape[axis] {
		usagePanic("Split", "parts of %d in all along axis %d of shape %v", at, axis, append([]int(nil), t.Shape()...))
	}
	at = 0
	for i, n := range sizes {
		parts[i] = t.Slice(axis, at, at+n)
		at += n
	}
	return parts
}

// Chunk cuts t along an axis into n views of equal size.
func (t *Tensor) Chunk(axis, n int) []*Tensor {
	axis = t.axis("Chunk", axis)
	if n < 1 || t.v.Shape[axis]%n != 0 {
		usagePanic("Chunk", "%d equal parts along axis %d of shape %v", n, axis, append([]int(nil), t.Shape()...))
	}
	size := t.v.Shape[axis] / n
	parts := make([]*Tensor, n)
	for i := range parts {
		parts[i] = t.Slice(axis, i*size, (i+1)*size)
	}
	return parts
}

// Stack joins tensors of equal shapes along a new axis, which is axis axis of the result.
func Stack(axis int, ts ...*Tensor) *Tensor {
	if len(ts) == 0 {
		usagePanic("Stack", "no tensors")
	}
	if axis < 0 {
		axis += ts[0].v.Rank + 1
	}
	layers := ts[0].s.ptrs.take(len(ts))
	for i, t := range ts {
		if !sameShape(t, ts[0]) {
			shapePanic("Stack", "equal shapes", ts...)
		}
		layers[i] = t.Unsqueeze(axis)
	}
	return Concat(axis, layers...)
}

// Roll moves the elements by shift along an axis; what leaves at one end comes in at the other.
func (t *Tensor) Roll(shift, axis int) *Tensor {
	axis = t.axis("Roll", axis)
	n := t.v.Shape[axis]
	if n == 0 {
		return t
	}
	cut := ((-shift)%n + n) % n
	if cut == 0 {
		return t
	}
	return Concat(axis, t.Slice(axis, cut, n), t.Slice(axis, 0, cut))
}

// Flip reverses the order along the given axes.
func (t *Tensor) Flip(axes ...int) *Tensor {
	for _, a := range axes {
		a = t.axis("Flip", a)
		last := t.v.Shape[a] - 1
		t = t.pick(a, last+1, func(i int) int { return last - i })
	}
	return t
}

// Tile repeats t as a whole: reps[i] times along axis i, aligned at the last axis, as torch's repeat does.
func (t *Tensor) Tile(reps ...int) *Tensor {
	for t.v.Rank < len(reps) {
		t = t.Unsqueeze(0)
	}
	lead := t.v.Rank - len(reps)
	for i, n := range reps {
		if a := lead + i; n != 1 {
			t = t.repeated("Tile", a, n, a)
		}
	}
	return t
}

// Repeat repeats every element n times in a row along an axis: torch's
// repeat_interleave. Along the spatial axes of an image it is nearest upsampling.
func (t *Tensor) Repeat(axis, n int) *Tensor {
	axis = t.axis("Repeat", axis)
	return t.repeated("Repeat", axis, n, axis+1)
}

// repeated makes an axis n times as long: by a new axis of size n at at, which is merged.
func (t *Tensor) repeated(op string, axis, n, at int) *Tensor {
	if n < 0 {
		usagePanic(op, "%d times", n)
	}
	y := t.Unsqueeze(at)
	wide := y.v.Shape
	wide[at] = n
	y = y.Expand(wide[:y.v.Rank]...)
	merged := t.v.Shape
	merged[axis] *= n
	return y.Reshape(merged[:t.v.Rank]...)
}

// PadWith puts elements of the given value around t along an axis; Pad puts zeros.
func (t *Tensor) PadWith(value float64, axis, before, after int) *Tensor {
	axis = t.axis("Pad", axis)
	return t.padded(axis, before, after, func(n int, _ bool) *Tensor {
		shape := t.v.Shape
		shape[axis] = n
		return t.s.Full(value).Expand(shape[:t.v.Rank]...)
	})
}

// PadEdge repeats the first and the last element along an axis ("replicate").
func (t *Tensor) PadEdge(axis, before, after int) *Tensor {
	axis = t.axis("Pad", axis)
	size := t.v.Shape[axis]
	if size == 0 && before+after > 0 {
		shapePanic("PadEdge", "at least one element along the axis", t)
	}
	return t.padded(axis, before, after, func(n int, front bool) *Tensor {
		at, shape := 0, t.v.Shape
		if !front {
			at = size - 1
		}
		shape[axis] = n
		return t.Slice(axis, at, at+1).Expand(shape[:t.v.Rank]...)
	})
}

// PadReflect mirrors t at its first and last element, which are not repeated; before and after are
// smaller than the axis's size.
func (t *Tensor) PadReflect(axis, before, after int) *Tensor {
	axis = t.axis("Pad", axis)
	size := t.v.Shape[axis]
	if max(before, after) > 0 && max(before, after) >= size {
		usagePanic("PadReflect", "%d before and %d after: want less than the %d along axis %d", before, after, size, axis)
	}
	return t.padded(axis, before, after, func(n int, front bool) *Tensor {
		if front {
			return t.Slice(axis, 1, n+1).Flip(axis)
		}
		return t.Slice(axis, size-1-n, size-1).Flip(axis)
	})
}

// PadCircular goes on with the elements of the other end; before and after are at most the axis's size.
func (t *Tensor) PadCircular(axis, before, after int) *Tensor {
	axis = t.axis("Pad", axis)
	size := t.v.Shape[axis]
	if max(before, after) > size {
		usagePanic("PadCircular", "%d before and %d after: want at most the %d along axis %d", before, after, size, axis)
	}
	return t.padded(axis, before, after, func(n int, front bool) *Tensor {
		if front {
			return t.Slice(axis, size-n, size)
		}
		return t.Slice(axis, 0, n)
	})
}

// padded joins t with borders of the given sizes.
func (t *Tensor) padded(axis, before, after int, border func(n int, front bool) *Tensor) *Tensor {
	if before < 0 || after < 0 {
		usagePanic("Pad", "%d before and %d after", before, after)
	}
	var parts [3]*Tensor
	k := 0
	if before > 0 {
		parts[k] = border(before, true)
		k++
	}
	parts[k] = t
	k++
	if after > 0 {
		parts[k] = border(after, false)
		k++
	}
	if k == 1 {
		return t
	}
	return Concat(axis, parts[:k]...)
}

// lowerOp keeps x where column ≤ row+k.
var lowerOp = NewPointwise("tril", 3, 1, func(in, sc []Expr) Expr {
	x, row, col := in[0], in[1], in[2]
	return col.LessEq(row.Add(sc[0])).Select(x, x.Const(0))
})

// upperOp keeps x where column ≥ row+k.
var upperOp = NewPointwise("triu", 3, 1, func(in, sc []Expr) Expr {
	x, row, col := in[0], in[1], in[2]
	return row.Add(sc[0]).LessEq(col).Select(x, x.Const(0))
})

// Tril is t (…,M,N) with zeros above diagonal k (0: the main one, k>0: above it).
func (t *Tensor) Tril(k int) *Tensor { return t.triangle(lowerOp, k) }

// Triu is t (…,M,N) with zeros below diagonal k.
func (t *Tensor) Triu(k int) *Tensor { return t.triangle(upperOp, k) }

func (t *Tensor) triangle(op *Pointwise, k int) *Tensor {
	r := t.v.Rank
	if r < 2 {
		shapePanic(op.label, "(…,M,N)", t)
	}
	rows, cols := t.v.Shape[r-2], t.v.Shape[r-1]
	sc := [1]float64{float64(k)}
	return op.Apply(sc[:], t, t.s.Arange(0, 1, rows).Unsqueeze(-1), t.s.Arange(0, 1, cols))
}

// Arange is start, start+step, …, n elements.
func (s *Scope) Arange(start, step float64, n int) *Tensor {
	return s.TensorOf(func(i int) float64 { return start + float64(i)*step }, n)
}

// Linspace is n elements from lo to hi, both included.
func (s *Scope) Linspace(lo, hi float64, n int) *Tensor {
	return s.TensorOf(func(i int) float64 {
		if i == n-1 && n > 1 {
			return hi
		}
		return lo + float64(i)*(hi-lo)/float64(max(1, n-1))
	}, n)
}
