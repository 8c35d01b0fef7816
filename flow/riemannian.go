package flow

import (
	"fmt"
	"sync"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// GeodesicPath leads from data x0 to samples x1 of a source along the shortest geodesics of a manifold
// (Chen and Lipman 2024, eq. 14, whose time is 1−t here):
//
//	x_t = exp_{x0}(κ(t)·log_{x0}(x1)),   κ(0) = 0, κ(1) = 1.
//
// It is [Confined]: nothing but dx/dt is predicted along it ([TangentVelocity]), and [Geodesic] samples.
type GeodesicPath struct {
	OrdersTimes
	Manifold  manifold.Manifold
	Scheduler Scheduler // κ; nil: t
}

// Space is the manifold, to the likelihood.
func (p *GeodesicPath) Space() likelihood.Space { return p.Manifold }

// String is the manifold's.
func (p *GeodesicPath) String() string { return p.Manifold.String() }

// Samplers is geodesic.
func (p *GeodesicPath) Samplers() []string { return []string{"geodesic"} }

// Check says which of the points x is off the manifold, if one is.
func (p *GeodesicPath) Check(x []float32) error {
	row := make([]float64, p.Manifold.Ambient())
	for i := range len(x) / len(row) {
		for j := range row {
			row[j] = float64(x[i*len(row)+j])
		}
		if err := p.Manifold.Check(row); err != nil {
			return fmt.Errorf("sample %d is off %v: %w", i, p.Manifold, err)
		}
	}
	return nil
}

// kappa is κ and κ' at t.
func (p *GeodesicPath) kappa(t float64) (kappa, dKappa float64) {
	if p.Scheduler == nil {
		return t, 1
	}
	return p.Scheduler.Kappa(t)
}

// point sets x to x_t and u to dx_t/dt between data and source, all rows of Ambient numbers; v is for work.
func (p *GeodesicPath) point(x, u, data, source, v []float64, t float64) {
	m := p.Manifold
	kappa, rate := p.kappa(t)
	m.Log(u, data, source)
	for i, w := range u {
		v[i] = kappa * w
	}
	m.Exp(x, data, v)
	m.Transport(u, data, v)
	for i := range u {
		u[i] *= rate
	}
}

// CheckStarts is Check: starts are on the manifold, too.
func (p *GeodesicPath) CheckStarts(x []float32) error { return p.Check(x) }

// Between is x_t of data and source, both (N,Ambient); there is no chance in it.
func (p *GeodesicPath) Between(_ rng.Key, _ uint64, data, source *tensor.Tensor, t float64) *tensor.Tensor {
	n := p.Manifold.Ambient()
	u, v := make([]float64, n), make([]float64, n)
	return data.Scope().Host(func(y []float64, in [][]float64) {
		for i := 0; i < len(y); i += n {
			p.point(y[i:i+n], u, in[0][i:i+n], in[1][i:i+n], v, t)
		}
	}, data.Shape(), data, source)
}

// tangentVelocity is dx/dt on a manifold.
type tangentVelocity struct{}

// TangentVelocity is dx/dt, a tangent vector. There is no linear algebra that it shares with other
// predictions: nothing converts to it or from it.
var TangentVelocity diffusion.Kind = tangentVelocity{}

func (tangentVelocity) String() string                           { return "tangent_velocity" }
func (tangentVelocity) Of(diffusion.Point) (onX0, onEps float64) { return 0, 0 }

// NewGeodesicModel is a network as a model on a manifold: it is given points as [manifold.Manifold] embeds
// them, (N,Width), and what it answers, (N,Ambient), is projected to the tangent space.
func NewGeodesicModel(path *GeodesicPath, net diffusion.Network) *diffusion.NetModel {
	m := path.Manifold
	return &diffusion.NetModel{
		Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			return m.Tangent(x, net(m.Embed(x), t, c))
		},
		Along: path, Predicts: TangentVelocity,
	}
}

// RFM is Riemannian conditional flow matching (Chen and Lipman 2024, eq. 10):
//
//	E_t E_{x0,x1} ‖u(x_t, t) − dx_t/dt‖² / dim,
//
// in the metric's norm; in Euclidean space it is flow matching on straight lines. Geodesics are
// computed on the host in float64, with the batch's randomness.
type RFM struct {
	Path       *GeodesicPath
	Times      diffusion.TimeSampler // nil: uniform. None that learn from losses
	Stratified bool
	Dropout    diffusion.Dropout
	Coupling   Coupling // nil: independent. See [GeodesicPath.Couple]

	space sync.Pool // of *geodesicSpace
}

// geodesicSpace is what drawing takes, kept so that it does not allocate.
type geodesicSpace struct {
	rows   []float64
	source []float32
	random manifold.Stream
}

// Draw chooses times and dropped conditions, and, unless the batch has a source, samples of the
// manifold's base; and goes along the geodesics. d.Err says which sample is off the manifold, if one is.
func (o *RFM) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	r := diffusion.Regression{Path: o.Path, Times: o.Times, Stratified: o.Stratified, Dropout: o.Dropout}
	r.Draw(k, b, d)
	m := o.Path.Manifold
	n := m.Ambient()
	if len(d.X) != d.N*n {
		panic(fmt.Sprintf("flow: samples of shape %v on %v, whose points have %d numbers", d.Shape, m, n))
	}
	space, _ := o.space.Get().(*geodesicSpace)
	if space == nil {
		space = &geodesicSpace{rows: make([]float64, 5*n)}
	}
	defer o.space.Put(space)
	w := space.rows
	if d.Err = o.couple(k, d, space, w[:n]); d.Err != nil {
		return
	}
	data, source, x, u, v := w[:n], w[n:2*n], w[2*n:3*n], w[3*n:4*n], w[4*n:5*n]
	extra := d.HostExtra(2 * n)
	for i := range d.N {
		if d.Err = place(m, data, d.X[i*n:(i+1)*n]); d.Err != nil {
			d.Err = fmt.Errorf("sample %d of the batch is off %v: %w", i, m, d.Err)
			return
		}
		if d.Noise == nil {
			space.random = manifold.NewStream(d.NoiseKey, d.First+uint64(i))
			m.Draw(&space.random, source)
		} else if d.Err = place(m, source, d.Noise[i*n:(i+1)*n]); d.Err != nil {
			d.Err = fmt.Errorf("sample %d of the source is off %v: %w", i, m, d.Err)
			return
		}
		o.Path.point(x, u, data, source, v, d.T[i])
		row := extra[2*n*i : 2*n*(i+1)]
		for j := range n {
			row[j], row[n+j] = float32(x[j]), float32(u[j])
		}
	}
}

// couple rearranges the pairs, for which samples of the base come to the host first. x is for work.
func (o *RFM) couple(k rng.Key, d *diffusion.Draw, space *geodesicSpace, x []float64) error {
	if o.Coupling == nil {
		return nil
	}
	if d.Noise == nil {
		space.source = grow(space.source, len(d.X))
		for i := range d.N {
			space.random = manifold.NewStream(d.NoiseKey, d.First+uint64(i))
			o.Path.Manifold.Draw(&space.random, x)
			for j, v := range x {
				space.source[i*len(x)+j] = float32(v)
			}
		}
		d.Noise = space.source
	}
	return o.Coupling.Couple(k.WithStream(diffusion.StreamCoupling), d)
}

// Couple has a coupling go by the manifold's own distances, and gives it back: so [OT] is transport along
// geodesics within each batch, as on SO(3) in FoldFlow-OT (Bose et al. 2024).
func (p *GeodesicPath) Couple(c Coupling) Coupling {
	if c, ok := c.(Costed); ok {
		c.SetCost(p.costs())
	}
	return c
}

// costs are squared lengths of geodesics. They use their storage again.
func (p *GeodesicPath) costs() Cost {
	var a, b []float64
	return func(cost []float64, x, y []float32, n int) {
		m := p.Manifold
		dim := m.Ambient()
		a, b = widened(a, x), widened(b, y)
		for i := range n {
			for j := range n {
				cost[i*n+j] = m.SquaredDistance(a[i*dim:(i+1)*dim], b[j*dim:(j+1)*dim])
			}
		}
	}
}

// widened is x in float64, in the storage of to.
func widened(to []float64, x []float32) []float64 {
	to = to[:0]
	for _, v := range x {
		to = append(to, float64(v))
	}
	return to
}

// place sets x to the point of m that is nearest to y.
func place(m manifold.Manifold, x []float64, y []float32) error {
	for i, v := range y {
		x[i] = float64(v)
	}
	if err := m.Check(x); err != nil {
		return err
	}
	m.Nearest(x)
	return nil
}

// Loss is the mean squared error of the velocity by dimension, a scalar.
func (o *RFM) Loss(s *tensor.Scope, model diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if model.Kind() != TangentVelocity {
		panic(fmt.Sprintf("flow: Riemannian flow matching is of models that predict %v, not %v", TangentVelocity, model.Kind()))
	}
	m := o.Path.Manifold
	n := m.Ambient()
	both := s.Tensor(d.Extra, d.N, 2*n)
	x, u := both.Slice(1, 0, n), both.Slice(1, n, 2*n)
	pred := model.Eval(x.Contiguous(), diffusion.Step{T: d.T}, d.Cond(s)).Value
	errs := m.SquaredNorm(pred.Sub(u))
	if d.Wants {
		s.NoGrad(func() { d.Keep(errs.Scale(1 / float64(m.Dim()))) })
	}
	return errs.Mean().Scale(1 / float64(m.Dim()))
}
