package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Classifier knows how likely noisy samples are to be of their condition.
type Classifier interface {
	// LogProb is ln p(c|x_t) of each sample, shape (N), differentiable by x.
	LogProb(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor
}

// Classified is classifier guidance (Dhariwal and Nichol 2021): it adds the
// gradient of a noise-aware classifier's log-probability to the score,
//
//	score + s·∇ ln p(c|x_t),
//
// which with s=1 and an unconditional model is the conditional score. 0 is none.
type Classified struct {
	Of diffusion.Model
	By Classifier
	Strength
	// Blind has the model itself not see the condition.
	Blind   bool
	Classes int // the label of the null class, which a blind model gets; below 0: it is given no label at all

	grad *slope
}

// Path is the model's.
func (g *Classified) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is the model's.
func (g *Classified) Kind() diffusion.Kind { return g.Of.Kind() }

// Begin keeps memory for gradients along a trajectory.
func (g *Classified) Begin() (m diffusion.Model, restart, end func()) {
	of, restart, endModel := diffusion.Begin(g.Of)
	h := *g
	h.Of, h.grad = of, new(slope)
	return &h, restart, func() { h.grad.end(); endModel() }
}

// Eval adds the gradient.
func (g *Classified) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	known := c
	if g.Blind {
		known = diffusion.Cond{}
		if g.Classes >= 0 {
			known = Null(x.Scope(), c, g.Classes, x.Dim(0))
		}
	}
	p := g.Of.Eval(x, at, known)
	if g.Scale == 0 || !g.within(g.Path(), at) {
		return p
	}
	then := g.grad.early(g.Path(), at)
	grad := gradient(g.grad, x, c, func(x *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return g.By.LogProb(x, then, c) })
	return nudged(p, grad, x, g.Path(), at, func(p diffusion.Point) float64 { return g.of(g.Path(), p) })
}

// gradient is that of f at x with the memory of a trajectory, or without one.
func gradient(g *slope, x *tensor.Tensor, c diffusion.Cond, f func(x *tensor.Tensor, c diffusion.Cond) *tensor.Tensor) *tensor.Tensor {
	if g == nil {
		g = new(slope)
		defer g.end()
	}
	return g.of(x, c, f)
}
