package schedule

import (
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// dpm are the fields of both DPM-Solver classes.
type dpm struct {
	solver
	AlgorithmType    string   `json:"algorithm_type"`
	SolverType       string   `json:"solver_type"`
	FinalSigmasType  string   `json:"final_sigmas_type"`
	LambdaMinClipped extended `json:"lambda_min_clipped"`
	VarianceType     *string  `json:"variance_type"` // a learned variance is left out
}

// varianceTypes are DDPM's, which these classes take over from its configs.
var varianceTypes = []string{"learned", "learned_range", "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"}

func (s *dpm) defaults() {
	s.solver.defaults()
	s.AlgorithmType, s.SolverType, s.FinalSigmasType = sampler.DPMSolverPP, sampler.Midpoint, "zero"
	s.LambdaMinClipped = extended(math.Inf(-1))
}

func (s *dpm) validate(algorithms ...string) error {
	inNoise := s.AlgorithmType == sampler.DPMSolver || s.AlgorithmType == sdeDPMSolver
	for _, err := range []error{
		algorithm(s.AlgorithmType, append([]string{"dpmsolver++", "dpmsolver", "deis"}, algorithms...)...),
		oneOf("solver_type", s.SolverType, "midpoint", "heun", "logrho", "bh1", "bh2"),
		oneOf("final_sigmas_type", s.FinalSigmasType, "zero", "sigma_min"),
		oneOf("time_shift_type", s.TimeShiftType, "exponential"),
		s.solver.validate(inNoise),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case s.VarianceType != nil && !slices.Contains(varianceTypes, *s.VarianceType):
		return invalid.Field("variance_type", "must be null or one of %s, is %q", strings.Join(varianceTypes, ", "), *s.VarianceType)
	case inNoise && s.FinalSigmasType == "zero":
		return invalid.Field("final_sigmas_type", "must be sigma_min with algorithm_type %s", s.AlgorithmType)
	case s.AlgorithmType == sdeDPMSolver && s.SolverOrder == 3:
		return invalid.Field("solver_order", "must be 1 or 2 with algorithm_type %s: diffusers has no formula for 3", s.AlgorithmType)
	case math.IsNaN(float64(s.LambdaMinClipped)) || math.IsInf(float64(s.LambdaMinClipped), 1):
		return invalid.Field("lambda_min_clipped", "must be a number or -Infinity, is %g", s.LambdaMinClipped)
	case s.UseFlowSigmas && s.on():
		return invalid.Field("use_flow_sigmas", "excludes use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas: diffusers takes their noise levels for times")
	}
	return nil
}

// The stochastic algorithms.
const (
	sdeDPMSolver   = "sde-dpmsolver"
	sdeDPMSolverPP = "sde-dpmsolver++"
)

// algorithm refuses the stochastic ones by name where diffusers does not have them.
func algorithm(name string, choices ...string) error {
	if (name == sdeDPMSolver || name == sdeDPMSolverPP) && !slices.Contains(choices, name) {
		return invalid.Field("algorithm_type", "%s is not supported: this scheduler of diffusers has no such algorithm", name)
	}
	return oneOf("algorithm_type", name, choices...)
}

// options are those of the library's sampler. diffusers reads other classes' names as its defaults.
func (s *dpm) options() sampler.DPM {
	o := sampler.DPM{Algorithm: s.AlgorithmType, Order: s.SolverOrder, Type: s.SolverType}
	if o.Algorithm == "deis" {
		o.Algorithm = sampler.DPMSolverPP
	}
	if o.Type != sampler.HeunType {
		o.Type = sampler.Midpoint
	}
	return o
}

// spaced are n entries of those of the table that have a half log-SNR of at least the bound.
func (s *dpm) spaced(table *diffusion.Table, spacing string, n, offset int) ([]float64, error) {
	kept := sort.Search(table.Len(), func(i int) bool { return table.HalfLogSNR(float64(i+1)) < float64(s.LambdaMinClipped) })
	if kept == 0 {
		return nil, invalid.Field("lambda_min_clipped", "must be at most %.3g, the most that half the log-SNR comes to, is %g", table.HalfLogSNR(1), s.LambdaMinClipped)
	}
	return spaced(spacing, table.Len(), kept, n, offset)
}

// finish adds the final level and makes the plan's grid.
func (s *dpm) finish(g run, p *Plan, rescale bool) error {
	final := 0.0
	if s.FinalSigmasType == "sigma_min" {
		table, err := s.table(rescale, true, diffusion.InterpolateLog)
		if err != nil {
			return err
		}
		final, _ = ends(table)
	}
	g.levels = append(g.levels, final)
	p.Clip = s.clipping().clip()
	return g.into(p)
}

// DPMMultistep is DPMSolverMultistepScheduler. Its third order is the published one.
type DPMMultistep struct {
	dpm
	Spacing
	EulerAtFinal        bool `json:"euler_at_final"`
	UseLuLambdas        bool `json:"use_lu_lambdas"`
	RescaleBetasZeroSNR bool `json:"rescale_betas_zero_snr"`
}

func newDPMMultistep() *DPMMultistep {
	s := &DPMMultistep{Spacing: Spacing{TimestepSpacing: sampler.Linspace}}
	s.dpm.defaults()
	return s
}

// Class is diffusers' name.
func (*DPMMultistep) Class() string { return "DPMSolverMultistepScheduler" }

// Validate checks the fields.
func (s *DPMMultistep) Validate() error {
	if err := s.dpm.validate(sdeDPMSolver, sdeDPMSolverPP); err != nil {
		return err
	}
	if s.UseLuLambdas && s.UseFlowSigmas {
		return invalid.Field("use_lu_lambdas", "excludes use_flow_sigmas: diffusers takes its noise levels for times")
	}
	return s.Spacing.validate()
}

// Training is the path and the network's side of it.
func (s *DPMMultistep) Training() (*Plan, error) { return s.training(s.RescaleBetasZeroSNR) }

// Plan goes along levels at the timesteps, or respaced over the whole table, or a flow's.
func (s *DPMMultistep) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	var g run
	table, _ := p.Path.(*diffusion.Table)
	switch rounded := s.BetaSchedule != "squaredcos_cap_v2"; {
	case s.UseFlowSigmas:
		g, err = s.flow(steps)
	case s.UseKarrasSigmas, s.UseLuLambdas, s.on():
		how := s.solver
		if s.UseLuLambdas && !s.UseKarrasSigmas { // equal steps of the log-SNR
			how.Respacing = Respacing{UseExponentialSigmas: true}
		}
		lo, hi := ends(table)
		g, err = how.respaced(table, lo, hi, steps, rounded && (s.UseKarrasSigmas || s.UseLuLambdas))
	default:
		var entries []float64
		entries, err = s.spaced(table, s.TimestepSpacing, steps, s.StepsOffset)
		g = ofEntries(table, entries)
	}
	if err != nil {
		return nil, err
	}
	p.Sampler = &sampler.DPMMultistep{
		DPM: s.options(), Third: sampler.Published,
		Ending: sampler.Ending{LowerOrderFinal: s.LowerOrderFinal, EulerAtFinal: s.EulerAtFinal},
	}
	if s.AlgorithmType == sdeDPMSolver || s.AlgorithmType == sdeDPMSolverPP {
		p.Sampler = multistepSDE(s.AlgorithmType, s.options().Type, s.SolverOrder, s.LowerOrderFinal, s.EulerAtFinal)
	}
	return p, s.finish(g, p, s.RescaleBetasZeroSNR)
}

// DPMSinglestep is DPMSolverSinglestepScheduler. Its third order with noise is diffusers', which has a wrong sign.
type DPMSinglestep struct {
	dpm
}

func newDPMSinglestep() *DPMSinglestep {
	s := new(DPMSinglestep)
	s.dpm.defaults()
	s.LowerOrderFinal = false
	return s
}

// Class is diffusers' name.
func (*DPMSinglestep) Class() string { return "DPMSolverSinglestepScheduler" }

// Validate checks the fields.
func (s *DPMSinglestep) Validate() error {
	if s.Thresholding && s.AlgorithmType == sampler.DPMSolver {
		return invalid.Field("thresholding", "is not supported with algorithm_type dpmsolver: diffusers looks alpha and sigma up at no timestep there")
	}
	return s.dpm.validate(sdeDPMSolverPP)
}

// Training is the path and the network's side of it.
func (s *DPMSinglestep) Training() (*Plan, error) { return s.training(false) }

// Plan goes along levels at equally spaced timesteps, or respaced over the whole table, or a flow's.
func (s *DPMSinglestep) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	var g run
	table, _ := p.Path.(*diffusion.Table)
	switch {
	case s.UseFlowSigmas:
		g, err = s.flow(steps)
	case s.on():
		lo, hi := ends(table)
		g, err = s.respaced(table, lo, hi, steps, s.UseKarrasSigmas)
	default:
		var entries []float64
		entries, err = s.spaced(table, sampler.Linspace, steps, 0)
		g = ofEntries(table, entries)
	}
	if err != nil {
		return nil, err
	}
	p.Sampler = &sampler.DPMSinglestep{DPM: s.options(), LowerOrderFinal: s.LowerOrderFinal}
	if s.AlgorithmType == sdeDPMSolverPP {
		p.Sampler = &sampler.DPMSinglestepSDE{Order: s.SolverOrder, Solver: s.options().Type, Third: sampler.ThirdDiffusers, Eta: 1, Noise: 1, LowerOrderFinal: s.LowerOrderFinal}
	}
	return p, s.finish(g, p, false)
}
