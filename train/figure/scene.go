// Package figure makes the pictures that papers show of diffusion and flow models, of a trained model or of a
// mixture's perfect one: scores and velocities, trajectories, particles, and how figures of runs compare. Each kind is
// a function from a Scene, or from files, to a plot.Figure.
package figure

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
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
}

// dataPoints is how many samples of the data pictures go by.
const dataPoints = 1000

// NewScene looks at a model's data, with class ≥ 0 at that class alone.
func NewScene(ctx context.Context, t *train.Trained, class int, seed uint64) (*Scene, error) {
	if p, ok := t.Model.Path().(*flow.GeodesicPath); ok {
		return nil, fmt.Errorf("samples of a flow on %v are drawn by none of these pictures: sample and train draw them on a map", manifold.Manifold(p.Manifold))
	}
	known, err := t.Know(ctx, dataPoints, class)
	if err != nil {
		return nil, err
	}
	s := &Scene{Trained: t, Data: known, Class: class, Seed: seed}
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

// plane is an error unless samples are points in the plane.
func (s *Scene) plane(kind string) error {
	if len(s.Shape) != 1 || s.Shape[0] != 2 {
		return fmt.Errorf("%s shows points in the plane: samples of %s have the shape %v", kind, s.Path, s.Shape)
	}
	return nil
}

// points is an error unless samples are points.
func (s *Scene) points(kind string) error {
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

// logDensity is ln p_t of places, each a number for each of the density's coordinates; only where s.normal.
func logDensity(of *diffusion.Mixture, path diffusion.GaussianPath, at []float32, t float64) []float64 {
	dim := len(of.Means[0])
	sc := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer sc.Close()
	out := make([]float64, 0, len(at)/dim)
	rows := max(1, 1<<19/(len(of.Weights)*dim)) // so that a block of them takes few megabytes
	for from := 0; from < len(at); from += rows * dim {
		part := at[from:min(len(at), from+rows*dim)]
		sc.Reset()
		x := sc.Tensor(part, len(part)/dim, dim)
		out = append(out, of.LogDensity(x, path, diffusion.Step{T: []float64{t}}, diffusion.Cond{}).Float64s()...)
	}
	return out
}

// depth is how many nats below its highest value a log-density is shown.
const depth = 8

// heat is a map of the log-density at t over a box, and some way beyond, as areas reach.
func (s *Scene) heat(b plot.Box, t float64) *plot.Heat {
	w, h0 := (b.X1-b.X0)*0.3, (b.Y1-b.Y0)*0.3
	b = plot.Box{X0: b.X0 - w, X1: b.X1 + w, Y0: b.Y0 - h0, Y1: b.Y1 + h0}
	cells := 200
	if !s.Data.Exact { // a thousand Gaussians, smooth enough for wider cells
		cells = 100
	}
	h := &plot.Heat{Mesh: plot.Mesh{Box: b, W: cells, H: cells}}
	h.Values = logDensity(s.Data.Density, s.Model.Path(), h.At(), t)
	top := slices.Max(h.Values)
	for i, v := range h.Values {
		h.Values[i] = 1 + (v-top)/depth
	}
	return h
}

// densityEntry says what the map is.
func (s *Scene) densityEntry() plot.Entry {
	name := fmt.Sprintf("ln p, the top %d nats", depth)
	if !s.Data.Exact {
		name = fmt.Sprintf("ln p of %d samples, smoothed, the top %d nats", s.Data.N, depth)
	}
	return plot.Entry{Name: name, Color: plot.Warm}
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

// way are states along trajectories.
type way struct {
	times  []float64
	states [][]float32 // of each time, (N,D)
}

// noise is whether a sampler adds noise of its own.
type noise uint8

const (
	mayAdd noise = iota
	mustAdd
	mustNot
)

// trajectories are those of n samples from the noise to the data by the scene's sampler.
func (s *Scene) trajectories(ctx context.Context, n int, added noise) (*way, error) {
	return s.trajectoriesBy(ctx, n, "", added)
}

// trajectoriesBy are those of a sampler by name.
func (s *Scene) trajectoriesBy(ctx context.Context, n int, kind string, added noise) (*way, error) {
	d := s.Drawer
	if kind != "" {
		v, err := train.Samplers.Lookup(kind)
		if err != nil {
			return nil, err
		}
		d.How.Sampler, d.Sampler = v, nil
	}
	if added == mustAdd {
		if built, err := d.How.Sampler.Build(train.SamplerArg{}); err != nil {
			return nil, err
		} else if r, ok := built.(sampler.Reversible); ok && r.Reversible() {
			return nil, fmt.Errorf("the sampler %s adds no noise: take one that does, such as euler_maruyama", d.How.Sampler.Kind)
		}
	}
	w := &way{}
	q := s.request(n)
	q.Still = added == mustNot
	q.Trace = func(p diffusion.Point, _ int, x []float32) {
		w.times, w.states = append(w.times, p.T), append(w.states, slices.Clone(x))
	}
	d.How.Batch = n // one batch, so that times come once
	if _, err := d.Draw(ctx, q); err != nil {
		return nil, err
	}
	return w, nil
}

// lines are the trajectories' places in the plane, made visible by the scene's scale.
func (s *Scene) lines(w *way) [][]float32 {
	n := len(w.states[0]) / 2
	out := make([][]float32, n)
	for k, t := range w.times {
		c := float32(s.scale(t))
		for i := range n {
			out[i] = append(out[i], c*w.states[k][2*i], c*w.states[k][2*i+1])
		}
	}
	return out
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
