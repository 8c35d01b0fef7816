package tensor

// Forward mode. A tensor at level L > 0 is a dual number: under, the same value
// without its tangent at that level, and tan, the tangent. An operation that
// meets one takes the highest level among its inputs, works on what is under
// it, which gives the value (and may itself be dual, or go on the tape), and
// makes the tangent by its JVP out of ordinary operations. So values are
// computed once, and modes nest in any order without confusion.

// JVP computes y = f(x…) and its directional derivative along the tangents, in
// one pass. A nil tangent is zero. f may itself use JVP, and all may be recorded: gradients
// flow through value and derivative alike. (Gradients cannot be taken within f.)
func (s *Scope) JVP(f func(x []*Tensor) *Tensor, x, tangents []*Tensor) (y, dy *Tensor) {
	if len(x) != len(tangents) {
		usagePanic("JVP", "%d tangents for %d inputs", len(tangents), len(x))
	}
	s.level++
	level := s.level
	defer func() { s.level = level - 1 }()
	duals := make([]*Tensor, len(x))
	for i, t := range x {
		t.check("JVP")
		if duals[i] = t; tangents[i] != nil {
			tangents[i].check("JVP")
			if !sameShape(t, tangents[i]) {
				shapePanic("JVP", "a tangent of its input's shape", t, tangents[i])
			}
			duals[i] = s.dual(level, t, tangents[i])
		}
	}
	out := f(duals)
	out.check("JVP")
	y, dy = out.strip(level)
	if dy == nil {
		dy = s.Full(0).Expand(y.Shape()...)
	}
	return y, dy
}

// Divergence is Σᵢ ∂f(x)ᵢ/∂xᵢ of each row of x (N,…), shape (N), exactly: a JVP for
// each of a row's elements. f maps each row on its own.
func (s *Scope) Divergence(f func(x *Tensor) *Tensor, x *Tensor) *Tensor {
	n := x.Dim(0)
	size := x.Elems() / max(1, n)
	var total *Tensor
	for j := range size {
		basis := s.Zeros(1, size)
		one := basis.v
		sliceView(&one, 1, j, 1, 1)
		s.copyInto(&one, s.Full(1, 1, 1))
		e := basis.Expand(n, size).Reshape(x.Shape()...)
		_, dy := s.JVP(func(in []*Tensor) *Tensor { return f(in[0]) }, []*Tensor{x}, []*Tensor{e})
		part := dy.Reshape(n, size).Slice(1, j, j+1).Reshape(n)
		if total == nil {
			total = part
		} else {
			total = total.Add(part)
		}
	}
	if total == nil {
		return s.Zeros(n)
	}
	return total
}

// HutchinsonDivergence estimates Divergence without bias by εᵀ·(∂f/∂x)·ε for a
// probe ε of x's shape with independent elements of mean 0 and variance 1
// (Hutchinson 1989; Grathwohl et al. 2019).
func (s *Scope) HutchinsonDivergence(f func(x *Tensor) *Tensor, x, probe *Tensor) *Tensor {
	n := x.Dim(0)
	_, dy := s.JVP(func(in []*Tensor) *Tensor { return f(in[0]) }, []*Tensor{x}, []*Tensor{probe})
	return dy.Mul(probe).Reshape(n, x.Elems()/max(1, n)).Sum(1)
}

// dual makes a tensor of y's value with a tangent.
func (s *Scope) dual(level uint32, y, tan *Tensor) *Tensor {
	r := s.view(y)
	r.needs, r.node = y.needs, y.node
	r.level, r.under, r.tan = level, y, tan
	return r
}

// strip splits t at a level: what is under it and the tangent, nil if it has none there.
func (t *Tensor) strip(level uint32) (under, tan *Tensor) {
	if t.level == level && level != 0 {
		return t.under, t.tan
	}
	return t, nil
}

// highest is the highest level among tensors, some of which may be nil.
func highest(ts ...*Tensor) uint32 {
	level := uint32(0)
	for _, t := range ts {
		if t != nil && t.level > level {
			level = t.level
		}
	}
	return level
}

// linear1 carries a linear operation of one tensor to a dual's value and tangent.
func linear1(t *Tensor, f func(*Tensor) *Tensor) *Tensor {
	return t.s.dual(t.level, f(t.under), f(t.tan))
}

// plus is a+b, where nil is zero.
func plus(a, b *Tensor) *Tensor {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return a.Add(b)
}

// applyDual is Apply where an input is dual.
func (p *Pointwise) applyDual(level uint32, scalars []float64, in []*Tensor) *Tensor {
	s := in[0].s
	under, args := s.ptrs.take(len(in)), s.ptrs.take(2*len(in)+1)
	copy(args, in)
	var set uint32
	k := len(in)
	for i, t := range in {
		var tan *Tensor
		under[i], tan = t.strip(level)
		args[i] = under[i]
		if tan != nil {
			set |= 1 << i
			args[k] = tan
			k++
		}
	}
	y := p.Apply(scalars, under...)
	args[k] = y
	return s.dual(level, y, p.jvpOp(set, true).Apply(scalars, args[:k+1]...))
}

// jvpKey names a JVP: the inputs that have tangents, and whether it may read the output.
type jvpKey struct {
	set    uint32
	output bool
}

// jvpOp is Σ ∂f/∂xᵢ·ẋᵢ as an operation over the inputs, the tangents of those in
// set, and the output, if it is to read it.
func (p *Pointwise) jvpOp(set uint32, output bool) *Pointwise {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := jvpKey{set, output}
	if o, ok := p.jvps[key]; ok {
		return o
	}
	n := p.inputs
	for i := range p.inputs {
		n += int(set >> i & 1)
	}
	count := n
	if output {
		count++
	}
	o := NewPointwise(p.label+" (tangent)", count, p.scalars, func(in, sc []Expr) Expr {
		g := in[0].g
		one := g.constant(1)
		root := p.build(in[:p.inputs], sc).id
		all := g.adjoints(root, one)
		sum, k := in[0].Const(0), p.inputs
		for i := range p.inputs {
			if set>>i&1 == 0 {
				continue
			}
			if id := in[i].id; id <= root && all[id] >= 0 {
				sum = sum.Add(Expr{g, all[id]}.Mul(in[k]))
			}
			k++
		}
		if output {
			g.readInstead(root, in[n].id)
		}
		return sum
	})
	if p.jvps == nil {
		p.jvps = make(map[jvpKey]*Pointwise)
	}
	p.jvps[key] = o
	return o
}

// sumDual is Sum where an input is dual.
func (p *PointwiseSum) sumDual(level uint32, scalars []float64, axes []int, in []*Tensor) *Tensor {
	s := in[0].s
	under, args := s.ptrs.take(len(in)), s.ptrs.take(2*len(in))
	var set uint32
	k := len(in)
	for i, t := range in {
		var tan *Tensor
		under[i], tan = t.strip(level)
		args[i] = under[i]
		if tan != nil {
			set |= 1 << i
			args[k] = tan
			k++
		}
	}
	y := p.Sum(scalars, axes, under...)
	return s.dual(level, y, p.jvpSum(set).Sum(scalars, axes, args[:k]...))
}

func (p *PointwiseSum) jvpSum(set uint32) *PointwiseSum {
	o := p.f.jvpOp(set, false)
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.jvps == nil {
		p.jvps = make(map[uint32]*PointwiseSum)
	}
	if p.jvps[set] == nil {
		p.jvps[set] = NewPointwiseSum(o)
	}
	return p.jvps[set]
}

// linearDual is the product rule for Linear: ẋ·w + x·ẇ + ḃ.
func linearDual(level uint32, x, w, b *Tensor) *Tensor {
	s := x.s
	x, dx := x.strip(level)
	w, dw := w.strip(level)
	var db *Tensor
	if b != nil {
		b, db = b.strip(level)
	}
	y := x.linear(w, b)
	var dy *Tensor
	if dx != nil {
		dy = dx.linear(w, nil)
	}
	if dw != nil {
		dy = plus(dy, x.linear(dw, nil))
	}
	if db != nil {
		dy = plus(dy, db)
		if !sameShape(dy, y) {
			dy = dy.Expand(y.Shape()...)
		}
	}
	return s.dual(level, y, dy)
}

// bilinearDual is the product rule for an operation of two tensors.
func bilinearDual(level uint32, a, b *Tensor, f func(a, b *Tensor) *Tensor) *Tensor {
	s := a.s
	a, da := a.strip(level)
	b, db := b.strip(level)
	y := f(a, b)
	var dy *Tensor
	if da != nil {
		dy = f(da, b)
	}
	if db != nil {
		dy = plus(dy, f(a, db))
	}
	return s.dual(level, y, dy)
}

// softmaxDual: ẏ = y·(ẋ − Σ y·ẋ).
func softmaxDual(x *Tensor) *Tensor {
	y := x.under.Softmax()
	g := y.Mul(x.tan)
	return x.s.dual(x.level, y, g.Sub(y.Mul(g.SumKeep(-1))))
}

// attentionDual differentiates scores, softmax and product:
//
//	Ṡ = scale·(q̇·kᵀ + q·k̇ᵀ),  Ṗ = P·(Ṡ − Σ P·Ṡ),  ȯ = Ṗ·v + P·v̇
//
// The value comes from the fused kernel; the tangent forms the matrix of scores.
func attentionDual(level uint32, q, k, v, mask *Tensor, scale float64) *Tensor {
	s := q.s
	q, dq := q.strip(level)
	k, dk := k.strip(level)
	v, dv := v.strip(level)
	o := Attention(q, k, v, mask, scale)
	heads := func(t *Tensor) *Tensor { return t.Permute(0, 2, 1, 3) }
	scores := heads(q).MatMul(heads(k).T()).Scale(scale)
	p := attentionWeights(scores, mask)
	var do *Tensor
	var ds *Tensor
	if dq != nil {
		ds = heads(dq).MatMul(heads(k).T())
	}
	if dk != nil {
		ds = plus(ds, heads(q).MatMul(heads(dk).T()))
	}
	if ds != nil {
		g := p.Mul(ds.Scale(scale))
		do = g.Sub(p.Mul(g.SumKeep(-1))).MatMul(heads(v))
	}
	if dv != nil {
		do = plus(do, p.MatMul(heads(dv)))
	}
	return s.dual(level, o, heads(do))
}
