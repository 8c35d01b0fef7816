package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
)

// DPM2 is the midpoint method in σ/α with its middle at the geometric mean of the
// noise levels (k-diffusion's sample_dpm_2, diffusers' KDPM2, after DPM-Solver-2 of Lu
// et al. 2022a).
type DPM2 struct{}

// SetDefaults has nothing to set.
func (*DPM2) SetDefaults() {}

// Sample: x̃' = x̃ + ε̂(x̃ + ε̂·(√(σσ')−σ), √(σσ'))·(σ'−σ). The step to σ=0 is Euler's.
func (*DPM2) Sample(r *Run) {
	for st := range r.Steps() {
		if r.ended(st) {
			continue
		}
		eps := r.Eps(r.X, st.From)
		if st.To.Sigma > 0 {
			mid := geometricMean(r.Path, st.From, st.To)
			eps = r.Eps(slide(r.X, eps, st.From, mid), mid)
		}
		r.X = slide(r.X, eps, st.From, st.To)
	}
}

// geometricMean is where λ is halfway.
func geometricMean(path diffusion.GaussianPath, a, b diffusion.Point) diffusion.Point {
	return path.At(path.Time((lambda(a) + lambda(b)) / 2))
}

// Reversible: the steps hold in both directions.
func (*DPM2) Reversible() bool { return true }
