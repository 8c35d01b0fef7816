package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Imperfect is a model with an error of known size, such as an Oracle that errs as a trained network does: smoothly
// in x, differently at each time, the same at every evaluation. Of data of variance 1, a network that is preconditioned as in
// Karras et al. 2022 would be off by Error in each output, root mean square over its waves' phases:
//
//	x̂0 by e·σ/n, ε̂ by −e·α/n, n = √(α²+σ²),
//
// and everything else as follows from that (α·x̂0 + σ·ε̂ stays x), so that a sampler's result does not depend on what is predicted.
// The loss in that output is Error² above the model's own.
type Imperfect struct {
	Of    Model
	Error float64
	Key   rng.Key // of the waves
}

// Path is the model's.
func (m *Imperfect) Path() GaussianPath { return m.Of.Path() }

// Kind is the model's.
func (m *Imperfect) Kind() Kind { return m.Of.Kind() }

// Streams of the waves' numbers.
const (
	streamFrequency uint32 = iota
	streamPhase
)

// waves is √2·sin(w·x/n + b + 2π·c), of unit mean square over phases.
var waves = tensor.NewPointwise("waves", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	arg, phase, turn := in[0], in[1], in[2]
	return arg.Add(phase).Add(turn).Sin().Scale(math.Sqrt2)
})

// Eval is the model's answer with the error in it.
func (m *Imperfect) Eval(x *tensor.Tensor, at Step, c Cond) Pred {
	p := m.Of.Eval(x, at, c)
	if m.Error == 0 {
		return p
	}
	s, path := x.Scope(), m.Path()
	n := x.Dim(0)
	flat := x.Reshape(n, x.Elems()/max(n, 1))
	dim := flat.Dim(1)
	size := func(now Point) float64 { return math.Hypot(now.Alpha, now.Sigma) }
	scaled := flat.Mul(PerSample(flat, path, at, func(now, _ Point) float64 { return 1 / size(now) }))
	frequency := s.Normal(m.Key.WithStream(streamFrequency), 0, dim, dim).Scale(2 / math.Sqrt(float64(dim)))
	phase := s.TensorOf(func(i int) float64 { return 2 * math.Pi * rng.Float64(m.Key.WithStream(streamPhase), 0, i) }, 1, dim)
	// Half a turn from one end of the path to the other, by the angle between signal and noise.
	turn := PerSample(flat, path, at, func(now, _ Point) float64 { return 2 * math.Atan2(now.Sigma, now.Alpha) })
	off := waves.Apply(nil, scaled.MatMul(frequency), phase, turn).Reshape(x.Shape()...)
	k := p.Kind
	coef := PerSample(x, path, at, func(now, _ Point) float64 {
		onData, onEps := k.Of(now)
		return m.Error * (onData*now.Sigma - onEps*now.Alpha) / size(now)
	})
	p.Value = p.Value.Add(coef.Mul(off))
	return p
}
