package student

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Function is a model as a consistency function (Song et al. 2023, sec. 3): f(x,t) is where the
// probability-flow ODE leads from x at t to the noise level SigmaMin, so that f(x,t) = x there. With
// n = σ/α and x̃ = x/α,
//
//	f = c_skip·x̃ + c_out·F,  c_skip = s²/((n−n_min)²+s²),  c_out = (n−n_min)·s/√(n²+s²),
//
// F being EDM's output (diffusion.Preconditioned), into which the model's prediction is converted: a student
// of any prediction begins, but for n_min, as its teacher's estimate of the data. As a Model it
// predicts the data.
type Function struct {
	Of        diffusion.Model
	SigmaData float64 // s, the standard deviation of the data
	SigmaMin  float64 // n_min; at and below it f is x/α

	raw diffusion.Kind // F
}

// NewFunction is a model as a consistency function for data of a standard deviation.
func NewFunction(of diffusion.Model, sigmaData, sigmaMin float64) *Function {
	return &Function{of, sigmaData, sigmaMin, diffusion.Preconditioned{SigmaData: sigmaData}}
}

// answers marks models that are consistency functions.
func (*Function) answers()       {}
func (*LatentFunction) answers() {}

// Path is the model's.
func (f *Function) Path() diffusion.GaussianPath { return f.Of.Path() }

// Kind is the data.
func (f *Function) Kind() diffusion.Kind { return diffusion.X0 }

// Eval is f.
func (f *Function) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := f.Of.Eval(x, at, c)
	return diffusion.Pred{Value: diffusion.Combine(x, p.Value, f.Path(), diffusion.Step{T: at.T},
		func(now, _ diffusion.Point) float64 { return f.mix(p.Kind, now).OnX },
		func(now, _ diffusion.Point) float64 { return f.mix(p.Kind, now).OnValue }), Kind: diffusion.X0}
}

// mix are f's coefficients on x and on a prediction of a kind.
func (f *Function) mix(kind diffusion.Kind, p diffusion.Point) diffusion.Mix {
	s := f.SigmaData
	over := p.Sigma - f.SigmaMin*p.Alpha // (n − n_min)·α
	if over <= 0 {
		return diffusion.Mix{OnX: 1 / p.Alpha}
	}
	skip := p.Alpha * s * s / (over*over + p.Alpha*p.Alpha*s*s) // c_skip/α, finite where α=0
	out := over * s / math.Hypot(p.Sigma, p.Alpha*s)
	m := diffusion.Convert(kind, f.raw, p)
	return diffusion.Mix{OnX: skip + out*m.OnX, OnValue: out * m.OnValue}
}

// LatentFunction is a model as a consistency function in the parametrisation of latent consistency models (Luo et
// al. 2023, sec. 4.2; diffusers): with the model's estimate of the data,
//
//	f = c_skip·x + c_out·x̂0,  c_skip = s²/(τ²+s²),  c_out = τ/√(τ²+s²),  τ = Scale·t/End,
//
// so that f(x, 0) = x, and next to the data f is the estimate itself.
type LatentFunction struct {
	Of        diffusion.Model
	SigmaData float64 // s
	Scale     float64 // the paper's 10, times a thousand timesteps
}

// Path is the model's.
func (f *LatentFunction) Path() diffusion.GaussianPath { return f.Of.Path() }

// Kind is the data.
func (f *LatentFunction) Kind() diffusion.Kind { return diffusion.X0 }

// Eval is f.
func (f *LatentFunction) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := f.Of.Eval(x, at, c)
	return diffusion.Pred{Value: diffusion.Combine(x, p.Value, f.Path(), diffusion.Step{T: at.T},
		func(now, _ diffusion.Point) float64 { return f.mix(p.Kind, now).OnX },
		func(now, _ diffusion.Point) float64 { return f.mix(p.Kind, now).OnValue }), Kind: diffusion.X0}
}

// mix are f's coefficients on x and on a prediction of a kind.
func (f *LatentFunction) mix(kind diffusion.Kind, p diffusion.Point) diffusion.Mix {
	tau := f.Scale * p.T / f.Path().End()
	if tau == 0 {
		return diffusion.Mix{OnX: 1}
	}
	norm := math.Hypot(tau, f.SigmaData)
	skip, out := f.SigmaData*f.SigmaData/(norm*norm), tau/norm
	m := diffusion.Convert(kind, diffusion.X0, p)
	return diffusion.Mix{OnX: skip + out*m.OnX, OnValue: out * m.OnValue}
}
