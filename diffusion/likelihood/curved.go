package likelihood

import (
	"context"
	"errors"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Space is a manifold whose points are rows of numbers, more of them than it has dimensions, perhaps.
type Space interface {
	Dim() int
	// Nearest moves x, which a step took off the space, back to it.
	Nearest(x []float64)
	// Project makes v tangent at x: its orthogonal projection.
	Project(x, v []float64)
	// Frame sets e to vector i of a basis of the tangent space at x, orthonormal as rows of numbers.
	Frame(e, x []float64, i int)
}

// Curved is a path on a manifold. Its models predict dx/dt, tangent, and samples at its end have
// the density [ODE.Prior], by the manifold's volume. There the ODE is integrated in time, from 0 to End, in the
// numbers of a point; after each step the state is moved to the nearest point. Densities are by volume, too:
//
//	ln p(x_0) = ln p_prior(x_1) + ∫ div u dt,   div u = Σ ⟨e_i, ∂u/∂e_i⟩ = E ⟨Pz, ∂u/∂Pz⟩
//
// for any orthonormal frame e of the tangent space (Mathieu and Nickel 2020), or by probes z that P projects to it.
type Curved interface {
	diffusion.GaussianPath
	Space() Space
}

// curvedPart is part on a manifold.
func (o *ODE) curvedPart(ctx context.Context, s *tensor.Scope, m diffusion.Model, path Curved, data Data, from uint64, res *Result) error {
	if o.Prior == nil {
		return errors.New("likelihood: on a manifold the density of the path's end must be given")
	}
	dim := data.Dim()
	f := &curvedField{field: field{s: s, m: m, data: data, path: path, last: path.At(path.End()), end: path.End()}, space: path.Space()}
	if !res.Exact {
		f.probes = o.probes(from, data.Len(), dim)
	}
	extra := max(1, len(f.probes))
	states := make([]*state, data.Len())
	for i := range states {
		z := make([]float64, dim+extra)
		copy(z, data.X[i*dim:(i+1)*dim])
		f.space.Nearest(z[:dim])
		states[i] = &state{sample: i, z: z}
	}
	in := o.integrator(f, 0, path.End())
	in.settle = func(z []float64) { f.space.Nearest(z[:dim]) }
	if err := in.run(ctx, states); err != nil {
		return err
	}
	for _, st := range states {
		res.add(o.Prior(st.z[:dim]), st.z[dim:])
	}
	res.Evals += f.evals
	return nil
}

// curvedField is dx/dt on a manifold and its divergence.
type curvedField struct {
	field
	space Space
	x64   []float64 // (n,D), points of the manifold
	along []float64 // (n,D), directions there
}

// slopes sets each state's slope at the point nearest to z[i] at time at[i]: dx/dt, and its divergence once
// exactly or for each probe.
func (f *curvedField) slopes(states []*state, at []float64, z, out [][]float64) {
	f.s.Reset()
	n, dim := len(states), f.data.Dim()
	f.x64, f.times = f.x64[:0], append(f.times[:0], at...)
	samples := make([]int, n)
	for i, st := range states {
		samples[i] = st.sample
		f.x64 = append(f.x64, z[i][:dim]...)
		f.space.Nearest(f.x64[i*dim:])
	}
	f.evals += n
	f.s.NoGrad(func() {
		shape := append([]int{n}, f.data.Shape...)
		x, step := f.s.Tensor(f.x64, shape...), diffusion.Step{T: f.times}
		var cond diffusion.Cond
		if f.data.Cond != nil {
			cond = f.data.Cond(f.s, samples)
		}
		velocity := func(in []*tensor.Tensor) *tensor.Tensor { return f.m.Eval(in[0], step, cond).Value }
		var div *tensor.Tensor
		derive := func(direction func(e, x []float64, i int)) *tensor.Tensor {
			f.along = grown(f.along, n*dim)
			for i := range n {
				direction(f.along[i*dim:(i+1)*dim], f.x64[i*dim:(i+1)*dim], i)
			}
			e := f.s.Tensor(f.along, shape...)
			v, dv := f.s.JVP(velocity, []*tensor.Tensor{x}, []*tensor.Tensor{e})
			f.put(v, out, 0)
			return dv.Mul(e).Reshape(n, -1).Sum(1)
		}
		for k := range f.probes {
			part := derive(func(e, x []float64, i int) {
				copy(e, f.probes[k][samples[i]])
				f.space.Project(x, e)
			})
			f.put(part, out, dim+k)
		}
		if f.probes != nil {
			return
		}
		for k := range f.space.Dim() {
			part := derive(func(e, x []float64, _ int) { f.space.Frame(e, x, k) })
			if div == nil {
				div = part
			} else {
				div = div.Add(part)
			}
		}
		f.put(div, out, dim)
	})
}

func grown(x []float64, n int) []float64 {
	if cap(x) < n {
		return make([]float64, n)
	}
	return x[:n]
}
