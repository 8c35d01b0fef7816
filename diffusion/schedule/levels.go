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
			out[i] = lo + betaQuantile(1-u[i], 0.6)*(hi-lo)
		}
	}
	return out
}

// betaQuantile inverts the distribution function of Beta(a,a), a<1, by bisection.
func betaQuantile(p, a float64) float64 {
	if p > 0.5 { // symmetric about ½
		return 1 - betaQuantile(1-p, a)
	}
	lo, hi := 0.0, 0.5
	for range 200 {
		mid := (lo + hi) / 2
		if mid == lo || mid == hi {
			break
		}
		if betaCDF(mid, a) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// betaCDF is the regularised incomplete beta function I_x(a,a) for x≤½ by its
// series x^a·(1−x)^a/(a·B(a,a))·Σ_n x^n·Π_{k<n} (2a+k)/(a+1+k) (DLMF 8.17.8).
func betaCDF(x, a float64) float64 {
	lg := func(v float64) float64 { l, _ := math.Lgamma(v); return l }
	term, sum := 1.0, 1.0
	for k := 0.0; term > 1e-18*sum; k++ {
		term *= x * (2*a + k) / (a + 1 + k)
		sum += term
	}
	return math.Exp(lg(2*a)-2*lg(a)) * math.Pow(x*(1-x), a) / a * sum
}
