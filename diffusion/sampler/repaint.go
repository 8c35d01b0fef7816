package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// RePaint is ancestral sampling that goes back and forth (Lugmayr et al. 2022, algorithm 1
// with jumps of one step): each step to s is taken several times, and between them noise is
// added that leads from s to t again. With a model whose known values are constrained, what is not
// known has time to agree with them. Over the repetitions a variance that is too small, as
// fixed_small is but for points, narrows the distribution, and one that is too large widens it.
type RePaint struct {
	Variance string `yaml:"variance" doc:"variance of the reverse step: that of q(x_s|x_t,x0) or that of q(x_t|x_s)" oneof:"fixed_small fixed_large"`
	Resample int    `yaml:"resample" doc:"times that each step is taken" range:"[1,inf)"`
}

// SetDefaults takes the paper's number.
func (p *RePaint) SetDefaults() { p.Variance, p.Resample = FixedSmall, 10 }

// Validate checks name and number.
func (p *RePaint) Validate() error {
	if p.Variance != FixedSmall && p.Variance != FixedLarge {
		return invalid.Field("variance", "must be %s or %s, is %q", FixedSmall, FixedLarge, p.Variance)
	}
	if p.Resample < 1 {
		return invalid.Field("resample", "must be at least 1, is %d", p.Resample)
	}
	return nil
}

// Sample draws x_s from the posterior at x̂0 and, but for the last time, x_t from q(x_t|x_s)
// = N((α_t/α_s)·x_s, β). The step to σ=0 is taken once.
func (p *RePaint) Sample(r *Run) {
	for st := range r.Steps() {
		q := diffusion.NewPosterior(st.From, st.To)
		variance := max(q.Small, minVariance)
		if p.Variance == FixedLarge {
			variance = q.Large
		}
		times := p.Resample
		if st.Last() || st.To.Sigma == 0 {
			times = 1
		}
		for k := range times {
			x0 := r.Data(r.X, st.From)
			x := r.X.Axpby(q.OnX, x0, q.OnX0)
			if !st.Last() {
				x = x.Axpby(1, p.noise(r, 2*k), math.Sqrt(variance))
			}
			if k < times-1 {
				x = x.Axpby(st.From.Alpha/st.To.Alpha, p.noise(r, 2*k+1), math.Sqrt(q.Large))
			}
			r.X = x
		}
	}
}

// noise is draw k of a step, the first being that of other samplers, which may be given; the
// others are always drawn.
func (p *RePaint) noise(r *Run, k int) *tensor.Tensor {
	if k == 0 {
		return r.Noise()
	}
	key := r.opts.Key.WithStream(r.opts.Key.Stream + uint32(k)<<16).WithStep(r.opts.Key.Step + uint64(r.step.Index) + 1)
	return r.s.Normal(key, r.opts.First, r.X.Shape()...)
}
