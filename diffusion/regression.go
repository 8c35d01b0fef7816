package diffusion

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Regression is the objective that diffusion and flow matching share: noise
// the data to a random time and regress on what a perfect model would say,
//
//	E_t E_{x0,ε} w(t)·‖prediction(αx0+σε, t) − target‖²,
//
// as a mean over elements. What is predicted is the Model's affair. On a Table
// with ε and the default settings it is L_simple of DDPM (Ho et al. 2020, eq. 14); on
// CondOT with a velocity it is conditional flow matching (Lipman et al. 2023).
type Regression struct {
	Path       GaussianPath
	Times      TimeSampler // nil: uniform
	Stratified bool        // one time from each of N equal slices of the distribution
	Weighting  Weighting   // nil: even, in what is predicted
	Dropout    Dropout
	Noise      TrainingNoise
}

// NewDDPM is L_simple on a table: uniform entries, even weights.
func NewDDPM(table *Table) *Regression { return &Regression{Path: table} }

// Dropout replaces the conditions of a random part of the samples by the null
// condition, for classifier-free guidance (Ho and Salimans 2022).
type Dropout struct {
	P       float64 `yaml:"p" doc:"probability with which a sample's condition is replaced by the null condition" range:"[0,1]"`
	Classes int     `yaml:"-"` // number of classes, which is the null class's label
}

// Validate checks the probability.
func (d *Dropout) Validate() error {
	if !(d.P >= 0 && d.P <= 1) {
		return invalid.Field("p", "must be in [0, 1], is %g", d.P)
	}
	return nil
}

// draw drops labels and vector of the same samples.
func (c Dropout) draw(k rng.Key, b *Batch, d *Draw) {
	d.Labels, d.Vector, d.Drop = b.Labels, b.Vector, nil
	if c.P == 0 {
		return
	}
	if b.Labels != nil {
		d.labels = append(d.labels[:0], b.Labels...)
		d.Labels = d.labels
	}
	if b.Vector != nil {
		d.drop = resize(d.drop, b.N)
		clear(d.drop)
		d.Drop = d.drop
	}
	for i := range b.N {
		if rng.Float64(k, uint64(i), 0) >= c.P {
			continue
		}
		if d.Labels != nil {
			d.Labels[i] = int32(c.Classes)
		}
		if d.Drop != nil {
			d.Drop[i] = 1
		}
	}
}

// Draw chooses times, noise and dropped conditions.
func (r *Regression) Draw(k rng.Key, b *Batch, d *Draw) {
	b.check()
	d.N, d.Shape, d.X, d.Noise = b.N, b.Shape, b.X, nil
	d.NoiseKey, d.First = k.WithStream(StreamNoise), 0
	d.T = resize(d.T, b.N)
	times := r.Times
	if times == nil {
		times = &Uniform{To: 1}
	}
	drawTimes(d.T, times, r.Path, k.WithStream(StreamTime), r.Stratified)
	r.Dropout.draw(k.WithStream(StreamCondition), b, d)
}

// Loss is the weighted mean squared error, a scalar.
func (r *Regression) Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor {
	return r.loss(r.eval(s, m, d, Step{T: d.T}))
}

// evaluation is what a model says of a noised draw.
type evaluation struct {
	at               Step
	data, eps, noisy *tensor.Tensor
	pred             Pred
}

func (r *Regression) eval(s *tensor.Scope, m Model, d *Draw, at Step) evaluation {
	if !SamePath(r.Path, m.Path()) {
		panic(fmt.Sprintf("diffusion: an objective on %T trains a model on another path, %T", r.Path, m.Path()))
	}
	e := evaluation{at: at, data: d.Data(s), eps: r.Noise.offset(s, d)}
	e.noisy = Noised(e.data, r.Noise.perturbed(s, d, e.eps), r.Path, at)
	e.pred = m.Eval(e.noisy, at, d.Cond(s))
	return e
}

func (r *Regression) loss(e evaluation) *tensor.Tensor {
	target := Target(e.pred.Kind, e.data, e.eps, r.Path, e.at)
	if r.Weighting == nil {
		return e.pred.Value.MSE(target)
	}
	return e.pred.Value.WeightedMSE(target, PerSample(e.data, r.Path, e.at, func(p, _ Point) float64 {
		return EffectiveWeight(r.Weighting, e.pred.Kind, p)
	}))
}

// SamePath compares paths by their values at a few times.
func SamePath(a, b GaussianPath) bool {
	if a.End() != b.End() {
		return false
	}
	for _, f := range []float64{0.1, 0.5, 1} {
		p, q := a.At(f*a.End()), b.At(f*a.End())
		if p.Alpha != q.Alpha || p.Sigma != q.Sigma {
			return false
		}
	}
	return true
}
