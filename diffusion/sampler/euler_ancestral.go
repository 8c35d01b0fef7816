package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Ancestral are the options of samplers that step below the next noise level
// and add noise up to it.
type Ancestral struct {
	Eta   float64 `yaml:"eta" doc:"part of the ancestral sampler's noise: 0 is the deterministic method, 1 has the posterior's variance"`
	Noise float64 `yaml:"noise" doc:"s_noise: standard deviation of what is added; 1 keeps the noise level"`
}

// SetDefaults is k-diffusion's choice.
func (a *Ancestral) SetDefaults() { a.Eta, a.Noise = 1, 1 }

// Validate checks the ranges.
func (a *Ancestral) Validate() error {
	if !(a.Eta >= 0) || math.IsInf(a.Eta, 0) {
		return invalid.Field("eta", "must not be negative, is %g", a.Eta)
	}
	if !(a.Noise >= 0) || math.IsInf(a.Noise, 0) {
		return invalid.Field("noise", "must not be negative, is %g", a.Noise)
	}
	return nil
}

// split gives the noise level σ/α to step down to from a, and what to add there
// for the level b: up = η·b·√(1−b²/a²), at most b, and down = √(b²−up²).
func (a *Ancestral) split(from, to float64) (down, up float64) {
	kept := to / from
	up = min(to, a.Eta*to*math.Sqrt(1-kept*kept))
	// without the difference of nearly equal squares
	down = to * math.Sqrt(max(0, 1-a.Eta*a.Eta*(1-kept*kept)))
	return down, up
}

// add noises x, of α=to's, by up of x/α.
func (a *Ancestral) add(x, z *tensor.Tensor, to diffusion.Point, up float64) *tensor.Tensor {
	return x.Axpby(1, z, to.Alpha*up*a.Noise)
}

// EulerAncestral steps by Euler's method in σ/α to below the next noise level and
// adds noise up to it (k-diffusion's euler_ancestral). With noise=1 it is ddim of the same eta.
type EulerAncestral struct {
	Ancestral `yaml:",inline"`
	Form      string `yaml:"form" doc:"what eta splits: the noise level (k-diffusion), the time of a straight flow (its rf form), or path: time on a flow without sigma_min, level elsewhere" oneof:"path level flow"`
}

// SetDefaults leaves the form to the path.
func (e *EulerAncestral) SetDefaults() {
	e.Ancestral.SetDefaults()
	e.Form = "path"
}

// Validate checks the name and the ranges.
func (e *EulerAncestral) Validate() error {
	switch e.Form {
	case "path", "level", "flow":
	default:
		return invalid.Field("form", "must be one of path, level, flow, is %q", e.Form)
	}
	if e.Form != "level" && e.Eta > 1 {
		return invalid.Field("eta", "must be at most 1 in the form %s, is %g", e.Form, e.Eta)
	}
	return e.Ancestral.Validate()
}

// Sample takes the form that fits the path.
func (e *EulerAncestral) Sample(r *Run) {
	flow := r.Path == diffusion.GaussianPath(diffusion.CondOT{})
	switch {
	case e.Form == "flow" && !flow:
		r.Fail("sampler euler_ancestral: the form flow is for the straight path α=1−t, σ=t")
	case flow && e.Form != "level":
		e.flow(r)
	default:
		e.level(r)
	}
}

// level: x̃' = x̂0 + down·ε̂ + up·z with x̃ = x/α.
func (e *EulerAncestral) level(r *Run) {
	for st := range r.Steps() {
		down, up := e.split(st.From.NoiseLevel(), st.To.NoiseLevel())
		r.Data(r.X, st.From)
		r.X = r.reach(st.To, down)
		if up > 0 {
			r.X = e.add(r.X, r.Noise(), st.To, up)
		}
	}
}

// flow: down to the time d = s·(1+η(s/t−1)), then up to s: the data, now 1−d of
// x, becomes 1−s of it, and noise fills up to s² of variance.
func (e *EulerAncestral) flow(r *Run) {
	for st := range r.Steps() {
		s, t := st.To.T, st.From.T
		d := s * (1 + e.Eta*(s/t-1))
		r.Data(r.X, st.From)
		x := r.reach(r.Path.At(d), d/(1-d))
		if s > 0 && e.Eta > 0 {
			back := (1 - s) / (1 - d)
			x = x.Axpby(back, r.Noise(), e.Noise*math.Sqrt(max(0, s*s-d*d*back*back)))
		}
		r.X = x
	}
}

// reach is α·(x̂0 + level·ε̂) of the newest evaluation: Euler's step in σ/α to a
// noise level, with the α of p. It also starts where α=0.
func (r *Run) reach(p diffusion.Point, level float64) *tensor.Tensor {
	return r.clipped().Axpby(p.Alpha, r.epsOfData(r.seen, r.Path.At(r.t[0])), p.Alpha*level)
}
