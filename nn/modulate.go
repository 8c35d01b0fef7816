package nn

import "github.com/langevin-go/langevin/tensor"

// perSample shows a (N,C) or (1,C) vector of conditions as an affine parameter of a
// norm: (N,C), or (C) where one row serves all samples.
func perSample(v *tensor.Tensor) *tensor.Tensor {
	if v.Dim(0) == 1 {
		return v.Reshape(v.Dim(1))
	}
	return v
}

// overPositions shows a (N,C) or (1,C) vector so that it broadcasts over the positions
// of x (N, …, C).
func overPositions(v, x *tensor.Tensor) *tensor.Tensor {
	switch n, c := v.Dim(0), v.Dim(1); x.Rank() {
	case 2:
		return v
	case 3:
		return v.Reshape(n, 1, c)
	case 4:
		return v.Reshape(n, 1, 1, c)
	}
	misuse("modulation", "want x of 2 to 4 axes")
	return nil
}

// chunk is part i of the last axis of a (N, k·size) vector: a view.
func chunk(v *tensor.Tensor, i, size int) *tensor.Tensor {
	return v.Slice(1, i*size, (i+1)*size)
}

// FiLM scales and shifts features by a condition: x·(1+s)+b, [s,b] = Proj(e) (Perez et al. 2018).
type FiLM struct{ Proj *Linear }

// NewFiLM starts as the identity.
func NewFiLM(in *Init, cond, channels int) *FiLM {
	return &FiLM{NewZeroLinear(in, cond, 2*channels)}
}

// Forward modulates x (N, …, C) by e (N, cond) or (1, cond).
func (f *FiLM) Forward(x, e *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	c := x.Dim(-1)
	p := f.Proj.Forward(e)
	scale, shift := overPositions(chunk(p, 0, c), x), overPositions(chunk(p, 1, c), x)
	return s.Release(m, filmOp.Apply(nil, x, scale, shift))
}

var filmOp = tensor.NewPointwise("film", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[1].AddConst(1).MulAdd(in[0], in[2])
})

// AdaGroupNorm is a group norm whose output is modulated by a condition, as in
// Dhariwal and Nichol 2021: GroupNorm(x)·(1+s)+b, [s,b] = Proj(e).
type AdaGroupNorm struct {
	Norm *GroupNorm
	Proj *Linear
}

// NewAdaGroupNorm starts as the plain group norm.
func NewAdaGroupNorm(in *Init, groups, channels, cond int, eps float64) *AdaGroupNorm {
	return &AdaGroupNorm{NewGroupNorm(in, groups, channels, eps), NewZeroLinear(in, cond, 2*channels)}
}

// Forward modulates x (N, …, C) by e (N, cond) or (1, cond).
func (a *AdaGroupNorm) Forward(x, e *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	c := x.Dim(-1)
	p := a.Proj.Forward(e)
	return s.Release(m, a.Norm.modulated(x, chunk(p, 0, c), chunk(p, 1, c), false))
}

// modulated is Forward(x)·(1+scale)+shift, then perhaps SiLU, in one pass over x: both
// affine maps are joined first, which costs a vector a sample.
func (n *GroupNorm) modulated(x, scale, shift *tensor.Tensor, silu bool) *tensor.Tensor {
	s := x.Scope()
	w, b := joinAffine(s.Param(n.Weight), s.Param(n.Bias), scale, shift)
	return x.GroupNorm(n.groups, perSample(w), perSample(b), tensor.Norm{Eps: n.eps, SiLU: silu})
}

// modulated is Forward(x)·(1+scale)+shift in one pass over x.
func (n *LayerNorm) modulated(x, scale, shift *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	w, b := joinAffine(s.Param(n.Weight), s.Param(n.Bias), scale, shift)
	return x.LayerNorm(perSample(w), perSample(b), tensor.Norm{Eps: n.eps})
}

// joinAffine: (y·w+b)·(1+scale)+shift = y·w(1+scale) + b(1+scale)+shift.
func joinAffine(w, b, scale, shift *tensor.Tensor) (*tensor.Tensor, *tensor.Tensor) {
	return filmWeightOp.Apply(nil, w, scale), filmOp.Apply(nil, b, scale, shift)
}

var filmWeightOp = tensor.NewPointwise("film weight", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[1].AddConst(1).Mul(in[0])
})

// AdaLNZero gives the modulation of a transformer block: for attention and for the
// MLP a shift, a scale and a gate (Peebles and Xie 2023, adaLN-Zero).
type AdaLNZero struct {
	Proj *Linear // (cond, 6·dim): shift, scale, gate; shift, scale, gate
}

// NewAdaLNZero starts with all gates shut, so that the block is the identity.
func NewAdaLNZero(in *Init, cond, dim int) *AdaLNZero {
	return &AdaLNZero{NewZeroLinear(in, cond, 6*dim)}
}

// Modulation is what one branch of a block is conditioned by, each (N,C) or (1,C).
type Modulation struct{ Shift, Scale, Gate *tensor.Tensor }

// Forward maps c (N, cond) or (1, cond) to the modulations of attention and MLP.
func (a *AdaLNZero) Forward(c *tensor.Tensor) (attn, mlp Modulation) {
	p := a.Proj.Forward(c)
	d := p.Dim(1) / 6
	return Modulation{chunk(p, 0, d), chunk(p, 1, d), chunk(p, 2, d)},
		Modulation{chunk(p, 3, d), chunk(p, 4, d), chunk(p, 5, d)}
}

// LayerNorm is LN(x)·(1+scale)+shift, without parameters of its own, in one pass.
func (m Modulation) LayerNorm(x *tensor.Tensor, eps float64) *tensor.Tensor {
	return x.LayerNorm(perSample(m.Scale), perSample(m.Shift), tensor.Norm{Eps: eps, AddOne: true})
}

// Residual is x + gate·branch.
func (m Modulation) Residual(x, branch *tensor.Tensor) *tensor.Tensor {
	return branch.MulAdd(overPositions(m.Gate, x), x)
}
