// Package guidance wraps models so that samples follow their condition more
// closely, or a constraint, a cost or a classifier.
//
//   - CFG: classifier-free guidance, in both conventions; away from the null
//     condition or a negative one; of several conditions at once.
//   - Auto: away from a weaker model.
//   - Classified: by the gradient of a noise-aware classifier.
//   - Costed: by the gradient of a cost of the data. Constrained: by projecting their estimate.
//   - A Strength says how far and at which times, a Rule how the two predictions are
//     combined: linearly, by APG, by CFG-Zero*.
//
// Each is a Model over a Model, and they nest.
//
// A guided prediction is not the score of a noised tilted density. The density
// p(x)·p(y|x)^s, noised to time t, has another score than the tilt of the marginal
// p_t(x)·p_t(y|x)^s, which is what guidance takes; and those tilted marginals do not
// belong to any one diffusion. So guided samples do not have the density that the
// formula suggests, with any sampler. It works with ODE samplers all the same.
package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// CFG is classifier-free guidance (Ho and Salimans 2022): from the prediction
// with the null condition, u, past the one with the sample's condition, c:
//
//	u + s·(c − u),
//
// s being the scale: 1 is the conditional model and 0 the unconditional one. In
// the paper's letters it is (1+w)·c − w·u with the weight w = s−1. The
// coefficients sum to 1, so that it is the same in ε, x0, v, score and velocity.
//
// All branches run as one batch: 2N samples, and N more for each condition beside the sample's own.
type CFG struct {
	Of       diffusion.Model
	Strength         // outside its interval, the model is conditional
	Classes  int     // number of classes: the label of the null class
	Rule     Rule    // nil: the formula above
	Rescale  float64 // φ of Lin et al. 2024: part of the standard deviation of c that g gets back; 0: none

	// None is the null condition; nil: [Null]. Prompts need it.
	None Condition
	// Away is what is guided away from in place of the null condition: a negative
	// condition. nil: the null condition.
	Away Condition
	// With are conditions that hold beside the sample's own (Liu et al. 2022,
	// composable diffusion): c + Σ w_i·(c_i − ∅) stands for c.
	With []Weighted

	times *repeated // of a trajectory; nil: outside of one
}

// Weighted is a condition that holds beside others; a negative weight: that does not hold.
type Weighted struct {
	Is     Condition
	Weight float64
}

// Condition gives n samples a condition in place of their own, c. It is called at each step.
type Condition func(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond

// ScaleOfWeight is the scale s of a weight w: 1+w.
func ScaleOfWeight(w float64) float64 { return 1 + w }

// Path is the model's.
func (g *CFG) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is the model's.
func (g *CFG) Kind() diffusion.Kind { return g.Of.Kind() }

// Begin starts the rule's memory and the model's.
func (g *CFG) Begin() (m diffusion.Model, restart, end func()) {
	of, restartModel, endModel := diffusion.Begin(g.Of)
	rule, restartRule, endRule := begin(g.Rule)
	h := *g
	h.Of, h.Rule, h.times = of, rule, new(repeated)
	return &h, func() { restartRule(); restartModel() }, func() { endRule(); endModel() }
}

// Eval guides. It panics where there is no condition to be guided by.
func (g *CFG) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	s, n := x.Scope(), x.Dim(0)
	scale, same := g.uniform(g.Path(), at)
	linear := g.Rule == nil && len(g.With) == 0
	switch {
	case !g.within(g.Path(), at) || linear && same && scale == 1:
		return g.Of.Eval(x, at, c)
	case c.Labels == nil && c.Vector == nil && c.Text == nil:
		panic("guidance: there is no condition to be guided by")
	case linear && same && scale == 0 && g.Rescale == 0:
		return g.Of.Eval(x, at, g.away(s, c, n))
	}
	times := g.times
	if times == nil {
		times = new(repeated)
	}
	p := g.Of.Eval(repeat(x, g.branches()), times.again(at, g.branches()), g.conditions(s, c, n))
	cond, away := branch(p, 0, n), branch(p, 1, n)
	own, null := cond.Value, away
	if g.apart() {
		null = branch(p, g.branches()-1, n)
	}
	for i, w := range g.With {
		cond.Value = cond.Value.Axpby(1, branch(p, 2+i, n).Value.Sub(null.Value), w.Weight)
	}
	guided := push{g.Rule, g.Rescale, x, g.Path(), at}.from(away, cond, g.scales(x, g.Path(), at))
	cond.Value = g.only(guided, own, g.Path(), at)
	return cond
}

// branches counts what is asked: the sample's condition, what to be guided away
// from, the further conditions and, for these, the null condition if that is not among them.
func (g *CFG) branches() int {
	n := 2 + len(g.With)
	if g.apart() {
		n++
	}
	return n
}

// apart reports whether the null condition is a branch of its own, the last.
func (g *CFG) apart() bool { return g.Away != nil && len(g.With) > 0 }

func (g *CFG) away(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
	if g.Away == nil {
		return g.null(s, c, n)
	}
	return g.Away(s, c, n)
}

func (g *CFG) null(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
	if g.None == nil {
		return Null(s, c, g.Classes, n)
	}
	return g.None(s, c, n)
}

// conditions are those of all branches, one after another.
func (g *CFG) conditions(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
	all := join(s, c, g.away(s, c, n), n)
	for _, w := range g.With {
		all = join(s, all, w.Is(s, c, n), n)
	}
	if g.apart() {
		all = join(s, all, g.null(s, c, n), n)
	}
	return all
}
