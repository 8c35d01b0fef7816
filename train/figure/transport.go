package figure

import (
	"context"

	"github.com/langevin-go/langevin/train/plot"
)

// Transport shows where the flow leads n starts, in the plane or on a map: their trajectories, with the starts and the samples.
func Transport(ctx context.Context, s *Scene, n int) (*plot.Figure, error) {
	if err := s.onAMap("transport"); err != nil {
		return nil, err
	}
	w, err := s.trajectories(ctx, n, mayAdd)
	if err != nil {
		return nil, err
	}
	return &plot.Figure{Title: "transport: " + s.name(), Width: 5, Height: s.height(5), Entries: s.ends(), Areas: []plot.Area{s.transported(w)}}, nil
}

// ends are the names of a trajectory's ends.
func (s *Scene) ends() []plot.Entry {
	start := "noise"
	if s.Source != nil {
		start = "source"
	}
	return []plot.Entry{{Name: start, Color: plot.Noise}, {Name: "samples", Color: plot.Samples}}
}

// transported is a flow's trajectories with their ends.
func (s *Scene) transported(w *way) plot.Area {
	last := len(w.times) - 1
	from, to := s.seen(w.states[0], w.times[0]), s.seen(w.states[last], w.times[last])
	return s.frame(plot.Area{Title: "trajectories" + s.scaled(), Layers: []plot.Layer{
		&plot.Lines{Paths: s.lines(w), Color: plot.Fade(plot.Ink, 0.25), Width: 0.6},
		&plot.Points{XY: from, Color: plot.Fade(plot.Noise, 0.8), Radius: 1.4},
		&plot.Points{XY: to, Color: plot.Fade(plot.Samples, 0.8), Radius: 1.4},
	}}, append(append([]float32(nil), from...), to...))
}
