package schedule

import (
	"encoding/json"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// UniPC is UniPCMultistepScheduler.
type UniPC struct {
	solver
	Spacing
	PredictX0           bool            `json:"predict_x0"`
	SolverType          string          `json:"solver_type"`
	DisableCorrector    []int           `json:"disable_corrector"`
	SolverP             json.RawMessage `json:"solver_p"`
	FinalSigmasType     string          `json:"final_sigmas_type"`
	RescaleBetasZeroSNR bool            `json:"rescale_betas_zero_snr"`
	SigmaMin            *float64        `json:"sigma_min"` // ends of respaced levels
	SigmaMax            *float64        `json:"sigma_max"`
	ShiftTerminal       *float64        `json:"shift_terminal"`
}

func newUniPC() *UniPC {
	s := &UniPC{Spacing: Spacing{TimestepSpacing: sampler.Linspace}, PredictX0: true, SolverType: sampler.BH2, FinalSigmasType: "zero"}
	s.solver.defaults()
	return s
}

// Class is diffusers' name.
func (*UniPC) Class() string { return "UniPCMultistepScheduler" }

// Validate checks the fields.
func (s *UniPC) Validate() error {
	for _, err := range []error{
		s.solver.validate(!s.PredictX0),
		s.Spacing.validate(),
		oneOf("solver_type", s.SolverType, "bh1", "bh2", "midpoint", "heun", "logrho"),
		oneOf("final_sigmas_type", s.FinalSigmasType, "zero", "sigma_min"),
		oneOf("time_shift_type", s.TimeShiftType, "exponential", "linear"),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case s.SolverP != nil:
		return invalid.Field("solver_p", "is not supported: the predictor is UniP")
	case s.ShiftTerminal != nil && !s.UseFlowSigmas:
		return invalid.Field("shift_terminal", "needs use_flow_sigmas")
	case s.ShiftTerminal != nil && !(*s.ShiftTerminal >= 0 && *s.ShiftTerminal < 1):
		return invalid.Field("shift_terminal", "must be in [0, 1), is %g", *s.ShiftTerminal)
	case s.UseFlowSigmas && (s.UseExponentialSigmas || s.UseBetaSigmas):
		return invalid.Field("use_flow_sigmas", "excludes use_exponential_sigmas and use_beta_sigmas: diffusers takes their noise levels for times")
	case s.SigmaMin != nil && !(*s.SigmaMin > 0):
		return invalid.Field("sigma_min", "must be positive, is %g", *s.SigmaMin)
	case s.SigmaMax != nil && !(*s.SigmaMax > 0):
		return invalid.Field("sigma_max", "must be positive, is %g", *s.SigmaMax)
	}
	for _, i := range s.DisableCorrector {
		if i < 0 {
			return invalid.Field("disable_corrector", "must list steps from 0, has %d", i)
		}
	}
	return nil
}

// Training is the path and the network's side of it.
func (s *UniPC) Training() (*Plan, error) { return s.training(s.RescaleBetasZeroSNR) }

// Plan goes along levels at the timesteps, or respaced, or a flow's.
func (s *UniPC) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	table, ok := p.Path.(*diffusion.Table)
	if !ok && s.on() { // for the ends of its levels
		if table, err = s.table(s.RescaleBetasZeroSNR, true, diffusion.InterpolateLog); err != nil {
			return nil, err
		}
	}
	var g run
	switch {
	case s.on():
		g, err = s.respace(table, steps)
	case s.UseFlowSigmas:
		g, err = s.flow(steps)
	default:
		var entries []float64
		entries, err = spaced(s.TimestepSpacing, table.Len(), table.Len(), steps, s.StepsOffset)
		g = ofEntries(table, entries)
	}
	if err != nil {
		return nil, err
	}
	final := 0.0
	if s.FinalSigmasType == "sigma_min" {
		if final = g.levels[len(g.levels)-1]; !s.on() && !s.UseFlowSigmas {
			final, _ = ends(table)
		}
	}
	g.levels = append(g.levels, final)
	how := &sampler.UniPC{
		Order: s.SolverOrder, Algorithm: sampler.DPMSolver, B: s.SolverType, Corrector: true,
		LowerOrderFinal: s.LowerOrderFinal, NoCorrector: s.DisableCorrector,
	}
	if how.B != sampler.BH1 {
		how.B = sampler.BH2
	}
	if s.PredictX0 {
		how.Algorithm = sampler.DPMSolverPP
		p.Clip = s.clipping().clip() // in the noise, diffusers does not limit the data
	}
	p.Sampler = how
	return p, g.into(p)
}

// respace are levels between the table's ends, or the config's; on a flow's path the
// times at which it has them.
func (s *UniPC) respace(table *diffusion.Table, steps int) (run, error) {
	lo, hi := ends(table)
	if s.SigmaMin != nil {
		lo = *s.SigmaMin
	}
	if s.SigmaMax != nil {
		hi = *s.SigmaMax
	}
	if lo > hi {
		return run{}, invalid.Field("sigma_min", "(%g) is above the largest noise level, %g", lo, hi)
	}
	g, err := s.respaced(table, lo, hi, steps, s.UseKarrasSigmas)
	if err == nil && s.UseFlowSigmas {
		for i, l := range g.levels {
			g.levels[i] = l / (l + 1)
		}
		g.steps = s.flowSteps(g.levels)
	}
	return g, err
}

// flow is the grid on a flow's path: from 1, less a millionth, to the first of the network's.
func (s *UniPC) flow(n int) (g run, err error) {
	if n < 1 {
		return g, invalid.Field("steps", "must be at least 1, is %d", n)
	}
	k := s.FlowShift
	if s.UseDynamicShifting {
		if s.Mu == nil {
			return g, invalid.Field("use_dynamic_shifting", "needs the shift's mu with a run")
		}
		if k = *s.Mu; s.TimeShiftType == "exponential" {
			if k, err = s.flowShift(); err != nil {
				return g, err
			}
		}
	}
	t := s.fractions(n)[:n]
	for i := range t {
		t[i] = diffusion.Shift(k, t[i])
	}
	if s.ShiftTerminal != nil && *s.ShiftTerminal > 0 {
		scale := (1 - t[n-1]) / (1 - *s.ShiftTerminal)
		if scale == 0 {
			return g, invalid.Field("shift_terminal", "needs at least 2 steps")
		}
		for i := range t {
			t[i] = 1 - (1-t[i])/scale
		}
	}
	const short = 1e-6 // of α=0
	if 1-t[0] < short {
		t[0] -= short
	}
	return run{levels: t, steps: s.flowSteps(t)}, nil
}
