package flow

import (
	"fmt"
	"math"
	"sync"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// GeodesicPath leads from data x0 to samples x1 of a source along the shortest geodesics of a manifold
// (Chen and Lipman 2024, eq. 14, whose time is 1−t here):
//
//	x_t = exp_{x0}(κ(t)·log_{x0}(x1)),   κ(0) = 0, κ(1) = 1.
//
// It is no Gaussian path: nothing but dx/dt is predicted along it ([TangentVelocity]), and [Geodesic] samples.
// What it says of α and σ is 1−t and t, which orders times, and nothing else can be got from it.
type GeodesicPath struct {
	diffusion.CondOT // of which there are the times
	Manifold         manifold.Manifold
	Scheduler        Scheduler // κ; nil: t
}

// At orders times; its derivatives are 0, so that no prediction converts to another.
func (p *GeodesicPath) At(t float64) diffusion.Point {
	return diffusion.Point{T: t, Alpha: 1 - t, Sigma: t}
}

// Space is the manifold, to the likelihood.
func (p *GeodesicPath) Space() likelihood.Space { return p.Manifold }

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

// Between is x_t of data and source, both (N,Ambient).
func (p *GeodesicPath) Between(data, source *tensor.Tensor, t float64) *tensor.Tensor {
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

	space sync.Pool // of *geodesicSpace
}

// geodesicSpace is what drawing takes, kept so that it does not allocate.
type geodesicSpace struct {
	rows   []float64
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
	return m.SquaredNorm(pred.Sub(u)).Mean().Scale(1 / float64(m.Dim()))
}

// Scheduler is κ of a [GeodesicPath], from 0 at the data to 1.
type Scheduler interface {
	// Kappa is κ and its derivative at a time in [0,1].
	Kappa(t float64) (kappa, dKappa float64)
}

// LinearKappa is κ = t: constant speed.
type LinearKappa struct{}

// Kappa is t and 1.
func (*LinearKappa) Kappa(t float64) (kappa, dKappa float64) { return t, 1 }

// CosineKappa is κ = sin²(πt/2): from rest to rest.
type CosineKappa struct{}

// Kappa is sin²(πt/2) and (π/2)·sin(πt).
func (*CosineKappa) Kappa(t float64) (kappa, dKappa float64) {
	sin, cos := math.Sincos(math.Pi / 2 * t)
	return sin * sin, math.Pi * sin * cos
}

// PowerKappa is κ = t^p: near the data, more time for less of the way.
type PowerKappa struct {
	Exponent float64 `yaml:"exponent" doc:"p, of the time's power" range:"[1,10]"`
}

// SetDefaults is t².
func (k *PowerKappa) SetDefaults() { k.Exponent = 2 }

// Validate checks p: below 1 the speed at the data is infinite.
func (k *PowerKappa) Validate() error {
	if !(k.Exponent >= 1 && k.Exponent <= 10) {
		return invalid.Field("exponent", "must be in [1, 10], is %g", k.Exponent)
	}
	return nil
}

// Kappa is t^p and p·t^{p−1}.
func (k *PowerKappa) Kappa(t float64) (kappa, dKappa float64) {
	return math.Pow(t, k.Exponent), k.Exponent * math.Pow(t, k.Exponent-1)
}
