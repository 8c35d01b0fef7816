package figure

import (
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/train/plot"
)

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
