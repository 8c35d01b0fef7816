package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
)

// Heun is Heun's second-order method on the probability-flow ODE: in σ/α, it is
// algorithm 1 of Karras et al. 2022 (with churn, algorithm 2).
type Heun struct {
	Integration `yaml:",inline"`
}

// Sample integrates in time or in σ/α.
func (h *Heun) Sample(r *Run) {
	switch {
	case !h.inSigma(r):
		h.inTime(r)
	case checkSigma(r):
		h.sigma(r)
	}
}

// inTime: x' = x + ½(u(x,t) + u(x+u·Δt, t'))·Δt.
func (h *Heun) inTime(r *Run) {
	for st := range r.Steps() {
		dt := st.To.T - st.From.T
		u := r.Velocity(r.X, st.From)
		end := r.X.Axpby(1, u, dt)
		if velocityKnown(r, st.To) {
			u = u.Axpby(0.5, r.Velocity(end, st.To), 0.5)
			end = r.X.Axpby(1, u, dt)
		}
		r.X = end
	}
}

// sigma: with x̃ = x/α and d = ε̂, x̃' = x̃ + ½(d + d')·Δ(σ/α); the step to σ=0 is Euler's.
func (h *Heun) sigma(r *Run) {
	for st := range r.Steps() {
		x, from := h.Churn.apply(r, st)
		d := r.Eps(x, from)
		end := slide(x, d, from, st.To)
		if st.To.Sigma > 0 {
			d = d.Axpby(0.5, r.Eps(end, st.To), 0.5)
			end = slide(x, d, from, st.To)
		}
		r.X = end
	}
}

// velocityKnown reports whether the model's prediction gives a finite velocity
// at p. Where not, as for ε at σ=0 or where σ' is infinite, the step stays Euler's.
func velocityKnown(r *Run, p diffusion.Point) bool {
	if math.IsInf(p.DSigma, 0) || math.IsInf(p.DAlpha, 0) {
		return false
	}
	_, ok := diffusion.TryConvert(r.Model.Kind(), diffusion.Velocity, p)
	return ok
}
