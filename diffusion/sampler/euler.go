package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Integration is the variable of an ODE solver.
type Integration struct {
	Variable string `yaml:"variable" doc:"what to integrate in: time (dx/dt is the velocity), sigma (noise level of x/alpha, as EDM and diffusers do), or path: sigma for DDPM's paths, time for flows and EDM" oneof:"path time sigma"`
	Churn    Churn  `yaml:"churn" doc:"noise added as sampling goes (Karras et al. 2022, algorithm 2); in sigma only"`
}

// SetDefaults leaves the choice to the path, without churn.
func (o *Integration) SetDefaults() {
	o.Variable = "path"
	o.Churn.SetDefaults()
}

// Validate checks the names and ranges.
func (o *Integration) Validate() error {
	switch o.Variable {
	case "path", "sigma":
	case "time":
		if o.Churn.Amount > 0 {
			return invalid.Field("churn", "needs the variable sigma")
		}
	default:
		return invalid.Field("variable", "must be one of path, time, sigma, is %q", o.Variable)
	}
	return o.Churn.Validate()
}

// inSigma reports whether to integrate in σ/α.
func (o *Integration) inSigma(r *Run) bool {
	return o.Variable == "sigma" || o.Variable == "path" && (diffusion.VariableOf(r.Path) == diffusion.InSigma || o.Churn.Amount > 0)
}

// Churn raises the noise level before a step (Karras et al. 2022, algorithm 2).
type Churn struct {
	Amount float64 `yaml:"amount" doc:"S_churn, over all steps; 0: none"`
	Min    float64 `yaml:"min" doc:"S_min: lowest noise level with churn"`
	Max    float64 `yaml:"max" doc:"S_max: highest noise level with churn"`
	Noise  float64 `yaml:"noise" doc:"S_noise: standard deviation of what is added"`
}

// SetDefaults has no churn.
func (c *Churn) SetDefaults() { *c = Churn{Amount: 0, Min: 0, Max: math.Inf(1), Noise: 1} }

// Validate checks the ranges.
func (c *Churn) Validate() error {
	for _, v := range []struct {
		name string
		x    float64
	}{{"amount", c.Amount}, {"min", c.Min}, {"max", c.Max}, {"noise", c.Noise}} {
		if !(v.x >= 0) {
			return invalid.Field(v.name, "must not be negative, is %g", v.x)
		}
	}
	return nil
}

// apply gives the state and the time at the raised noise level.
func (c *Churn) apply(r *Run, st *Step) (*tensor.Tensor, diffusion.Point) {
	sigma := st.From.NoiseLevel()
	gamma := min(c.Amount/float64(st.Count), math.Sqrt2-1)
	if gamma == 0 || sigma < c.Min || sigma > c.Max {
		return r.X, st.From
	}
	// The path may end before (1+γ)·σ.
	hat := r.Path.At(max(st.From.T, r.Path.Time(-math.Log(sigma*(1+gamma)))))
	raised := hat.NoiseLevel()
	added := c.Noise * math.Sqrt(max(0, raised*raised-sigma*sigma))
	return r.X.Axpby(hat.Alpha/st.From.Alpha, r.Noise(), hat.Alpha*added), hat
}

// Euler is Euler's method on the probability-flow ODE.
type Euler struct {
	Integration `yaml:",inline"`
}

// Sample integrates in time or in σ/α.
func (e *Euler) Sample(r *Run) {
	if e.inSigma(r) {
		e.sigma(r)
	} else {
		e.inTime(r)
	}
}

// inTime: x' = x + u·Δt.
func (e *Euler) inTime(r *Run) {
	for st := range r.Steps() {
		u := r.Velocity(r.X, st.From)
		r.X = r.X.Axpby(1, u, st.To.T-st.From.T)
	}
}

// sigma: with x̃ = x/α, x̃' = x̃ + ε̂·Δ(σ/α).
func (e *Euler) sigma(r *Run) {
	for st := range r.Steps() {
		if r.ended(st) {
			continue
		}
		x, from := e.Churn.apply(r, st)
		r.X = slide(x, r.Eps(x, from), from, st.To)
	}
}

// slide is α'·(x/α + slope·Δ(σ/α)): an Euler step in σ/α.
func slide(x, slope *tensor.Tensor, from, to diffusion.Point) *tensor.Tensor {
	return x.Axpby(to.Alpha/from.Alpha, slope, to.Alpha*(to.NoiseLevel()-from.NoiseLevel()))
}
