package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Cost says what is wrong with data: a differentiable number for each sample, (N).
type Cost func(x0 *tensor.Tensor) *tensor.Tensor

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
func (g *Costed) Begin() (diffusion.Model, func()) {
	of, end := diffusion.Begin(g.Of)
	h := *g
	h.Of, h.grad = of, new(slope)
	return &h, func() { h.grad.end(); end() }
}

// Eval subtracts the gradient.
func (g *Costed) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := g.Of.Eval(x, at, c)
	if g.Scale == 0 || !g.within(g.Path(), at) {
		return p
	}
	path, now := g.Path(), diffusion.Step{T: at.T}
	if g.Through {
		grad := gradient(g.grad, x, c, func(x *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			return g.J(g.Of.Eval(x, at, c).As(diffusion.X0, x, path, now))
		})
		return nudged(p, grad, x, path, at, func(q diffusion.Point) float64 { return -g.of(path, q) })
	}
	x0 := p.As(diffusion.X0, x, path, now)
	grad := gradient(g.grad, x0, diffusion.Cond{}, func(x0 *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return g.J(x0) })
	by := diffusion.PerSample(x, path, now, func(q, _ diffusion.Point) float64 {
		s2 := q.Sigma * q.Sigma
		return -g.of(path, q) * s2 / (q.Alpha*q.Alpha + s2)
	})
	moved := diffusion.Pred{Value: by.MulAdd(grad, x0), Kind: diffusion.X0}
	p.Value = moved.As(p.Kind, x, path, now)
	return p
}
