package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// What a DPMMultistepSDE extrapolates.
const (
	OfData  = "data"
	OfNoise = "noise"
)

// Coefficients of the second difference in third-order steps.
const (
	ThirdExact     = "exact"
	ThirdPublished = "published"
	ThirdDiffusers = "diffusers"
)

// DPMMultistepSDE is the stochastic multistep DPM-Solver: k-diffusion's dpmpp_2m_sde
// (order 2) and dpmpp_3m_sde (order 3, solver heun, third published); diffusers'
// DPMSolverMultistepScheduler with algorithm_type sde-dpmsolver++ (predict data) and
// sde-dpmsolver (predict noise). It solves, with λ = ln(α/σ) and x̃ = x/α,
//
//	dx̃ = (1+η)·(x̂0 − x̃)·dλ + √(2η)·(σ/α)·dW_λ
//
// exactly but for x̂0 (or ε̂), which it extrapolates from earlier steps.
type DPMMultistepSDE struct {
	Order           int     `yaml:"order" doc:"how many steps' estimates are used, 1 to 3"`
	Predict         string  `yaml:"predict" doc:"what is extrapolated: data (DPM-Solver++) or noise (DPM-Solver; order 1 or 2)" oneof:"data noise"`
	Solver          string  `yaml:"solver" doc:"second-order steps: by the value in the middle, or by the slope" oneof:"midpoint heun"`
	Third           string  `yaml:"third" doc:"coefficient of the second difference in third-order steps: the integral's, half of it (k-diffusion), or diffusers', which has a wrong sign" oneof:"exact published diffusers"`
	Eta             float64 `yaml:"eta" doc:"noise: 0 is the ODE, 1 the reverse SDE"`
	Noise           float64 `yaml:"noise" doc:"s_noise: standard deviation of what is added"`
	LowerOrderFinal bool    `yaml:"lower_order_final" doc:"in runs of fewer than 15 steps, end with orders 2 and 1"`
	EulerAtFinal    bool    `yaml:"euler_at_final" doc:"end with order 1"`
}

// SetDefaults is dpmpp_2m_sde.
func (m *DPMMultistepSDE) SetDefaults() {
	*m = DPMMultistepSDE{Order: 2, Predict: OfData, Solver: Midpoint, Third: ThirdExact, Eta: 1, Noise: 1}
}

// Validate checks names and ranges.
func (m *DPMMultistepSDE) Validate() error {
	switch {
	case m.Order < 1 || m.Order > 3:
		return invalid.Field("order", "must be 1, 2 or 3, is %d", m.Order)
	case m.Predict != OfData && m.Predict != OfNoise:
		return invalid.Field("predict", "must be one of %s, %s, is %q", OfData, OfNoise, m.Predict)
	case m.Order == 3 && m.Predict == OfNoise:
		return invalid.Field("order", "must be 1 or 2 where noise is predicted")
	case m.Solver != Midpoint && m.Solver != HeunType:
		return invalid.Field("solver", "must be one of midpoint, heun, is %q", m.Solver)
	case m.Third != ThirdExact && m.Third != ThirdPublished && m.Third != ThirdDiffusers:
		return invalid.Field("third", "must be one of %s, %s, %s, is %q", ThirdExact, ThirdPublished, ThirdDiffusers, m.Third)
	}
	return (&Ancestral{m.Eta, m.Noise}).Validate()
}

// Sample steps with the order that the history allows; a step to σ=0 is of order 1.
func (m *DPMMultistepSDE) Sample(r *Run) {
	past := r.History(2)
	var h, h1, h2 float64 // of this step and the ones before
	for st := range r.Steps() {
		if st.From.T == st.To.T { // nowhere to go
			r.Data(r.X, st.From)
			continue
		}
		h, h1, h2 = math.Log(st.From.NoiseLevel()/st.To.NoiseLevel()), h, h1
		now := r.Data(r.X, st.From)
		ofNoise := m.Predict == OfNoise && st.From.Alpha > 0
		if ofNoise {
			now = r.epsOfData(r.X, st.From)
		}
		base, first, second, slope, curve, noise := m.coefficients(st.From, st.To, h, ofNoise)
		x := r.X.Axpby(base, now, first)
		switch order := m.order(st, past.Len()); order {
		case 2:
			if m.Solver == "heun" || m.Order == 3 && m.Third == ThirdPublished {
				second = slope
			}
			x = x.Axpby(1, now.Sub(past.Value(0)), second*h/h1)
		case 3:
			r0, r1 := h1/h, h2/h
			d0 := now.Sub(past.Value(0)).Scale(1 / r0)
			d1 := past.Value(0).Sub(past.Value(1)).Scale(1 / r1)
			d := d0.Sub(d1)
			x = x.Axpby(1, d0.Axpby(1, d, r0/(r0+r1)), slope)
			x = x.Axpby(1, d, curve/(r0+r1))
		}
		if noise > 0 {
			x = x.Axpby(1, r.Noise(), noise*m.Noise)
		}
		if ofNoise || m.Predict == OfData {
			past.Push(st.From, now)
		}
		r.X = x
	}
}

// order of a step with estimates of n earlier ones.
func (m *DPMMultistepSDE) order(st *Step, n int) int {
	left := st.Count - st.Index // this one included
	short := m.LowerOrderFinal && st.Count < 15
	order := min(m.Order, n+1)
	switch {
	case st.To.Sigma == 0 || left == 1 && (m.EulerAtFinal || short):
		return 1
	case left == 2 && short:
		return min(order, 2)
	}
	return order
}

// coefficients of the exact solution from t to s: those of x, of the estimate, of
// its difference to the last step's (second: midpoint, slope: of its slope times h),
// of half its curvature times h², and of the noise. a = (1+η)·h. From α=0 the estimate is that of the data in either form.
func (m *DPMMultistepSDE) coefficients(t, s diffusion.Point, h float64, ofNoise bool) (base, first, second, slope, curve, noise float64) {
	if ofNoise {
		way := s.Alpha * (t.NoiseLevel() - s.NoiseLevel()) // σ_s(e^h − 1)
		base, first, second = s.Alpha/t.Alpha, -(1+m.Eta)*way, -(1+m.Eta)*way/2
		slope = -(1 + m.Eta) * (way/h - s.Sigma)
		noise = s.Alpha * math.Sqrt(m.Eta*(t.NoiseLevel()*t.NoiseLevel()-s.NoiseLevel()*s.NoiseLevel()))
		return
	}
	l := noisyLeap(t, s, m.Eta)
	switch m.Third {
	case ThirdPublished:
		l.curve /= 2
	case ThirdDiffusers:
		l.curve = l.curve/2 - s.Alpha
	}
	return l.keep, l.first, l.first / 2, l.slope, l.curve, l.noise
}

// noisy is a step of the SDE that DPMMultistepSDE solves, from t to s, of a quadratic estimate of the data: with m, m' and m” at t, by
// u from 0 to 1 over the step's log-SNR, x_s = keep·x_t + first·m + slope·m' + curve·m”/2 + noise·z.
type noisy struct{ h, keep, first, slope, curve, noise float64 }

func noisyLeap(t, s diffusion.Point, eta float64) noisy {
	h := math.Log(t.NoiseLevel() / s.NoiseLevel())
	a := (1 + eta) * h
	kept := math.Pow(s.NoiseLevel()/t.NoiseLevel(), eta) // e^{−ηh}
	phi1 := -math.Expm1(-a)
	phi2 := 1 - phi1/a // ∫a·e^{−a(1−u)}·u du
	return noisy{
		h: h, keep: s.Sigma / t.Sigma * kept, first: s.Alpha * phi1, slope: s.Alpha * phi2,
		curve: s.Alpha * (1 - 2*phi2/a), // ∫a·e^{−a(1−u)}·u² du
		noise: s.Sigma * math.Sqrt(1-kept*kept),
	}
}
