package flow

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// CNF trains a continuous normalising flow by maximum likelihood (Chen et al. 2018; Grathwohl et
// al. 2019, FFJORD): what flow matching has replaced, as a baseline. With dx/dt = u(x,t)
// from the data at t=0 to N(0, I) at t=1,
//
//	ln p(x_0) = ln N(x_1; 0, I) + ∫ div u(x_t, t) dt,
//
// by a fixed-step solver, through whose steps gradients are taken (discretise, then
// optimise). A step of training runs the network several times for each step of the solver, with
// tangents, and keeps all of it: it is for points of few dimensions.
type CNF struct {
	Solver     string `yaml:"solver" doc:"method of the steps: euler (order 1), midpoint (2) or rk4 (4)" oneof:"euler midpoint rk4"`
	Steps      int    `yaml:"steps" doc:"steps from data to noise" range:"[1,10000]"`
	Divergence string `yaml:"divergence" doc:"exact: a derivative for each dimension; hutchinson: along one random direction, right on average" oneof:"exact hutchinson"`

	Dropout diffusion.Dropout `yaml:"-"`
}

// SetDefaults is exact, in ten steps of fourth order.
func (c *CNF) SetDefaults() { c.Solver, c.Steps, c.Divergence = "rk4", 10, "exact" }

// Validate checks the choices.
func (c *CNF) Validate() error {
	switch {
	case c.Solver != "euler" && c.Solver != "midpoint" && c.Solver != "rk4":
		return invalid.Field("solver", "must be euler, midpoint or rk4, is %q", c.Solver)
	case c.Steps < 1:
		return invalid.Field("steps", "must be at least 1, is %d", c.Steps)
	case c.Divergence != "exact" && c.Divergence != "hutchinson":
		return invalid.Field("divergence", "must be exact or hutchinson, is %q", c.Divergence)
	}
	return nil
}

// Draw drops conditions; the noise key serves Hutchinson's directions.
func (c *CNF) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	r := diffusion.Regression{Path: diffusion.CondOT{}, Dropout: c.Dropout}
	r.Draw(k, b, d)
}

// Loss is −ln p, on average over samples, in nats a dimension.
func (c *CNF) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	x := d.Data(s)
	size := float64(x.Elems() / max(1, d.N))
	return c.LogLikelihood(s, m, d).Mean().Scale(-1 / size)
}

// LogLikelihood is ln p of each sample of a draw, (N), in nats.
func (c *CNF) LogLikelihood(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if m.Kind() != diffusion.Velocity {
		panic(fmt.Sprintf("flow: a continuous normalising flow is of models that predict velocity, not %v", m.Kind()))
	}
	f := &field{s: s, m: m, cond: d.Cond(s), exact: c.Divergence == "exact"}
	x := d.Data(s)
	if !f.exact {
		f.probe = signs(s, d, x.Shape())
	}
	n := x.Dim(0)
	h, gain := 1/float64(c.Steps), s.Zeros(n)
	for i := range c.Steps {
		var dx, div *tensor.Tensor
		switch t := float64(i) * h; c.Solver {
		case "euler":
			dx, div = f.at(x, t)
		case "midpoint":
			k, _ := f.at(x, t)
			dx, div = f.at(x.Axpby(1, k, h/2), t+h/2)
		default:
			dx, div = f.rk4(x, t, h)
		}
		x, gain = x.Axpby(1, dx, h), gain.Axpby(1, div, h)
	}
	size := float64(x.Elems() / max(1, n))
	return x.Square().Reshape(n, -1).Sum(1).Axpby(-0.5, gain, 1).AddScalar(-size / 2 * math.Log(2*math.Pi))
}

// field is a velocity with its divergence.
type field struct {
	s     *tensor.Scope
	m     diffusion.Model
	cond  diffusion.Cond
	exact bool
	probe *tensor.Tensor // of Hutchinson's estimate: ±1
}

// at is u and div u at x (N,…), t; (N,…) and (N).
func (f *field) at(x *tensor.Tensor, t float64) (u, div *tensor.Tensor) {
	eval := func(in []*tensor.Tensor) *tensor.Tensor {
		return f.m.Eval(in[0], diffusion.Step{T: []float64{t}}, f.cond).Value
	}
	n := x.Dim(0)
	if !f.exact {
		u, along := f.s.JVP(eval, []*tensor.Tensor{x}, []*tensor.Tensor{f.probe})
		return u, along.Mul(f.probe).Reshape(n, -1).Sum(1)
	}
	size := x.Elems() / max(1, n)
	for j := range size {
		e := f.s.TensorOf(func(i int) float64 {
			if i == j {
				return 1
			}
			return 0
		}, 1, size).Expand(n, size).Reshape(x.Shape()...)
		v, along := f.s.JVP(eval, []*tensor.Tensor{x}, []*tensor.Tensor{e})
		part := along.Reshape(n, size).Slice(1, j, j+1).Reshape(n)
		if j == 0 {
			u, div = v, part
		} else {
			div = div.Add(part)
		}
	}
	return u, div
}

// rk4 is the weighted slope of the classical method.
func (f *field) rk4(x *tensor.Tensor, t, h float64) (u, div *tensor.Tensor) {
	k1, d1 := f.at(x, t)
	k2, d2 := f.at(x.Axpby(1, k1, h/2), t+h/2)
	k3, d3 := f.at(x.Axpby(1, k2, h/2), t+h/2)
	k4, d4 := f.at(x.Axpby(1, k3, h), t+h)
	mean := func(a, b, c, d *tensor.Tensor) *tensor.Tensor {
		return a.Add(d).Axpby(1./6, b.Add(c), 1./3)
	}
	return mean(k1, k2, k3, k4), mean(d1, d2, d3, d4)
}

// signs are ±1 for each element, of the draw's noise key.
func signs(s *tensor.Scope, d *diffusion.Draw, shape []int) *tensor.Tensor {
	size := len(d.X) / max(1, d.N)
	return s.TensorOf(func(i int) float64 {
		return float64(rng.Bits(d.NoiseKey, d.First+uint64(i/size), i%size)>>63)*2 - 1
	}, shape...)
}
