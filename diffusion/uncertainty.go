package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Uncertainty is a learned log-variance u of the errors at each noise level (Karras et
// al. 2024, "Analyzing and improving the training dynamics of diffusion models", eq. 14 and 15; Kendall et al. 2018):
// the loss err·e^(−u) + u is least where e^u is the expected error, so that every noise level then
// contributes the same gradient, whatever the weights are.
//
// u is linear in random Fourier features of ln(σ/α)/4 and begins at 0.
type Uncertainty struct {
	Weight *tensor.Param // (features)
	freq   []float64
	phase  []float64
}

// uncertaintyFeatures is the paper's number of features.
const uncertaintyFeatures = 128

// NewUncertainty draws the features under key.
func NewUncertainty(dev backend.Device, dtype tensor.DType, key rng.Key) *Uncertainty {
	u := &Uncertainty{Weight: tensor.NewParam(dev, dtype, uncertaintyFeatures)}
	u.Weight.Name = "uncertainty.weight"
	z := make([]float32, uncertaintyFeatures)
	rng.Normal(z, key, 0)
	for i, f := range z {
		u.freq = append(u.freq, 2*math.Pi*float64(f))
		u.phase = append(u.phase, 2*math.Pi*rng.Float64(key, 1, i))
	}
	return u
}

// Log is u at each sample's time, (N).
func (u *Uncertainty) Log(s *tensor.Scope, path GaussianPath, at Step) *tensor.Tensor {
	n, k := len(at.T), len(u.freq)
	features := s.TensorOf(func(i int) float64 {
		// Where σ or α is 0 the level of the smallest or largest float32.
		level := min(max(-path.HalfLogSNR(at.T[i/k]), -100), 100) / 4
		return math.Sqrt2 * math.Cos(u.freq[i%k]*level+u.phase[i%k])
	}, n, k)
	return features.MatMul(s.Param(u.Weight).Reshape(k, 1)).Reshape(n)
}

// attenuated is err·e^(−u) + u.
var attenuated = tensor.NewPointwise("attenuated loss", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
	err, u := in[0], in[1]
	return err.Mul(u.Neg().Exp()).Add(u)
})
