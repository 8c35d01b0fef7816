package flow

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// FlowMap trains a model of whole steps by the Lagrangian condition of flow maps (Boffi et al.
// 2025, "How to build a consistency model: learning flow maps via self-distillation"): where a step from
// t to r leads, X = x − j·u(x,t,j), it moves with r as the velocity there says,
//
//	∂X/∂r = u + j·∂u/∂j = u(X,r,0),
//
// the right side without a gradient. It needs a derivative by one number only, none by x; of the
// derivative a gradient is taken. The rest of the batch is flow matching.
//
// Its model must be a StepModel of velocities.
type FlowMap struct {
	diffusion.Regression // path, times of both ends, condition dropout
	FlowMapOptions
	Coupling Coupling // of data and noise; nil: independent
}

// FlowMapOptions are its settings.
type FlowMapOptions struct {
	Ratio float64 `yaml:"ratio" doc:"part of the samples that learn steps; the others are flow matching" range:"(0,1]"`
}

// SetDefaults is a quarter.
func (o *FlowMapOptions) SetDefaults() { o.Ratio = 0.25 }

// Validate checks the range.
func (o *FlowMapOptions) Validate() error {
	if !(o.Ratio > 0 && o.Ratio <= 1) {
		return invalid.Field("ratio", "must be in (0, 1], is %g", o.Ratio)
	}
	return nil
}

// Draw chooses both ends of each sample's step as MeanFlow does.
func (o *FlowMap) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Regression.Draw(k, b, d)
	couple(o.Coupling, k, d)
	drawEnds(&o.Regression, k, d)
	stay(d, o.Ratio)
}

// Loss is the mean squared error over elements of both parts, a scalar.
func (o *FlowMap) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	f, now := stepModel(m, o.Path), momentOf(s, &o.Regression, d)
	n := jumping(d)
	if n == 0 {
		return f.Field(now.x, now.t, now.jump, now.cond).MSE(now.velocity)
	}
	errs := o.lagrangian(s, f, now.head(n))
	if rest := now.tail(n); rest != nil {
		still := perSample(f.Field(rest.x, rest.t, rest.jump, rest.cond).Sub(rest.velocity).Square())
		errs = tensor.Concat(0, errs, still)
	}
	return errs.Mean().Scale(float64(d.N) / float64(now.x.Elems()))
}

// lagrangian is the squared error of each sample's condition, (N).
func (o *FlowMap) lagrangian(s *tensor.Scope, f StepModel, now moment) *tensor.Tensor {
	u, du := s.JVP(func(in []*tensor.Tensor) *tensor.Tensor {
		return f.Field(now.x, now.t, in[0], now.cond)
	}, []*tensor.Tensor{now.jump}, []*tensor.Tensor{s.Ones(now.jump.Dim(0))})
	j := each(now.jump, u)
	var there *tensor.Tensor
	s.NoGrad(func() {
		x := now.x.Sub(u.Detach().Mul(j))
		there = f.Field(x, now.t.Sub(now.jump), s.Zeros(now.jump.Dim(0)), now.cond)
	})
	return perSample(u.Add(du.Mul(j)).Sub(there).Square())
}
