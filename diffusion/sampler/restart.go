package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Restart is restart sampling (Xu et al. 2023, algorithm 1): Heun's method in σ/α,
// and once the noise level is down to Min, several times over: noise up to Max, and
// Heun's method back, along Karras's levels.
type Restart struct {
	Min   float64 `yaml:"min" doc:"noise level (sigma/alpha) to restart from: the first of the grid's that is not above it"`
	Max   float64 `yaml:"max" doc:"noise level that a restart goes back to"`
	Times int     `yaml:"times" doc:"K: number of restarts" range:"[1,1000]"`
	Steps int     `yaml:"steps" doc:"steps of each restart" range:"[1,10000]"`
	Noise float64 `yaml:"noise" doc:"S_noise: standard deviation of what is added"`
}

// SetDefaults are the paper's first interval for CIFAR-10 (table 3: [.14, .30], ten times).
func (w *Restart) SetDefaults() { *w = Restart{Min: 0.14, Max: 0.3, Times: 10, Steps: 3, Noise: 1} }

// Validate checks the ranges.
func (w *Restart) Validate() error {
	switch {
	case !(w.Min > 0):
		return invalid.Field("min", "must be positive, is %g", w.Min)
	case !(w.Max > w.Min) || math.IsInf(w.Max, 0):
		return invalid.Field("max", "must be finite and above min=%g, is %g", w.Min, w.Max)
	case w.Times < 1 || w.Times > 1000:
		return invalid.Field("times", "must be in 1…1000, is %d", w.Times)
	case w.Steps < 1 || w.Steps > 10000:
		return invalid.Field("steps", "must be in 1…10000, is %d", w.Steps)
	case !(w.Noise >= 0) || math.IsInf(w.Noise, 0):
		return invalid.Field("noise", "must not be negative, is %g", w.Noise)
	}
	return nil
}

// Sample takes the main steps, and the restarts after one of them.
func (w *Restart) Sample(r *Run) {
	for st := range r.Steps() {
		r.heun(st.From, st.To)
		level := st.To.NoiseLevel()
		if level > 0 && level <= w.Min && st.From.NoiseLevel() > w.Min {
			if !w.restart(r, st.To) {
				return
			}
		}
	}
}

// restart: x̃ + √(max²−min²)·z, and back to p.
func (w *Restart) restart(r *Run, p diffusion.Point) bool {
	low := p.NoiseLevel()
	points := make([]diffusion.Point, w.Steps+1)
	for i := range points {
		points[i] = r.atLevel(Karras(low, w.Max, 7, float64(i)/float64(w.Steps)))
	}
	points[w.Steps] = p
	top := points[0]
	added := math.Sqrt(math.Max(0, top.NoiseLevel()*top.NoiseLevel()-low*low)) // the path may end below max
	for k := range w.Times {
		if !r.Settle() {
			return false
		}
		r.X = r.X.Axpby(top.Alpha/p.Alpha, r.NoiseOf(k, w.Times), top.Alpha*added*w.Noise)
		for i := range w.Steps {
			if i > 0 && !r.Settle() {
				return false
			}
			r.heun(points[i], points[i+1])
		}
	}
	return true
}

// heun is a step of Heun's method in σ/α; to σ=0, and from α=0, it is Euler's.
func (r *Run) heun(from, to diffusion.Point) {
	d := r.Eps(r.X, from)
	end := r.reach(to, to.NoiseLevel())
	if to.Sigma > 0 && from.Alpha > 0 {
		d = d.Axpby(0.5, r.Eps(end, to), 0.5)
		end = slide(r.X, d, from, to)
	}
	r.X = end
}
