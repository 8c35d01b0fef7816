package flow

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Interpolant is a path between two ends with noise of its own in between (Albergo,
// Boffi and Vanden-Eijnden 2023, "Stochastic interpolants"):
//
//	x_t = α(t)·x0 + σ(t)·x1 + γ(t)·z,   z ~ N(0, I),
//
// x0 being data and x1 noise, or samples of a source. α and σ are the path's. Where
// γ is not 0, x_t and the velocity do not determine x0 and x1: only velocities
// are predicted, and only solvers in time follow them.
type Interpolant struct {
	diffusion.GaussianPath
	Latent Latent // γ; nil: 0
}

// Gamma is γ and its derivative by time.
func (p Interpolant) Gamma(t float64) (gamma, dGamma float64) {
	if p.Latent == nil {
		return 0, 0
	}
	return p.Latent.Gamma(t)
}

// Latent is the noise between the ends of an [Interpolant].
type Latent interface {
	// Gamma is γ and its derivative at a time in [0,1].
	Gamma(t float64) (gamma, dGamma float64)
}

// ConstantLatent is γ = σ, which smooths both ends as well: the paths of I-CFM and
// OT-CFM (Tong et al. 2024, eq. 14).
type ConstantLatent struct {
	Sigma float64 `yaml:"sigma" doc:"standard deviation of the noise, the same at all times" range:"[0,inf)"`
}

// SetDefaults takes that of torchcfm's examples.
func (l *ConstantLatent) SetDefaults() { l.Sigma = 0.1 }

// Validate checks σ.
func (l *ConstantLatent) Validate() error { return checkSigma(l.Sigma) }

// Gamma is σ, 0.
func (l *ConstantLatent) Gamma(float64) (gamma, dGamma float64) { return l.Sigma, 0 }

// BridgeLatent is γ = σ·√(t(1−t)): the Brownian bridge of SB-CFM (Tong et al. 2024, eq. 20),
// and with σ² = a the √(a·t(1−t)) of stochastic interpolants.
type BridgeLatent struct {
	Sigma float64 `yaml:"sigma" doc:"diffusion coefficient of the bridge: the noise is sigma·sqrt(t(1-t))" range:"[0,inf)"`
}

// SetDefaults takes that of torchcfm's examples.
func (l *BridgeLatent) SetDefaults() { l.Sigma = 0.5 }

// Validate checks σ.
func (l *BridgeLatent) Validate() error { return checkSigma(l.Sigma) }

// bridgeFloor bounds t(1−t) from below in γ', which is infinite at both ends. (torchcfm adds
// 10⁻⁸ to 2t(1−t).)
const bridgeFloor = 1e-8

// Gamma is σ√(t(1−t)) and (1−2t)/(2t(1−t))·γ.
func (l *BridgeLatent) Gamma(t float64) (gamma, dGamma float64) {
	v := math.Max(t*(1-t), 0)
	return l.Sigma * math.Sqrt(v), l.Sigma * (1 - 2*t) / (2 * math.Sqrt(math.Max(v, bridgeFloor)))
}

// SineLatent is γ = a·sin²(πt), whose derivative is 0 at both ends (Albergo et al. 2023, table 8).
type SineLatent struct {
	Scale float64 `yaml:"scale" doc:"a, the standard deviation in the middle" range:"[0,inf)"`
}

// SetDefaults takes the paper's.
func (l *SineLatent) SetDefaults() { l.Scale = 1 }

// Validate checks a.
func (l *SineLatent) Validate() error {
	if !(l.Scale >= 0) || math.IsInf(l.Scale, 0) {
		return invalid.Field("scale", "must not be negative, is %g", l.Scale)
	}
	return nil
}

// Gamma is a·sin²(πt) and a·π·sin(2πt).
func (l *SineLatent) Gamma(t float64) (gamma, dGamma float64) {
	sin, cos := math.Sincos(math.Pi * t)
	return l.Scale * sin * sin, 2 * math.Pi * l.Scale * sin * cos
}

func checkSigma(sigma float64) error {
	if !(sigma >= 0) || math.IsInf(sigma, 0) {
		return invalid.Field("sigma", "must not be negative, is %g", sigma)
	}
	return nil
}

// EncDec is the encoding-decoding path of Albergo et al. 2023: data fade out in the first
// half of the time, α = cos²(πt), and the source in the second, σ = cos²(πt).
// In the middle there is nothing of either: it needs a [Latent], the paper's being a [SineLatent].
type EncDec struct{}

// At gives the coefficients.
func (EncDec) At(t float64) diffusion.Point {
	sin, cos := math.Sincos(math.Pi * t)
	p, c, d := diffusion.Point{T: t}, cos*cos, -2*math.Pi*sin*cos
	switch {
	case t < 0.5:
		p.Alpha, p.DAlpha = c, d
	case t > 0.5:
		p.Sigma, p.DSigma = c, d
	}
	return p
}

// HalfLogSNR is +Inf in the first half and −Inf in the second: the parts never mix.
func (EncDec) HalfLogSNR(t float64) float64 {
	switch {
	case t < 0.5:
		return math.Inf(1)
	case t > 0.5:
		return math.Inf(-1)
	}
	return 0
}

// Time is the middle for every finite log-SNR.
func (EncDec) Time(l float64) float64 {
	switch {
	case math.IsInf(l, 1):
		return 0
	case math.IsInf(l, -1):
		return 1
	}
	return 0.5
}

// End is 1.
func (EncDec) End() float64 { return 1 }

// addLatent is x + γ·z, of x, γ, z.
var addLatent = tensor.NewPointwise("add latent", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[1].MulAdd(in[2], in[0])
})
