package optim

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// AdamConfig are the settings of Adam and AdamW.
type AdamConfig struct {
	Beta1       float64 `yaml:"beta1" doc:"decay of the mean of gradients"`
	Beta2       float64 `yaml:"beta2" doc:"decay of the mean of squared gradients"`
	Eps         float64 `yaml:"eps" doc:"added to the root of the second moment"`
	WeightDecay float64 `yaml:"weight_decay" doc:"AdamW: part of a weight taken off per step and unit of learning rate; Adam: added to the gradient as weight_decay·weight"`
}

// SetDefaults sets the values of Kingma and Ba 2015, without weight decay.
func (c *AdamConfig) SetDefaults() { *c = AdamConfig{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8} }

// Validate reports values that no run can use.
func (c *AdamConfig) Validate() error {
	switch {
	case !(c.Beta1 >= 0 && c.Beta1 < 1):
		return invalid.Field("beta1", "must be in [0, 1), is %g", c.Beta1)
	case !(c.Beta2 >= 0 && c.Beta2 < 1):
		return invalid.Field("beta2", "must be in [0, 1), is %g", c.Beta2)
	case !(c.Eps > 0):
		return invalid.Field("eps", "must be positive, is %g", c.Eps)
	case !(c.WeightDecay >= 0):
		return invalid.Field("weight_decay", "must not be negative, is %g", c.WeightDecay)
	}
	return nil
}

// Adam is Adam with L2 regularisation in the gradient, or AdamW with decoupled weight decay.
type Adam struct {
	base
	cfg       AdamConfig
	decoupled bool
}

// NewAdam makes the optimiser of Kingma and Ba 2015.
func NewAdam(params []*tensor.Param, c AdamConfig) *Adam {
	return &Adam{newBase(params, "adam_m", "adam_v"), c, false}
}

// NewAdamW makes the optimiser of Loshchilov and Hutter 2019.
func NewAdamW(params []*tensor.Param, c AdamConfig) *Adam {
	return &Adam{newBase(params, "adam_m", "adam_v"), c, true}
}

// The update, with bias corrections c1 = 1−β1^t and c2 = 1−β2^t:
//
//	g ← scale·g + l2·p        (Adam; scale·g in AdamW)
//	m ← β1·m + (1−β1)·g
//	v ← β2·v + (1−β2)·g²
//	p ← shrink·p − (lr/c1)·m / (√v/√c2 + eps)
//
// in products and fused sums, of which there are half as many as products and sums.
var adamUpdate, adamWUpdate = newAdamUpdate("adam", true, false), newAdamUpdate("adamw", false, false)

// The same, and an average of p that moves to the new p.
var adamAlong, adamWAlong = newAdamUpdate("adam, ema", true, true), newAdamUpdate("adamw, ema", false, true)

func newAdamUpdate(name string, coupled, along bool) *tensor.Update {
	states, scalars := 3, 10
	if along {
		states, scalars = 4, 11
	}
	return tensor.NewUpdate(name, states, 1, scalars, func(state, in, sc []tensor.Expr) []tensor.Expr {
		p, m, v := state[0], state[1], state[2]
		beta1, rest1, beta2, rest2 := sc[0], sc[1], sc[2], sc[3]
		minusRate, invRoot, eps, shrink, l2 := sc[4], sc[5], sc[6], sc[7], sc[8]
		g := in[0].Mul(sc[9])
		if coupled {
			g = p.MulAdd(l2, g)
		}
		m = g.MulAdd(rest1, m.Mul(beta1))
		v = g.Mul(rest2).MulAdd(g, v.Mul(beta2))
		p = m.Div(v.Sqrt().MulAdd(invRoot, eps)).MulAdd(minusRate, p.Mul(shrink))
		if along {
			return []tensor.Expr{p, m, v, moved(state[3], p, sc[10])}
		}
		return []tensor.Expr{p, m, v}
	})
}

func (o *Adam) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	sc := o.next(lr, scale)
	update := adamUpdate
	if o.decoupled {
		update = adamWUpdate
	}
	o.apply(update, s, grads, sc[:])
}

func (o *Adam) stepAlong(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64, averages [][]*tensor.Param, rest float64) {
	var sc [11]float64
	ten := o.next(lr, scale)
	copy(sc[:], ten[:])
	sc[10] = rest
	update := adamAlong
	if o.decoupled {
		update = adamWAlong
	}
	o.applyAlong(update, s, grads, sc[:], averages, rest)
}

// next counts a step and gives its scalars.
func (o *Adam) next(lr, scale float64) [10]float64 {
	o.steps++
	c, t := o.cfg, float64(o.steps)
	shrink, l2 := 1.0, c.WeightDecay
	if o.decoupled {
		shrink, l2 = 1-lr*c.WeightDecay, 0
	}
	return [...]float64{c.Beta1, 1 - c.Beta1, c.Beta2, 1 - c.Beta2,
		-lr / (1 - math.Pow(c.Beta1, t)), 1 / math.Sqrt(1-math.Pow(c.Beta2, t)), c.Eps, shrink, l2, scale}
}
