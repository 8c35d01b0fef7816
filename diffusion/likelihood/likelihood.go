// Package likelihood measures how likely a model takes data to be: exactly, by the
// probability-flow ODE, for any Gaussian path and any prediction (ODE); and by the
// variational bound of discrete diffusion, term by term (VLB).
package likelihood

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Ways to compute the divergence.
const (
	Auto       = "auto"       // exact up to 16 dimensions, Rademacher above
	Exact      = "exact"      // a directional derivative for each dimension
	Rademacher = "rademacher" // Hutchinson's estimate with probes of ±1, which has the least variance
	Gaussian   = "gaussian"   // Hutchinson's estimate with normal probes
)

// autoExact is the largest number of dimensions for which Auto is exact.
const autoExact = 16

// Methods of integration.
const (
	RK45 = "rk45" // adaptive, Dormand and Prince 1980; each sample has steps of its own
	RK4  = "rk4"  // fixed steps of equal angle
)

// ODE computes log-likelihoods by the probability-flow ODE and the instantaneous change
// of variables (Song et al. 2021, appendix D.2; Chen et al. 2018). It integrates in the angle
// θ = atan(σ/α), in which every Gaussian path is the same one: y = x/√(α²+σ²) obeys
//
//	dy/dθ = cosθ·ε̂ − sinθ·x̂0,   d ln p(y)/dθ = −div(dy/dθ),
//
// from the data to the noise, of which ln p is known. (Paths on manifolds are [Curved].) The state is float64; the model
// computes in its scope's dtype. A sample's result does not depend on those beside it.
type ODE struct {
	Method     string  `yaml:"method" doc:"rk45: adaptive (Dormand and Prince 1980); rk4: fixed steps" oneof:"rk45 rk4"`
	Steps      int     `yaml:"steps" doc:"steps of rk4" range:"[1,inf)"`
	RTol       float64 `yaml:"rtol" doc:"relative tolerance of rk45" range:"(0,inf)"`
	ATol       float64 `yaml:"atol" doc:"absolute tolerance of rk45, of y and of ln p" range:"(0,inf)"`
	Divergence string  `yaml:"divergence" doc:"exact, by random probes, or auto: exact up to 16 dimensions" oneof:"auto exact rademacher gaussian"`
	Probes     int     `yaml:"probes" doc:"probes of each sample" range:"[1,inf)"`
	SigmaMin   float64 `yaml:"sigma_min" doc:"noise level σ/α that data are taken to have; of a discrete table at least its first" range:"[0,inf)"`

	Key   rng.Key `yaml:"-"` // of the probes
	First uint64  `yaml:"-"` // the probes of sample i are those of row First+i under Key
	Batch int     `yaml:"-"` // samples at a time; 0: 256

	// Prior is ln p of a state at the path's end, of the distribution that sampling starts from;
	// nil: normal noise of the path's deviation there.
	Prior func(x []float64) float64 `yaml:"-"`
}

// SetDefaults takes Song et al.'s tolerances.
func (o *ODE) SetDefaults() {
	*o = ODE{Method: RK45, Steps: 100, RTol: 1e-5, ATol: 1e-5, Divergence: Auto, Probes: 1, SigmaMin: 1e-3}
}

// Validate checks names and ranges.
func (o *ODE) Validate() error {
	switch {
	case o.Method != RK45 && o.Method != RK4:
		return invalid.Field("method", "must be rk45 or rk4, is %q", o.Method)
	case o.Method == RK4 && o.Steps < 1:
		return invalid.Field("steps", "must be at least 1, is %d", o.Steps)
	case !(o.RTol > 0 && o.RTol < 1):
		return invalid.Field("rtol", "must be in (0, 1), is %g", o.RTol)
	case !(o.ATol > 0) || math.IsInf(o.ATol, 0):
		return invalid.Field("atol", "must be positive, is %g", o.ATol)
	case o.Divergence != Auto && o.Divergence != Exact && o.Divergence != Rademacher && o.Divergence != Gaussian:
		return invalid.Field("divergence", "must be auto, exact, rademacher or gaussian, is %q", o.Divergence)
	case o.Probes < 1:
		return invalid.Field("probes", "must be at least 1, is %d", o.Probes)
	case !(o.SigmaMin >= 0) || math.IsInf(o.SigmaMin, 0):
		return invalid.Field("sigma_min", "must not be negative, is %g", o.SigmaMin)
	}
	return nil
}

// Data are samples and their conditions.
type Data struct {
	X     []float64 // (N,Shape…), row-major
	Shape []int     // of a sample
	// Cond is the condition of the samples with these numbers; nil: none.
	Cond func(s *tensor.Scope, samples []int) diffusion.Cond
}

// Len is N.
func (d Data) Len() int { return len(d.X) / d.Dim() }

// Dim is the number of values of a sample.
func (d Data) Dim() int {
	size := 1
	for _, n := range d.Shape {
		size *= n
	}
	return size
}

// Result is what LogLikelihood finds.
type Result struct {
	LogP   []float64   // ln p of each sample, in nats, the mean over its probes
	Probed [][]float64 // (N, probes) ln p by each probe; (N, 1) if exact
	Exact  bool        // the divergence was
	Evals  int         // evaluations of the model, each of one sample, not counting derivatives
}

// LogLikelihood is ln p of each sample of data under m, which is asked in s; s is Reset
// between evaluations. progress, if not nil, hears how many samples are done.
//
// Errors: ctx's, settings, a model whose prediction does not determine the ODE
// somewhere (ε where α=0), a step that has become too small.
func (o *ODE) LogLikelihood(ctx context.Context, s *tensor.Scope, m diffusion.Model, data Data, progress func(done, total int)) (res *Result, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if data.Dim() == 0 || len(data.X)%data.Dim() != 0 {
		return nil, fmt.Errorf("%d values are not samples of shape %v", len(data.X), data.Shape)
	}
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(error)
			var u *diffusion.UndeterminedError
			if !ok || !errors.As(e, &u) {
				panic(p)
			}
			res, err = nil, fmt.Errorf("likelihood: %w", u)
		}
	}()
	n, batch := data.Len(), o.Batch
	if batch == 0 {
		batch = 256
	}
	dim := data.Dim()
	if path, ok := m.Path().(Curved); ok {
		dim = path.Space().Dim()
	}
	res = &Result{Exact: o.exact(dim)}
	for from := 0; from < n; from += batch {
		part := data.part(from, min(from+batch, n))
		if err := o.part(ctx, s, m, part, uint64(from), res); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(min(from+batch, n), n)
		}
	}
	return res, nil
}

// part is samples from up to to.
func (d Data) part(from, to int) Data {
	size, cond := d.Dim(), d.Cond
	d.X = d.X[from*size : to*size]
	if cond != nil {
		d.Cond = func(s *tensor.Scope, samples []int) diffusion.Cond {
			moved := make([]int, len(samples))
			for i, k := range samples {
				moved[i] = from + k
			}
			return cond(s, moved)
		}
	}
	return d
}

func (o *ODE) exact(dim int) bool {
	return o.Divergence == Exact || o.Divergence == Auto && dim <= autoExact
}

// part integrates a batch from the data to the noise and adds what it finds to res.
func (o *ODE) part(ctx context.Context, s *tensor.Scope, m diffusion.Model, data Data, from uint64, res *Result) error {
	if path, ok := m.Path().(Curved); ok {
		return o.curvedPart(ctx, s, m, path, data, from, res)
	}
	path, dim := m.Path(), data.Dim()
	end := lastPoint(m)
	f := &field{s: s, m: m, data: data, path: path, last: end, end: angle(end)}
	if !res.Exact {
		f.probes = o.probes(from, data.Len(), dim)
	}
	extra := max(1, len(f.probes))
	start := o.start(path)
	states := make([]*state, data.Len())
	for i := range states {
		z := make([]float64, dim+extra) // y, and ∫div by each probe
		for j, v := range data.X[i*dim : (i+1)*dim] {
			z[j] = math.Cos(start) * v
		}
		states[i] = &state{sample: i, at: start, z: z}
	}
	if err := o.integrator(f, start, f.end).run(ctx, states); err != nil {
		return err
	}
	for _, st := range states {
		// ln p(x0) = ln p(y) + D·ln cosθ at the start, x0 being y/cosθ there.
		base := o.prior(end, st.z[:dim]) + float64(dim)*math.Log(math.Cos(start))
		res.add(base, st.z[dim:])
	}
	res.Evals += f.evals
	return nil
}

// integrator is the method along what f says from start to end.
func (o *ODE) integrator(f slopes, start, end float64) *integrator {
	in := &integrator{f: f, end: end, rtol: o.RTol, atol: o.ATol, tableau: dormandPrince}
	if o.Method == RK4 {
		in.tableau, in.fixed = rk4, (end-start)/float64(o.Steps)
	}
	return in
}

// add adds a sample: ln p at the path's end, and what the divergence adds by each probe.
func (r *Result) add(base float64, gains []float64) {
	probed, mean := make([]float64, len(gains)), 0.0
	for k, gain := range gains {
		probed[k] = base + gain
		mean += probed[k] / float64(len(gains))
	}
	r.LogP, r.Probed = append(r.LogP, mean), append(r.Probed, probed)
}

// start is the angle of the noise that data are taken to have.
func (o *ODE) start(path diffusion.GaussianPath) float64 {
	level := o.SigmaMin
	if table, ok := path.(*diffusion.Table); ok {
		level = max(level, table.At(1).NoiseLevel())
	}
	return math.Atan(level)
}

// lastLevel is the noise level that the ODE ends at where the prediction says nothing of the data at the path's end, as ε does not
// without signal. Taking what is left of the data there for none costs half their mean square over its square, in nats a number.
const lastLevel = 1000

// lastPoint is the path's end, or where the ODE ends before it.
func lastPoint(m diffusion.Model) diffusion.Point {
	path := m.Path()
	end := path.At(path.End())
	if end.Alpha == 0 {
		if _, ok := diffusion.TryConvert(m.Kind(), turn{}, end); !ok {
			return path.At(path.Time(-math.Log(lastLevel)))
		}
	}
	return end
}

// angle is atan(σ/α).
func angle(p diffusion.Point) float64 { return math.Atan2(p.Sigma, p.Alpha) }

// prior is ln p of y = x/√(α²+σ²) at the path's end.
func (o *ODE) prior(end diffusion.Point, y []float64) float64 {
	norm := math.Hypot(end.Alpha, end.Sigma)
	if o.Prior == nil {
		return logNormal(y, diffusion.PriorStd(end)/norm)
	}
	x := make([]float64, len(y))
	for i, v := range y {
		x[i] = v * norm
	}
	return o.Prior(x) + float64(len(y))*math.Log(norm)
}

// logNormal is ln N(y; 0, std²).
func logNormal(y []float64, std float64) float64 {
	sum := 0.0
	for _, v := range y {
		sum += v * v
	}
	return -sum/(2*std*std) - float64(len(y))*math.Log(std*math.Sqrt(2*math.Pi))
}
