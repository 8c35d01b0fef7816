package sampler

// LMS is the linear multistep method of Adams and Bashforth in σ/α for steps of any
// length (k-diffusion's sample_lms): x̃' = x̃ + ∫ P(σ) dσ, P being the polynomial through the
// newest estimates of the noise. It goes on to σ=0 like to any other level.
type LMS struct {
	Order int `yaml:"order" doc:"order of the method" range:"[1,5]"`
}

// SetDefaults takes k-diffusion's order.
func (l *LMS) SetDefaults() { l.Order = 4 }

// Validate checks the order.
func (l *LMS) Validate() error { return checkOrder(l.Order, maxNodes) }

// Sample integrates the polynomial from one noise level to the next.
func (l *LMS) Sample(r *Run) {
	past := r.History(l.Order - 1)
	for st := range r.Steps() {
		if r.ended(st) {
			continue
		}
		eps := r.Eps(r.X, st.From)
		n := min(l.Order, past.Len()+1)
		sigma := st.From.NoiseLevel()
		h := st.To.NoiseLevel() - sigma
		var nodes, moment row
		power := h
		for k := range n {
			moment[k] = power / float64(k+1) // ∫_0^h τ^k dτ
			power *= h
			if k > 0 {
				nodes[k] = past.Point(k-1).NoiseLevel() - sigma
			}
		}
		w := quadrature(nodes, n, moment)
		r.terms.add(st.To.Alpha/st.From.Alpha, r.X)
		r.terms.add(st.To.Alpha*w[0], eps)
		for k := 1; k < n; k++ {
			r.terms.add(st.To.Alpha*w[k], past.Value(k-1))
		}
		r.X = r.terms.total()
		past.Push(st.From, eps)
	}
}

// Reversible: the steps hold in both directions.
func (*LMS) Reversible() bool { return true }
