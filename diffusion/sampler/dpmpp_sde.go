package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// DPMppSDE is DPM-Solver++ (2S) with noise (k-diffusion's dpmpp_sde; diffusers'
// DPMSolverSDEScheduler): two evaluations a step, the second at a point within it
// that has its share of the step's noise.
type DPMppSDE struct {
	Ancestral `yaml:",inline"`
	Ratio     float64 `yaml:"ratio" doc:"r: where in the step the second evaluation is, as a part of its log-SNR"`
}

// SetDefaults evaluates in the middle.
func (d *DPMppSDE) SetDefaults() {
	d.Ancestral.SetDefaults()
	d.Ratio = 0.5
}

// Validate checks the ranges.
func (d *DPMppSDE) Validate() error {
	if !(d.Ratio > 0 && d.Ratio < 1) {
		return invalid.Field("ratio", "must be in (0, 1), is %g", d.Ratio)
	}
	return d.Ancestral.Validate()
}

// Sample: with m the point a part r of h = λ_s−λ_t on the way, first x_m from
// D = x̂0(x_t, t), then x_s from (1−1/2r)·D + 1/2r·x̂0(x_m, m), each by an ancestral step.
// The step to σ=0 is Euler's, and so is one from α=0.
func (d *DPMppSDE) Sample(r *Run) {
	for st := range r.Steps() {
		from, to := st.From.NoiseLevel(), st.To.NoiseLevel()
		x0 := r.Data(r.X, st.From)
		if to == 0 || math.IsInf(from, 1) {
			down, up := d.split(from, to)
			r.X = r.reach(st.To, down)
			if up > 0 {
				r.X = d.add(r.X, r.Noise(), st.To, up)
			}
			continue
		}
		mid := r.atLevel(from * math.Pow(to/from, d.Ratio))
		part, whole := r.Nested(mid, d.Ratio)
		x := d.step(r.X, x0, part, st.From, mid)
		x0 = x0.Axpby(1-1/(2*d.Ratio), r.Data(x, mid), 1/(2*d.Ratio))
		r.X = d.step(r.X, x0, whole, st.From, st.To)
	}
}

// step: x̃' = (down/σ)·x̃ + (1−down/σ)·x̂0 + up·z.
func (d *DPMppSDE) step(x, x0, z *tensor.Tensor, from, to diffusion.Point) *tensor.Tensor {
	down, up := d.split(from.NoiseLevel(), to.NoiseLevel())
	kept := down / from.NoiseLevel()
	return d.add(x.Axpby(kept*to.Alpha/from.Alpha, x0, (1-kept)*to.Alpha), z, to, up)
}
