package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Variances of the reverse step of ancestral sampling.
const (
	FixedSmall = "fixed_small" // that of q(x_s|x_t,x0), β̃
	FixedLarge = "fixed_large" // that of q(x_t|x_s), β
	Learned    = "learned"     // what the model says
)

// DDPM is ancestral sampling (Ho et al. 2020, algorithm 2) on any Gaussian path.
type DDPM struct {
	Variance   string `yaml:"variance" doc:"variance of the reverse step: that of q(x_s|x_t,x0), that of q(x_t|x_s), or what the model has learned" oneof:"fixed_small fixed_large learned"`
	FinalNoise bool   `yaml:"final_noise" doc:"add noise in the last step, too, as diffusers does where the grid ends above the table's first entry"`
}

// SetDefaults takes the posterior's variance.
func (d *DDPM) SetDefaults() { d.Variance, d.FinalNoise = FixedSmall, false }

// Validate checks the name.
func (d *DDPM) Validate() error {
	switch d.Variance {
	case FixedSmall, FixedLarge, Learned:
		return nil
	}
	return invalid.Field("variance", "must be one of %s, %s, %s, is %q", FixedSmall, FixedLarge, Learned, d.Variance)
}

// minVariance is diffusers' floor of a posterior variance.
const minVariance = 1e-20

// Sample draws from N(mean of q(x_s|x_t,x̂0), variance).
func (d *DDPM) Sample(r *Run) {
	for st := range r.Steps() {
		q := diffusion.NewPosterior(st.From, st.To)
		x0 := r.Data(r.X, st.From)
		x := r.X.Axpby(q.OnX, x0, q.OnX0)
		if !st.Last() || d.FinalNoise {
			switch z := r.Noise(); d.Variance {
			case FixedSmall:
				x = x.Axpby(1, z, math.Sqrt(max(q.Small, minVariance)))
			case FixedLarge:
				x = x.Axpby(1, z, math.Sqrt(q.Large))
			case Learned:
				if r.LogVar() == nil {
					r.Fail("sampler ddpm with a learned variance: the model has none")
					return
				}
				x = r.LogVar().Scale(0.5).Exp().MulAdd(z, x)
			}
		}
		r.X = x
	}
}
