package figure

import (
	"errors"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train/plot"
)

// Score shows the score ∇ ln p_t as arrows on the log-density at some times, in the plane. Without times they are those of
// noise levels 3, 1, .4 and .1 of the data's deviation.
func Score(s *Scene, times []float64) (*plot.Figure, error) {
	if err := s.plane("score"); err != nil {
		return nil, err
	}
	if !s.normal() {
		return nil, errors.New("score: the model starts from other data than noise, or has noise of its own on the way: its score is not known")
	}
	times, err := s.times(times, true)
	if err != nil {
		return nil, err
	}
	fig := &plot.Figure{Title: "score: " + s.name(), Entries: []plot.Entry{s.densityEntry()}}
	for _, t := range times {
		area, err := s.arrows(t, "s", diffusion.Score, func(b plot.Box) (plot.Layer, error) { return s.heat(b, t), nil })
		if err != nil {
			return nil, err
		}
		fig.Areas = append(fig.Areas, area)
	}
	return fig, nil
}

// arrowsAcross is how many arrows there are in a row.
const arrowsAcross = 20

// arrows is a prediction at t over where states are, and what is below it.
func (s *Scene) arrows(t float64, name string, kind diffusion.Kind, below func(plot.Box) (plot.Layer, error)) (plot.Area, error) {
	b, err := s.box(t)
	if err != nil {
		return plot.Area{}, err
	}
	at := plot.Mesh{Box: b, W: arrowsAcross, H: arrowsAcross}.At()
	v, err := s.Predict(s.request(len(at)/2), kind, at, t)
	if err != nil {
		return plot.Area{}, err
	}
	p := plot.Panel{Title: timeName(t), Name: name, At: at, Vectors: v}
	layer, err := below(b)
	if err != nil {
		return plot.Area{}, err
	}
	return p.Area(layer), nil
}
