package tensor

type gatherOp struct{}

func (gatherOp) name() string { return "gather" }
func (gatherOp) vjp(s *Scope, n *node, grad *Tensor) {
	table := n.in[0]
	s.add(n, 0, s.scatter(grad, n.in[1], table.v.Shape[0]))
}

// Gather takes rows of t (rows, C): idx (int32, any shape) gives (idx…, C). An
// index outside 0…rows−1 is the caller's to prevent: check host data before.
func (t *Tensor) Gather(idx *Tensor) *Tensor {
	const op = "Gather"
	s := t.s
	t.check(op)
	idx.check(op)
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.Gather(idx) })
	}
	if t.v.Rank != 2 || idx.v.Rank+1 > MaxRank {
		shapePanic(op, "a table (rows, C)", t, idx)
	}
	if idx.v.DType != Int32 {
		usagePanic(op, "indices are %v, want int32", idx.v.DType)
	}
	idx = idx.Contiguous()
	out := s.header()
	out.v.DType, out.v.Rank, out.v.Shape = t.v.DType, idx.v.Rank+1, idx.v.Shape
	out.v.Shape[idx.v.Rank] = t.v.Shape[1]
	s.back(out)
	if out.Elems() > 0 {
		s.flatRows(out, idx)
		s.dev.Gather(&s.bview[0], &t.v, &s.bview[1])
	}
	if n := s.record(gatherOp{}, out, t, idx); n != nil {
		n.save(idx)
	}
	return out
}

// flatRows shows rows (…,C) as (n,C) in bview[0] and indices as (n) in bview[1]; both are dense.
func (s *Scope) flatRows(rows, idx *Tensor) {
	r, i := &s.bview[0], &s.bview[1]
	*r, *i = rows.v, idx.v
	n := idx.Elems()
	r.Rank, r.Shape[0], r.Shape[1] = 2, n, rows.v.Shape[rows.v.Rank-1]
	r.RowMajor()
	i.Rank, i.Shape[0], i.Stride[0] = 1, n, 1
}

type scatterOp struct{}

func (scatterOp) name() string { return "scatter" }
func (scatterOp) vjp(s *Scope, n *node, grad *Tensor) {
	s.add(n, 0, grad.Gather(n.in[1]))
}

// scatter adds rows (idx…, C) into zeros (n, C): the adjoint of Gather.
func (s *Scope) scatter(rows, idx *Tensor, n int) *Tensor {
	if rows.level > 0 {
		return linear1(rows, func(t *Tensor) *Tensor { return s.scatter(t, idx, n) })
	}
	src := rows.Contiguous()
	out := s.alloc(rows.v.DType, n, rows.v.Shape[rows.v.Rank-1])
	s.fill(out, 0)
	if rows.Elems() > 0 {
		s.flatRows(src, idx)
		s.dev.ScatterAdd(&out.v, &s.bview[0], &s.bview[1])
	}
	if m := s.record(scatterOp{}, out, src, idx); m != nil {
		m.save(idx)
	}
	return out
}
