package schedule

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// FlowMatchEuler is FlowMatchEulerDiscreteScheduler. Its σ is the time of CondOT.
type FlowMatchEuler struct {
	Respacing
	NumTrainTimesteps  int      `json:"num_train_timesteps"`
	Shift              float64  `json:"shift"`
	UseDynamicShifting bool     `json:"use_dynamic_shifting"`
	BaseShift          *float64 `json:"base_shift"`
	MaxShift           *float64 `json:"max_shift"`
	BaseImageSeqLen    int      `json:"base_image_seq_len"`
	MaxImageSeqLen     int      `json:"max_image_seq_len"`
	InvertSigmas       bool     `json:"invert_sigmas"`
	ShiftTerminal      *float64 `json:"shift_terminal"`
	TimeShiftType      string   `json:"time_shift_type"`
	StochasticSampling bool     `json:"stochastic_sampling"`

	// Arguments of a run with dynamic shifting, not of the config: the shift
	// itself, or the number of tokens it follows from.
	Mu     *float64 `json:"-"`
	SeqLen int      `json:"-"`

	// Even is an argument of a run, too: it is given σ of equal steps, from 1 to 1/n, in the
	// place of its own, as pipelines such as FLUX's do.
	Even bool `json:"-"`
}

func newFlowMatchEuler() *FlowMatchEuler {
	base, most := 0.5, 1.15
	return &FlowMatchEuler{
		NumTrainTimesteps: 1000, Shift: 1, BaseShift: &base, MaxShift: &most,
		BaseImageSeqLen: 256, MaxImageSeqLen: 4096, TimeShiftType: "exponential",
	}
}

// Class is diffusers' name.
func (*FlowMatchEuler) Class() string { return "FlowMatchEulerDiscreteScheduler" }

// Validate checks the fields.
func (s *FlowMatchEuler) Validate() error {
	if err := s.Respacing.validate(); err != nil {
		return err
	}
	switch n := s.NumTrainTimesteps; {
	case n < 1 || n > maxTimesteps:
		return invalid.Field("num_train_timesteps", "must be in 1…%d, is %d", maxTimesteps, n)
	case !(s.Shift > 0) || math.IsInf(s.Shift, 0):
		return invalid.Field("shift", "must be positive, is %g", s.Shift)
	case s.UseDynamicShifting && (s.BaseShift == nil || s.MaxShift == nil):
		return invalid.Field("base_shift", "and max_shift must be numbers with use_dynamic_shifting")
	case s.UseDynamicShifting && s.MaxImageSeqLen <= s.BaseImageSeqLen:
		return invalid.Field("max_image_seq_len", "must be above base_image_seq_len=%d, is %d", s.BaseImageSeqLen, s.MaxImageSeqLen)
	case s.ShiftTerminal != nil && !(*s.ShiftTerminal >= 0 && *s.ShiftTerminal < 1):
		return invalid.Field("shift_terminal", "must be in [0, 1), is %g", *s.ShiftTerminal)
	case s.StochasticSampling && s.InvertSigmas:
		return invalid.Field("stochastic_sampling", "is not supported with invert_sigmas: diffusers takes the noise for the data there")
	}
	return oneOf("time_shift_type", s.TimeShiftType, "exponential", "linear")
}

// Training is the path and the network's side of it.
func (s *FlowMatchEuler) Training() (*Plan, error) {
	n := float64(s.NumTrainTimesteps)
	p := &Plan{Path: diffusion.CondOT{}, Predicts: diffusion.Velocity, TimeInput: func(p diffusion.Point) float64 { return p.T * n }}
	if s.InvertSigmas { // the network's time runs to the data
		p.Predicts = diffusion.DataVelocity
		p.TimeInput = func(p diffusion.Point) float64 { return (1 - p.T) * n }
	}
	return p, nil
}

// Plan is Euler's method in time. With a shift, diffusers shifts the ends and then the
// whole grid, so that the last time before 0 is shifted twice; so does this.
func (s *FlowMatchEuler) Plan(steps int) (*Plan, error) {
	p, err := s.Training()
	if err != nil {
		return nil, err
	}
	if steps < 1 {
		return nil, invalid.Field("steps", "must be at least 1, is %d", steps)
	}
	first, last := 1.0, 1/float64(s.NumTrainTimesteps)
	if !s.UseDynamicShifting {
		first, last = diffusion.Shift(s.Shift, first), diffusion.Shift(s.Shift, last)
	}
	t := make([]float64, steps)
	if s.Even {
		for i := range t {
			t[i] = float64(steps-i) / float64(steps)
		}
	} else {
		diffusion.Linspace(t, first, last)
	}
	shift, err := s.shift()
	if err != nil {
		return nil, err
	}
	for i := range t {
		t[i] = shift(t[i])
	}
	if s.ShiftTerminal != nil && *s.ShiftTerminal > 0 {
		// stretched so that the last is the terminal
		scale := (1 - t[steps-1]) / (1 - *s.ShiftTerminal)
		if scale == 0 {
			return nil, invalid.Field("shift_terminal", "needs at least 2 steps")
		}
		for i := range t {
			t[i] = 1 - (1-t[i])/scale
		}
	}
	if s.on() {
		t = s.levels(t[steps-1], t[0], steps)
	}
	p.Grid, p.InitScale = append(t, 0), 1
	how := new(sampler.Euler)
	how.SetDefaults()
	how.Variable = "time"
	p.Sampler = how
	if s.StochasticSampling {
		p.Sampler = &sampler.Renoise{}
	}
	return p, nil
}

// shift is the map of times in the grid.
func (s *FlowMatchEuler) shift() (func(t float64) float64, error) {
	if !s.UseDynamicShifting {
		return func(t float64) float64 { return diffusion.Shift(s.Shift, t) }, nil
	}
	var mu float64
	switch {
	case s.Mu != nil:
		mu = *s.Mu
	case s.SeqLen > 0:
		slope := (*s.MaxShift - *s.BaseShift) / float64(s.MaxImageSeqLen-s.BaseImageSeqLen)
		mu = *s.BaseShift + slope*float64(s.SeqLen-s.BaseImageSeqLen)
	default:
		return nil, invalid.Field("use_dynamic_shifting", "needs the number of image tokens")
	}
	k := mu
	if s.TimeShiftType == "exponential" {
		k = math.Exp(mu)
	}
	// k/(k+1/t−1), the shift by k
	return func(t float64) float64 { return diffusion.Shift(k, t) }, nil
}

// Evenly has a flow-matching scheduler go in equal steps before its shift. Other schedulers it leaves as they are.
func Evenly(s Scheduler) {
	switch s := s.(type) {
	case *FlowMatchEuler:
		s.Even = true
	case *FlowMatchHeun:
		s.Even = true
	}
}
