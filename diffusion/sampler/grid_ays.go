package sampler

import (
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
)

// AYSGrid has the noise levels that Sabour et al. 2024 ("Align your steps") found best for
// three models in ten steps; for other numbers of steps their logarithm is interpolated.
type AYSGrid struct {
	Model string `yaml:"model" doc:"for which model the levels were found: Stable Diffusion 1.5, SDXL, or Stable Video Diffusion (whose levels suit EDM's)" oneof:"sd sdxl svd"`
}

// alignedLevels are the published levels of ten steps.
var alignedLevels = map[string][]float64{
	"sd":   {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029},
	"sdxl": {14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029},
	"svd":  {700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002},
}

// SetDefaults takes Stable Diffusion's.
func (g *AYSGrid) SetDefaults() { g.Model = "sd" }

// Validate checks the name.
func (g *AYSGrid) Validate() error { return oneOf("model", g.Model, "sd", "sdxl", "svd") }

// Times gives n levels and 0, in place of the table's last. Where the path ends
// below the first, it is the path's end.
func (g *AYSGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	if err := checkSteps(n); err != nil {
		return nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	table := slices.Clone(alignedLevels[g.Model])
	if end := path.At(path.End()).NoiseLevel(); end < table[0] {
		if end <= table[1] {
			return nil, fmt.Errorf("the path ends at noise level %g, the levels of %s begin at %g: take another grid", end, g.Model, table[0])
		}
		table[0] = end
	}
	t := make([]float64, n+1)
	for i := range n {
		at := float64(i) / float64(n) * float64(len(table)-1)
		k := int(at)
		f := at - float64(k)
		t[i] = path.Time(-(1-f)*math.Log(table[k]) - f*math.Log(table[k+1]))
	}
	return t, nil
}
