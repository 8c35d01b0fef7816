package figure

import (
	"image/color"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train/plot"
)

// Velocity shows the directions in which samples move, from noise to data, at some times, in the plane, over the
// noised data. Without times they are as in [Score].
func Velocity(s *Scene, times []float64) (*plot.Figure, error) {
	if err := s.plane("field"); err != nil {
		return nil, err
	}
	times, err := s.times(times, true)
	if err != nil {
		return nil, err
	}
	fig := &plot.Figure{Title: "velocity: " + s.name(), Entries: []plot.Entry{{Name: "noised data", Color: plot.Noise}}}
	for _, t := range times {
		area, err := s.arrows(t, "v", diffusion.DataVelocity, func(plot.Box) (plot.Layer, error) { return s.noised(t, plot.Noise) })
		if err != nil {
			return nil, err
		}
		fig.Areas = append(fig.Areas, area)
	}
	return fig, nil
}

// noised are the data with the noise of t, as points in the plane.
func (s *Scene) noised(t float64, c color.Color) (plot.Layer, error) {
	q := s.request(s.Data.N)
	q.Init = s.Data.X
	x, err := s.Noised(q, t)
	return &plot.Points{XY: x, Color: plot.Fade(c, 0.35), Radius: 1}, err
}
