package flow

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// CFM is conditional flow matching (Lipman et al. 2023; Tong et al. 2024): the
// regression on a path, by default of the velocity on CondOT, with data and
// noise coupled. The variants of the literature are
//
//	                     path                    coupling
//	target CFM           CondOT{σ_min}           Independent
//	I-CFM                CondOT, constant latent Independent
//	OT-CFM               CondOT, constant latent OT
//	SB-CFM               CondOT, bridge latent   Sinkhorn of 2σ², or OT
//	VP-CFM               Trig, constant latent   Independent
//	stochastic interpolants  an Interpolant      any
//
// Where the path is an [Interpolant] with a latent, the model must predict a velocity, and errors at all
// times count alike: Weighting and Noise are for other paths.
type CFM struct {
	diffusion.Regression
	Coupling Coupling // nil: independent
}

// NewCFM is rectified flow's regression: straight paths, independent pairs, uniform times.
func NewCFM() *CFM { return &CFM{Regression: diffusion.Regression{Path: diffusion.CondOT{}}} }

// streamLatent is the random numbers of z; see diffusion.StreamNoise.
const streamLatent uint32 = 0xe0

// Draw chooses times, noise and dropped conditions, and couples.
func (c *CFM) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	c.Regression.Draw(k, b, d)
	couple(c.Coupling, k, d)
}

// Loss is the regression's, or with a latent
//
//	E ‖u(α·x0+σ·x1+γ·z, t) − (α'·x0 + σ'·x1 + γ'·z)‖²,
//
// and, of a model that estimates z, E ‖η(x_t, t) − z‖² besides.
func (c *CFM) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	p, ok := c.Path.(Interpolant)
	if !ok || p.Latent == nil {
		return c.Regression.Loss(s, m, d)
	}
	at := diffusion.Step{T: d.T}
	z := latentNoise(s, d)
	x, target := between(s, c.Path, p.Latent, m.Kind(), d, z)
	pred := m.Eval(x, at, d.Cond(s))
	loss := pred.Value.MSE(target)
	d.KeepSquares(pred.Value, target)
	if pred.Latent != nil {
		loss = loss.Add(pred.Latent.MSE(z))
	}
	return loss
}

// latentNoise is z of a draw.
func latentNoise(s *tensor.Scope, d *diffusion.Draw) *tensor.Tensor {
	x := d.Data(s)
	return s.Normal(d.NoiseKey.WithStream(streamLatent), d.First, x.Shape()...)
}

// between is x_t of a draw and what a perfect model says of it: ∂x_t/∂t, or that with
// the sign turned. Other predictions are no function of x_t and it, and panic. The path's own latent is l.
func between(s *tensor.Scope, path diffusion.GaussianPath, l Latent, kind diffusion.Kind, d *diffusion.Draw, z *tensor.Tensor) (x, target *tensor.Tensor) {
	sign := velocitySign(kind)
	at := diffusion.Step{T: d.T}
	data, source := d.Data(s), d.Eps(s)
	gamma := diffusion.PerSample(data, path, at, func(p, _ diffusion.Point) float64 { g, _ := l.Gamma(p.T); return g })
	slope := diffusion.PerSample(data, path, at, func(p, _ diffusion.Point) float64 { _, dg := l.Gamma(p.T); return sign * dg })
	x = addLatent.Apply(nil, diffusion.Noised(data, source, path, at), gamma, z)
	target = addLatent.Apply(nil, diffusion.Target(kind, data, source, path, at), slope, z)
	return x, target
}

// velocitySign is 1 for a velocity and −1 for one that runs to the data.
func velocitySign(kind diffusion.Kind) float64 {
	switch kind {
	case diffusion.Velocity:
		return 1
	case diffusion.DataVelocity:
		return -1
	}
	panic(fmt.Sprintf("flow: an interpolant with noise of its own is for models that predict velocity or data_velocity, not %v", kind))
}
