package figure

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/train/plot"
)

// FanOptions say which trajectories a fan has.
type FanOptions struct {
	N          int
	ODE, SDE   string // samplers; "none": not shown
	Coordinate int    // that is shown
}

// Fan shows trajectories from the noise to the data, one coordinate of them against the time, by a solver of the ODE and by
// a sampler that adds noise, from the same starts, on the density of that coordinate at each time where it is known. Where the path grows, the
// coordinate is divided by its deviation.
func Fan(ctx context.Context, s *Scene, o FanOptions) (*plot.Figure, error) {
	if err := s.points("fan"); err != nil {
		return nil, err
	}
	if o.Coordinate < 0 || o.Coordinate >= s.dim() {
		return nil, fmt.Errorf("fan: coordinate %d: samples have the coordinates 0 to %d", o.Coordinate, s.dim()-1)
	}
	fig := &plot.Figure{Title: "trajectories: " + s.name(), Width: 4.2, Height: 2.9, Columns: 2}
	if s.normal() {
		fig.Entries = []plot.Entry{marginalEntry}
	}
	for _, k := range []struct {
		name, sampler string
		added         noise
	}{{"ODE", o.ODE, mustNot}, {"SDE", o.SDE, mustAdd}} {
		if k.sampler == "none" {
			continue
		}
		w, err := s.trajectoriesBy(ctx, o.N, k.sampler, k.added)
		if err != nil {
			return nil, fmt.Errorf("fan: %s by %s: %w", k.name, k.sampler, err)
		}
		a := s.against(w, o.Coordinate)
		a.Title = k.name + ", " + k.sampler
		fig.Areas = append(fig.Areas, a)
	}
	if len(fig.Areas) == 0 {
		return nil, fmt.Errorf("fan: neither the ODE nor the SDE is to be shown")
	}
	return fig, nil
}

// marginalEntry says what the density is that trajectories are on.
var marginalEntry = plot.Entry{Name: "density, relative to its maximum at each t", Color: plot.Warm}

// against shows a coordinate of trajectories over the time, on the density.
func (s *Scene) against(w *way, axis int) plot.Area {
	dim, steps := s.dim(), len(w.times)-1
	unit := func(t float64) float64 { // what the coordinate is divided by
		if s.grows() {
			return s.spread(t)
		}
		return 1
	}
	n := len(w.states[0]) / dim
	lines := make([][]float32, n)
	var seen []float32 // twice each, for the box
	for k, t := range w.times {
		for i := range n {
			y := float32(float64(w.states[k][i*dim+axis]) / unit(t))
			lines[i] = append(lines[i], float32(k), y)
			seen = append(seen, y, y)
		}
	}
	for i := axis; i < len(s.Data.X); i += dim {
		y := float32(float64(s.Data.X[i]) / unit(0))
		seen = append(seen, y, y)
	}
	b := plot.Around(seen)
	a := plot.Area{Box: plot.Box{X0: 0, X1: float64(steps), Y0: b.Y0, Y1: b.Y1}, XLabel: "time t, from noise to data", YLabel: "x"}
	if dim > 1 {
		a.YLabel = fmt.Sprintf("coordinate %d of x", axis)
	}
	if s.grows() {
		a.YLabel += " / its deviation"
	}
	for k := range 5 {
		at := float64(k*steps) / 4
		i := min(int(at), steps-1)
		t := w.times[i] + (at-float64(i))*(w.times[i+1]-w.times[i])
		a.XTicks = append(a.XTicks, plot.Tick{At: at, Label: fmt.Sprintf("%.3g", t)})
	}
	if s.normal() {
		a.Layers = append(a.Layers, s.columns(w.times, axis, a.Box, unit))
	}
	a.Layers = append(a.Layers, &plot.Lines{Paths: lines, Color: plot.Fade(plot.Samples, 0.55), Width: 0.8})
	return a
}

// columns is the density of a coordinate at each time, each to its own top.
func (s *Scene) columns(times []float64, axis int, b plot.Box, unit func(t float64) float64) *plot.Heat {
	const rows = 160
	of := s.Data.Density.Axis(axis)
	h := &plot.Heat{Mesh: plot.Mesh{Box: plot.Box{X0: -0.5, X1: float64(len(times)) - 0.5, Y0: b.Y0, Y1: b.Y1}, W: len(times), H: rows}}
	h.Values = make([]float64, rows*len(times))
	at := make([]float32, rows)
	for k, t := range times {
		for j := range at {
			at[j] = float32((b.Y0 + (float64(j)+0.5)*(b.Y1-b.Y0)/rows) * unit(t))
		}
		p := logDensity(of, s.Model.Path(), at, t)
		top := slices.Max(p)
		for j, v := range p {
			h.Values[j*len(times)+k] = 0.9 * math.Exp(v-top)
		}
	}
	return h
}
