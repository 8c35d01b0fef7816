package diffusion

import "math"

// Point is a moment of a Gaussian path: coefficients and their derivatives by time.
type Point struct {
	T              float64
	Alpha, Sigma   float64
	DAlpha, DSigma float64
}

// SNR is α²/σ².
func (p Point) SNR() float64 { return p.Alpha * p.Alpha / (p.Sigma * p.Sigma) }

// NoiseLevel is σ/α, the σ of Karras et al. 2022: the noise of x/α.
func (p Point) NoiseLevel() float64 { return p.Sigma / p.Alpha }

// GaussianPath leads from data to noise, x_t = α(t)·x0 + σ(t)·ε, with σ/α rising.
// Implementations are immutable and safe for concurrent use.
type GaussianPath interface {
	// At gives the coefficients at a time in [0, End]; 0 is data.
	At(t float64) Point
	// HalfLogSNR is ln(α/σ) at t: +Inf where σ=0, −Inf where α=0.
	HalfLogSNR(t float64) float64
	// Time is the inverse of HalfLogSNR, limited to [0, End].
	Time(halfLogSNR float64) float64
	// End is the time of the noise.
	End() float64
}

// PriorStd is the standard deviation of the noise that sampling starts from at t:
// 1 where α²+σ²=1, σ elsewhere. (What is left of the data is taken to have unit
// variance in the first case and neglected in the second.)
func PriorStd(p Point) float64 {
	if math.Abs(p.Alpha*p.Alpha+p.Sigma*p.Sigma-1) < 1e-9 {
		return 1
	}
	return p.Sigma
}

// Variable is what a solver of the probability-flow ODE integrates in.
type Variable uint8

const (
	InTime  Variable = iota // t, with velocity dx/dt
	InSigma                 // the noise level σ/α, with slope ε on x/α (Karras et al. 2022)
)

// VariableOf is the variable in which solvers integrate along a path unless told
// otherwise: the one the path names by a method Variable, or time.
func VariableOf(p GaussianPath) Variable {
	if v, ok := p.(interface{ Variable() Variable }); ok {
		return v.Variable()
	}
	return InTime
}

// Drift is f of the path's forward SDE dx = f·x·dt + g·dW (Song et al. 2021): α'/α.
func (p Point) Drift() float64 { return p.DAlpha / p.Alpha }

// Diffusion2 is g² of the forward SDE, dσ²/dt − 2f·σ² = 2σ²·(σ'/σ − α'/α).
func (p Point) Diffusion2() float64 { return 2 * p.Sigma * (p.DSigma - p.Sigma*p.Drift()) }
