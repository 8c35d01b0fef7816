package schedule

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// DDPM is DDPMScheduler.
type DDPM struct {
	Betas
	Spacing
	Clipping
	VarianceType        string `json:"variance_type"`
	PredictionType      string `json:"prediction_type"`
	RescaleBetasZeroSNR bool   `json:"rescale_betas_zero_snr"`
}

func newDDPM() *DDPM {
	s := &DDPM{
		Betas:          Betas{NumTrainTimesteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear"},
		Spacing:        Spacing{TimestepSpacing: sampler.Leading},
		VarianceType:   "fixed_small",
		PredictionType: "epsilon",
	}
	s.Clipping.defaults()
	return s
}

// Class is diffusers' name.
func (*DDPM) Class() string { return "DDPMScheduler" }

// Validate checks the fields.
func (s *DDPM) Validate() error {
	if err := s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"); err != nil {
		return err
	}
	if err := s.Spacing.validate(); err != nil {
		return err
	}
	if err := s.Clipping.validate(); err != nil {
		return err
	}
	if s.VarianceType == "fixed_large_log" {
		return invalid.Field("variance_type", "fixed_large_log is not supported: diffusers takes the root of a negative number there, fixed_large is what is meant")
	}
	if err := oneOf("variance_type", s.VarianceType, "fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"); err != nil {
		return err
	}
	return checkPrediction(s.PredictionType, s.RescaleBetasZeroSNR, "epsilon", "sample", "v_prediction")
}

// Training is the path and the network's side of it.
func (s *DDPM) Training() (*Plan, error) {
	table, err := s.table(s.RescaleBetasZeroSNR, false, diffusion.InterpolateLog)
	if err != nil {
		return nil, err
	}
	p := &Plan{Path: table, Predicts: predictionKinds[s.PredictionType], TimeInput: table.TableInput}
	switch s.VarianceType {
	case "learned":
		p.Variance = diffusion.VarianceLearned
	case "learned_range":
		p.Variance = diffusion.VarianceLearnedRange
	}
	return p, nil
}

// Plan steps along the list of timesteps, and from its last to the data.
func (s *DDPM) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	entries, err := s.entries(s.NumTrainTimesteps, steps, true)
	if err != nil {
		return nil, err
	}
	how := &sampler.DDPM{Variance: sampler.FixedSmall, FinalNoise: entries[steps-1] > 0}
	switch s.VarianceType {
	case "fixed_large":
		how.Variance = sampler.FixedLarge
	case "learned", "learned_range":
		how.Variance = sampler.Learned
	}
	p.Grid, p.Sampler, p.Clip, p.InitScale = append(times(entries), 0), how, s.clip(), 1
	return p, nil
}

// times of a table's entries.
func times(entries []float64) []float64 {
	for i := range entries {
		entries[i]++
	}
	return entries
}

// DDIM is DDIMScheduler. Eta and UseClippedModelOutput are arguments of its step, not of its config.
type DDIM struct {
	Betas
	Spacing
	Clipping
	SetAlphaToOne       bool   `json:"set_alpha_to_one"`
	PredictionType      string `json:"prediction_type"`
	RescaleBetasZeroSNR bool   `json:"rescale_betas_zero_snr"`

	Eta                   float64 `json:"-"`
	UseClippedModelOutput bool    `json:"-"`
}

func newDDIM() *DDIM {
	s := &DDIM{
		Betas:          Betas{NumTrainTimesteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear"},
		Spacing:        Spacing{TimestepSpacing: sampler.Leading},
		SetAlphaToOne:  true,
		PredictionType: "epsilon",
	}
	s.Clipping.defaults()
	return s
}

// Class is diffusers' name.
func (*DDIM) Class() string { return "DDIMScheduler" }

// Validate checks the fields.
func (s *DDIM) Validate() error {
	if err := s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2"); err != nil {
		return err
	}
	if err := s.Spacing.validate(); err != nil {
		return err
	}
	if err := s.Clipping.validate(); err != nil {
		return err
	}
	return checkPrediction(s.PredictionType, s.RescaleBetasZeroSNR, "epsilon", "sample", "v_prediction")
}

// Training is the path and the network's side of it.
func (s *DDIM) Training() (*Plan, error) {
	table, err := s.table(s.RescaleBetasZeroSNR, false, diffusion.InterpolateLog)
	if err != nil {
		return nil, err
	}
	return &Plan{Path: table, Predicts: predictionKinds[s.PredictionType], TimeInput: table.TableInput}, nil
}

// Plan takes steps of T÷n from each of the timesteps, as diffusers does whether
// or not that is the next of them. Without set_alpha_to_one the last goes to the table's first entry.
func (s *DDIM) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	entries, err := s.entries(s.NumTrainTimesteps, steps, true)
	if err != nil {
		return nil, err
	}
	final := 1.0
	if s.SetAlphaToOne {
		final = 0
	}
	p.Grid, p.Clip, p.InitScale = append(times(entries), final), s.clip(), 1
	p.Sampler = &sampler.DDIM{Eta: s.Eta, Rederive: s.UseClippedModelOutput, Stride: float64(s.NumTrainTimesteps / steps)}
	return p, nil
}
