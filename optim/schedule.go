package optim

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Schedule is a learning rate over time.
type Schedule interface {
	// Rate is the factor on the peak learning rate at a step (0 the first) of total.
	Rate(step, total int) float64
}

// Warmup rises linearly from peak/steps to the peak over the first steps; 0: no warm-up.
func warmup(step, steps int) (float64, bool) {
	if step < steps {
		return float64(step+1) / float64(steps), true
	}
	return 1, false
}

// WarmupConfig is what every schedule begins with.
type WarmupConfig struct {
	Warmup int `yaml:"warmup" doc:"steps over which the rate rises linearly to its peak"`
}

func (c *WarmupConfig) validate() error {
	if c.Warmup < 0 {
		return invalid.Field("warmup", "must not be negative, is %d", c.Warmup)
	}
	return nil
}

// Constant stays at the peak.
type Constant struct {
	WarmupConfig `yaml:",inline"`
}

func (c *Constant) Validate() error { return c.validate() }

func (c *Constant) Rate(step, _ int) float64 {
	f, _ := warmup(step, c.Warmup)
	return f
}

// Decay are the settings of schedules that come down towards the last step.
type Decay struct {
	WarmupConfig `yaml:",inline"`
	Final        float64 `yaml:"final" doc:"part of the peak that is left at the last step"`
}

func (c *Decay) Validate() error {
	if !(c.Final >= 0 && c.Final <= 1) {
		return invalid.Field("final", "must be in [0, 1], is %g", c.Final)
	}
	return c.validate()
}

// progress runs from 0 at the end of the warm-up to 1 at the last step.
func (c *Decay) progress(step, total int) float64 {
	span := total - 1 - c.Warmup
	if span <= 0 {
		return 1
	}
	return min(1, float64(step-c.Warmup)/float64(span))
}

// Cosine comes down along half a cosine (Loshchilov and Hutter 2017, without restarts).
type Cosine struct {
	Decay `yaml:",inline"`
}

func (c *Cosine) Rate(step, total int) float64 {
	if f, rising := warmup(step, c.Warmup); rising {
		return f
	}
	return c.Final + (1-c.Final)*0.5*(1+math.Cos(math.Pi*c.progress(step, total)))
}

// Linear comes down along a straight line.
type Linear struct {
	Decay `yaml:",inline"`
}

func (c *Linear) Rate(step, total int) float64 {
	if f, rising := warmup(step, c.Warmup); rising {
		return f
	}
	return c.Final + (1-c.Final)*(1-c.progress(step, total))
}

// InverseSqrt comes down as √(warmup/step) (Vaswani et al. 2017); a warm-up of 0 counts as 1.
type InverseSqrt struct {
	WarmupConfig `yaml:",inline"`
}

func (c *InverseSqrt) Validate() error { return c.validate() }

func (c *InverseSqrt) Rate(step, _ int) float64 {
	if f, rising := warmup(step, c.Warmup); rising {
		return f
	}
	w := float64(max(1, c.Warmup))
	return math.Sqrt(w / math.Max(w, float64(step+1)))
}
