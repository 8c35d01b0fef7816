package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Predictors and correctors.
const (
	PredictEulerMaruyama    = "euler_maruyama"
	PredictReverseDiffusion = "reverse_diffusion"
	PredictAncestral        = "ancestral"
	CorrectLangevin         = "langevin"
	CorrectAnnealed         = "annealed"
	None                    = "none"
)

// PredictorCorrector is the sampler of Song et al. 2021 (algorithms 2 and 3; in the
// order of its authors' code): at each time some steps of Langevin dynamics, and then
// a step of a discretisation of the reverse SDE to the next. A step to σ=0 ends
// at the estimate of the data.
type PredictorCorrector struct {
	Predictor string  `yaml:"predictor" doc:"step to the next time: euler_maruyama (of the reverse SDE), reverse_diffusion (the forward step's own coefficients, reversed), ancestral (of the posterior's mean and variance), or none (the state is taken over)" oneof:"reverse_diffusion euler_maruyama ancestral none"`
	Corrector string  `yaml:"corrector" doc:"steps at each time: annealed (their size from sigma), langevin (the paper's, from the norms of each sample's score and noise: for many dimensions), or none" oneof:"annealed langevin none"`
	SNR       float64 `yaml:"snr" doc:"r: of a corrector's step, the ratio of its drift's norm to its noise's"`
	Steps     int     `yaml:"steps" doc:"corrector steps at each time" range:"[1,1000]"`
	Denoise   bool    `yaml:"denoise" doc:"leave the noise out of the last step"`
}

// SetDefaults are the paper's, but for the corrector's step, which fits any dimension.
func (c *PredictorCorrector) SetDefaults() {
	*c = PredictorCorrector{Predictor: PredictReverseDiffusion, Corrector: CorrectAnnealed, SNR: 0.16, Steps: 1, Denoise: true}
}

// Validate checks names and ranges.
func (c *PredictorCorrector) Validate() error {
	switch c.Predictor {
	case PredictEulerMaruyama, PredictReverseDiffusion, PredictAncestral, None:
	default:
		return invalid.Field("predictor", "must be one of reverse_diffusion, euler_maruyama, ancestral, none, is %q", c.Predictor)
	}
	switch c.Corrector {
	case CorrectLangevin, CorrectAnnealed, None:
	default:
		return invalid.Field("corrector", "must be one of annealed, langevin, none, is %q", c.Corrector)
	}
	if !(c.SNR > 0) || math.IsInf(c.SNR, 0) {
		return invalid.Field("snr", "must be positive, is %g", c.SNR)
	}
	if c.Steps < 1 || c.Steps > 1000 {
		return invalid.Field("steps", "must be in 1…1000, is %d", c.Steps)
	}
	return nil
}

// Sample corrects and predicts. Noise 0 of a step is the predictor's.
func (c *PredictorCorrector) Sample(r *Run) {
	n := 1
	if c.Corrector != None {
		n += c.Steps
	}
	axes := make([]int, 0, tensor.MaxRank)
	for i := 1; i < r.X.Rank(); i++ {
		axes = append(axes, i)
	}
	for st := range r.Steps() {
		for k := 1; k < n; k++ {
			r.X = c.correct(r, st, r.NoiseOf(k, n), axes)
			if !r.Settle() {
				return
			}
		}
		if st.To.Sigma == 0 {
			r.X = r.Data(r.X, st.From).Scale(st.To.Alpha)
			continue
		}
		x, noise := c.predict(r, st)
		if noise > 0 && !(c.Denoise && st.Last()) {
			x = x.Axpby(1, r.NoiseOf(0, n), noise)
		}
		r.X = x
	}
}

// predict is the mean of the predictor's step, and its noise's standard deviation. From α=0 steps of the reverse SDE are ancestral
// ones: the noise of the others is infinite there, or comes on top of what it should replace.
func (c *PredictorCorrector) predict(r *Run, st *Step) (mean *tensor.Tensor, noise float64) {
	if c.Predictor == PredictAncestral || c.Predictor != None && st.From.Alpha == 0 {
		return r.ancestral(st)
	}
	on, onScore := 1., 0.
	switch c.Predictor {
	case PredictEulerMaruyama:
		on, onScore, noise = reverseEulerMaruyama(st.From, st.To)
	case PredictReverseDiffusion:
		on, onScore, noise = reverseDiffusion(st.From, st.To)
	}
	return r.X.Axpby(on, r.Score(r.X, st.From), onScore), noise
}

// correct is a step of Langevin dynamics, x' = x + h·score + √(2h)·z, with
// h = 2a·(r·‖z‖/‖score‖)² and a = (α_t/α_s)², the step's 1−β (Song et al. 2021,
// algorithms 4 and 5). The norms are each sample's own: their mean over a batch, which
// the authors' code takes, would make a sample depend on the others; with few
// dimensions they scatter so much that the law suffers. Of a score −ε/σ the ratio is on
// average σ: the annealed step, h = 2a·(r·σ)², does not ask for norms.
func (c *PredictorCorrector) correct(r *Run, st *Step, z *tensor.Tensor, axes []int) *tensor.Tensor {
	a := st.From.Alpha / st.To.Alpha * st.From.Alpha / st.To.Alpha
	score := r.Score(r.X, st.From)
	if c.Corrector == CorrectAnnealed {
		h := 2 * a * c.SNR * st.From.Sigma * c.SNR * st.From.Sigma
		return r.X.Axpby(1, score, h).Axpby(1, z, math.Sqrt(2*h))
	}
	ratio := z.Square().SumKeep(axes...).Div(score.Square().SumKeep(axes...)) // (‖z‖/‖score‖)²
	h := ratio.Scale(2 * a * c.SNR * c.SNR)
	return z.MulAdd(h.Scale(2).Sqrt(), score.MulAdd(h, r.X))
}

// Predictors' coefficients of x, of the score and of the noise, from t to s.

// reverseEulerMaruyama: x' = x − h·(f·x − g²·score) + g√h·z.
func reverseEulerMaruyama(t, s diffusion.Point) (on, onScore, noise float64) {
	h, g2 := t.T-s.T, t.Diffusion2()
	return 1 - h*t.Drift(), g2 * h, math.Sqrt(g2 * h)
}

// reverseDiffusion: the forward step x_t = (α_t/α_s)·x_s + G·z is
// reversed to x' = x − (α_t/α_s − 1)·x + G²·score + G·z (Song et al. 2021, eq. 46).
func reverseDiffusion(t, s diffusion.Point) (on, onScore, noise float64) {
	g2 := diffusion.NewPosterior(t, s).Large
	return 2 - t.Alpha/s.Alpha, g2, math.Sqrt(g2)
}
