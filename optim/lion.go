package optim

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// LionConfig are the settings of Lion.
type LionConfig struct {
	Beta1       float64 `yaml:"beta1" doc:"share of the mean of gradients in the direction of a step"`
	Beta2       float64 `yaml:"beta2" doc:"decay of the mean of gradients"`
	WeightDecay float64 `yaml:"weight_decay" doc:"part of a weight taken off per step and unit of learning rate"`
}

// SetDefaults sets the values of Chen et al. 2023, without weight decay.
func (c *LionConfig) SetDefaults() { *c = LionConfig{Beta1: 0.9, Beta2: 0.99} }

// Validate reports values that no run can use.
func (c *LionConfig) Validate() error {
	switch {
	case !(c.Beta1 >= 0 && c.Beta1 < 1):
		return invalid.Field("beta1", "must be in [0, 1), is %g", c.Beta1)
	case !(c.Beta2 >= 0 && c.Beta2 < 1):
		return invalid.Field("beta2", "must be in [0, 1), is %g", c.Beta2)
	case !(c.WeightDecay >= 0):
		return invalid.Field("weight_decay", "must not be negative, is %g", c.WeightDecay)
	}
	return nil
}

// Lion moves every weight by the learning rate, in the direction of the sign of a
// mean of gradients (Chen et al. 2023, algorithm 2). Its learning rate is a third to a
// tenth of AdamW's, its weight decay as much larger.
type Lion struct {
	base
	cfg LionConfig
}

// NewLion makes the optimiser.
func NewLion(params []*tensor.Param, c LionConfig) *Lion { return &Lion{newBase(params, "lion_m"), c} }

// lionUpdate, for the mean m of gradients:
//
//	p ← shrink·p − lr·sign(β1·m + (1−β1)·g)
//	m ← β2·m + (1−β2)·g
var lionUpdate = tensor.NewUpdate("lion", 2, 1, 7, func(state, in, sc []tensor.Expr) []tensor.Expr {
	p, m := state[0], state[1]
	beta1, rest1, beta2, rest2, minusRate, shrink := sc[0], sc[1], sc[2], sc[3], sc[4], sc[5]
	g := in[0].Mul(sc[6])
	p = g.MulAdd(rest1, m.Mul(beta1)).Sign().MulAdd(minusRate, p.Mul(shrink))
	m = g.MulAdd(rest2, m.Mul(beta2))
	return []tensor.Expr{p, m}
})

// Step updates the parameters.
func (o *Lion) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	o.steps++
	c := o.cfg
	sc := [...]float64{c.Beta1, 1 - c.Beta1, c.Beta2, 1 - c.Beta2, -lr, 1 - lr*c.WeightDecay, scale}
	o.apply(lionUpdate, s, grads, sc[:])
}
