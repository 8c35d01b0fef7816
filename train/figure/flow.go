package figure

import (
	"context"

	"github.com/langevin-go/langevin/train/plot"
)

// Flow shows n samples move from the noise to the data, in the plane or on a map, a frame for each step.
func Flow(ctx context.Context, s *Scene, n int) ([]*plot.Figure, error) {
	if err := s.onAMap("flow"); err != nil {
		return nil, err
	}
	w, err := s.trajectories(ctx, n, mayAdd)
	if err != nil {
		return nil, err
	}
	data := s.seen(s.Data.X, 0)
	both := append(append([]float32(nil), data...), s.seen(w.states[0], w.times[0])...)
	entries := []plot.Entry{{Name: "data", Color: plot.Data}, {Name: "samples", Color: plot.Samples}}
	var frames []*plot.Figure
	for k, t := range w.times {
		area := s.frame(plot.Area{Title: timeName(t), Bare: true, Layers: []plot.Layer{
			&plot.Points{XY: data, Color: plot.Fade(plot.Data, 0.35), Radius: 1},
			&plot.Points{XY: s.seen(w.states[k], t), Color: plot.Samples, Radius: 1.2},
		}}, both)
		frames = append(frames, &plot.Figure{Width: 2.6, Height: s.height(2.6), Entries: entries, Areas: []plot.Area{area}})
	}
	return frames, nil
}
