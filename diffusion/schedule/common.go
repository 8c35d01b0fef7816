package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Betas are the fields of a discrete noise schedule.
type Betas struct {
	NumTrainTimesteps int       `json:"num_train_timesteps"`
	BetaStart         float64   `json:"beta_start"`
	BetaEnd           float64   `json:"beta_end"`
	BetaSchedule      string    `json:"beta_schedule"`
	TrainedBetas      []float64 `json:"trained_betas"` // instead of all but their number
}

// maxTimesteps bounds a table.
const maxTimesteps = 1_000_000

func (b *Betas) validate(schedules ...string) error {
	switch n := b.NumTrainTimesteps; {
	case n < 1 || n > maxTimesteps:
		return invalid.Field("num_train_timesteps", "must be in 1…%d, is %d", maxTimesteps, n)
	case b.TrainedBetas != nil && len(b.TrainedBetas) != n:
		return invalid.Field("trained_betas", "has %d values, num_train_timesteps is %d", len(b.TrainedBetas), n)
	case b.TrainedBetas != nil:
		return nil
	case !(b.BetaStart > 0 && b.BetaStart < 1):
		return invalid.Field("beta_start", "must be in (0, 1), is %g", b.BetaStart)
	case !(b.BetaEnd > 0 && b.BetaEnd < 1):
		return invalid.Field("beta_end", "must be in (0, 1), is %g", b.BetaEnd)
	}
	return oneOf("beta_schedule", b.BetaSchedule, schedules...)
}

// table is the path, with zero terminal SNR if rescaled; in Euler's case nearly so.
func (b *Betas) table(rescale, euler bool, how diffusion.Interpolation) (*diffusion.Table, error) {
	betas := b.TrainedBetas
	if betas == nil {
		var err error
		if betas, err = diffusion.Betas(diffusion.BetaSchedule(b.BetaSchedule), b.NumTrainTimesteps, b.BetaStart, b.BetaEnd); err != nil {
			return nil, err
		}
	}
	if rescale {
		if len(betas) < 2 {
			return nil, invalid.Field("rescale_betas_zero_snr", "needs at least 2 timesteps")
		}
		betas = diffusion.RescaleZeroSNR(betas)
	}
	bars := diffusion.AlphaBars(betas)
	if rescale && euler {
		bars[len(bars)-1] = 0x1p-24 // where diffusers keeps it from 0
	}
	t, err := diffusion.NewTableOf(bars, how)
	if err != nil {
		return nil, invalid.Field("trained_betas", "or the schedule's ends are impossible: %v", err)
	}
	return t, nil
}

// Spacing are the fields of the choice of timesteps.
type Spacing struct {
	TimestepSpacing string `json:"timestep_spacing"`
	StepsOffset     int    `json:"steps_offset"` // in leading spacing
}

func (s *Spacing) validate() error {
	if s.StepsOffset < 0 {
		return invalid.Field("steps_offset", "must not be negative, is %d", s.StepsOffset)
	}
	return oneOf("timestep_spacing", s.TimestepSpacing, sampler.Linspace, sampler.Leading, sampler.Trailing)
}

// entries of a table of size, and whether they are to be whole numbers.
func (s *Spacing) entries(size, n int, whole bool) ([]float64, error) {
	t, err := sampler.Entries(s.TimestepSpacing, size, n, s.StepsOffset)
	if err == nil && whole {
		for i := range t {
			t[i] = math.RoundToEven(t[i])
		}
	}
	return t, err
}

// Clipping are the fields of the limits of the estimate of the data.
type Clipping struct {
	ClipSample               bool    `json:"clip_sample"`
	ClipSampleRange          float64 `json:"clip_sample_range"`
	Thresholding             bool    `json:"thresholding"` // wins
	DynamicThresholdingRatio float64 `json:"dynamic_thresholding_ratio"`
	SampleMaxValue           float64 `json:"sample_max_value"`
}

func (c *Clipping) defaults() {
	*c = Clipping{ClipSample: true, ClipSampleRange: 1, DynamicThresholdingRatio: 0.995, SampleMaxValue: 1}
}

func (c *Clipping) validate() error {
	switch {
	case c.Thresholding && !(c.DynamicThresholdingRatio > 0 && c.DynamicThresholdingRatio <= 1):
		return invalid.Field("dynamic_thresholding_ratio", "must be in (0, 1], is %g", c.DynamicThresholdingRatio)
	case c.Thresholding && !(c.SampleMaxValue >= 1):
		return invalid.Field("sample_max_value", "must be at least 1, is %g", c.SampleMaxValue)
	case c.ClipSample && !(c.ClipSampleRange > 0):
		return invalid.Field("clip_sample_range", "must be positive, is %g", c.ClipSampleRange)
	}
	return nil
}

func (c *Clipping) clip() sampler.Clip {
	switch {
	case c.Thresholding:
		return sampler.Clip{Quantile: c.DynamicThresholdingRatio, Max: c.SampleMaxValue}
	case c.ClipSample:
		return sampler.Clip{Range: c.ClipSampleRange}
	}
	return sampler.Clip{}
}

// predictionKinds are diffusers' names of what networks predict.
var predictionKinds = map[string]diffusion.Kind{
	"epsilon": diffusion.Eps, "sample": diffusion.X0, "original_sample": diffusion.X0, "v_prediction": diffusion.V,
}

func checkPrediction(name string, rescaled bool, choices ...string) error {
	if rescaled && name == "epsilon" {
		return invalid.Field("prediction_type", "is epsilon, which with rescale_betas_zero_snr says nothing of the data at the last timestep: v_prediction or sample")
	}
	return oneOf("prediction_type", name, choices...)
}
