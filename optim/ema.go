package optim

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Profile is the shape of a moving average.
type Profile interface {
	// DecayAt is the part of the average that is kept at update t (0 the first).
	DecayAt(t int) float64
}

// EMAConfig is the profile of a constant decay.
type EMAConfig struct {
	Decay  float64 `yaml:"decay" doc:"part of the average that is kept at each step"`
	WarmUp bool    `yaml:"warm_up" doc:"keep at most (1+step)/(10+step), so that the first weights are soon forgotten"`
}

// SetDefaults sets decay 0.999 with warm-up.
func (c *EMAConfig) SetDefaults() { *c = EMAConfig{Decay: 0.999, WarmUp: true} }

// Validate reports values that no run can use.
func (c *EMAConfig) Validate() error {
	if !(c.Decay >= 0 && c.Decay < 1) {
		return invalid.Field("decay", "must be in [0, 1), is %g", c.Decay)
	}
	return nil
}

// EMA is an exponential moving average of parameters, held in parameters of
// another instance of the model, so that the average can be run as it is.
type EMA struct {
	profile Profile
	params  []*tensor.Param
	rows    [][]*tensor.Param // the average alone: the form that updates take
	steps   int
}

// NewEMA starts an average at the parameters' values; it lives in average,
// which has the parameters' order and shapes.
func NewEMA(params, average []*tensor.Param, p Profile) (*EMA, error) {
	if len(params) != len(average) {
		return nil, fmt.Errorf("optim: an average of %d parameters for %d", len(average), len(params))
	}
	e := &EMA{profile: p, params: params}
	for i, p := range params {
		if err := average[i].Set64(p.Float64s()); err != nil {
			return nil, err
		}
		e.rows = append(e.rows, average[i:i+1:i+1])
	}
	return e, nil
}

// emaUpdate moves the average a by (1−decay) of the way to the weights. Written
// as a difference, it leaves an average that has arrived exactly where it is.
var emaUpdate = tensor.NewUpdate("ema", 1, 1, 1, func(state, in, sc []tensor.Expr) []tensor.Expr {
	a, w, rest := state[0], in[0], sc[0]
	return []tensor.Expr{moved(a, w, rest)}
})

func moved(a, w, rest tensor.Expr) tensor.Expr { return w.Sub(a).MulAdd(rest, a) }

// DecayAt is the decay, or less in the warm-up.
func (c EMAConfig) DecayAt(t int) float64 {
	if c.WarmUp {
		return min(c.Decay, float64(1+t)/float64(10+t))
	}
	return c.Decay
}

// DecayAt is the decay used at step t (0 the first).
func (e *EMA) DecayAt(t int) float64 { return e.profile.DecayAt(t) }

// Update takes the parameters' present values into the average.
func (e *EMA) Update(s *tensor.Scope) {
	rest := 1 - e.DecayAt(e.steps)
	e.steps++
	for i, p := range e.params {
		move(s, e.rows[i], p, rest)
	}
}

// move takes a row of one average by rest of the way to its parameter.
func move(s *tensor.Scope, average []*tensor.Param, p *tensor.Param, rest float64) {
	sc := [1]float64{rest}
	emaUpdate.Apply(s, sc[:], average, s.Param(p))
}

// Step is o.Step and then Update: with the same bits, but in one sweep over
// memory where o's rule can do that and o was made for the average's parameters.
func (e *EMA) Step(o Optimizer, s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	if f, ok := o.(followed); ok && f.of(e.params) {
		f.stepAlong(s, grads, lr, scale, e.rows, 1-e.DecayAt(e.steps))
		e.steps++
		return
	}
	o.Step(s, grads, lr, scale)
	e.Update(s)
}

// followed is an optimiser that moves an average of its parameters along.
type followed interface {
	// of reports whether the optimiser was made for these parameters, in this order.
	of(params []*tensor.Param) bool
	// stepAlong is Step, and moves the averages, a row each, by rest of the way to the new weights.
	stepAlong(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64, averages [][]*tensor.Param, rest float64)
}

// State is the average, in the parameters' order and under their names.
func (e *EMA) State() []*tensor.Param {
	all := make([]*tensor.Param, len(e.rows))
	for i, r := range e.rows {
		all[i] = r[0]
	}
	return all
}

// Steps counts updates made; SetSteps restores the count.
func (e *EMA) Steps() int     { return e.steps }
func (e *EMA) SetSteps(n int) { e.steps = n }
