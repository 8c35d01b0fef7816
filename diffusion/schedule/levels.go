package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Respacing are the fields that replace the noise levels between their ends.
type Respacing struct {
	UseKarrasSigmas      bool `json:"use_karras_sigmas"`
	UseExponentialSigmas bool `json:"use_exponential_sigmas"`
	UseBetaSigmas        bool `json:"use_beta_sigmas"`
}

func (r *Respacing) on() bool { return r.UseKarrasSigmas || r.UseExponentialSigmas || r.UseBetaSigmas }

func (r *Respacing) validate() error {
	switch {
	case r.UseKarrasSigmas && r.UseExponentialSigmas:
		return invalid.Field("use_exponential_sigmas", "and use_karras_sigmas exclude each other")
	case r.UseBetaSigmas && (r.UseKarrasSigmas || r.UseExponentialSigmas):
		return invalid.Field("use_beta_sigmas", "excludes use_karras_sigmas and use_exponential_sigmas")
	}
	return nil
}

// levels are n noise levels from hi to lo.
func (r *Respacing) levels(lo, hi float64, n int) []float64 {
	u, out := make([]float64, n), make([]float64, n)
	diffusion.Linspace(u, 0, 1)
	for i := range out {
		switch {
		case r.UseKarrasSigmas:
			out[i] = sampler.Karras(lo, hi, 7, u[i])
		case r.UseExponentialSigmas:
			out[i] = math.Exp((1-u[i])*math.Log(hi) + u[i]*math.Log(lo))
		case r.UseBetaSigmas:
			out[i] = lo + sampler.BetaQuantile(1-u[i], 0.6)*(hi-lo)
		}
	}
	return out
}
