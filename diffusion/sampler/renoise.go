package sampler

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Renoise estimates the data and noises it anew to the next time: multistep
// sampling of consistency models (Song et al. 2023, algorithm 1), and
// stochastic_sampling of diffusers' FlowMatchEulerDiscreteScheduler.
type Renoise struct {
	Left float64 `yaml:"noise_left" doc:"noise level sigma/alpha that estimates of the data still have, as a consistency model's sigma_min: so much less is added"`
}

// SetDefaults takes estimates to be clean.
func (w *Renoise) SetDefaults() { w.Left = 0 }

// Validate checks the level.
func (w *Renoise) Validate() error {
	if !(w.Left >= 0) || math.IsInf(w.Left, 0) {
		return invalid.Field("noise_left", "must not be negative, is %g", w.Left)
	}
	return nil
}

// Sample: x' = α_s·x̂0 + √(σ_s² − α_s²·left²)·z.
func (w *Renoise) Sample(r *Run) {
	for st := range r.Steps() {
		x0 := r.Data(r.X, st.From)
		left := st.To.Alpha * w.Left
		r.X = x0.Axpby(st.To.Alpha, r.Noise(), math.Sqrt(max(0, st.To.Sigma*st.To.Sigma-left*left)))
	}
}
