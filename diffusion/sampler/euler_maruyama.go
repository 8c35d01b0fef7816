package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Shapes of an SDE's noise over the path.
const (
	NoisePath         = "path"
	NoiseReverse      = "reverse"
	NoiseConstant     = "constant"
	NoiseSin          = "sin"
	NoiseProportional = "proportional"
)

// EulerMaruyama is the Euler–Maruyama method on the SDEs that have the path's
// marginals, one for every ς(t) ≥ 0 (Albergo et al. 2023; Ma et al. 2024, eq. 5):
//
//	dx = [u − ½ς²·score]dt + ς·dW,   t running to the data.
//
// ς² = g² is Anderson's reverse SDE of the path's own (Song et al. 2021, eq. 6),
// ς=0 its ODE. Between steps of size h near the data the score is as steep as 1/σ²,
// and the method is stable only while ς²h < 4σ²: ς must go to 0 with the data.
type EulerMaruyama struct {
	Shape   string  `yaml:"shape" doc:"how the noise runs over the path: reverse (g, Anderson's reverse SDE), proportional (to sigma), sin (of pi·t), constant (does not end at the data), or path: proportional on flows, reverse elsewhere" oneof:"path reverse proportional sin constant"`
	Scale   float64 `yaml:"scale" doc:"multiplies the shape"`
	Measure string  `yaml:"measure" doc:"what shape and scale give: std, the noise's standard deviation ς (per root of time), or epsilon, ς²/2, as stochastic interpolants have it" oneof:"std epsilon"`
	Denoise bool    `yaml:"denoise" doc:"the step to sigma=0 ends at the estimate of the data; if not, it is a step as any other"`

	Own func(p diffusion.Point) float64 `yaml:"-"` // ς(t); nil: as Shape says
}

// SetDefaults leaves the shape to the path.
func (e *EulerMaruyama) SetDefaults() {
	*e = EulerMaruyama{Shape: NoisePath, Scale: 1, Measure: "std", Denoise: true}
}

// Validate checks names and ranges.
func (e *EulerMaruyama) Validate() error {
	switch e.Shape {
	case NoisePath, NoiseReverse, NoiseConstant, NoiseSin, NoiseProportional:
	default:
		return invalid.Field("shape", "must be one of path, reverse, proportional, sin, constant, is %q", e.Shape)
	}
	if e.Measure != "std" && e.Measure != "epsilon" {
		return invalid.Field("measure", "must be one of std, epsilon, is %q", e.Measure)
	}
	if !(e.Scale >= 0) || math.IsInf(e.Scale, 0) {
		return invalid.Field("scale", "must not be negative, is %g", e.Scale)
	}
	return nil
}

// shapeOf is what a path's noise is like unless told otherwise: g, which is infinite at a flow's end. EDM's time is
// no fraction of a path but σ: proportional, ς = σ, would not be stable in steps of more than 4.
func shapeOf(path diffusion.GaussianPath) string {
	if _, edm := path.(diffusion.EDM); edm || diffusion.VariableOf(path) == diffusion.InSigma {
		return NoiseReverse
	}
	return NoiseProportional
}

// std is ς at p.
func (e *EulerMaruyama) std(path diffusion.GaussianPath, p diffusion.Point) float64 {
	if e.Own != nil {
		return e.Own(p)
	}
	shape := e.Shape
	if shape == NoisePath {
		shape = shapeOf(path)
	}
	var c float64
	switch shape {
	case NoiseReverse:
		c = math.Sqrt(p.Diffusion2())
		if e.Measure == "epsilon" {
			c = p.Diffusion2() / 2
		}
	case NoiseConstant:
		c = 1
	case NoiseSin:
		c = math.Sin(math.Pi * p.T / path.End())
	case NoiseProportional:
		c = p.Sigma
	}
	if e.Scale == 0 {
		return 0 // of infinite noise, too
	}
	c *= e.Scale
	if e.Measure == "epsilon" {
		return math.Sqrt(2 * c)
	}
	return c
}

// Sample: x' = x − h·u + ½ς²h·score + ς√h·z, h = t−s. Where ς is infinite, as the reverse SDE's is at α=0, the step is an ancestral one.
func (e *EulerMaruyama) Sample(r *Run) {
	for st := range r.Steps() {
		if e.Denoise && st.To.Sigma == 0 {
			r.X = r.Data(r.X, st.From).Scale(st.To.Alpha)
			continue
		}
		std := e.std(r.Path, st.From)
		if math.IsNaN(std) {
			r.Fail("sampler euler_maruyama: the noise is not a number at time %g", st.From.T)
			return
		}
		if math.IsInf(std, 1) {
			x, std := r.ancestral(st)
			r.X = x.Axpby(1, r.Noise(), std)
			continue
		}
		h := st.From.T - st.To.T
		u := r.Velocity(r.X, st.From)
		x := r.X.Axpby(1, u, -h)
		if std > 0 {
			x = x.Axpby(1, r.scoreOf(st.From), std*std*h/2)
			x = x.Axpby(1, r.Noise(), std*math.Sqrt(h))
		}
		r.X = x
	}
}

// Score is the estimate of ∇ ln p_t(x) that goes with Data: −ε̂/σ.
func (r *Run) Score(x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	r.eval(x, p)
	return r.scoreOf(p)
}

// scoreOf the newest evaluation, which was at p.
func (r *Run) scoreOf(p diffusion.Point) *tensor.Tensor {
	if !r.opts.Clip.On() {
		return r.as(diffusion.Score)
	}
	return r.epsOfData(r.seen, p).Scale(-1 / p.Sigma)
}
