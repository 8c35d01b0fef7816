package figure

import (
	"context"

	"github.com/langevin-go/langevin/train/plot"
)

// Crossing shows the paths between n starts and as many samples of the data, paired without regard to each other, which
// cross, beside the trajectories of the flow from the same starts, which never do. Of one coordinate both are drawn against the
// time, of two in the plane.
func Crossing(ctx context.Context, s *Scene, n int) (*plot.Figure, error) {
	line := len(s.Shape) == 1 && s.Shape[0] == 1
	if !line {
		if err := s.plane("crossing"); err != nil {
			return nil, err
		}
	}
	flow, err := s.trajectories(ctx, n, mustNot)
	if err != nil {
		return nil, err
	}
	pairs, err := s.pairs(n, flow.times)
	if err != nil {
		return nil, err
	}
	fig := &plot.Figure{Title: "crossing: " + s.name(), Entries: s.ends()}
	for _, k := range []struct {
		title string
		way   *way
	}{{"paths between independent pairs", pairs}, {"the flow from the same starts", flow}} {
		var a plot.Area
		if line {
			a = s.against(k.way, 0)
			fig.Width, fig.Height, fig.Entries = 4.2, 2.9, []plot.Entry{marginalEntry}
		} else {
			a = s.transported(k.way)
		}
		a.Title = k.title + s.scaled()
		fig.Areas = append(fig.Areas, a)
	}
	return fig, nil
}

// pairs are the states on the paths from starts to data at some times.
func (s *Scene) pairs(n int, times []float64) (*way, error) {
	data, err := s.first(n)
	if err != nil {
		return nil, err
	}
	w := &way{times: times}
	q := s.request(n)
	q.Init = data
	for _, t := range times {
		x, err := s.Noised(q, t)
		if err != nil {
			return nil, err
		}
		w.states = append(w.states, x)
	}
	return w, nil
}
