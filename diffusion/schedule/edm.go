package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// edm are the fields of diffusers' EDM classes.
type edm struct {
	SigmaMin          float64 `json:"sigma_min"`
	SigmaMax          float64 `json:"sigma_max"`
	SigmaData         float64 `json:"sigma_data"`
	SigmaSchedule     string  `json:"sigma_schedule"`
	NumTrainTimesteps int     `json:"num_train_timesteps"` // of no effect on sampling
	PredictionType    string  `json:"prediction_type"`
	Rho               float64 `json:"rho"`
	FinalSigmasType   string  `json:"final_sigmas_type"`
}

func (s *edm) defaults() {
	*s = edm{
		SigmaMin: 0.002, SigmaMax: 80, SigmaData: 0.5, SigmaSchedule: "karras", NumTrainTimesteps: 1000,
		PredictionType: "epsilon", Rho: 7, FinalSigmasType: "zero",
	}
}

func (s *edm) validate() error {
	for _, v := range []struct {
		name string
		x    float64
	}{{"sigma_min", s.SigmaMin}, {"sigma_max", s.SigmaMax}, {"sigma_data", s.SigmaData}, {"rho", s.Rho}} {
		if !(v.x > 0) || math.IsInf(v.x, 0) {
			return invalid.Field(v.name, "must be positive, is %g", v.x)
		}
	}
	if s.SigmaMax <= s.SigmaMin {
		return invalid.Field("sigma_max", "must be above sigma_min=%g, is %g", s.SigmaMin, s.SigmaMax)
	}
	if n := s.NumTrainTimesteps; n < 1 || n > maxTimesteps {
		return invalid.Field("num_train_timesteps", "must be in 1…%d, is %d", maxTimesteps, n)
	}
	if s.PredictionType == "sample" {
		return invalid.Field("prediction_type", "sample has no preconditioning in diffusers: epsilon or v_prediction")
	}
	for _, err := range []error{
		oneOf("sigma_schedule", s.SigmaSchedule, "karras", "exponential"),
		oneOf("prediction_type", s.PredictionType, "epsilon", "v_prediction"),
		oneOf("final_sigmas_type", s.FinalSigmasType, "zero", "sigma_min"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Training is the path and the network's side of it: it predicts EDM's F, or −F for v_prediction.
func (s *edm) Training() (*Plan, error) {
	kind := diffusion.Preconditioned{SigmaData: s.SigmaData, Negative: s.PredictionType == "v_prediction"}
	return &Plan{Path: diffusion.EDM{SigmaMax: s.SigmaMax}, Predicts: kind, TimeInput: diffusion.EDMInput}, nil
}

// plan goes along Karras's or exponential levels. diffusers starts at √(σ²+1)
// times the noise, as if the data had unit variance.
func (s *edm) plan(steps int) (*Plan, error) {
	if steps < 1 {
		return nil, invalid.Field("steps", "must be at least 1, is %d", steps)
	}
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	u := make([]float64, steps)
	diffusion.Linspace(u, 0, 1)
	for _, u := range u {
		level := sampler.Karras(s.SigmaMin, s.SigmaMax, s.Rho, u)
		if s.SigmaSchedule == "exponential" {
			level = math.Exp((1-u)*math.Log(s.SigmaMax) + u*math.Log(s.SigmaMin))
			if steps == 1 { // its single level is the lowest
				level = s.SigmaMin
			}
		}
		p.Grid = append(p.Grid, level)
	}
	final := 0.0
	if s.FinalSigmasType == "sigma_min" {
		final = p.Grid[steps-1]
	}
	p.Grid = append(p.Grid, final)
	p.InitScale = math.Hypot(s.SigmaMax, 1)
	return p, nil
}

// EDMEuler is EDMEulerScheduler.
type EDMEuler struct {
	edm
}

func newEDMEuler() *EDMEuler {
	s := new(EDMEuler)
	s.defaults()
	return s
}

// Class is diffusers' name.
func (*EDMEuler) Class() string { return "EDMEulerScheduler" }

// Validate checks the fields.
func (s *EDMEuler) Validate() error { return s.validate() }

// Plan is Euler's method in σ.
func (s *EDMEuler) Plan(steps int) (*Plan, error) {
	p, err := s.plan(steps)
	if err != nil {
		return nil, err
	}
	how := new(sampler.Euler)
	how.SetDefaults()
	how.Variable = "sigma"
	p.Sampler = how
	return p, nil
}

// EDMDPM is EDMDPMSolverMultistepScheduler. Its third order is the published one.
type EDMDPM struct {
	edm
	SolverOrder              int     `json:"solver_order"`
	Thresholding             bool    `json:"thresholding"`
	DynamicThresholdingRatio float64 `json:"dynamic_thresholding_ratio"`
	SampleMaxValue           float64 `json:"sample_max_value"`
	AlgorithmType            string  `json:"algorithm_type"`
	SolverType               string  `json:"solver_type"`
	LowerOrderFinal          bool    `json:"lower_order_final"`
	EulerAtFinal             bool    `json:"euler_at_final"`
}

func newEDMDPM() *EDMDPM {
	s := &EDMDPM{
		SolverOrder: 2, DynamicThresholdingRatio: 0.995, SampleMaxValue: 1,
		AlgorithmType: sampler.DPMSolverPP, SolverType: sampler.Midpoint, LowerOrderFinal: true,
	}
	s.defaults()
	return s
}

// Class is diffusers' name.
func (*EDMDPM) Class() string { return "EDMDPMSolverMultistepScheduler" }

// dpm is the class with the same solver.
func (s *EDMDPM) dpm() *DPMMultistep {
	d := newDPMMultistep()
	d.SolverOrder, d.AlgorithmType, d.SolverType = s.SolverOrder, s.AlgorithmType, s.SolverType
	d.Thresholding, d.DynamicThresholdingRatio, d.SampleMaxValue = s.Thresholding, s.DynamicThresholdingRatio, s.SampleMaxValue
	return d
}

// Validate checks the fields.
func (s *EDMDPM) Validate() error {
	if err := algorithm(s.AlgorithmType, "dpmsolver++", "deis", sdeDPMSolverPP); err != nil {
		return err
	}
	if s.AlgorithmType == sdeDPMSolverPP && s.SolverOrder == 3 {
		return invalid.Field("solver_order", "must be 1 or 2 with algorithm_type %s: diffusers has no formula for 3 here", s.AlgorithmType)
	}
	if err := s.dpm().Validate(); err != nil {
		return err
	}
	return s.validate()
}

// Plan is DPM-Solver++ in multistep form.
func (s *EDMDPM) Plan(steps int) (*Plan, error) {
	p, err := s.plan(steps)
	if err != nil {
		return nil, err
	}
	if n := len(p.Grid) - 1; s.FinalSigmasType == "sigma_min" {
		p.Grid[n] = s.SigmaMin
		if p.Grid[n] > p.Grid[n-1] { // by rounding
			p.Grid[n] = p.Grid[n-1]
		}
	}
	d := s.dpm()
	p.Clip = d.clipping().clip()
	p.Sampler = &sampler.DPMMultistep{
		DPM: d.options(), Third: sampler.Published,
		Ending: sampler.Ending{LowerOrderFinal: s.LowerOrderFinal, EulerAtFinal: s.EulerAtFinal},
	}
	if s.AlgorithmType == sdeDPMSolverPP {
		p.Sampler = multistepSDE(s.AlgorithmType, d.options().Type, s.SolverOrder, s.LowerOrderFinal, s.EulerAtFinal)
	}
	return p, nil
}
