package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// solver are the fields that diffusers' exponential integrators share: DPMSolverMultistep,
// DPMSolverSinglestep, UniPCMultistep and DEISMultistep.
type solver struct {
	Betas
	Respacing
	SolverOrder              int     `json:"solver_order"`
	PredictionType           string  `json:"prediction_type"`
	Thresholding             bool    `json:"thresholding"`
	DynamicThresholdingRatio float64 `json:"dynamic_thresholding_ratio"`
	SampleMaxValue           float64 `json:"sample_max_value"`
	LowerOrderFinal          bool    `json:"lower_order_final"`
	UseFlowSigmas            bool    `json:"use_flow_sigmas"`
	FlowShift                float64 `json:"flow_shift"`
	UseDynamicShifting       bool    `json:"use_dynamic_shifting"`
	TimeShiftType            string  `json:"time_shift_type"`

	// Mu is an argument of a run with dynamic shifting, not of the config: ln of
	// the shift in place of flow_shift.
	Mu *float64 `json:"-"`
}

func (s *solver) defaults() {
	*s = solver{
		Betas:       Betas{NumTrainTimesteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear"},
		SolverOrder: 2, PredictionType: "epsilon", DynamicThresholdingRatio: 0.995, SampleMaxValue: 1,
		LowerOrderFinal: true, FlowShift: 1, TimeShiftType: "exponential",
	}
}

// validate checks the fields. inNoise says that the algorithm works on the noise.
func (s *solver) validate(inNoise bool) error {
	for _, err := range []error{
		s.Betas.validate("linear", "scaled_linear", "squaredcos_cap_v2"),
		s.Respacing.validate(),
		s.clipping().validate(),
		oneOf("prediction_type", s.PredictionType, "epsilon", "sample", "v_prediction", "flow_prediction"),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case s.SolverOrder < 1 || s.SolverOrder > 3:
		return invalid.Field("solver_order", "must be in 1…3, is %d", s.SolverOrder)
	case !(s.FlowShift > 0) || math.IsInf(s.FlowShift, 0):
		return invalid.Field("flow_shift", "must be positive, is %g", s.FlowShift)
	case s.PredictionType == "flow_prediction" && !s.UseFlowSigmas:
		return invalid.Field("prediction_type", "is flow_prediction, which needs use_flow_sigmas: diffusers takes the noise level for the time there")
	case s.PredictionType == "flow_prediction" && inNoise:
		return invalid.Field("prediction_type", "flow_prediction does not go with an algorithm in the noise")
	case s.PredictionType == "v_prediction" && s.UseFlowSigmas:
		return invalid.Field("prediction_type", "v_prediction does not go with use_flow_sigmas: diffusers takes alpha²+sigma² for 1 there")
	}
	return nil
}

func (s *solver) clipping() *Clipping {
	return &Clipping{Thresholding: s.Thresholding, DynamicThresholdingRatio: s.DynamicThresholdingRatio, SampleMaxValue: s.SampleMaxValue}
}

// training is the path and the network's side of it.
func (s *solver) training(rescale bool) (*Plan, error) {
	kind := predictionKinds[s.PredictionType]
	if s.PredictionType == "flow_prediction" {
		kind = diffusion.Velocity
	}
	if s.UseFlowSigmas {
		n := float64(s.NumTrainTimesteps)
		return &Plan{Path: diffusion.CondOT{}, Predicts: kind, TimeInput: func(p diffusion.Point) float64 { return p.T * n }}, nil
	}
	table, err := s.table(rescale, true, diffusion.InterpolateLog)
	if err != nil {
		return nil, err
	}
	return &Plan{Path: table, Predicts: kind, TimeInput: table.TableInput}, nil
}

// spaced are n entries of a table as these classes space them: n+1 of them without
// the last, all but in trailing, from the first size entries of the table.
func spaced(spacing string, total, size, n, offset int) ([]float64, error) {
	if n < 1 || n >= total {
		return nil, invalid.Field("steps", "must be in 1…%d, is %d", total-1, n)
	}
	var t []float64
	switch spacing {
	case sampler.Linspace:
		for i := range n {
			t = append(t, math.RoundToEven(float64(n-i)*(float64(size-1)/float64(n))))
		}
	case sampler.Leading:
		stride := size / (n + 1)
		for i := range n {
			t = append(t, float64((n-i)*stride+offset))
		}
	case sampler.Trailing:
		stride := float64(total) / float64(n)
		for at := float64(size); at > 1e-9*float64(total); at = float64(size) - float64(len(t))*stride {
			t = append(t, math.RoundToEven(at)-1)
		}
	}
	if t[0] > float64(total-1) {
		return nil, invalid.Field("steps_offset", "%d leads past the table", offset)
	}
	return t, nil
}

// flowShift is the factor of the shift.
func (s *solver) flowShift() (float64, error) {
	if s.Mu == nil {
		return s.FlowShift, nil
	}
	if !s.UseDynamicShifting {
		return 0, invalid.Field("use_dynamic_shifting", "must be true for a shift that is chosen with a run")
	}
	return math.Exp(*s.Mu), nil
}

// run is the grid of a plan, as noise levels (times, on a flow's path), and what the network is told.
type run struct {
	levels []float64 // from noise to data, the final one included
	steps  []float64 // timesteps
}

// flow is the grid on a flow's path, before a final level: 1−1/T shifted, and down from there.
func (s *solver) flow(n int) (g run, err error) {
	if n < 1 {
		return g, invalid.Field("steps", "must be at least 1, is %d", n)
	}
	shift, err := s.flowShift()
	if err != nil {
		return g, err
	}
	alphas := s.fractions(n)
	for i := n; i > 0; i-- {
		g.levels = append(g.levels, diffusion.Shift(shift, 1-alphas[i]))
	}
	g.steps = s.flowSteps(g.levels)
	return g, nil
}

// fractions are n+1 equal steps from 1 to 1/T, rounded as numpy's linspace is: a
// timestep that should be whole is cut to the one below or not by its last bit.
func (s *solver) fractions(n int) []float64 {
	out := make([]float64, n+1)
	last := 1 / float64(s.NumTrainTimesteps)
	step := (last - 1) / float64(n)
	for i := range out {
		out[i] = float64(float64(i)*step) + 1 // without a fused multiply
	}
	out[n] = last
	return out
}

// flowSteps are the timesteps at times of a flow's path.
func (s *solver) flowSteps(times []float64) (steps []float64) {
	for _, t := range times {
		steps = append(steps, math.Floor(t*float64(s.NumTrainTimesteps)))
	}
	return steps
}

// respaced are n levels from hi to lo and their timesteps, whole numbers if rounded.
func (s *solver) respaced(table *diffusion.Table, lo, hi float64, n int, rounded bool) (g run, err error) {
	if n < 1 {
		return g, invalid.Field("steps", "must be at least 1, is %d", n)
	}
	g.levels = s.levels(lo, hi, n)
	for _, l := range g.levels {
		t := min(max(table.TimeOfLevel(l)-1, 0), table.End()-1)
		if rounded {
			t = math.RoundToEven(t)
		}
		g.steps = append(g.steps, t)
	}
	return g, nil
}

// ends are a table's lowest and highest noise level.
func ends(table *diffusion.Table) (lo, hi float64) {
	return table.At(1).NoiseLevel(), table.At(table.End()).NoiseLevel()
}

// ofEntries are the levels at entries of a table.
func ofEntries(table *diffusion.Table, entries []float64) (g run) {
	for _, e := range entries {
		g.levels = append(g.levels, table.At(e+1).NoiseLevel())
	}
	g.steps = entries
	return g
}

// into makes the plan's grid of g, whose last level is the final one. The network's
// timesteps are cut to whole numbers, as diffusers does.
func (g run) into(p *Plan) error {
	p.Grid = g.levels
	if table, ok := p.Path.(*diffusion.Table); ok {
		p.Grid = ofLevels(table, g.levels)
	}
	n := len(p.Grid) - 1
	if p.Grid[n] > p.Grid[n-1]*(1+1e-12) {
		return invalid.Field("final_sigmas_type", "sigma_min ends at noise level %g, above the grid's last, %g", g.levels[n], g.levels[n-1])
	}
	p.Grid[n] = min(p.Grid[n], p.Grid[n-1])
	told := make([]float64, n)
	for i := range told {
		told[i] = math.Floor(g.steps[i] + 1e-9) // what rounding took is not cut off
	}
	p.TimeInput, p.InitScale = lookup(p.Grid[:n], told), 1
	return nil
}
