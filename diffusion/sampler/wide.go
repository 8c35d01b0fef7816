package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// runWide is run with the state in a scope of its own, of float64. A scope has one
// type, so that what the model sees and says goes from one to the other by the host.
func (r *Run) runWide(how Sampler) (*tensor.Tensor, error) {
	narrow, shape := r.s, append([]int(nil), r.X.Shape()...)
	wide := tensor.NewScopeOf(narrow.Device(), tensor.Inference, tensor.Float64)
	defer wide.Close()
	r.Model = &narrowed{Model: r.Model, in: narrow, cond: r.opts.Cond}
	r.s, r.X, r.opts.Cond = wide, wide.Tensor(r.X.Float64s(), shape...), nil
	x, err := r.run(how)
	if err != nil {
		return nil, err
	}
	narrow.Reset()
	return narrow.Tensor(x.Float64s(), shape...), nil
}

// narrowed is a model that computes in a scope of another type than its input's.
type narrowed struct {
	diffusion.Model
	in   *tensor.Scope
	cond func(s *tensor.Scope) diffusion.Cond
}

// Eval rounds x to the scope's type, which it resets, and widens what the model says.
func (m *narrowed) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) (p diffusion.Pred) {
	m.in.Reset()
	if m.cond != nil {
		c = m.cond(m.in)
	}
	m.in.NoGrad(func() { p = m.Model.Eval(m.in.Tensor(x.Float64s(), x.Shape()...), at, c) })
	p.Value = x.Scope().Tensor(p.Value.Float64s(), p.Value.Shape()...)
	if p.LogVar != nil {
		p.LogVar = x.Scope().Tensor(p.LogVar.Float64s(), p.LogVar.Shape()...)
	}
	return p
}
