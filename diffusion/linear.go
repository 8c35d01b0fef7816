package diffusion

import "math"

// CondOT is the straight path of flow matching and rectified flow on [0,1]:
// α = 1−t, σ = σ_min + (1−σ_min)·t (Lipman et al. 2023; their time runs the other way).
type CondOT struct {
	SigmaMin float64 // noise left on the data; 0 for rectified flow
}

// At gives the coefficients.
func (p CondOT) At(t float64) Point {
	return Point{T: t, Alpha: 1 - t, Sigma: p.SigmaMin + (1-p.SigmaMin)*t, DAlpha: -1, DSigma: 1 - p.SigmaMin}
}

// HalfLogSNR is ln((1−t)/σ).
func (p CondOT) HalfLogSNR(t float64) float64 { return ratio(p.At(t)) }

// Time inverts HalfLogSNR: (r−σ_min)/(1−σ_min+r) at noise level r.
func (p CondOT) Time(l float64) float64 {
	if r := math.Exp(-l); l > 0 {
		return max(0, (r-p.SigmaMin)/(1-p.SigmaMin+r))
	}
	inv := math.Exp(l) // 1/r
	return max(0, (1-p.SigmaMin*inv)/((1-p.SigmaMin)*inv+1))
}

// End is 1.
func (CondOT) End() float64 { return 1 }

// Trig is the circular path on [0,1]: α = cos(πt/2), σ = sin(πt/2) (Albergo and
// Vanden-Eijnden 2023; TrigFlow with its time divided by π/2).
type Trig struct{}

// At gives the coefficients.
func (Trig) At(t float64) Point {
	sin, cos := math.Sincos(t * math.Pi / 2)
	if t >= 1 {
		sin, cos = 1, 0
	}
	return Point{T: t, Alpha: cos, Sigma: sin, DAlpha: -math.Pi / 2 * sin, DSigma: math.Pi / 2 * cos}
}

// HalfLogSNR is −ln tan(πt/2).
func (p Trig) HalfLogSNR(t float64) float64 { return ratio(p.At(t)) }

// Time inverts HalfLogSNR.
func (Trig) Time(l float64) float64 {
	alpha, sigma := splitLambda(l)
	return math.Atan2(sigma, alpha) * 2 / math.Pi
}

// End is 1.
func (Trig) End() float64 { return 1 }

// EDM is the path of Karras et al. 2022: x = x0 + t·ε, up to SigmaMax.
type EDM struct {
	SigmaMax float64 // the paper's 80
}

// At gives the coefficients.
func (EDM) At(t float64) Point { return Point{T: t, Alpha: 1, Sigma: t, DSigma: 1} }

// HalfLogSNR is −ln t.
func (EDM) HalfLogSNR(t float64) float64 { return -math.Log(t) }

// Time inverts HalfLogSNR.
func (p EDM) Time(l float64) float64 { return min(math.Exp(-l), p.SigmaMax) }

// End is SigmaMax.
func (p EDM) End() float64 { return p.SigmaMax }

// EDMInput is the time input of EDM networks: ¼·ln(σ/α).
func EDMInput(p Point) float64 { return math.Log(p.NoiseLevel()) / 4 }

// VE is the variance-exploding path on [0,1] (Song et al. 2021, eq. 31): α=1,
// σ² = σ_min²·((σ_max/σ_min)^{2t} − 1), which is 0 at the data and, for all but the
// smallest times, the geometric σ_min·(σ_max/σ_min)^t.
type VE struct {
	SigmaMin, SigmaMax float64
}

func (p VE) rate() float64 { return 2 * math.Log(p.SigmaMax/p.SigmaMin) }

// At gives the coefficients. σ' is infinite at 0.
func (p VE) At(t float64) Point {
	r := p.rate()
	sigma := p.SigmaMin * math.Sqrt(math.Expm1(r*t))
	return Point{T: t, Alpha: 1, Sigma: sigma, DSigma: p.SigmaMin * p.SigmaMin * r * math.Exp(r*t) / (2 * sigma)}
}

// HalfLogSNR is −ln σ.
func (p VE) HalfLogSNR(t float64) float64 { return -math.Log(p.At(t).Sigma) }

// Time inverts HalfLogSNR.
func (p VE) Time(l float64) float64 {
	s := math.Exp(-l) / p.SigmaMin
	return min(math.Log1p(s*s)/p.rate(), 1)
}

// End is 1.
func (VE) End() float64 { return 1 }

// Variable is the noise level: σ' is infinite at 0.
func (VE) Variable() Variable { return InSigma }
