package schedule

import (
	"math"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
)

// TwoStage are the fields of schedulers that also ask the network within steps.
type TwoStage struct {
	Betas
	Spacing
	Respacing
	PredictionType string `json:"prediction_type"`
}

func newTwoStage() TwoStage {
	return TwoStage{
		Betas:          Betas{NumTrainTimesteps: 1000, BetaStart: 0.00085, BetaEnd: 0.012, BetaSchedule: "linear"},
		Spacing:        Spacing{TimestepSpacing: sampler.Linspace},
		PredictionType: "epsilon",
	}
}

// Validate checks the fields.
func (s *TwoStage) Validate() error {
	for _, err := range []error{
		s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2"),
		s.Spacing.validate(),
		s.Respacing.validate(),
		checkNoSample(s.PredictionType),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Training is the path and the network's side of it.
func (s *TwoStage) Training() (*Plan, error) {
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

// plan is the run with a sampler. The network's time is, at the grid's times, the
// timestep, rounded if levels are Karras's and whole is set; within steps it is where the
// logarithm of the noise level, linear between entries, has the point's.
func (s *TwoStage) plan(steps int, how sampler.Sampler, whole bool) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	table := p.Path.(*diffusion.Table)
	entries, err := s.entries(s.NumTrainTimesteps, steps, false)
	if err != nil {
		return nil, err
	}
	p.Grid = times(slices.Clone(entries))
	logTable := table
	if s.on() {
		lo, hi := table.At(p.Grid[steps-1]).NoiseLevel(), table.At(p.Grid[0]).NoiseLevel()
		p.Grid = ofLevels(table, s.levels(lo, hi, steps))
		for i, t := range p.Grid {
			entries[i] = table.TableInput(diffusion.Point{T: t})
			if whole && s.UseKarrasSigmas {
				entries[i] = math.RoundToEven(entries[i])
			}
		}
	} else if logTable, err = s.table(false, false, diffusion.InterpolateLog); err != nil {
		return nil, err
	}
	onGrid := p.Grid
	p.TimeInput = func(q diffusion.Point) float64 {
		if i := slices.Index(onGrid, q.T); i >= 0 {
			return entries[i]
		}
		return logTable.TableInput(diffusion.Point{T: logTable.TimeOfLevel(q.NoiseLevel())})
	}
	p.Grid = append(slices.Clone(onGrid), 0)
	p.InitScale = initScale(table, p.Grid[0], s.TimestepSpacing)
	p.Sampler = how
	return p, nil
}

// KDPM2Ancestral is KDPM2AncestralDiscreteScheduler.
type KDPM2Ancestral struct{ TwoStage }

func newKDPM2Ancestral() *KDPM2Ancestral { return &KDPM2Ancestral{newTwoStage()} }

// Class is diffusers' name.
func (*KDPM2Ancestral) Class() string { return "KDPM2AncestralDiscreteScheduler" }

// Plan steps along levels at the timesteps, or respaced, and then to 0.
func (s *KDPM2Ancestral) Plan(steps int) (*Plan, error) {
	how := new(sampler.DPM2Ancestral)
	how.SetDefaults()
	return s.plan(steps, how, true)
}
