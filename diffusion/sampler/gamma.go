package sampler

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Gamma makes jumps of a consistency trajectory model, each to below the next noise level and up to it with noise (γ-sampling,
// Kim et al. 2024, algorithm 2): to √(1−γ²) of the level σ/α, and γ of it as noise. γ=0 jumps along the trajectory from any time of the
// grid to the next, γ=1 to the data each time, which is how consistency models are sampled. With a model that knows no
// jumps it is DDIM with some of the noise drawn anew.
type Gamma struct {
	Gamma float64 `yaml:"gamma" doc:"part of each noise level that is drawn anew: 0 follows the trajectory, 1 begins anew from the data" range:"[0,1]"`
}

// SetDefaults follows the trajectory.
func (g *Gamma) SetDefaults() { g.Gamma = 0 }

// Validate checks the range.
func (g *Gamma) Validate() error {
	if !(g.Gamma >= 0 && g.Gamma <= 1) {
		return invalid.Field("gamma", "must be in [0, 1], is %g", g.Gamma)
	}
	return nil
}

// Sample makes one evaluation a step.
func (g *Gamma) Sample(r *Run) {
	for st := range r.Steps() {
		land := st.To
		if g.Gamma > 0 {
			land = r.Path.At(0)
			if level := st.To.NoiseLevel() * math.Sqrt(1-g.Gamma*g.Gamma); level > 0 {
				land = r.Path.At(r.Path.Time(-math.Log(level)))
			}
		}
		r.jumpTo(land.T)
		x0 := r.Data(r.X, st.From)
		r.land()
		stay := land.Sigma / st.From.Sigma
		r.X = r.X.Axpby(stay, x0, land.Alpha-st.From.Alpha*stay)
		if g.Gamma > 0 && st.To.Sigma > 0 {
			r.X = r.X.Axpby(st.To.Alpha/land.Alpha, r.Noise(), g.Gamma*st.To.Sigma)
		}
	}
}
