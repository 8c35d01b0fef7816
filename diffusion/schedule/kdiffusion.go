package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// kDiffusion are the fields of LMSDiscrete and KDPM2Discrete.
type kDiffusion struct {
	Betas
	Spacing
	Respacing
	PredictionType string `json:"prediction_type"`
}

func (s *kDiffusion) validate(predictions ...string) error {
	for _, err := range []error{
		s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2"),
		s.Spacing.validate(),
		s.Respacing.validate(),
		checkPrediction(s.PredictionType, false, predictions...),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Training is the path and the network's side of it.
func (s *kDiffusion) Training() (*Plan, error) {
	table, err := s.table(false, false, diffusion.InterpolateLinear)
	if err != nil {
		return nil, err
	}
	return &Plan{Path: table, Predicts: predictionKinds[s.PredictionType], TimeInput: table.TableInput}, nil
}

// plan goes along levels at the timesteps, or respaced between the first and the last
// of them, and then to 0. The network is told fractional timesteps, whole ones
// for Karras's levels if rounded, and between those the entries' at which the
// logarithm of the level is.
func (s *kDiffusion) plan(steps int, rounded bool) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	entries, err := s.entries(s.NumTrainTimesteps, steps, false)
	if err != nil {
		return nil, err
	}
	table := p.Path.(*diffusion.Table)
	log, err := s.table(false, false, diffusion.InterpolateLog)
	if err != nil {
		return nil, err
	}
	logTime := func(level float64) float64 { return min(max(log.TimeOfLevel(level)-1, 0), log.End()-1) }
	p.Grid = times(append([]float64(nil), entries...))
	if s.on() {
		levels := s.levels(table.At(p.Grid[steps-1]).NoiseLevel(), table.At(p.Grid[0]).NoiseLevel(), steps)
		p.Grid = ofLevels(table, levels)
		for i, l := range levels {
			if entries[i] = logTime(l); rounded && s.UseKarrasSigmas {
				entries[i] = math.RoundToEven(entries[i])
			}
		}
	}
	grid := p.Grid
	p.TimeInput = func(q diffusion.Point) float64 {
		for i, t := range grid {
			if t == q.T {
				return entries[i]
			}
		}
		return logTime(q.NoiseLevel())
	}
	p.Grid = append(p.Grid[:steps:steps], 0)
	p.InitScale = initScale(table, p.Grid[0], s.TimestepSpacing)
	return p, nil
}

// LMS is LMSDiscreteScheduler.
type LMS struct {
	kDiffusion

	Order int `json:"-"` // an argument of its step, not of its config
}

func newLMS() *LMS {
	return &LMS{Order: 4, kDiffusion: kDiffusion{
		Betas:          Betas{NumTrainTimesteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear"},
		Spacing:        Spacing{TimestepSpacing: sampler.Linspace},
		PredictionType: "epsilon",
	}}
}

// Class is diffusers' name.
func (*LMS) Class() string { return "LMSDiscreteScheduler" }

// Validate checks the fields.
func (s *LMS) Validate() error { return s.validate("epsilon", "sample", "v_prediction") }

// Plan is the linear multistep method in σ.
func (s *LMS) Plan(steps int) (*Plan, error) {
	p, err := s.plan(steps, false)
	if err != nil {
		return nil, err
	}
	how := &sampler.LMS{Order: s.Order}
	p.Sampler = how
	return p, how.Validate()
}

// KDPM2 is KDPM2DiscreteScheduler.
type KDPM2 struct {
	kDiffusion
}

func newKDPM2() *KDPM2 {
	return &KDPM2{kDiffusion{
		Betas:          Betas{NumTrainTimesteps: 1000, BetaStart: 0.00085, BetaEnd: 0.012, BetaSchedule: "linear"},
		Spacing:        Spacing{TimestepSpacing: sampler.Linspace},
		PredictionType: "epsilon",
	}}
}

// Class is diffusers' name.
func (*KDPM2) Class() string { return "KDPM2DiscreteScheduler" }

// Validate checks the fields.
func (s *KDPM2) Validate() error {
	if s.PredictionType == "sample" {
		return invalid.Field("prediction_type", "sample is not implemented in diffusers for this class")
	}
	return s.validate("epsilon", "v_prediction")
}

// Plan is the midpoint method in σ.
func (s *KDPM2) Plan(steps int) (*Plan, error) {
	p, err := s.plan(steps, true)
	if err != nil {
		return nil, err
	}
	p.Sampler = &sampler.DPM2{}
	return p, nil
}
