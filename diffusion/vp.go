package diffusion

import "math"

// VP is the variance-preserving path of a linear β(t) = β0 + (β1−β0)·t on [0,1]
// (Song et al. 2021): α = exp(−½∫β), σ² = 1−α².
type VP struct {
	Beta0, Beta1 float64 // the paper's .1 and 20
}

// integral is ∫β from 0 to t, and timeOf its inverse.
func (p VP) integral(t float64) float64 { return t * (p.Beta0 + t*(p.Beta1-p.Beta0)/2) }

func (p VP) timeOf(integral float64) float64 {
	if math.IsInf(integral, 1) {
		return 1
	}
	d := p.Beta1 - p.Beta0
	return min(1, 2*integral/(p.Beta0+math.Sqrt(p.Beta0*p.Beta0+2*d*integral)))
}

// At gives the coefficients. σ' is infinite at 0.
func (p VP) At(t float64) Point {
	b := p.integral(t)
	beta := p.Beta0 + t*(p.Beta1-p.Beta0)
	alpha, sigma := math.Exp(-b/2), math.Sqrt(-math.Expm1(-b))
	return Point{T: t, Alpha: alpha, Sigma: sigma, DAlpha: -beta * alpha / 2, DSigma: beta * alpha * alpha / (2 * sigma)}
}

// HalfLogSNR is −½·ln(e^{∫β}−1).
func (p VP) HalfLogSNR(t float64) float64 { return -math.Log(math.Expm1(p.integral(t))) / 2 }

// Time inverts HalfLogSNR.
func (p VP) Time(l float64) float64 { return p.timeOf(math.Log1p(math.Exp(-2 * l))) }

// End is 1.
func (VP) End() float64 { return 1 }

// Variable is the noise level: σ' is infinite at 0.
func (VP) Variable() Variable { return InSigma }

// SubVP is the sub-variance-preserving path of Song et al. 2021 for the same
// β(t): α = exp(−½∫β), σ = 1−α².
type SubVP struct{ VP }

// At gives the coefficients.
func (p SubVP) At(t float64) Point {
	q := p.VP.At(t)
	q.Sigma = -math.Expm1(-p.integral(t))
	q.DSigma = -2 * q.Alpha * q.DAlpha
	return q
}

// HalfLogSNR is −ln(2·sinh(½∫β)).
func (p SubVP) HalfLogSNR(t float64) float64 { return -math.Log(2 * math.Sinh(p.integral(t)/2)) }

// Time inverts HalfLogSNR.
func (p SubVP) Time(l float64) float64 { return p.timeOf(2 * math.Asinh(math.Exp(-l)/2)) }

// Cosine is the continuous form of the schedule of Nichol and Dhariwal 2021 on
// [0,1]: α = cos(u(t))/cos(u(0)), u = (t+s)/(1+s)·π/2, σ² = 1−α². α(1) is 0.
type Cosine struct {
	Shift float64 // s, the paper's .008
}

func (p Cosine) angle(t float64) float64 { return (t + p.Shift) / (1 + p.Shift) * math.Pi / 2 }

// At gives the coefficients. σ' is infinite at 0 if s>0.
func (p Cosine) At(t float64) Point {
	u, u0 := p.angle(t), p.angle(0)
	c0, rate := math.Cos(u0), math.Pi/2/(1+p.Shift)
	q := Point{T: t, Alpha: math.Cos(u) / c0, DAlpha: -rate * math.Sin(u) / c0}
	if t >= 1 {
		q.Alpha = 0
	}
	// 1−α² without cancellation
	q.Sigma = math.Sqrt(math.Sin(u-u0)*math.Sin(u+u0)) / c0
	if q.Alpha == 0 {
		q.Sigma = 1
	}
	q.DSigma = -q.Alpha * q.DAlpha / q.Sigma
	if u0 == 0 {
		q.DSigma = rate * math.Cos(u)
	}
	return q
}

// HalfLogSNR is ln(α/σ).
func (p Cosine) HalfLogSNR(t float64) float64 { return ratio(p.At(t)) }

// Time inverts HalfLogSNR.
func (p Cosine) Time(l float64) float64 {
	alpha, sigma := splitLambda(l)
	s0, c0 := math.Sincos(p.angle(0))
	u := math.Atan2(math.Hypot(s0, sigma*c0), alpha*c0)
	return min(max(u*2/math.Pi*(1+p.Shift)-p.Shift, 0), 1)
}

// End is 1.
func (Cosine) End() float64 { return 1 }

// Variable is the noise level: σ' is infinite at 0.
func (Cosine) Variable() Variable { return InSigma }

func ratio(p Point) float64 { return math.Log(p.Alpha) - math.Log(p.Sigma) }

// splitLambda gives α and σ with α²+σ²=1 and ln(α/σ)=l.
func splitLambda(l float64) (alpha, sigma float64) {
	return 1 / math.Sqrt(1+math.Exp(-2*l)), 1 / math.Sqrt(1+math.Exp(2*l))
}
