package figure

import (
	"context"

	"github.com/langevin-go/langevin/train/plot"
)

// Flow shows n samples move from the noise to the data, in the plane, a frame for each step.
func Flow(ctx context.Context, s *Scene, n int) ([]*plot.Figure, error) {
	if err := s.plane("flow"); err != nil {
		return nil, err
	}
	w, err := s.trajectories(ctx, n, mayAdd)
	if err != nil {
		return nil, err
	}
	data := s.scaledTo(s.Data.X, 0)
	both := append(append([]float32(nil), data...), s.scaledTo(w.states[0], w.times[0])...)
	entries := []plot.Entry{{Name: "data", Color: plot.Data}, {Name: "samples", Color: plot.Samples}}
	var frames []*plot.Figure
	for k, t := range w.times {
		frames = append(frames, &plot.Figure{Width: 2.6, Entries: entries, Areas: []plot.Area{{
			Title: timeName(t), Box: plot.Around(both), Equal: true, Bare: true,
			Layers: []plot.Layer{
				&plot.Points{XY: data, Color: plot.Fade(plot.Data, 0.35), Radius: 1},
				&plot.Points{XY: s.scaledTo(w.states[k], t), Color: plot.Samples, Radius: 1.2},
			},
		}}})
	}
	return frames, nil
}
