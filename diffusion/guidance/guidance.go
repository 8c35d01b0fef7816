// Package guidance wraps models so that samples follow their condition more closely.
//
// A guided prediction is not the score of a noised tilted density: guidance at
// each time is applied to the marginal there, and the marginals so tilted do not
// belong to one diffusion. It works with ODE samplers all the same.
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
// Both branches run as one batch of 2N.
type CFG struct {
	Of      diffusion.Model
	Scale   float64
	Classes int // number of classes: the label of the null class

	// From and To bound the times with guidance, as fractions of the path (0 is
	// data): Kynkäänniemi et al. 2024. Outside, the model is conditional. To=0 stands
	// for no bound.
	From, To float64

	// Away is what is guided away from in place of the null condition: a negative
	// condition. nil: the null condition. Prompts need it.
	Away Condition
}

// Condition gives n samples a condition in place of their own, c. It is called at each step.
type Condition func(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond

// ScaleOfWeight is the scale s of a weight w: 1+w.
func ScaleOfWeight(w float64) float64 { return 1 + w }

// Path is the model's.
func (g *CFG) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is the model's.
func (g *CFG) Kind() diffusion.Kind { return g.Of.Kind() }

// Eval guides. All samples of a step are at one time or within the interval alike.
func (g *CFG) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if g.Scale == 1 || !g.within(at.At(0)) {
		return g.Of.Eval(x, at, c)
	}
	if c.Labels == nil && c.Vector == nil && c.Text == nil {
		panic("guidance: there is no condition to be guided by")
	}
	n := x.Dim(0)
	if g.Scale == 0 {
		return g.Of.Eval(x, at, g.away(x.Scope(), c, n))
	}
	both := g.Of.Eval(tensor.Concat(0, x, x), twice(at), join(x.Scope(), c, g.away(x.Scope(), c, n), n))
	cond, null := both.Value.Slice(0, 0, n), both.Value.Slice(0, n, 2*n)
	p := diffusion.Pred{Value: null.Axpby(1-g.Scale, cond, g.Scale), Kind: both.Kind}
	if both.LogVar != nil {
		p.LogVar = both.LogVar.Slice(0, 0, n)
	}
	return p
}

func (g *CFG) away(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
	if g.Away == nil {
		return Null(s, c, g.Classes, n)
	}
	return g.Away(s, c, n)
}

func (g *CFG) within(t float64) bool {
	f := t / g.Path().End()
	return f >= g.From && (g.To == 0 || f <= g.To)
}

// Null is the null condition in c's place, for n samples: the label after the
// last class, and the vector dropped.
func Null(s *tensor.Scope, c diffusion.Cond, classes, n int) diffusion.Cond {
	checkText(c)
	var null diffusion.Cond
	if c.Labels != nil {
		labels := make([]int32, n)
		for i := range labels {
			labels[i] = int32(classes)
		}
		null.Labels = s.Ints(labels, n)
	}
	if c.Vector != nil {
		null.Vector, null.Drop = c.Vector, s.Ones(n)
	}
	return null
}

// join is c for the first n samples and another condition for n more.
func join(s *tensor.Scope, c, null diffusion.Cond, n int) diffusion.Cond {
	var both diffusion.Cond
	if c.Labels != nil {
		both.Labels = tensor.Concat(0, c.Labels, null.Labels)
	}
	if c.Vector != nil {
		drop := c.Drop
		if drop == nil {
			drop = s.Zeros(n)
		}
		both.Vector, both.Drop = tensor.Concat(0, c.Vector, c.Vector), tensor.Concat(0, drop, null.Drop)
	}
	joinText(&both, c, null)
	return both
}

// twice repeats times that are each sample's own.
func twice(at diffusion.Step) diffusion.Step {
	double := func(t []float64) []float64 {
		if len(t) <= 1 {
			return t
		}
		return append(t[:len(t):len(t)], t...)
	}
	at.T, at.Next = double(at.T), double(at.Next)
	return at
}
