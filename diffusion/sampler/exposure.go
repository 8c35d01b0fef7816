package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// EpsScaling is epsilon scaling (Ning et al. 2024, section 4): in sampling, a network
// meets its own errors, which training never shows it, and overestimates ε the more;
// so ε̂ is divided by λ = Bias + Slope·t, t counting the steps that are left, 1 in the
// last. The paper finds Slope=0 enough and biases from 1.003 to 1.03, the larger the fewer steps.
type EpsScaling struct {
	Bias  float64 `yaml:"bias" doc:"b: what the noise estimate is divided by; 1: not scaled"`
	Slope float64 `yaml:"slope" doc:"k: added to it for each step that is left"`
}

// SetDefaults does not scale.
func (e *EpsScaling) SetDefaults() { e.Bias, e.Slope = 1, 0 }

// Validate checks the ranges.
func (e *EpsScaling) Validate() error {
	if !(e.Bias > 0) || math.IsInf(e.Bias, 0) {
		return invalid.Field("bias", "must be positive, is %g", e.Bias)
	}
	if !(e.Slope >= 0) || math.IsInf(e.Slope, 0) {
		return invalid.Field("slope", "must not be negative, is %g", e.Slope)
	}
	return nil
}

// On reports whether anything is scaled; the zero value scales nothing.
func (e EpsScaling) On() bool { return e != (EpsScaling{Bias: 1}) && e != (EpsScaling{}) }

// Model is m with a scaled ε̂, or m itself where nothing is scaled.
func (e EpsScaling) Model(m diffusion.Model) diffusion.Model {
	if !e.On() {
		return m
	}
	return epsScaled{m, e}
}

type epsScaled struct {
	diffusion.Model
	by EpsScaling
}

// Begin begins the model's trajectories.
func (m epsScaled) Begin() (of diffusion.Model, restart, end func()) {
	inner, restart, end := diffusion.Begin(m.Model)
	return epsScaled{inner, m.by}, restart, end
}

// Eval gives the prediction, of the model's kind, that x and the scaled ε̂ make. Where α or
// σ is 0 one of them says nothing, and it stays as it is.
func (m epsScaled) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := m.Model.Eval(x, at, c)
	lambda := m.by.Bias + m.by.Slope*float64(at.Count-at.Index)
	mix := func(now diffusion.Point) diffusion.Mix {
		to, ok := diffusion.TryConvert(p.Kind, diffusion.Eps, now)
		from, ok2 := diffusion.TryConvert(diffusion.Eps, p.Kind, now)
		if !ok || !ok2 {
			return diffusion.Mix{OnX: 0, OnValue: 1}
		}
		return diffusion.Mix{OnX: from.OnX + from.OnValue*to.OnX/lambda, OnValue: from.OnValue * to.OnValue / lambda}
	}
	p.Value = diffusion.Combine(x, p.Value, m.Path(), at,
		func(now, _ diffusion.Point) float64 { return mix(now).OnX },
		func(now, _ diffusion.Point) float64 { return mix(now).OnValue })
	return p
}
