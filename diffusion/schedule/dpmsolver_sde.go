package schedule

import (
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// DPMSolverSDE is DPMSolverSDEScheduler. Its noise is the run's own: an increment of a
// Brownian motion over half of each step's log-SNR and one over all of it.
type DPMSolverSDE struct {
	TwoStage
	NoiseSamplerSeed *int `json:"noise_sampler_seed"`
}

func newDPMSolverSDE() *DPMSolverSDE { return &DPMSolverSDE{TwoStage: newTwoStage()} }

// Class is diffusers' name.
func (*DPMSolverSDE) Class() string { return "DPMSolverSDEScheduler" }

// Validate checks the fields.
func (s *DPMSolverSDE) Validate() error {
	if s.NoiseSamplerSeed != nil {
		return invalid.Field("noise_sampler_seed", "must be null: that random number generator is not here, and noise comes from the seed of the run")
	}
	return s.TwoStage.Validate()
}

// Plan steps along levels at the timesteps, or respaced, and then to 0.
func (s *DPMSolverSDE) Plan(steps int) (*Plan, error) {
	how := new(sampler.DPMppSDE)
	how.SetDefaults()
	return s.plan(steps, how, false)
}

// multistepSDE is the sampler of DPMSolverMultistepScheduler's algorithm_type
// sde-dpmsolver or sde-dpmsolver++.
func multistepSDE(algorithm, solver string, order int, lowerOrderFinal, eulerAtFinal bool) *sampler.DPMMultistepSDE {
	how := new(sampler.DPMMultistepSDE)
	how.SetDefaults()
	if algorithm == sdeDPMSolver {
		how.Predict = sampler.OfNoise
	}
	how.Order, how.Solver, how.Third = order, solver, sampler.ThirdDiffusers
	how.LowerOrderFinal, how.EulerAtFinal = lowerOrderFinal, eulerAtFinal
	return how
}
