package figure

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/train/plot"
)

// chart is how a curved space of two dimensions is seen in the plane.
type chart struct {
	box   plot.Box
	below []plot.Layer                // what is drawn under the points
	flat  func(x []float32) []float32 // places in the plane
}

// chartOf is that of a manifold; nil: it has none.
func chartOf(m manifold.Manifold) *chart {
	const margin = 1.01
	switch m := m.(type) {
	case manifold.Sphere:
		if m.N == 2 {
			x, y := 2*math.Sqrt2*margin, math.Sqrt2*margin
			return &chart{plot.Box{X0: -x, X1: x, Y0: -y, Y1: y}, []plot.Layer{plot.Graticule{}}, plot.Mollweide}
		}
	case manifold.Torus:
		if m.N == 2 {
			half := math.Pi * margin
			return &chart{plot.Box{X0: -half, X1: half, Y0: -half, Y1: half}, nil, turned}
		}
	}
	return nil
}

// turned are angles in [−π, π].
func turned(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(math.Remainder(float64(v), 2*math.Pi))
	}
	return out
}

// space is the manifold that samples live on; nil: flat space.
func (s *Scene) space() manifold.Manifold {
	if p, ok := s.Model.Path().(*flow.GeodesicPath); ok {
		return p.Manifold
	}
	return nil
}

// plane is an error unless samples are points in the plane.
func (s *Scene) plane(kind string) error {
	switch m := s.space(); {
	case m != nil:
		return fmt.Errorf("%s is drawn in flat space: samples of %s are on %v, where there are flow, transport and noising", kind, s.Path, m)
	case len(s.Shape) != 1 || s.Shape[0] != 2:
		return fmt.Errorf("%s shows points in the plane: samples of %s have the shape %v", kind, s.Path, s.Shape)
	}
	return nil
}

// onAMap is an error unless samples are points in the plane or of a space that is seen in it.
func (s *Scene) onAMap(kind string) error {
	switch m := s.space(); {
	case m == nil:
		return s.plane(kind)
	case s.chart == nil:
		return fmt.Errorf("%s shows points in the plane, of a sphere or of a torus of two angles: samples of %s are on %v", kind, s.Path, m)
	}
	return nil
}

// seen are the places in the plane of states at t, made visible by the scene's scale.
func (s *Scene) seen(x []float32, t float64) []float32 {
	if s.chart != nil {
		return s.chart.flat(x)
	}
	return s.scaledTo(x, t)
}

// frame is an area with the layers, around points where the space has no map of its own.
func (s *Scene) frame(a plot.Area, around []float32) plot.Area {
	a.Equal = true
	if s.chart == nil {
		a.Box = plot.Around(around)
		return a
	}
	a.Box, a.Bare, a.Free = s.chart.box, true, s.chart.below != nil
	a.Layers = append(append([]plot.Layer(nil), s.chart.below...), a.Layers...)
	return a
}

// height is that of an area of a width, of which a map may need less.
func (s *Scene) height(width float64) float64 {
	if s.chart == nil {
		return width
	}
	b := s.chart.box
	return 0.3 + (width-0.3)*(b.Y1-b.Y0)/(b.X1-b.X0)
}

// lines are the trajectories' places in the plane. On a map they break where they go over its edge.
func (s *Scene) lines(w *way) [][]float32 {
	out := make([][]float32, len(s.seen(w.states[0], w.times[0]))/2)
	for k, t := range w.times {
		xy := s.seen(w.states[k], t)
		for i := range out {
			x, y := xy[2*i], xy[2*i+1]
			if n := len(out[i]); n > 0 && s.chart != nil && s.chart.jumps(out[i][n-2], out[i][n-1], x, y) {
				nan := float32(math.NaN())
				out[i] = append(out[i], nan, nan)
			}
			out[i] = append(out[i], x, y)
		}
	}
	return out
}

// jumps reports whether two places are further apart than half of the map, so that what lies between them goes over its edge.
func (c *chart) jumps(x0, y0, x1, y1 float32) bool {
	return math.Abs(float64(x1-x0)) > (c.box.X1-c.box.X0)/2 || math.Abs(float64(y1-y0)) > (c.box.Y1-c.box.Y0)/2
}
