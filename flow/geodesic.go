package flow

import (
	"errors"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Geodesic solves dx/dt = u on the manifold of a [GeodesicPath]. Every state is on the manifold:
//
//	euler     x' = exp_x(h·u)                                   order 1
//	midpoint  x' = exp_x(h·ū), ū from exp_x(½h·u) carried back   order 2
//	rk4       the classical method in the numbers of a point, each stage and
//	          step moved to the nearest point of the manifold    order 4
//
// Euler's is what Chen and Lipman use. Carrying slopes back by parallel transport, as midpoint does,
// is right up to the curvature's second order, which is why rk4 is a projection method instead (Hairer, Lubich
// and Wanner 2006, IV.4): u is taken at the nearest point, which is a smooth field around the
// manifold, and no order is lost.
//
// Geodesics are computed on the host: states go there and back.
type Geodesic struct {
	Method string `yaml:"method" doc:"euler (order 1) or midpoint (2) along geodesics; rk4 (4), projected" oneof:"euler midpoint rk4"`
}

// SetDefaults is the midpoint method.
func (o *Geodesic) SetDefaults() { o.Method = "midpoint" }

// Validate checks the name.
func (o *Geodesic) Validate() error {
	if o.Method != "euler" && o.Method != "midpoint" && o.Method != "rk4" {
		return invalid.Field("method", "must be euler, midpoint or rk4, is %q", o.Method)
	}
	return nil
}

// Fits is an error unless the path is one on a manifold.
func (o *Geodesic) Fits(path diffusion.GaussianPath) error {
	if _, ok := path.(*GeodesicPath); !ok {
		return errors.New("the sampler geodesic is for flows on manifolds (objective riemannian_flow): take another sampler")
	}
	return nil
}

// Sample makes a step for each interval.
func (o *Geodesic) Sample(r *sampler.Run) {
	if err := o.Fits(r.Path); err != nil {
		r.Fail("%w", err)
		return
	}
	path := r.Path.(*GeodesicPath)
	work := r.Floats(2 * path.Manifold.Ambient())
	for st := range r.Steps() {
		switch o.Method {
		case "euler":
			path.euler(r, st)
		case "midpoint":
			path.midpoint(r, st, work)
		default:
			path.rk4(r, st)
		}
	}
}

func (p *GeodesicPath) euler(r *sampler.Run, st *sampler.Step) {
	h := st.To.T - st.From.T
	r.X = p.exp(r.X, r.Predict(r.X, st.From), h)
}

func (p *GeodesicPath) midpoint(r *sampler.Run, st *sampler.Step, work []float64) {
	h := st.To.T - st.From.T
	u := r.Predict(r.X, st.From)
	slope := r.Predict(p.exp(r.X, u, h/2), p.At(st.From.T+h/2))
	r.X = p.exp(r.X, p.back(r.X, u, slope, h/2, work), h)
}

func (p *GeodesicPath) rk4(r *sampler.Run, st *sampler.Step) {
	h := st.To.T - st.From.T
	middle := p.At(st.From.T + h/2)
	k1 := r.Predict(r.X, st.From)
	k2 := r.Predict(p.nearest(r.X, k1, h/2), middle)
	k3 := r.Predict(p.nearest(r.X, k2, h/2), middle)
	k4 := r.Predict(p.nearest(r.X, k3, h), st.To)
	r.X = p.nearest(r.X, k1.Add(k4).Axpby(1./6, k2.Add(k3), 1./3), h)
}

// exp is exp_x(h·v) of each row.
func (p *GeodesicPath) exp(x, v *tensor.Tensor, h float64) *tensor.Tensor {
	m := p.Manifold
	n := m.Ambient()
	return x.Scope().Host(func(y []float64, in [][]float64) {
		scale(in[1], h)
		for i := 0; i < len(y); i += n {
			m.Exp(y[i:i+n], in[0][i:i+n], in[1][i:i+n])
		}
	}, x.Shape(), x, v)
}

// back carries w from exp_x(h·v) to x: along the same geodesic, whose velocity there is v carried
// ahead, backwards.
func (p *GeodesicPath) back(x, v, w *tensor.Tensor, h float64, work []float64) *tensor.Tensor {
	m := p.Manifold
	n := m.Ambient()
	there, ahead := work[:n], work[n:]
	return x.Scope().Host(func(y []float64, in [][]float64) {
		scale(in[1], h)
		copy(y, in[2])
		for i := 0; i < len(y); i += n {
			from, along := in[0][i:i+n], in[1][i:i+n]
			m.Exp(there, from, along)
			copy(ahead, along)
			m.Transport(ahead, from, along)
			scale(ahead, -1)
			m.Transport(y[i:i+n], there, ahead)
		}
	}, x.Shape(), x, v, w)
}

// nearest is the point nearest to x + h·v, of each row.
func (p *GeodesicPath) nearest(x, v *tensor.Tensor, h float64) *tensor.Tensor {
	m := p.Manifold
	n := m.Ambient()
	return x.Scope().Host(func(y []float64, in [][]float64) {
		for i := range y {
			y[i] = in[0][i] + h*in[1][i]
		}
		for i := 0; i < len(y); i += n {
			m.Nearest(y[i : i+n])
		}
	}, x.Shape(), x, v)
}

func scale(x []float64, c float64) {
	for i := range x {
		x[i] *= c
	}
}
