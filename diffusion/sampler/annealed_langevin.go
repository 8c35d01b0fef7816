package sampler

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// AnnealedLangevin is annealed Langevin dynamics (Song and Ermon 2019, algorithm
// 1): at each time of the grid, whose noise is σ_i, some steps
//
//	x' = x + ½h_i·score + √h_i·z,   h_i = ε·σ_i²/σ_L²,
//
// σ_L being the smallest σ above 0. A step to σ=0 ends at the estimate of the
// data, unless told otherwise (Song and Ermon 2020, section 3.4); other steps take the state over.
type AnnealedLangevin struct {
	Epsilon float64 `yaml:"epsilon" doc:"step at the smallest noise level sigma_L; stable below 4·sigma_L²; 0: .2·sigma_L², the paper's 2e-5 at its sigma_L of .01"`
	Steps   int     `yaml:"steps" doc:"steps at each noise level" range:"[1,100000]"`
	Denoise bool    `yaml:"denoise" doc:"a step to sigma=0 ends at the estimate of the data; if not, the last level's state is the sample"`
}

// SetDefaults are the paper's steps.
func (a *AnnealedLangevin) SetDefaults() {
	a.Epsilon, a.Steps, a.Denoise = 0, 100, true
}

// Validate checks the ranges.
func (a *AnnealedLangevin) Validate() error {
	if !(a.Epsilon >= 0) || math.IsInf(a.Epsilon, 0) {
		return invalid.Field("epsilon", "must not be negative, is %g", a.Epsilon)
	}
	if a.Steps < 1 || a.Steps > 100000 {
		return invalid.Field("steps", "must be in 1…100000, is %d", a.Steps)
	}
	return nil
}

// Sample goes through the levels.
func (a *AnnealedLangevin) Sample(r *Run) {
	least := math.Inf(1)
	for _, t := range r.grid {
		if s := r.Path.At(t).Sigma; s > 0 {
			least = min(least, s)
		}
	}
	epsilon := a.Epsilon
	if epsilon == 0 {
		epsilon = 0.2 * least * least
	}
	for st := range r.Steps() {
		h := epsilon * st.From.Sigma / least * st.From.Sigma / least
		for k := range a.Steps {
			if k > 0 && !r.Settle() {
				return
			}
			r.X = r.X.Axpby(1, r.Score(r.X, st.From), h/2).Axpby(1, r.NoiseOf(k, a.Steps), math.Sqrt(h))
		}
		if a.Denoise && st.To.Sigma == 0 {
			if !r.Settle() {
				return
			}
			r.X = r.Data(r.X, st.From).Scale(st.To.Alpha)
		}
	}
}
