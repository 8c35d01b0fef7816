package sampler

// DEIS is the diffusion exponential integrator of Zhang and Chen 2023 in its form
// log-ρ-AB: with ρ = σ/α, x'/α' = x/α + ∫ P(ln ρ) dρ, P being the polynomial in ln ρ through the
// newest estimates of the noise. As ln ρ = −λ, it is DPM-Solver in the noise with
// every moment exact.
type DEIS struct {
	Order           int  `yaml:"order" doc:"order of the method" range:"[1,3]"`
	LowerOrderFinal bool `yaml:"lower_order_final" doc:"lower the order over the last steps to 1, in runs of fewer than 15 steps"`
}

// SetDefaults takes diffusers' order.
func (d *DEIS) SetDefaults() { d.Order, d.LowerOrderFinal = 2, true }

// Validate checks the order.
func (d *DEIS) Validate() error { return checkOrder(d.Order, 3) }

// Sample integrates the polynomial through the newest estimates of the noise.
func (d *DEIS) Sample(r *Run) {
	ending := Ending{LowerOrderFinal: d.LowerOrderFinal}
	past := r.History(d.Order - 1)
	for st := range r.Steps() {
		order := ending.order(st, d.Order, past.Len())
		if order == 1 {
			x, m := inNoise.edge(r, st.From, st.To)
			if bounded(st.From) {
				past.Push(st.From, m)
			}
			r.X = x
			continue
		}
		m := r.Eps(r.X, st.From)
		r.X = inNoise.leap(st.From, st.To).through(r, st.From, r.X, m, past, order)
		past.Push(st.From, m)
	}
}

// Reversible: the steps hold in both directions.
func (*DEIS) Reversible() bool { return true }
