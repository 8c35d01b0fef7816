package flow

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// TwoHeads is a model whose network has twice the channels: a velocity, and behind it η,
// the estimate of the latent noise z of an [Interpolant]. The score is −η/γ.
type TwoHeads struct{ diffusion.Model }

// Eval divides the channels.
func (m TwoHeads) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := m.Model.Eval(x, at, c)
	n := p.Value.Dim(-1) / 2
	p.Value, p.Latent = p.Value.Slice(-1, 0, n), p.Value.Slice(-1, n, 2*n)
	return p
}

// SDE is Euler's method on the stochastic differential equation whose marginals are those of
// the flow (Albergo et al. 2023, eq. 2.33): time running to the data,
//
//	dX = (−u + ε·s)·dt + √(2ε)·dW,   s = −η/γ,   ε(t) = a·γ(t),
//
// so that ε·s = −a·η is finite at both ends. With a = 0 it is Euler's method on the flow.
type SDE struct {
	Scale float64 `yaml:"scale" doc:"a: the diffusion coefficient is a times the latent noise's gamma(t)" range:"[0,inf)"`
}

// SetDefaults takes 1.
func (o *SDE) SetDefaults() { o.Scale = 1 }

// Validate checks a.
func (o *SDE) Validate() error {
	if !(o.Scale >= 0) || math.IsInf(o.Scale, 0) {
		return invalid.Field("scale", "must not be negative, is %g", o.Scale)
	}
	return nil
}

// Sample makes a step x' = x − h·(u + a·η) + √(2aγh)·ξ for each interval, of length h.
func (o *SDE) Sample(r *sampler.Run) {
	path, ok := r.Path.(Interpolant)
	if !ok {
		r.Fail("the sampler interpolant_sde is for interpolants with latent noise: take another sampler")
		return
	}
	for st := range r.Steps() {
		h := st.From.T - st.To.T
		u := r.Velocity(r.X, st.From)
		eta := r.Latent()
		if eta == nil {
			r.Fail("the sampler interpolant_sde needs a network that has learned the latent noise (objective.learn_denoiser), and no guidance")
			return
		}
		gamma, _ := path.Gamma(st.From.T)
		x := r.X.Axpby(1, u.Axpby(1, eta, o.Scale), -h)
		r.X = x.Axpby(1, r.LatentNoise(), math.Sqrt(2*o.Scale*gamma*h))
	}
}
