package guidance

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Auto is autoguidance (Karras et al. 2024b): from the prediction of a weaker model
// of the same data, smaller or trained less, past the model's own, both with the sample's condition:
//
//	weak + s·(own − weak).
type Auto struct {
	Of, Weaker diffusion.Model
	Strength           // outside its interval, the model is on its own
	Rule       Rule    // nil: the formula above
	Rescale    float64 // as in CFG
}

// NewAuto checks that both models are of one path.
func NewAuto(of, weaker diffusion.Model, s Strength) (*Auto, error) {
	a := &Auto{Of: of, Weaker: weaker, Strength: s}
	if !diffusion.SamePath(of.Path(), weaker.Path()) {
		return nil, fmt.Errorf("autoguidance: the weaker model is of another path from data to noise, %T, than the model, %T", weaker.Path(), of.Path())
	}
	return a, nil
}

// Path is the model's.
func (g *Auto) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is the model's.
func (g *Auto) Kind() diffusion.Kind { return g.Of.Kind() }

// Begin starts the rule's memory and the models'.
func (g *Auto) Begin() (m diffusion.Model, restart, end func()) {
	of, restartModel, endModel := diffusion.Begin(g.Of)
	weaker, restartWeaker, endWeaker := diffusion.Begin(g.Weaker)
	rule, restartRule, endRule := begin(g.Rule)
	h := *g
	h.Of, h.Weaker, h.Rule = of, weaker, rule
	return &h, func() { restartRule(); restartWeaker(); restartModel() }, func() { endRule(); endWeaker(); endModel() }
}

// Eval asks both.
func (g *Auto) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	own := g.Of.Eval(x, at, c)
	scale, same := g.uniform(g.Path(), at)
	if !g.within(g.Path(), at) || g.Rule == nil && same && scale == 1 {
		return own
	}
	weak := g.Weaker.Eval(x, at, c)
	guided := push{g.Rule, g.Rescale, x, g.Path(), at}.from(weak, own, g.scales(x, g.Path(), at))
	own.Value = g.only(guided, own.Value, g.Path(), at)
	return own
}
