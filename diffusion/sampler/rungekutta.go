package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// RungeKutta is an explicit Runge–Kutta method on the probability-flow ODE.
type RungeKutta struct {
	Coordinate `yaml:",inline"`
	Method     string  `yaml:"method" doc:"which method; own: that of tableau" oneof:"midpoint heun2 ralston heun3 kutta3 rk4 three_eighths own"`
	Tableau    Tableau `yaml:"tableau" doc:"a method of one's own, with method: own"`
}

// SetDefaults takes the classical method.
func (k *RungeKutta) SetDefaults() {
	k.Coordinate.SetDefaults()
	k.Method, k.Tableau = "rk4", Tableau{}
}

// Validate checks the names and one's own tableau.
func (k *RungeKutta) Validate() error {
	if err := k.Coordinate.Validate(); err != nil {
		return err
	}
	if err := k.Tableau.Validate(); err != nil {
		return err
	}
	switch empty := k.Tableau.empty(); {
	case k.Method == "own" && empty:
		return invalid.Field("tableau", "must be given with method own")
	case k.Method == "own":
		return nil
	case !empty:
		return invalid.Field("tableau", "is used with method own only, not with %s", k.Method)
	}
	if _, err := NamedTableau(k.Method); err != nil {
		return invalid.Field("method", "%v, own", err)
	}
	return nil
}

// Sample: slopes f_i = f(x + h·Σ_j a_ij·f_j, u + c_i·h), and x' = x + h·Σ_i b_i·f_i. The
// step to σ=0 is Euler's.
func (k *RungeKutta) Sample(r *Run) {
	method := k.Tableau
	if k.Method != "own" {
		var err error
		if method, err = NamedTableau(k.Method); err != nil {
			r.Fail("sampler runge_kutta: %w", err)
			return
		}
	}
	ax := k.axis(r)
	var f [maxStages]*tensor.Tensor
	var rate [maxStages]float64
	for st := range r.Steps() {
		if st.To.Sigma == 0 {
			r.X = ax.last(r, st.From, st.To)
			continue
		}
		if !ax.finite(st.From) || !ax.finite(st.To) {
			if ax.name == "lambda" { // steps of equal length in time do not become short in λ there
				r.Fail("sampler runge_kutta: lambda is infinite at an end of the step from time %g to %g, and the steps beside it do not become short in it: use the variable sigma or time, or the grid logsnr", st.From.T, st.To.T)
				return
			}
			r.ended(st)
			continue
		}
		u := ax.of(st.From)
		h := ax.of(st.To) - u
		// moved is the state at p after slopes weighted with w.
		moved := func(p diffusion.Point, w []float64) *tensor.Tensor {
			scale := ax.scale(p)
			r.terms.add(scale/ax.scale(st.From), r.X)
			for j, a := range w {
				r.terms.add(scale*h*a*rate[j], f[j])
			}
			return r.terms.total()
		}
		for i, c := range method.C {
			p := st.From
			switch c {
			case 0:
			case 1:
				p = st.To
			default:
				p = ax.point(u + c*h)
			}
			x := r.X
			if i > 0 {
				x = moved(p, method.A[i])
			}
			f[i], rate[i] = ax.slope(r, x, p), ax.rate(p)
		}
		r.X = moved(st.To, method.B)
	}
}
