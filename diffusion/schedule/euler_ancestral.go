package schedule

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// EulerAncestral is EulerAncestralDiscreteScheduler.
type EulerAncestral struct {
	Betas
	Spacing
	PredictionType      string `json:"prediction_type"`
	RescaleBetasZeroSNR bool   `json:"rescale_betas_zero_snr"`
}

func newEulerAncestral() *EulerAncestral {
	return &EulerAncestral{
		Betas:          Betas{NumTrainTimesteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear"},
		Spacing:        Spacing{TimestepSpacing: sampler.Linspace},
		PredictionType: "epsilon",
	}
}

// Class is diffusers' name.
func (*EulerAncestral) Class() string { return "EulerAncestralDiscreteScheduler" }

// Validate checks the fields.
func (s *EulerAncestral) Validate() error {
	if err := s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2"); err != nil {
		return err
	}
	if err := s.Spacing.validate(); err != nil {
		return err
	}
	return checkNoSample(s.PredictionType)
}

// checkNoSample is an error about a prediction that diffusers' ancestral and SDE schedulers do not know.
func checkNoSample(prediction string) error {
	if prediction == "sample" {
		return invalid.Field("prediction_type", "sample is not implemented by diffusers' scheduler of that class: epsilon or v_prediction")
	}
	return oneOf("prediction_type", prediction, "epsilon", "v_prediction")
}

// Training is the path and the network's side of it.
func (s *EulerAncestral) Training() (*Plan, error) {
	table, err := s.table(s.RescaleBetasZeroSNR, true, diffusion.InterpolateLinear)
	if err != nil {
		return nil, err
	}
	return &Plan{Path: table, Predicts: predictionKinds[s.PredictionType], TimeInput: table.TableInput}, nil
}

// Plan steps along levels at the timesteps, and then to 0.
func (s *EulerAncestral) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	entries, err := s.entries(s.NumTrainTimesteps, steps, false)
	if err != nil {
		return nil, err
	}
	p.Grid = append(times(entries), 0)
	p.InitScale = initScale(p.Path, p.Grid[0], s.TimestepSpacing)
	how := new(sampler.EulerAncestral)
	how.SetDefaults()
	p.Sampler = how
	return p, nil
}
