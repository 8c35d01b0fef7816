package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// BetaGrid has times at equally spaced quantiles of a Beta distribution, which has
// shorter steps at both ends (Lee et al. 2024, "Beta sampling is all you need").
type BetaGrid struct {
	A float64 `yaml:"a" doc:"both parameters of the Beta distribution: below 1 for short steps at both ends, 1 for equal steps"`
}

// SetDefaults takes the paper's choice.
func (g *BetaGrid) SetDefaults() { g.A = 0.6 }

// Validate checks the parameter.
func (g *BetaGrid) Validate() error {
	if !(g.A > 0 && g.A <= 10) {
		return invalid.Field("a", "must be in (0, 10], is %g", g.A)
	}
	return nil
}

// Times runs from the path's end to 0.
func (g *BetaGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	if err := checkSteps(n); err != nil {
		return nil, err
	}
	t := make([]float64, n+1)
	for i := range t {
		t[i] = path.End() * BetaQuantile(float64(n-i)/float64(n), g.A)
	}
	t[0], t[n] = path.End(), 0
	return t, nil
}

// BetaQuantile inverts the distribution function of Beta(a,a) by bisection.
func BetaQuantile(p, a float64) float64 {
	if p > 0.5 { // symmetric about ½
		return 1 - BetaQuantile(1-p, a)
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
