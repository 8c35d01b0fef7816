package sampler

// Jump goes each interval of the grid in one step of a model of whole steps (mean flows, shortcut models,
// flow maps): x' = x + u·Δt, u the mean velocity over the interval. With a model that knows none it
// is Euler's method in time.
type Jump struct{}

// SetDefaults has nothing to set.
func (*Jump) SetDefaults() {}

// Sample makes one evaluation a step.
func (*Jump) Sample(r *Run) {
	for st := range r.Steps() {
		r.jumpTo(st.To.T)
		u := r.Velocity(r.X, st.From)
		r.land()
		r.X = r.X.Axpby(1, u, st.To.T-st.From.T)
	}
}
