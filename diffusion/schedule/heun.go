package schedule

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Heun is HeunDiscreteScheduler.
type Heun struct {
	Betas
	Spacing
	Respacing
	PredictionType  string  `json:"prediction_type"`
	ClipSample      bool    `json:"clip_sample"`
	ClipSampleRange float64 `json:"clip_sample_range"`
}

func newHeun() *Heun {
	return &Heun{
		Betas:           Betas{NumTrainTimesteps: 1000, BetaStart: 0.00085, BetaEnd: 0.012, BetaSchedule: "linear"},
		Spacing:         Spacing{TimestepSpacing: sampler.Linspace},
		PredictionType:  "epsilon",
		ClipSampleRange: 1,
	}
}

// Class is diffusers' name.
func (*Heun) Class() string { return "HeunDiscreteScheduler" }

// Validate checks the fields.
func (s *Heun) Validate() error {
	for _, err := range []error{
		s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2", "exp"),
		s.Spacing.validate(),
		s.Respacing.validate(),
		checkPrediction(s.PredictionType, false, "epsilon", "sample", "v_prediction"),
	} {
		if err != nil {
			return err
		}
	}
	if s.ClipSample && !(s.ClipSampleRange > 0) {
		return invalid.Field("clip_sample_range", "must be positive, is %g", s.ClipSampleRange)
	}
	return nil
}

// Training is the path and the network's side of it.
func (s *Heun) Training() (*Plan, error) {
	how := diffusion.InterpolateLinear
	if s.on() {
		how = diffusion.InterpolateLog
	}
	table, err := s.table(false, false, how)
	if err != nil {
		return nil, err
	}
	return &Plan{Path: table, Predicts: predictionKinds[s.PredictionType], TimeInput: table.TableInput}, nil
}

// Plan integrates in σ along levels at the timesteps, or respaced, and then to 0.
func (s *Heun) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	table := p.Path.(*diffusion.Table)
	entries, err := s.entries(s.NumTrainTimesteps, steps, false)
	if err != nil {
		return nil, err
	}
	p.Grid = times(entries)
	if s.on() {
		lo, hi := table.At(p.Grid[steps-1]).NoiseLevel(), table.At(p.Grid[0]).NoiseLevel()
		p.Grid = ofLevels(table, s.levels(lo, hi, steps))
	}
	p.Grid = append(p.Grid, 0)
	p.InitScale = initScale(table, p.Grid[0], s.TimestepSpacing)
	if s.ClipSample {
		p.Clip.Range = s.ClipSampleRange
	}
	how := new(sampler.Heun)
	how.SetDefaults()
	how.Variable = "sigma"
	p.Sampler = how
	return p, nil
}
