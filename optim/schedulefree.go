package optim

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Averaging is an optimiser that averages weights itself: the parameters are where
// gradients are taken, and the weights to use are others.
type Averaging interface {
	Optimizer
	// Average writes the weights to use to into, which has the order of the parameters.
	Average(s *tensor.Scope, into []*tensor.Param)
}

// Counting is an optimiser with numbers beside its arrays and its count of steps
// that must be saved to go on from.
type Counting interface {
	Optimizer
	Counters() []float64 // as many at every call
	SetCounters(c []float64) error
}

// ScheduleFreeConfig are the settings of schedule-free AdamW.
type ScheduleFreeConfig struct {
	Beta1       float64 `yaml:"beta1" doc:"where between the average (1) and the fast weights (0) gradients are taken"`
	Beta2       float64 `yaml:"beta2" doc:"decay of the mean of squared gradients"`
	Eps         float64 `yaml:"eps" doc:"added to the root of the second moment"`
	WeightDecay float64 `yaml:"weight_decay" doc:"part of a weight taken off per step and unit of learning rate"`
	Power       float64 `yaml:"power" doc:"a step counts in the average by its number to this power (r)"`
	RatePower   float64 `yaml:"rate_power" doc:"and by the largest learning rate so far to this power"`
}

// SetDefaults sets the values of Defazio et al. 2024, without weight decay.
func (c *ScheduleFreeConfig) SetDefaults() {
	*c = ScheduleFreeConfig{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, RatePower: 2}
}

// Validate reports values that no run can use.
func (c *ScheduleFreeConfig) Validate() error {
	switch {
	case !(c.Beta1 > 0 && c.Beta1 < 1):
		return invalid.Field("beta1", "must be in (0, 1), is %g", c.Beta1)
	case !(c.Beta2 >= 0 && c.Beta2 < 1):
		return invalid.Field("beta2", "must be in [0, 1), is %g", c.Beta2)
	case !(c.Eps > 0):
		return invalid.Field("eps", "must be positive, is %g", c.Eps)
	case !(c.WeightDecay >= 0):
		return invalid.Field("weight_decay", "must not be negative, is %g", c.WeightDecay)
	case !(c.Power >= 0):
		return invalid.Field("power", "must not be negative, is %g", c.Power)
	case !(c.RatePower >= 0):
		return invalid.Field("rate_power", "must not be negative, is %g", c.RatePower)
	}
	return nil
}

// ScheduleFree is AdamW whose averaging takes the place of a schedule (Defazio et
// al. 2024, "The Road Less Scheduled"). The parameters are y, where gradients are
// taken; z are the fast weights; x, their average, are the weights to use: see Average.
type ScheduleFree struct {
	base
	cfg       ScheduleFreeConfig
	weightSum float64 // of the steps so far
	rateMax   float64
}

// NewScheduleFree makes the optimiser. The parameters' values at the first step are
// where it begins.
func NewScheduleFree(params []*tensor.Param, c ScheduleFreeConfig) *ScheduleFree {
	return &ScheduleFree{base: newBase(params, "schedule_free_z", "schedule_free_v"), cfg: c}
}

// scheduleFreeUpdate, for y, z, the second moment v and the average's step c:
//
//	v ← β2·v + (1−β2)·g²
//	d = g/(√v/√(1−β2^t) + eps) + decay·y
//	y ← y + c·(z − y) + lr·(β1·(1−c) − 1)·d
//	z ← z − lr·d
var scheduleFreeUpdate = tensor.NewUpdate("schedule-free adamw", 3, 1, 9, func(state, in, sc []tensor.Expr) []tensor.Expr {
	y, z, v := state[0], state[1], state[2]
	beta2, rest2, invRoot, eps, decay := sc[0], sc[1], sc[2], sc[3], sc[4]
	c, rateY, minusRate := sc[5], sc[6], sc[7]
	g := in[0].Mul(sc[8])
	v = g.Mul(rest2).MulAdd(g, v.Mul(beta2))
	d := y.MulAdd(decay, g.Div(v.Sqrt().MulAdd(invRoot, eps)))
	return []tensor.Expr{d.MulAdd(rateY, z.Sub(y).MulAdd(c, y)), d.MulAdd(minusRate, z), v}
})

// copyUpdate makes its state equal to its input; towards moves it by a part of the way to a second one.
var (
	copyUpdate = tensor.NewUpdate("copy", 1, 1, 0, func(_, in, _ []tensor.Expr) []tensor.Expr { return in[:1] })
	extend     = tensor.NewUpdate("schedule-free average", 1, 2, 1, func(_, in, sc []tensor.Expr) []tensor.Expr {
		return []tensor.Expr{in[1].Sub(in[0]).MulAdd(sc[0], in[0])}
	})
)

// Step updates y, z and v.
func (o *ScheduleFree) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	if o.steps == 0 {
		for _, row := range o.states {
			copyUpdate.Apply(s, nil, row[1:2], s.Param(row[0]))
		}
	}
	o.steps++
	k, t := o.cfg, float64(o.steps)
	o.rateMax = max(o.rateMax, lr)
	weight := math.Pow(t, k.Power) * math.Pow(o.rateMax, k.RatePower)
	o.weightSum += weight
	c := 0.0
	if o.weightSum > 0 {
		c = weight / o.weightSum
	}
	sc := [...]float64{k.Beta2, 1 - k.Beta2, 1 / math.Sqrt(1-math.Pow(k.Beta2, t)), k.Eps, k.WeightDecay,
		c, lr * (k.Beta1*(1-c) - 1), -lr, scale}
	o.apply(scheduleFreeUpdate, s, grads, sc[:])
}

// Average writes x = y + (1 − 1/β1)·(z − y), which follows from y = β1·x + (1−β1)·z.
func (o *ScheduleFree) Average(s *tensor.Scope, into []*tensor.Param) {
	sc := [1]float64{1 - 1/o.cfg.Beta1}
	for i, row := range o.states {
		if o.steps == 0 {
			copyUpdate.Apply(s, nil, into[i:i+1], s.Param(row[0]))
		} else {
			extend.Apply(s, sc[:], into[i:i+1], s.Param(row[0]), s.Param(row[1]))
		}
	}
}

// Counters are the sum of the steps' weights and the largest learning rate.
func (o *ScheduleFree) Counters() []float64 { return []float64{o.weightSum, o.rateMax} }

// SetCounters restores them.
func (o *ScheduleFree) SetCounters(c []float64) error {
	if len(c) != 2 {
		return fmt.Errorf("optim: %d counters of schedule-free AdamW, want 2", len(c))
	}
	o.weightSum, o.rateMax = c[0], c[1]
	return nil
}
