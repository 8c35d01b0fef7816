package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Restart is restart sampling (Xu et al. 2023, algorithm 1): Heun's method in σ/α,
// and once the noise level is down to an interval's lower end, several times over:
// noise up to its upper end, and Heun's method back, along Karras's levels.
type Restart struct {
	Intervals []RestartInterval `yaml:"intervals" doc:"where to restart"`
	Noise     float64           `yaml:"noise" doc:"S_noise: standard deviation of what is added"`
}

// RestartInterval is between two noise levels σ/α.
type RestartInterval struct {
	Min   float64 `yaml:"min" doc:"noise level to restart from: the first of the grid's that is not above it"`
	Max   float64 `yaml:"max" doc:"noise level that a restart goes back to"`
	Times int     `yaml:"times" doc:"K: number of restarts" range:"[1,1000]"`
	Steps int     `yaml:"steps" doc:"steps of each restart" range:"[1,10000]"`
}

// SetDefaults is a low interval.
func (w *RestartInterval) SetDefaults() {
	*w = RestartInterval{Min: 0.14, Max: 0.3, Times: 4, Steps: 3}
}

// SetDefaults is one interval.
func (w *Restart) SetDefaults() {
	*w = Restart{Intervals: make([]RestartInterval, 1), Noise: 1}
	w.Intervals[0].SetDefaults()
}

// Validate checks the ranges.
func (w *RestartInterval) Validate() error {
	switch {
	case !(w.Min > 0):
		return invalid.Field("min", "must be positive, is %g", w.Min)
	case !(w.Max > w.Min) || math.IsInf(w.Max, 0):
		return invalid.Field("max", "must be finite and above min=%g, is %g", w.Min, w.Max)
	case w.Times < 1 || w.Times > 1000:
		return invalid.Field("times", "must be in 1…1000, is %d", w.Times)
	case w.Steps < 1 || w.Steps > 10000:
		return invalid.Field("steps", "must be in 1…10000, is %d", w.Steps)
	}
	return nil
}

// Validate checks the ranges.
func (w *Restart) Validate() error {
	if !(w.Noise >= 0) || math.IsInf(w.Noise, 0) {
		return invalid.Field("noise", "must not be negative, is %g", w.Noise)
	}
	if len(w.Intervals) == 0 {
		return invalid.Field("intervals", "must be at least one")
	}
	for i := range w.Intervals {
		if err := w.Intervals[i].Validate(); err != nil {
			return invalid.Field("intervals", "(number %d): %v", i, err)
		}
	}
	return nil
}

// Sample takes the main steps, and restarts after those that end in an interval's lower end.
func (w *Restart) Sample(r *Run) {
	draws := 0
	for _, v := range w.Intervals {
		draws += v.Times
	}
	for st := range r.Steps() {
		r.heun(st.From, st.To)
		first := 0
		for _, v := range w.Intervals {
			level := st.To.NoiseLevel()
			if level > 0 && level <= v.Min && st.From.NoiseLevel() > v.Min && !w.restart(r, st.To, v, first, draws) {
				return
			}
			first += v.Times
		}
	}
}

// restart goes, some times, from p up to the interval's end, x̃ + √(max²−σ²)·z, and
// back to p. Its noises are those from first on, of n a step.
func (w *Restart) restart(r *Run, p diffusion.Point, v RestartInterval, first, n int) bool {
	low := p.NoiseLevel()
	point := func(i int) diffusion.Point { // of the way back
		if i == v.Steps {
			return p
		}
		return r.atLevel(Karras(low, v.Max, 7, float64(i)/float64(v.Steps)))
	}
	top := point(0)
	added := math.Sqrt(max(0, top.NoiseLevel()*top.NoiseLevel()-low*low)) // the path may end below max
	for k := range v.Times {
		if !r.Settle() {
			return false
		}
		r.X = r.X.Axpby(top.Alpha/p.Alpha, r.NoiseOf(first+k, n), top.Alpha*added*w.Noise)
		for i := range v.Steps {
			if i > 0 && !r.Settle() {
				return false
			}
			r.heun(point(i), point(i+1))
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
