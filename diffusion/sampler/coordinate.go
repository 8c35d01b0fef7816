package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Coordinate is the variable that a solver of the probability-flow ODE integrates in.
type Coordinate struct {
	Variable string `yaml:"variable" doc:"what to integrate in: time (dx/dt is the velocity), sigma (noise level of x/alpha), lambda (half the log-SNR, of x/alpha), or path: sigma for DDPM's paths, time for flows and EDM" oneof:"path time sigma lambda"`
}

// SetDefaults leaves the choice to the path.
func (c *Coordinate) SetDefaults() { c.Variable = "path" }

// Validate checks the name.
func (c *Coordinate) Validate() error {
	switch c.Variable {
	case "path", "time", "sigma", "lambda":
		return nil
	}
	return invalid.Field("variable", "must be one of path, time, sigma, lambda, is %q", c.Variable)
}

// axis is the variable u on r's path.
func (c *Coordinate) axis(r *Run) axis {
	a := axis{c.Variable, r.Path}
	if a.name == "path" {
		a.name = "time"
		if diffusion.VariableOf(r.Path) == diffusion.InSigma {
			a.name = "sigma"
		}
	}
	return a
}

// finite reports whether u is, at p.
func (a axis) finite(p diffusion.Point) bool { return a.name == "time" || p.Alpha > 0 }

// axis is the probability-flow ODE in a variable u:
//
//	time:   u = t,         dx/du = velocity
//	sigma:  u = σ/α,       d(x/α)/du = ε̂
//	lambda: u = ln(α/σ),   d(x/α)/du = −(σ/α)·ε̂
type axis struct {
	name string
	path diffusion.GaussianPath
}

// of is u at p.
func (a axis) of(p diffusion.Point) float64 {
	switch a.name {
	case "time":
		return p.T
	case "sigma":
		return p.NoiseLevel()
	}
	return lambda(p)
}

// point is where u is.
func (a axis) point(u float64) diffusion.Point {
	switch a.name {
	case "time":
		return a.path.At(u)
	case "sigma":
		u = -math.Log(u)
	}
	return a.path.At(a.path.Time(u))
}

// scale is what the state is divided by, and rate the factor on slope in the equation.
func (a axis) scale(p diffusion.Point) float64 {
	if a.name == "time" {
		return 1
	}
	return p.Alpha
}

func (a axis) rate(p diffusion.Point) float64 {
	if a.name == "lambda" {
		return -p.NoiseLevel()
	}
	return 1
}

// slope is the velocity or ε̂.
func (a axis) slope(r *Run, x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	if a.name == "time" {
		return r.Velocity(x, p)
	}
	return r.Eps(x, p)
}

// last is the step to σ=0, Euler's: in time, or in sigma, where it gives α·x̂0.
func (a axis) last(r *Run, from, to diffusion.Point) *tensor.Tensor {
	f := a.slope(r, r.X, from)
	if a.name == "time" {
		return r.X.Axpby(1, f, to.T-from.T)
	}
	return slide(r.X, f, from, to)
}

// lambda is half the log-SNR.
func lambda(p diffusion.Point) float64 { return math.Log(p.Alpha) - math.Log(p.Sigma) }
