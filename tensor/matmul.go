package tensor

import "github.com/langevin-go/langevin/tensor/backend"

// operand is o in s, nil for none (also for a nil *Param in the interface).
func operand(s *Scope, o Operand) *Tensor {
	if o == nil {
		return nil
	}
	if p, ok := o.(*Param); ok && p == nil {
		return nil
	}
	if t, ok := o.(*Tensor); ok && t == nil {
		return nil
	}
	return o.in(s)
}

type matMulOp struct{}

func (matMulOp) name() string { return "matmul" }

func (matMulOp) vjp(s *Scope, n *node, grad *Tensor) {
	a, b := n.in[0], n.in[1]
	if a.needs {
		da := grad.MatMul(b.T())
		if b.v.Rank > 2 {
			da = da.SumTo(a.Shape()...)
		}
		s.add(n, 0, da)
	}
	withBias := len(n.in) > 2 && n.in[2].needs
	if withBias && b.needs && b.v.Rank == 2 && !s.Recording() {
		s.linearGrads(n, grad)
		return
	}
	if b.needs && b.v.Rank == 2 {
		// One large product instead of one a batch entry.
		x, g := rows(a), rows(grad)
		s.add(n, 1, x.T().MatMul(g))
	} else if b.needs {
		s.add(n, 1, a.T().MatMul(grad).SumTo(b.Shape()...))
	}
	if withBias {
		s.add(n, 2, grad.SumTo(n.in[2].Shape()...))
	}
}

// rows shows (…,N) as one matrix.
func rows(t *Tensor) *Tensor {
	if t.v.Rank == 2 {
		return t
	}
	last := t.v.Rank - 1
	n := 1
	for _, d := range t.v.Shape[:last] {
		n *= d
	}
	return t.Reshape(n, t.v.Shape[last])
}

// linearGrads adds the gradients of a matrix and a bias, aᵀ·grad and the sums
// of grad's columns, by one pass over grad.
func (s *Scope) linearGrads(n *node, grad *Tensor) {
	dw, db := s.like(n.in[1]), s.like(n.in[2])
	x, g := rows(n.in[0]).T(), rows(grad)
	s.dev.GemmSum(&dw.v, &db.v, &x.v, &g.v)
	s.add(n, 1, dw)
	s.add(n, 2, db)
}

// MatMul is the matrix product of the last two axes: (…,M,K)·(…,K,N). Leading
// axes are equal, or broadcast, or missing in o.
func (t *Tensor) MatMul(o Operand) *Tensor { return t.Linear(o, nil) }

// Linear is t·w+b: t (…,K), w (K,N), b (N) or nil, in one kernel.
func (t *Tensor) Linear(w, b Operand) *Tensor {
	t.check("MatMul")
	m, bias := w.in(t.s), operand(t.s, b)
	return t.linear(m, bias)
}

func (t *Tensor) linear(m, bias *Tensor) *Tensor {
	const op = "MatMul"
	if l := highest(t, m, bias); l > 0 {
		return linearDual(l, t, m, bias)
	}
	s := t.s
	if m.v.DType != t.v.DType {
		dtypePanic(op, t.v.DType, m.v.DType)
	}
	if t.v.Rank < 2 || m.v.Rank < 2 || t.v.Shape[t.v.Rank-1] != m.v.Shape[m.v.Rank-2] {
		shapePanic(op, "(…,M,K) and (…,K,N)", t, m)
	}
	cols := m.v.Shape[m.v.Rank-1]
	if bias != nil && (bias.v.Rank != 1 || bias.v.Shape[0] != cols) {
		shapePanic(op, "a bias of shape (N)", t, m, bias)
	}
	out := s.header()
	out.v.DType = t.v.DType
	if m.v.Rank == 2 {
		out.v.Rank, out.v.Shape = t.v.Rank, t.v.Shape
		out.v.Shape[t.v.Rank-1] = cols
	} else {
		batchShape(op, &out.v, t, m)
	}
	s.back(out)
	if out.Elems() > 0 {
		s.gemm(out, t, m, bias, 1, 0)
	}
	var n *node
	if bias != nil {
		n = s.record(matMulOp{}, out, t, m, bias)
	} else {
		n = s.record(matMulOp{}, out, t, m)
	}
	if n != nil {
		// Each factor is read for the other's gradient.
		var keepA, keepB *Tensor
		if m.needs {
			keepA = t
		}
		if t.needs {
			keepB = m
		}
		n.save(keepA, keepB)
	}
	return out
}

// gemm runs out = alpha·a·b + beta·out + bias, flattening a's leading axes when b is one matrix.
func (s *Scope) gemm(out, a, b, bias *Tensor, alpha, beta float64) {
	c, x, y := &s.bview[0], &s.bview[1], &s.bview[2]
	*c, *x, *y = out.v, a.v, b.v
	if b.v.Rank == 2 && a.v.Rank > 2 {
		k := a.v.Shape[a.v.Rank-1]
		rows := out.Elems() / max(1, out.v.Shape[out.v.Rank-1])
		x2 := backend.View{Mem: x.Mem, Off: x.Off, DType: x.DType, Rank: 2}
		x2.Shape[0], x2.Shape[1] = rows, k
		if viewReshape(&x2, x) {
			*x = x2
			c.Rank = 2
			c.Shape[0], c.Shape[1] = rows, b.v.Shape[1]
			c.RowMajor()
		} else {
			broadcastBatch(y, c, x)
		}
	} else {
		broadcastBatch(x, c, y)
		broadcastBatch(y, c, x)
	}
	var bp *backend.View
	if bias != nil {
		s.bview[3] = bias.v
		bp = &s.bview[3]
	}
	s.dev.Gemm(c, x, y, bp, alpha, beta)
}

// broadcastBatch repeats v's leading axes to c's.
func broadcastBatch(v, c, _ *backend.View) {
	alignRank(v, c.Rank)
	for i := range c.Rank - 2 {
		if v.Shape[i] != c.Shape[i] {
			v.Shape[i], v.Stride[i] = c.Shape[i], 0
		}
	}
}

// batchShape is the shape of a batched product.
func batchShape(op string, out *backend.View, a, b *Tensor) {
	r := max(a.v.Rank, b.v.Rank)
	out.Rank = r
	for i := range r - 2 {
		da, db := 1, 1
		if j := i - (r - a.v.Rank); j >= 0 {
			da = a.v.Shape[j]
		}
		if j := i - (r - b.v.Rank); j >= 0 {
			db = b.v.Shape[j]
		}
		if da != db && da != 1 && db != 1 {
			shapePanic(op, "leading axes that are equal or 1", a, b)
		}
		out.Shape[i] = max(da, db)
		if da == 0 || db == 0 {
			out.Shape[i] = 0
		}
	}
	out.Shape[r-2], out.Shape[r-1] = a.v.Shape[a.v.Rank-2], b.v.Shape[b.v.Rank-1]
}
