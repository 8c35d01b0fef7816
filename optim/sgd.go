package optim

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// SGDConfig are the settings of SGD.
type SGDConfig struct {
	Momentum    float64 `yaml:"momentum" doc:"decay of the velocity; 0: plain gradient descent"`
	Dampening   float64 `yaml:"dampening" doc:"part of each gradient but the first that the velocity leaves out"`
	Nesterov    bool    `yaml:"nesterov" doc:"look ahead along the velocity"`
	WeightDecay float64 `yaml:"weight_decay" doc:"added to the gradient as weight_decay·weight"`
}

// SetDefaults sets momentum 0.9.
func (c *SGDConfig) SetDefaults() { *c = SGDConfig{Momentum: 0.9} }

// Validate reports values that no run can use.
func (c *SGDConfig) Validate() error {
	switch {
	case !(c.Momentum >= 0 && c.Momentum < 1):
		return invalid.Field("momentum", "must be in [0, 1), is %g", c.Momentum)
	case !(c.Dampening >= 0 && c.Dampening <= 1):
		return invalid.Field("dampening", "must be in [0, 1], is %g", c.Dampening)
	case c.Dampening > 0 && c.Momentum == 0:
		return invalid.Field("dampening", "needs a momentum above 0")
	case c.Nesterov && c.Momentum == 0:
		return invalid.Field("nesterov", "needs a momentum above 0")
	case c.Nesterov && c.Dampening > 0:
		return invalid.Field("nesterov", "cannot be combined with dampening")
	case !(c.WeightDecay >= 0):
		return invalid.Field("weight_decay", "must not be negative, is %g", c.WeightDecay)
	}
	return nil
}

// SGD is gradient descent with momentum as in torch: the learning rate scales
// the velocity, not the gradient in it.
type SGD struct {
	base
	cfg SGDConfig
}

// NewSGD makes the optimiser.
func NewSGD(params []*tensor.Param, c SGDConfig) *SGD {
	if c.Momentum == 0 {
		return &SGD{newBase(params), c}
	}
	return &SGD{newBase(params, "sgd_velocity"), c}
}

var plainUpdate = tensor.NewUpdate("sgd", 1, 1, 3, func(state, in, sc []tensor.Expr) []tensor.Expr {
	p, lr, l2, scale := state[0], sc[0], sc[1], sc[2]
	return []tensor.Expr{p.Sub(lr.Mul(in[0].Mul(scale).Add(p.Mul(l2))))}
})

// momentumUpdate, for velocity v:
//
//	g ← scale·g + l2·p
//	v ← μ·v + rest·g
//	p ← p − lr·v          (Nesterov: p − lr·(g + μ·v))
func momentumUpdate(nesterov bool) *tensor.Update {
	return tensor.NewUpdate("sgd with momentum", 2, 1, 5, func(state, in, sc []tensor.Expr) []tensor.Expr {
		p, v := state[0], state[1]
		lr, l2, scale, mu, rest := sc[0], sc[1], sc[2], sc[3], sc[4]
		g := in[0].Mul(scale).Add(p.Mul(l2))
		v = v.Mul(mu).Add(g.Mul(rest))
		d := v
		if nesterov {
			d = g.Add(v.Mul(mu))
		}
		return []tensor.Expr{p.Sub(lr.Mul(d)), v}
	})
}

var heavyBall, nesterov = momentumUpdate(false), momentumUpdate(true)

func (o *SGD) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	o.steps++
	rest := 1 - o.cfg.Dampening
	if o.steps == 1 {
		rest = 1 // as in torch, the velocity starts at the first gradient
	}
	sc := [...]float64{lr, o.cfg.WeightDecay, scale, o.cfg.Momentum, rest}
	switch {
	case o.cfg.Momentum == 0:
		o.apply(plainUpdate, s, grads, sc[:3])
	case o.cfg.Nesterov:
		o.apply(nesterov, s, grads, sc[:])
	default:
		o.apply(heavyBall, s, grads, sc[:])
	}
}
