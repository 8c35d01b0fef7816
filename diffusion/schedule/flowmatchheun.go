package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// FlowMatchHeun is FlowMatchHeunDiscreteScheduler.
type FlowMatchHeun struct {
	NumTrainTimesteps int     `json:"num_train_timesteps"`
	Shift             float64 `json:"shift"`

	Even bool `json:"-"` // as in [FlowMatchEuler]
}

func newFlowMatchHeun() *FlowMatchHeun { return &FlowMatchHeun{NumTrainTimesteps: 1000, Shift: 1} }

// Class is diffusers' name.
func (*FlowMatchHeun) Class() string { return "FlowMatchHeunDiscreteScheduler" }

// euler is the class with the same grid.
func (s *FlowMatchHeun) euler() *FlowMatchEuler {
	e := newFlowMatchEuler()
	e.NumTrainTimesteps, e.Shift, e.Even = s.NumTrainTimesteps, s.Shift, s.Even
	return e
}

// Validate checks the fields.
func (s *FlowMatchHeun) Validate() error {
	if !(s.Shift > 0) || math.IsInf(s.Shift, 0) {
		return invalid.Field("shift", "must be positive, is %g", s.Shift)
	}
	return s.euler().Validate()
}

// Training is the path and the network's side of it.
func (s *FlowMatchHeun) Training() (*Plan, error) { return s.euler().Training() }

// Plan is Heun's method in time, on FlowMatchEuler's grid, shifted twice like it.
func (s *FlowMatchHeun) Plan(steps int) (*Plan, error) {
	p, err := s.euler().Plan(steps)
	if err != nil {
		return nil, err
	}
	how := new(sampler.Heun)
	how.SetDefaults()
	how.Variable = "time"
	p.Sampler = how
	return p, nil
}
