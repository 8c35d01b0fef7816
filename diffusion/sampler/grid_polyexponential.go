package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// PolyexponentialGrid has noise levels whose logarithm falls as a power of the
// step (k-diffusion's get_sigmas_polyexponential): ln σ = ln σ_min + (1−u)^ρ·(ln σ_max − ln σ_min).
type PolyexponentialGrid struct {
	Levels `yaml:",inline"`
	Rho    float64 `yaml:"rho" doc:"power of the step; 1 is the grid logsnr, more has shorter steps near the data"`
}

// SetDefaults are those of EDM's levels, with equal steps of the logarithm.
func (g *PolyexponentialGrid) SetDefaults() {
	g.Levels.SetDefaults()
	g.Rho = 1
}

// Validate checks ρ and the levels.
func (g *PolyexponentialGrid) Validate() error {
	if !(g.Rho > 0) || math.IsInf(g.Rho, 0) {
		return invalid.Field("rho", "must be positive, is %g", g.Rho)
	}
	return g.Levels.Validate()
}

// Times gives n levels and 0.
func (g *PolyexponentialGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	return g.times(path, n, func(lo, hi, u float64) float64 {
		f := math.Pow(1-u, g.Rho)
		return math.Exp(f*math.Log(hi) + (1-f)*math.Log(lo))
	})
}
