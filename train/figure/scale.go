package figure

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
)

// grows reports whether the path's end is so much wider than the data that both cannot be seen in one scale.
func (s *Scene) grows() bool {
	return diffusion.PriorStd(s.Model.Path().At(s.Model.Path().End())) > 5*s.Std
}

// spread is the deviation of x_t, of data with s.Std, on a path from normal noise.
func (s *Scene) spread(t float64) float64 {
	p := s.Model.Path().At(t)
	return math.Hypot(p.Alpha*s.Std, p.Sigma)
}

// scale is what states at t are multiplied by to be seen: 1, or where the path grows what makes them as wide as the data.
func (s *Scene) scale(t float64) float64 {
	if !s.grows() {
		return 1
	}
	return s.Std / s.spread(t)
}

// scaled says that lines are not in the data's own scale.
func (s *Scene) scaled() string {
	if s.grows() {
		return ", each time scaled to the data's deviation"
	}
	return ""
}

// scaledTo multiplies states at t by the scene's scale.
func (s *Scene) scaledTo(x []float32, t float64) []float32 {
	c := float32(s.scale(t))
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = c * v
	}
	return out
}
