package schedule

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// DEIS is DEISMultistepScheduler.
type DEIS struct {
	solver
	Spacing
	AlgorithmType string `json:"algorithm_type"`
	SolverType    string `json:"solver_type"`
}

func newDEIS() *DEIS {
	s := &DEIS{Spacing: Spacing{TimestepSpacing: sampler.Linspace}, AlgorithmType: "deis", SolverType: "logrho"}
	s.solver.defaults()
	return s
}

// Class is diffusers' name.
func (*DEIS) Class() string { return "DEISMultistepScheduler" }

// Validate checks the fields. Other classes' algorithms and types stand for DEIS's own, as in diffusers.
func (s *DEIS) Validate() error {
	for _, err := range []error{
		s.solver.validate(false),
		s.Spacing.validate(),
		algorithm(s.AlgorithmType, "deis", "dpmsolver", "dpmsolver++"),
		oneOf("solver_type", s.SolverType, "logrho", "midpoint", "heun", "bh1", "bh2"),
		oneOf("time_shift_type", s.TimeShiftType, "exponential"),
	} {
		if err != nil {
			return err
		}
	}
	if s.UseFlowSigmas && s.on() {
		return invalid.Field("use_flow_sigmas", "excludes use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas: diffusers takes their noise levels for times")
	}
	return nil
}

// Training is the path and the network's side of it.
func (s *DEIS) Training() (*Plan, error) { return s.training(false) }

// Plan ends at the table's first level, or, as diffusers does, stays at the last of a
// respaced or a flow's grid for a step.
func (s *DEIS) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	var g run
	var final float64
	table, _ := p.Path.(*diffusion.Table)
	switch {
	case s.on():
		lo, hi := ends(table)
		g, err = s.respaced(table, lo, hi, steps, s.UseKarrasSigmas)
	case s.UseFlowSigmas:
		g, err = s.flow(steps)
	default:
		var entries []float64
		entries, err = spaced(s.TimestepSpacing, table.Len(), table.Len(), steps, s.StepsOffset)
		g = ofEntries(table, entries)
		final, _ = ends(table)
	}
	if err != nil {
		return nil, err
	}
	if final == 0 {
		final = g.levels[len(g.levels)-1]
	}
	g.levels = append(g.levels, final)
	p.Sampler = &sampler.DEIS{Order: s.SolverOrder, LowerOrderFinal: s.LowerOrderFinal}
	p.Clip = s.clipping().clip()
	return p, g.into(p)
}
