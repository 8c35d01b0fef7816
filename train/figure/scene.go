// Package figure makes the pictures that papers show of diffusion and flow models, of a trained model or of a
// mixture's perfect one: scores and velocities, trajectories, particles, and how figures of runs compare. Each kind is
// a function from a Scene, or from files, to a plot.Figure.
package figure

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
)

// Scene is a model and what is known of its data.
type Scene struct {
	*train.Trained
	Data  *train.Known
	Class int // that the samples are of; −1: none
	Seed  uint64
	Std   float64 // of the data's coordinates, on average

	chart *chart // of a curved space; nil: it is flat, or has none
}

// dataPoints is how many samples of the data pictures go by.
const dataPoints = 1000

// NewScene looks at a model's data, with class ≥ 0 at that class alone.
func NewScene(ctx context.Context, t *train.Trained, class int, seed uint64) (*Scene, error) {
	known, err := t.Know(ctx, dataPoints, class)
	if err != nil {
		return nil, err
	}
	s := &Scene{Trained: t, Data: known, Class: class, Seed: seed}
	s.chart = chartOf(s.space())
	var square float64
	dim := s.dim()
	for j := range dim {
		mean := 0.0
		for i := j; i < len(known.X); i += dim {
			mean += float64(known.X[i]) / float64(known.N)
		}
		for i := j; i < len(known.X); i += dim {
			d := float64(known.X[i]) - mean
			square += d * d
		}
	}
	if s.Std = math.Sqrt(square / float64(len(known.X))); s.Std == 0 {
		s.Std = 1
	}
	return s, nil
}

func (s *Scene) dim() int { return len(s.Data.X) / s.Data.N }

// points is an error unless samples are points in flat space.
func (s *Scene) points(kind string) error {
	if s.space() != nil {
		return s.plane(kind)
	}
	if len(s.Shape) != 1 {
		return fmt.Errorf("%s shows points: samples of %s have the shape %v", kind, s.Path, s.Shape)
	}
	return nil
}

// request asks for n samples of the scene's class.
func (s *Scene) request(n int) train.Request {
	q := train.Request{N: n, Seed: s.Seed}
	if s.Class >= 0 {
		q.Labels = slices.Repeat([]int32{int32(s.Class)}, n)
	}
	return q
}

// first are the first n samples of the data, which must have them.
func (s *Scene) first(n int) ([]float32, error) {
	if n > s.Data.N {
		return nil, fmt.Errorf("%d samples of the data are wanted, there are %d", n, s.Data.N)
	}
	return s.Data.X[:n*s.dim()], nil
}

// normal reports whether the flow starts from normal noise and has none of its own on the way, so that
// the score is known and the density at each time is the data's, smoothed.
func (s *Scene) normal() bool {
	_, latent := s.Model.Path().(flow.Interpolant)
	return s.Source == nil && !latent
}

// levels are the noise levels, in units of the data's deviation, of which pictures show the times unless told.
var levels = []float64{3, 1, 0.4, 0.1}

// times checks times of the path, of which there must be some, above 0 if so; without any they are those of the
// levels, or where there are no such levels parts of the path.
func (s *Scene) times(asked []float64, above bool) ([]float64, error) {
	path := s.Model.Path()
	if asked == nil {
		var out []float64
		for i, l := range levels {
			t := []float64{0.9, 0.6, 0.3, 0.1}[i] * path.End()
			if s.normal() {
				t = path.Time(-math.Log(l * s.Std))
			}
			out = append(out, t)
		}
		return out, nil
	}
	for _, t := range asked {
		if !(t >= 0 && t <= path.End()) || above && t == 0 {
			least := "0"
			if above {
				least = "above 0"
			}
			return nil, fmt.Errorf("time %g is not on the path: want %s to %g", t, least, path.End())
		}
	}
	return asked, nil
}

// box is the part of the plane where states at t are.
func (s *Scene) box(t float64) (plot.Box, error) {
	q := s.request(s.Data.N)
	q.Init, q.Seed = s.Data.X, s.Seed+1
	x, err := s.Noised(q, t)
	if err != nil {
		return plot.Box{}, err
	}
	return plot.Around(x), nil
}

// name is what a figure is called by.
func (s *Scene) name() string {
	name := s.Path
	if s.Exp != nil && s.Exp.Name != "" {
		name = s.Exp.Name
	}
	if s.Class >= 0 {
		name += fmt.Sprintf(", class %d", s.Class)
	}
	return name
}

// timeName is a time as titles say it.
func timeName(t float64) string { return fmt.Sprintf("t = %.3g", t) }
