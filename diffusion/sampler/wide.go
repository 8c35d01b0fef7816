package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// runWide is run with the state in a scope of its own, of float64. A scope has one
// type, so that what the model sees and says goes from one to the other by the host.
func (r *Run) runWide(how Sampler) (*tensor.Tensor, error) {
	m, narrow := r.mem, r.s
	var dims [tensor.MaxRank]int
	shape := dims[:copy(dims[:], r.X.Shape())]
	if m.wide == nil {
		m.wide = tensor.NewScopeOf(narrow.Device(), tensor.Inference, tensor.Float64)
	}
	m.wide.Reset()
	m.narrow = narrowed{Model: r.Model, in: narrow, cond: r.opts.Cond, mem: m}
	r.Model = &m.narrow
	r.s, r.X, r.opts.Cond = m.wide, m.wide.Tensor(m.values(r.X), shape...), nil
	x, err := r.run(how)
	if err != nil {
		return nil, err
	}
	narrow.Reset()
	return narrow.Tensor(m.values(x), shape...), nil
}

// narrowed is a model that computes in a scope of another type than its input's.
type narrowed struct {
	diffusion.Model
	in   *tensor.Scope
	cond func(s *tensor.Scope) diffusion.Cond
	mem  *memory
}

// Eval rounds x to the scope's type, which it resets, and widens what the model says.
func (m *narrowed) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) (p diffusion.Pred) {
	m.in.Reset()
	if m.cond != nil {
		c = m.cond(m.in)
	}
	m.in.NoGrad(func() { p = m.Model.Eval(m.in.Tensor(m.mem.values(x), x.Shape()...), at, c) })
	p.Value, p.LogVar, p.Latent = m.widened(x, p.Value), m.widened(x, p.LogVar), m.widened(x, p.Latent)
	return p
}

// widened is v, or nil, in x's scope.
func (m *narrowed) widened(x, v *tensor.Tensor) *tensor.Tensor {
	if v == nil {
		return nil
	}
	return x.Scope().Tensor(m.mem.values(v), v.Shape()...)
}
