package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Weightings by the signal-to-noise ratio S = α²/σ². Each is said of ε, whose error's
// weight stays finite where α=0, or of the data, where σ=0.

// SoftMinSNR weighs the error of the data by S·γ/(S+γ), which is 1/(σ²+1/γ) where
// α=1: a smooth min(S, γ) (Crowson et al. 2024, HDiT). It is e^b·sigmoid(λ−b)
// of the log-SNR λ = ln S with b = ln γ, the sigmoid weighting.
type SoftMinSNR struct {
	Gamma float64 `yaml:"gamma" doc:"limit of the weight of the squared error of the data"`
}

// SetDefaults takes the paper's choice.
func (w *SoftMinSNR) SetDefaults() { w.Gamma = 4 }

// Validate checks γ.
func (w *SoftMinSNR) Validate() error { return positive("gamma", w.Gamma) }

// Weight is γ/(S+γ) of ε where that is the larger half, and S·γ/(S+γ) of the data.
func (w *SoftMinSNR) Weight(p Point) (float64, Kind) {
	s := p.SNR()
	if s < w.Gamma {
		return w.Gamma / (s + w.Gamma), Eps
	}
	return w.Gamma / (1 + w.Gamma/s), X0
}

// P2 weighs the error of ε by 1/(k+S)^γ (Choi et al. 2022, eq. 8, whose λ_t is L_simple's).
type P2 struct {
	K     float64 `yaml:"k" doc:"added to the SNR"`
	Gamma float64 `yaml:"gamma" doc:"exponent: 0 is even in eps"`
}

// SetDefaults takes the paper's choice.
func (w *P2) SetDefaults() { w.K, w.Gamma = 1, 1 }

// Validate checks the range.
func (w *P2) Validate() error {
	if !(w.Gamma >= 0) || math.IsInf(w.Gamma, 0) {
		return invalid.Field("gamma", "must not be negative, is %g", w.Gamma)
	}
	return positive("k", w.K)
}

// Weight is of ε.
func (w *P2) Weight(p Point) (float64, Kind) {
	if p.Sigma == 0 { // S is infinite
		return math.Pow(0, w.Gamma), Eps
	}
	return math.Pow(w.K+p.SNR(), -w.Gamma), Eps
}

// Sigmoid weighs the error of ε by sigmoid(b−λ), λ = ln S (Kingma and Gao 2023;
// Hoogeboom et al. 2024, SiD2): by time as the times are drawn, or by log-SNR.
type Sigmoid struct {
	Bias     float64 `yaml:"bias" doc:"log-SNR at which the weight is half its limit; the higher, the more the details count"`
	ByLogSNR bool    `yaml:"by_log_snr" doc:"weigh per unit of log-SNR, as the papers do, instead of per unit of time: multiplies by |dλ/dt|, for uniform times, and grows without bound where alpha goes to 0: let times.to end before"`
}

// SetDefaults counts by time.
func (w *Sigmoid) SetDefaults() { w.Bias, w.ByLogSNR = 2, false }

// Validate checks the bias.
func (w *Sigmoid) Validate() error {
	if math.IsNaN(w.Bias) || math.IsInf(w.Bias, 0) {
		return invalid.Field("bias", "must be finite, is %g", w.Bias)
	}
	return nil
}

// Weight is sigmoid(b−λ), times |dλ/dt| if counted so.
func (w *Sigmoid) Weight(p Point) (float64, Kind) {
	f := 1 / (1 + p.SNR()*math.Exp(-w.Bias))
	if w.ByLogSNR {
		f *= logSNRRate(p)
	}
	return f, Eps
}

// logSNRRate is −dλ/dt = 2(σ'/σ − α'/α).
func logSNRRate(p Point) float64 { return 2 * (p.DSigma/p.Sigma - p.DAlpha/p.Alpha) }

// Likelihood weighs the error of the score by g(t)², the squared diffusion coefficient
// of the path's forward SDE: with uniform times the loss then bounds the negative
// log-likelihood (Song, Durkan et al. 2021, theorem 1).
type Likelihood struct{}

// Weight is g² = dσ²/dt − 2(α'/α)·σ² of the score, said as g²/σ² of ε.
func (Likelihood) Weight(p Point) (float64, Kind) { return logSNRRate(p), Eps }

// TruncatedSNR weighs the error of the data by max(α²/σ², 1): that of the data and that of ε by
// whichever is larger (Salimans and Ho 2022, eq. 9).
type TruncatedSNR struct{}

// Weight is 1, of ε where the SNR is above 1 and else of the data.
func (TruncatedSNR) Weight(p Point) (float64, Kind) {
	if p.SNR() > 1 {
		return 1, Eps
	}
	return 1, X0
}

// SNRPlusOne weighs the error of v evenly, which where α²+σ²=1 is that of the data by 1+α²/σ²
// (Salimans and Ho 2022, sec. 4).
type SNRPlusOne struct{}

// Weight is 1 on v.
func (SNRPlusOne) Weight(Point) (float64, Kind) { return 1, V }
