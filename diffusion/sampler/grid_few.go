package sampler

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// AngleGrid has equal steps in the angle arctan(σ/(α·SigmaData)), TrigFlow's time (Lu and Song 2025): for the few
// steps of consistency models, in which grids that are made for solvers go too far towards the data.
type AngleGrid struct {
	SigmaData float64 `yaml:"sigma_data" doc:"standard deviation of the data: the noise level in the middle of the grid"`
	SigmaMax  float64 `yaml:"sigma_max" doc:"highest noise level (sigma/alpha); that of the path's end if it is lower"`
}

// SetDefaults are EDM's.
func (g *AngleGrid) SetDefaults() { g.SigmaData, g.SigmaMax = 0.5, 80 }

// Validate checks the levels.
func (g *AngleGrid) Validate() error {
	switch {
	case !(g.SigmaData > 0) || math.IsInf(g.SigmaData, 0):
		return invalid.Field("sigma_data", "must be positive, is %g", g.SigmaData)
	case !(g.SigmaMax > 0) || math.IsInf(g.SigmaMax, 0):
		return invalid.Field("sigma_max", "must be positive, is %g", g.SigmaMax)
	}
	return nil
}

// Times gives n levels and 0.
func (g *AngleGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	if err := checkSteps(n); err != nil {
		return nil, err
	}
	end := path.At(path.End()).NoiseLevel()
	most := math.Atan2(min(end, g.SigmaMax), g.SigmaData)
	t := make([]float64, n+1)
	for i := range n {
		level := g.SigmaData * math.Tan(most*float64(n-i)/float64(n))
		t[i] = path.Time(-math.Log(level))
	}
	if end <= g.SigmaMax {
		t[0] = path.End() // without rounding
	}
	return t, nil
}

// Thinned is every (From/n)-th time of a grid of From steps: what progressive distillation leaves of its
// teacher's.
type Thinned struct {
	Of   Grid
	From int
}

// Times gives the times of n steps, which must divide From.
func (g Thinned) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	if err := checkSteps(n); err != nil {
		return nil, err
	}
	if g.From < 1 || g.From%n != 0 {
		return nil, fmt.Errorf("a grid of %d steps has none of %d in it: want a number that divides it", g.From, n)
	}
	all, err := g.Of.Times(path, g.From)
	if err != nil {
		return nil, err
	}
	t := make([]float64, n+1)
	for i := range t {
		t[i] = all[i*(g.From/n)]
	}
	return t, nil
}
