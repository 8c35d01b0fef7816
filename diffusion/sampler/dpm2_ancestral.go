package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
)

// DPM2Ancestral steps by the midpoint method of DPM-Solver-2 to below the next
// noise level and adds noise up to it (k-diffusion's dpm_2_ancestral with the
// midpoint at the geometric mean, as in diffusers' KDPM2AncestralDiscreteScheduler).
type DPM2Ancestral struct {
	Ancestral `yaml:",inline"`
}

// Sample: d = ε̂(x, σ), d' = ε̂(x̃ + d·(m−σ), m), m = √(σ·down), x̃' = x̃ + d'·(down−σ) + up·z.
// The step to σ=0 is Euler's, and so is one from α=0.
func (d *DPM2Ancestral) Sample(r *Run) {
	for st := range r.Steps() {
		level := st.From.NoiseLevel()
		down, up := d.split(level, st.To.NoiseLevel())
		r.Data(r.X, st.From)
		if down == 0 || math.IsInf(level, 1) {
			r.X = r.reach(st.To, down)
		} else {
			mid := r.atLevel(math.Sqrt(level * down))
			if mid.T == st.To.T { // as with eta=1; a time of its own, so that a time input can tell (see schedule.TwoStage)
				mid = r.Path.At(math.Nextafter(mid.T, st.From.T))
			}
			slope := r.Eps(r.reach(mid, mid.NoiseLevel()), mid)
			r.X = r.X.Axpby(st.To.Alpha/st.From.Alpha, slope, st.To.Alpha*(down-level))
		}
		if up > 0 {
			r.X = d.add(r.X, r.Noise(), st.To, up)
		}
	}
}

// atLevel is where the path has a noise level σ/α.
func (r *Run) atLevel(level float64) diffusion.Point { return r.Path.At(r.Path.Time(-math.Log(level))) }
