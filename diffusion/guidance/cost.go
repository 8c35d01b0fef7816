package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Cost says what is wrong with data: a differentiable number for each sample, (N), such as
// −ln of a likelihood. x0 is an estimate, and spread, (N,1,…) or (1,1,…), the variance
// σ²/(α²+σ²) with which standard normal data lie around it. A cost that is to hold of the data
// themselves allows for that: without, it is too steep while there is noise, and steps overshoot.
type Cost func(x0, spread *tensor.Tensor) *tensor.Tensor

// Near is the cost −ln N(what is known; x0, std²+spread) but for constants (ΠGDM, Song et
// al. 2023): noisy measurements of a part of the values.
func Near(k *Known, std float64) Cost {
	return func(x0, spread *tensor.Tensor) *tensor.Tensor {
		off := x0.Sub(k.Project(x0)).Square().Div(spread.AddScalar(std * std)) // 0 where nothing is known: the projection is x0 there
		return off.Reshape(x0.Dim(0), -1).Sum(1).Scale(0.5)
	}
}

// NearMean is the cost −ln N(value; the mean of x0's D values, std²+spread/D) but for constants.
func NearMean(value, std float64) Cost {
	return func(x0, spread *tensor.Tensor) *tensor.Tensor {
		rows := x0.Reshape(x0.Dim(0), -1)
		v := spread.Reshape(spread.Dim(0), 1).Scale(1 / float64(rows.Dim(1))).AddScalar(std * std)
		return rows.MeanKeep(1).AddScalar(-value).Square().Div(v).Scale(0.5).Reshape(x0.Dim(0))
	}
}

// Costed steers samples to a low cost J of the data (Janner et al. 2022; Chung et al. 2023,
// DPS): it takes the estimate of the data for the data, so that −s·J plays the part of a log-likelihood,
//
//	score − s·∇ J(x̂0(x_t)).
//
// Through: the gradient goes through the model, which costs a backward pass. Otherwise the model's Jacobian
// ∂x̂0/∂x_t is taken to be α/(α²+σ²), that of standard normal data, and x̂0 moves by −s·σ²/(α²+σ²)·∇J(x̂0).
type Costed struct {
	Of      diffusion.Model
	J       Cost
	Through bool
	Strength

	grad *slope
}

// Path is the model's.
func (g *Costed) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is the model's.
func (g *Costed) Kind() diffusion.Kind { return g.Of.Kind() }

// Begin keeps memory for gradients along a trajectory.
func (g *Costed) Begin() (m diffusion.Model, restart, end func()) {
	of, restart, endModel := diffusion.Begin(g.Of)
	h := *g
	h.Of, h.grad = of, new(slope)
	return &h, restart, func() { h.grad.end(); endModel() }
}

// Eval subtracts the gradient.
func (g *Costed) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := g.Of.Eval(x, at, c)
	if g.Scale == 0 || !g.within(g.Path(), at) {
		return p
	}
	path, now := g.Path(), diffusion.Step{T: at.T}
	if g.Through {
		then := g.grad.early(path, at)
		grad := gradient(g.grad, x, c, func(x *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			return g.J(g.Of.Eval(x, then, c).As(diffusion.X0, x, path, then), spread(x, path, then))
		})
		return nudged(p, grad, x, path, at, func(q diffusion.Point) float64 { return -g.of(path, q) })
	}
	x0 := p.As(diffusion.X0, x, path, now)
	grad := gradient(g.grad, x0, diffusion.Cond{}, func(x0 *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return g.J(x0, spread(x0, path, now)) })
	by := diffusion.PerSample(x, path, now, func(q, _ diffusion.Point) float64 { return -g.of(path, q) * spreadAt(q) })
	moved := diffusion.Pred{Value: by.MulAdd(grad, x0), Kind: diffusion.X0}
	p.Value = moved.As(p.Kind, x, path, now)
	return p
}

// spreadAt is the posterior variance of standard normal data.
func spreadAt(p diffusion.Point) float64 {
	s2 := p.Sigma * p.Sigma
	return s2 / (p.Alpha*p.Alpha + s2)
}

func spread(x *tensor.Tensor, path diffusion.GaussianPath, at diffusion.Step) *tensor.Tensor {
	return diffusion.PerSample(x, path, at, func(p, _ diffusion.Point) float64 { return spreadAt(p) })
}
