package tensor

import "github.com/langevin-go/langevin/tensor/backend"

// Norm are the settings of a normalisation.
type Norm struct {
	Eps    float64 // added to the variance
	AddOne bool    // scale by 1+scale, as adaptive norms do
	SiLU   bool    // apply SiLU last
}

type normOp struct{}

func (normOp) name() string { return "norm" }

func (normOp) vjp(s *Scope, n *node, grad *Tensor) {
	x, scale, shift := n.in[0], n.in[1], n.in[2]
	if s.Recording() {
		s.vjpThrough(n, grad, func() *Tensor { return normComposite(&n.norm, x, scale, shift) })
		return
	}
	dev := s.dev.(backend.Norm)
	mean, rstd := n.saved[1], n.saved[2]
	dx := s.like(x)
	var dscale, dshift *Tensor
	var ds, dh *backend.View
	batch, ch := x.v.Shape[0], x.v.Shape[x.v.Rank-1]
	if scale != nil && scale.needs {
		dscale = s.alloc(x.v.DType, batch, 1, ch)
		ds = &dscale.v
	}
	if shift != nil && shift.needs {
		dshift = s.alloc(x.v.DType, batch, 1, ch)
		dh = &dshift.v
	}
	g := grad.Contiguous()
	if dx.Elems() == 0 { // no positions: sums of nothing
		for _, d := range [2]*Tensor{dscale, dshift} {
			if d != nil {
				s.fill(d, 0)
			}
		}
	} else {
		v := &s.bview
		flatten(&v[0], &dx.v)
		flatten(&v[1], &g.v)
		flatten(&v[2], &x.v)
		sc, sh := s.affineViews(scale, shift, batch, ch)
		s.norm = n.norm
		dev.NormGrad(&s.norm, &v[0], ds, dh, &v[1], &v[2], &mean.v, &rstd.v, sc, sh)
	}
	s.add(n, 0, dx)
	if dscale != nil {
		s.add(n, 1, reduceAffine(dscale, scale))
	}
	if dshift != nil {
		s.add(n, 2, reduceAffine(dshift, shift))
	}
}

// reduceAffine brings a (N,1,C) gradient to the parameter's shape, (C) or (N,C).
func reduceAffine(g, p *Tensor) *Tensor {
	if p.v.Rank == 1 {
		return g.SumTo(1, 1, g.v.Shape[2]).Reshape(p.Shape()...)
	}
	return g.Reshape(p.Shape()...)
}

// positions is the number of positions of a sample of t (N, …, C).
func (t *Tensor) positions() int { return positions(&t.v) }

func positions(v *backend.View) int {
	p := 1
	for _, d := range v.Shape[1 : v.Rank-1] {
		p *= d
	}
	return p
}

// flatten shows a dense tensor (N, …, C) as (N,P,C).
func flatten(to, from *backend.View) {
	*to = *from
	to.Shape[1], to.Shape[2] = positions(from), from.Shape[from.Rank-1]
	to.Rank = 3
	to.RowMajor()
}

// affineViews shows scale and shift, (C) or (N,C), as (N,1,C).
func (s *Scope) affineViews(scale, shift *Tensor, batch, ch int) (sc, sh *backend.View) {
	show := func(to *backend.View, t *Tensor) *backend.View {
		if t == nil {
			return nil
		}
		*to = t.v
		to.Rank = 3
		to.Shape[0], to.Shape[1], to.Shape[2] = batch, 1, ch
		to.Stride[0], to.Stride[1], to.Stride[2] = 0, 0, t.v.Stride[t.v.Rank-1]
		if t.v.Rank == 2 && t.v.Shape[0] > 1 {
			to.Stride[0] = t.v.Stride[0]
		}
		return to
	}
	return show(&s.bview[10], scale), show(&s.bview[11], shift)
}

// LayerNorm normalises over the last axis (Ba et al. 2016): (x−mean)/√(var+eps),
// times scale (or 1+scale), plus shift. t is (N, …, C); scale and shift are (C),
// or (N,C) for a sample's own (adaptive layer norm), or nil.
func (t *Tensor) LayerNorm(scale, shift Operand, o Norm) *Tensor {
	return t.normalise("LayerNorm", scale, shift, backend.NormParams{Eps: o.Eps, SiLU: o.SiLU}, o.AddOne)
}

// RMSNorm is LayerNorm without the mean: x/√(mean(x²)+eps) (Zhang and Sennrich 2019).
func (t *Tensor) RMSNorm(scale Operand, o Norm) *Tensor {
	return t.normalise("RMSNorm", scale, nil, backend.NormParams{Eps: o.Eps, SiLU: o.SiLU, RMS: true}, o.AddOne)
}

// GroupNorm normalises a sample's channels in groups, over all positions (Wu
// and He 2018). t is (N, …, C), C divisible by groups; scale and shift as for LayerNorm.
func (t *Tensor) GroupNorm(groups int, scale, shift Operand, o Norm) *Tensor {
	if groups < 1 || t.v.Rank < 2 || t.v.Shape[t.v.Rank-1]%groups != 0 {
		usagePanic("GroupNorm", "%d groups for shape %v", groups, append([]int(nil), t.Shape()...))
	}
	return t.normalise("GroupNorm", scale, shift, backend.NormParams{Groups: groups, Eps: o.Eps, SiLU: o.SiLU}, o.AddOne)
}

func (t *Tensor) normalise(op string, scale, shift Operand, p backend.NormParams, addOne bool) *Tensor {
	t.check(op)
	s := t.s
	if t.v.Rank < 2 {
		shapePanic(op, "(N, …, C)", t)
	}
	batch, ch := t.v.Shape[0], t.v.Shape[t.v.Rank-1]
	sc, sh := operand(s, scale), operand(s, shift)
	for _, a := range [2]*Tensor{sc, sh} {
		if a == nil {
			continue
		}
		if a.v.DType != t.v.DType {
			dtypePanic(op, t.v.DType, a.v.DType)
		}
		r := a.v.Rank
		if r < 1 || r > 2 || a.v.Shape[r-1] != ch || r == 2 && a.v.Shape[0] != batch {
			shapePanic(op, "scale and shift of shape (C) or (N,C)", t, a)
		}
	}
	if addOne {
		p.ScaleBase = 1
	}
	return t.normaliseBy(&p, sc, sh)
}

// normaliseBy is the normalisation of checked operands.
func (t *Tensor) normaliseBy(params *backend.NormParams, sc, sh *Tensor) *Tensor {
	if l := highest(t, sc, sh); l > 0 {
		return normDual(l, params, t, sc, sh)
	}
	s, p := t.s, *params
	batch := t.v.Shape[0]
	if _, ok := s.dev.(backend.Norm); !ok {
		return normComposite(&p, t, sc, sh)
	}
	x := t.Contiguous()
	out := s.like(x)
	var mean, rstd *Tensor
	if p.Groups > 0 {
		mean, rstd = s.alloc(t.v.DType, batch, p.Groups), s.alloc(t.v.DType, batch, p.Groups)
	} else {
		pos := t.positions()
		mean, rstd = s.alloc(t.v.DType, batch, pos), s.alloc(t.v.DType, batch, pos)
	}
	s.normForward(&p, out, mean, rstd, x, sc, sh)
	if n := s.record(normOp{}, out, x, sc, sh); n != nil {
		n.norm = p
		n.save(x, mean, rstd, sc, sh)
		mean.temp, rstd.temp = true, true
	}
	return out
}

// normForward runs the device's kernel on dense tensors.
func (s *Scope) normForward(p *backend.NormParams, out, mean, rstd, x, scale, shift *Tensor) {
	if out.Elems() == 0 {
		return
	}
	v := &s.bview
	flatten(&v[0], &out.v)
	flatten(&v[1], &x.v)
	sc, sh := s.affineViews(scale, shift, x.v.Shape[0], x.v.Shape[x.v.Rank-1])
	s.norm = *p
	s.dev.(backend.Norm).NormForward(&s.norm, &v[0], &mean.v, &rstd.v, &v[1], sc, sh)
}

// normComposite is the normalisation in elementary operations.
func normComposite(p *backend.NormParams, t, scale, shift *Tensor) *Tensor {
	batch, ch := t.v.Shape[0], t.v.Shape[t.v.Rank-1]
	y, _, _ := normalised(p, t)
	y = y.Reshape(batch, t.positions(), ch)
	affine := func(a *Tensor) *Tensor {
		if a.v.Rank == 1 {
			return a
		}
		return a.Reshape(batch, 1, ch)
	}
	if scale != nil {
		f := affine(scale)
		if p.ScaleBase != 0 {
			f = f.AddScalar(p.ScaleBase)
		}
		y = y.Mul(f)
	}
	if shift != nil {
		y = y.Add(affine(shift))
	}
	if p.SiLU {
		y = y.SiLU()
	}
	return y.Reshape(t.Shape()...)
}

// normDual: with x̂ the normalised x, r = 1/√(var+eps), means over the normalised
// axes, and f the scale,
//
//	dx̂ = r·(ẋ − mean(ẋ) − x̂·mean(ẋ·x̂)),  ẏ = f·dx̂ + ḟ·x̂ + ḃ
//
// (without mean(ẋ) for RMS), and SiLU last. The value comes from the fused kernel.
func normDual(level uint32, p *backend.NormParams, t, scale, shift *Tensor) *Tensor {
	s := t.s
	x, dx := t.strip(level)
	var dscale, dshift *Tensor
	if scale != nil {
		scale, dscale = scale.strip(level)
	}
	if shift != nil {
		shift, dshift = shift.strip(level)
	}
	y := x.normaliseBy(p, scale, shift)
	batch, ch := x.v.Shape[0], x.v.Shape[x.v.Rank-1]
	hat, r, axes := normalised(p, x)
	affine := func(a *Tensor) *Tensor { // (C) or (N,C) beside (N,P,C)
		if a.v.Rank == 1 {
			return a
		}
		return a.Reshape(batch, 1, ch)
	}
	flat := func(a *Tensor) *Tensor { return a.Reshape(batch, x.positions(), ch) }
	var dy *Tensor
	if dx != nil {
		d := dx.Reshape(hat.Shape()...)
		m := d.Mul(hat).MeanKeep(axes...)
		if !p.RMS {
			d = d.Sub(d.MeanKeep(axes...))
		}
		dy = flat(d.Sub(hat.Mul(m)).Mul(r))
		if scale != nil {
			f := affine(scale)
			if p.ScaleBase != 0 {
				f = f.AddScalar(p.ScaleBase)
			}
			dy = dy.Mul(f)
		}
	}
	if dscale != nil {
		dy = plus(dy, flat(hat).Mul(affine(dscale)))
	}
	if dshift != nil {
		dy = plus(dy, affine(dshift))
	}
	if p.SiLU {
		q := *p
		q.SiLU = false
		z := flat(x.normaliseBy(&q, scale, shift))
		dy = siluSlope.Apply(nil, z).Mul(dy)
	}
	if dy.Elems() != x.Elems() {
		dy = dy.Expand(batch, x.positions(), ch)
	}
	return s.dual(level, y, dy.Reshape(x.Shape()...))
}

// siluSlope is the derivative of SiLU.
var siluSlope = unary("silu'", func(x Expr) Expr {
	sig := x.Sigmoid()
	return sig.Mul(x.Mul(sig.RSubConst(1)).AddConst(1))
})

// normalised is x̂ with its axes split for groups, 1/√(var+eps), and the axes of the statistics.
func normalised(p *backend.NormParams, t *Tensor) (hat, r *Tensor, axes []int) {
	batch, ch := t.v.Shape[0], t.v.Shape[t.v.Rank-1]
	x := t.Reshape(batch, t.positions(), ch)
	axes = []int{2}
	if p.Groups > 0 {
		x = x.Reshape(batch, t.positions(), p.Groups, ch/p.Groups)
		axes = []int{1, 3}
	}
	if !p.RMS {
		x = x.Sub(x.MeanKeep(axes...))
	}
	r = x.Square().MeanKeep(axes...).AddScalar(p.Eps).Rsqrt()
	return x.Mul(r), r, axes
}
