package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// WeightPoints weighs the error of a prediction along straight lines through weights of the user's own at given log-SNRs
// ln(α²/σ²), and beyond them as at the first and the last.
type WeightPoints struct {
	In      Prediction `yaml:"of" doc:"what is weighed: the squared error of this prediction, whatever the network predicts"`
	LogSNR  []float64  `yaml:"log_snr,required" doc:"log-SNRs ln(alpha²/sigma²), rising: from noise to data"`
	Weights []float64  `yaml:"weights,required" doc:"the weight at each of them" range:"[0,inf)"`
}

// SetDefaults weighs the error of ε.
func (w *WeightPoints) SetDefaults() { w.In = Eps }

// Validate checks that there is a weight at each place.
func (w *WeightPoints) Validate() error {
	switch {
	case len(w.LogSNR) == 0:
		return invalid.Field("log_snr", "must have at least one number")
	case len(w.Weights) != len(w.LogSNR):
		return invalid.Field("weights", "must be as many as log_snr, %d, are %d", len(w.LogSNR), len(w.Weights))
	}
	some := false
	for i, l := range w.LogSNR {
		if math.IsNaN(l) || math.IsInf(l, 0) || i > 0 && l <= w.LogSNR[i-1] {
			return invalid.Field("log_snr", "must be finite and rise, number %d is %g", i, l)
		}
		if f := w.Weights[i]; !(f >= 0) || math.IsInf(f, 0) {
			return invalid.Field("weights", "must be finite and not negative, number %d is %g", i, f)
		}
		some = some || w.Weights[i] > 0
	}
	if !some {
		return invalid.Field("weights", "are all 0: nothing would be learned")
	}
	return nil
}

// Weight is the height of the line at the point.
func (w *WeightPoints) Weight(p Point) (float64, Kind) {
	at, last := math.Log(p.SNR()), len(w.LogSNR)-1
	for i, l := range w.LogSNR {
		switch {
		case at > l:
		case i == 0:
			return w.Weights[0], w.In
		default:
			f := (at - w.LogSNR[i-1]) / (l - w.LogSNR[i-1])
			return w.Weights[i-1] + f*(w.Weights[i]-w.Weights[i-1]), w.In
		}
	}
	return w.Weights[last], w.In
}
