package student

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/tensor"
)

// Guided is a model under classifier-free guidance of a scale that a condition says: Cond.Scale, from
// 0 to 1, leads from the scale From to To. Where they are equal it is not asked for.
type Guided struct {
	Of       diffusion.Model
	Null     int               // the label of no class; below 0, where there are prompts: classes are kept
	Prompt   *diffusion.Prompt // what stands for no prompt; nil: the model takes none
	From, To float64
}

// Path is the model's.
func (g *Guided) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is the model's.
func (g *Guided) Kind() diffusion.Kind { return g.Of.Kind() }

// Eval is u + s·(c−u).
func (g *Guided) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	s := x.Scope()
	told := c.Scale
	c.Scale = nil
	p := g.Of.Eval(x, at, c)
	u := g.Of.Eval(x, at, g.none(s, c, x.Dim(0))).Value
	if g.From == g.To {
		p.Value = u.Axpby(1-g.From, p.Value, g.From)
		return p
	}
	if told == nil {
		told = s.Full(0, 1)
	}
	scale := each(told.Scale(g.To-g.From).AddScalar(g.From), x)
	p.Value = p.Value.Sub(u).MulAdd(scale, u)
	return p
}

// none is the null condition in c's place.
func (g *Guided) none(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
	if g.Prompt == nil {
		return guidance.Null(s, c, g.Null, n)
	}
	null := diffusion.Cond{Labels: c.Labels, Vector: c.Vector}
	if g.Null < 0 {
		null.Labels = nil
	}
	null = guidance.Null(s, null, g.Null, n)
	if g.Null < 0 {
		null.Labels = c.Labels
	}
	g.Prompt.Put(s, &null, n)
	return null
}

// Told is a model that is told how strong guidance is to be: of a network that knows it, as its
// samplers see it.
type Told struct {
	diffusion.Model
	Scale float64 // in [0,1]
}

// Eval tells the network.
func (t *Told) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	c.Scale = x.Scope().Full(t.Scale, 1)
	return t.Model.Eval(x, at, c)
}

// Retold is a model that knows guidance as a model of another range of strengths: it is told
// Offset + Factor·scale.
type Retold struct {
	diffusion.Model
	Offset, Factor float64
}

// Eval translates.
func (r *Retold) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if c.Scale == nil || r.Factor == 0 {
		c.Scale = x.Scope().Full(r.Offset, 1)
	} else {
		c.Scale = c.Scale.Scale(r.Factor).AddScalar(r.Offset)
	}
	return r.Model.Eval(x, at, c)
}
