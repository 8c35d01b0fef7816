package sampler

// Heun is Heun's second-order method on the probability-flow ODE: in σ/α, it is
// algorithm 1 of Karras et al. 2022 (with churn, algorithm 2).
type Heun struct {
	Integration `yaml:",inline"`
}

// Sample integrates in time or in σ/α.
func (h *Heun) Sample(r *Run) {
	if h.inSigma(r) {
		h.sigma(r)
	} else {
		h.inTime(r)
	}
}

// inTime: x' = x + ½(u(x,t) + u(x+u·Δt, t'))·Δt; the step to σ=0, where some
// predictions do not determine the velocity, is Euler's.
func (h *Heun) inTime(r *Run) {
	for st := range r.Steps() {
		dt := st.To.T - st.From.T
		u := r.Velocity(r.X, st.From)
		end := r.X.Axpby(1, u, dt)
		if st.To.Sigma > 0 {
			u = u.Axpby(0.5, r.Velocity(end, st.To), 0.5)
			end = r.X.Axpby(1, u, dt)
		}
		r.X = end
	}
}

// sigma: with x̃ = x/α and d = ε̂, x̃' = x̃ + ½(d + d')·Δ(σ/α); the step to σ=0, too, is Euler's.
func (h *Heun) sigma(r *Run) {
	for st := range r.Steps() {
		if r.ended(st) {
			continue
		}
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
