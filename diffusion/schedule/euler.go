package schedule

import (
	"math"
	"sort"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Euler is EulerDiscreteScheduler.
type Euler struct {
	Betas
	Spacing
	Respacing
	PredictionType      string   `json:"prediction_type"`
	InterpolationType   string   `json:"interpolation_type"`
	SigmaMin            *float64 `json:"sigma_min"` // ends of respaced levels
	SigmaMax            *float64 `json:"sigma_max"`
	TimestepType        string   `json:"timestep_type"`
	RescaleBetasZeroSNR bool     `json:"rescale_betas_zero_snr"`
	FinalSigmasType     string   `json:"final_sigmas_type"`
}

func newEuler() *Euler {
	return &Euler{
		Betas:             Betas{NumTrainTimesteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear"},
		Spacing:           Spacing{TimestepSpacing: sampler.Linspace},
		PredictionType:    "epsilon",
		InterpolationType: "linear",
		TimestepType:      "discrete",
		FinalSigmasType:   "zero",
	}
}

// Class is diffusers' name.
func (*Euler) Class() string { return "EulerDiscreteScheduler" }

// Validate checks the fields.
func (s *Euler) Validate() error {
	for _, err := range []error{
		s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2"),
		s.Spacing.validate(),
		s.Respacing.validate(),
		oneOf("interpolation_type", s.InterpolationType, "linear", "log_linear"),
		oneOf("timestep_type", s.TimestepType, "discrete", "continuous"),
		oneOf("final_sigmas_type", s.FinalSigmasType, "zero", "sigma_min"),
		checkPrediction(s.PredictionType, false, "epsilon", "sample", "original_sample", "v_prediction"),
	} {
		if err != nil {
			return err
		}
	}
	if v := s.SigmaMin; v != nil && !(*v > 0) {
		return invalid.Field("sigma_min", "must be positive, is %g", *v)
	}
	if v := s.SigmaMax; v != nil && !(*v > 0) {
		return invalid.Field("sigma_max", "must be positive, is %g", *v)
	}
	return nil
}

func (s *Euler) continuous() bool {
	return s.TimestepType == "continuous" && s.PredictionType == "v_prediction"
}

// Training is the path and the network's side of it.
func (s *Euler) Training() (*Plan, error) {
	how := diffusion.InterpolateLinear
	if s.on() || s.InterpolationType == "log_linear" {
		how = diffusion.InterpolateLog
	}
	table, err := s.table(s.RescaleBetasZeroSNR, true, how)
	if err != nil {
		return nil, err
	}
	p := &Plan{Path: table, Predicts: predictionKinds[s.PredictionType], TimeInput: table.TableInput}
	if s.continuous() {
		p.TimeInput = diffusion.EDMInput
	}
	return p, nil
}

// Plan integrates in σ along levels at the timesteps, or respaced.
func (s *Euler) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	table := p.Path.(*diffusion.Table)
	entries, err := s.entries(s.NumTrainTimesteps, steps, false)
	if err != nil {
		return nil, err
	}
	p.Grid = times(append([]float64(nil), entries...))
	if s.InterpolationType == "log_linear" {
		// n+1 levels over the whole table, while the network is told the
		// timesteps of the spacing.
		levels := make([]float64, steps+1)
		diffusion.Linspace(levels, -table.HalfLogSNR(table.End()), -table.HalfLogSNR(1))
		for i, l := range levels {
			levels[i] = math.Exp(l)
		}
		p.Grid = ofLevels(table, levels)
		if !s.on() && !s.continuous() {
			p.TimeInput = lookup(p.Grid[:steps], entries)
		}
	}
	if s.on() {
		lo, hi := table.At(p.Grid[len(p.Grid)-1]).NoiseLevel(), table.At(p.Grid[0]).NoiseLevel()
		if s.SigmaMin != nil {
			lo = *s.SigmaMin
		}
		if s.SigmaMax != nil {
			hi = *s.SigmaMax
		}
		if lo > hi {
			return nil, invalid.Field("sigma_min", "(%g) is above the largest noise level, %g", lo, hi)
		}
		p.Grid = ofLevels(table, s.levels(lo, hi, steps))
	}
	if len(p.Grid) == steps {
		final := 0.0
		if s.FinalSigmasType == "sigma_min" {
			final = 1
		}
		if final > p.Grid[steps-1] {
			return nil, invalid.Field("final_sigmas_type", "sigma_min ends at the table's first level, above the grid's last")
		}
		p.Grid = append(p.Grid, final)
	}
	p.InitScale = initScale(table, p.Grid[0], s.TimestepSpacing)
	how := new(sampler.Euler)
	how.SetDefaults()
	how.Variable = "sigma"
	p.Sampler = how
	return p, nil
}

// initScale is diffusers' init_noise_sigma brought from x/α to x: max σ for linspace and
// trailing, √(max σ²+1) for leading.
func initScale(path diffusion.GaussianPath, start float64, spacing string) float64 {
	if spacing == sampler.Leading {
		return 1
	}
	return path.At(start).Sigma
}

func ofLevels(table *diffusion.Table, levels []float64) []float64 {
	out := make([]float64, len(levels))
	for i, l := range levels {
		out[i] = table.TimeOfLevel(l)
	}
	return out
}

// lookup is the piecewise linear function through (times[i], values[i]); times fall.
func lookup(times, values []float64) func(p diffusion.Point) float64 {
	return func(p diffusion.Point) float64 {
		i := sort.Search(len(times), func(i int) bool { return times[i] <= p.T })
		switch {
		case i == 0:
			return values[0]
		case i == len(times):
			return values[i-1]
		case times[i] == p.T:
			return values[i]
		}
		f := (p.T - times[i]) / (times[i-1] - times[i])
		return values[i] + f*(values[i-1]-values[i])
	}
}
