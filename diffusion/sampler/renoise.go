package sampler

// Renoise estimates the data and noises it anew to the next time: multistep
// sampling of consistency models (Song et al. 2023, algorithm 1), and
// stochastic_sampling of diffusers' FlowMatchEulerDiscreteScheduler.
type Renoise struct{}

// SetDefaults has nothing to set.
func (*Renoise) SetDefaults() {}

// Sample: x' = α_s·x̂0 + σ_s·z.
func (*Renoise) Sample(r *Run) {
	for st := range r.Steps() {
		x0 := r.Data(r.X, st.From)
		r.X = x0.Axpby(st.To.Alpha, r.Noise(), st.To.Sigma)
	}
}
