package nn

import (
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
)

// featuresOp is cos(t·ω) where the third input is not 0, else sin(t·ω).
var featuresOp = tensor.NewPointwise("time features", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	a := in[0].Mul(in[1])
	return in[2].Select(a.Cos(), a.Sin())
})

// SinusoidalOptions are the conventions of sinusoidal features.
type SinusoidalOptions struct {
	Dim       int     // number of features
	MaxPeriod float64 // the slowest of them turns once in 2π·MaxPeriod; 0: 10000
	Shift     float64 // subtracted from the number of frequencies: diffusers' downscale_freq_shift
	SinFirst  bool    // sines, then cosines; otherwise cosines first: diffusers' flip_sin_to_cos
	Scale     float64 // factor on t; 0: 1
}

// Sinusoidal gives the features cos(t·ω_k), sin(t·ω_k) of a time or another number
// (Vaswani et al. 2017), ω_k = MaxPeriod^(−k/(h−Shift)), k = 0…h−1, h = Dim/2. An odd
// Dim ends with a zero.
type Sinusoidal struct {
	dim         int
	freq, isCos constant
}

// NewSinusoidal makes the table of frequencies on dev.
func NewSinusoidal(dev backend.Device, o SinusoidalOptions) *Sinusoidal {
	freq, isCos := make([]float64, o.Dim), make([]float64, o.Dim)
	if o.MaxPeriod == 0 {
		o.MaxPeriod = 10000
	}
	if o.Scale == 0 {
		o.Scale = 1
	}
	h := o.Dim / 2
	cos, sin := 0, h
	if o.SinFirst {
		cos, sin = h, 0
	}
	for k := range h {
		w := o.Scale * math.Exp(-math.Log(o.MaxPeriod)*float64(k)/(float64(h)-o.Shift))
		freq[cos+k], freq[sin+k], isCos[cos+k] = w, w, 1
	}
	return &Sinusoidal{o.Dim, newConstant(dev, freq, 1, o.Dim), newConstant(dev, isCos, 1, o.Dim)}
}

// Dim is the number of features.
func (e *Sinusoidal) Dim() int { return e.dim }

// Forward maps t (N), or a single number, to (N, Dim).
func (e *Sinusoidal) Forward(t *tensor.Tensor) *tensor.Tensor {
	return featuresOp.Apply(nil, t.Reshape(t.Elems(), 1), e.freq.of(t), e.isCos.of(t))
}

// Fourier gives Gaussian random features sin(2π·w·u), cos(2π·w·u) (Tancik et al.
// 2020), u = t or ln t (Song et al. 2021). The frequencies are saved with the model
// and not trained.
type Fourier struct {
	Weight *tensor.Param // (features/2)
	log    bool
}

// NewFourier draws the frequencies from N(0, scale²). With log the features are of
// ln t, so that t must be positive.
func NewFourier(in *Init, dim int, scale float64, log bool) *Fourier {
	w := in.Normal(scale, dim/2)
	w.Frozen = true
	return &Fourier{w, log}
}

// Dim is the number of features.
func (e *Fourier) Dim() int { return 2 * e.Weight.Elems() }

// Forward maps t (N), or a single number, to (N, Dim): sines first.
func (e *Fourier) Forward(t *tensor.Tensor) *tensor.Tensor {
	u := t.Reshape(t.Elems(), 1)
	if e.log {
		u = u.Log()
	}
	a := u.Mul(t.Scope().Param(e.Weight).Reshape(1, -1)).Scale(2 * math.Pi)
	return tensor.Concat(1, a.Sin(), a.Cos())
}

// LearnedTime is a trained vector for every whole t = 0…rows−1.
type LearnedTime struct {
	Weight *tensor.Param // (rows, dim)
	count  constant
}

// NewLearnedTime has an N(0,1) table.
func NewLearnedTime(in *Init, rows, dim int) *LearnedTime {
	count := make([]float64, rows)
	for i := range count {
		count[i] = float64(i)
	}
	return &LearnedTime{in.Normal(1, rows, dim), newConstant(in.Device(), count, 1, rows)}
}

// Dim is the number of features.
func (e *LearnedTime) Dim() int { return e.Weight.Shape()[1] }

// Forward maps t (N), whole numbers, to (N, Dim); a t between or outside them gives
// zeros. Times are floating-point, so a row is picked by comparison.
func (e *LearnedTime) Forward(t *tensor.Tensor) *tensor.Tensor {
	return t.Reshape(t.Elems(), 1).Eq(e.count.of(t)).MatMul(e.Weight)
}

// TimeFeatures is what a [TimeEmbedding] begins with: a *Sinusoidal, *Fourier or *LearnedTime.
type TimeFeatures interface {
	Dim() int
	Forward(t *tensor.Tensor) *tensor.Tensor
}

// TimeEmbedding is Linear–SiLU–Linear on features of the time.
type TimeEmbedding struct {
	Features TimeFeatures
	Fc1, Fc2 *Linear
}

// NewTimeEmbedding maps the features to dim.
func NewTimeEmbedding(in *Init, f TimeFeatures, dim int) *TimeEmbedding {
	return &TimeEmbedding{f, NewLinear(in, f.Dim(), dim), NewLinear(in, dim, dim)}
}

// Forward maps t (N), or a single number, to (N, dim).
func (e *TimeEmbedding) Forward(t *tensor.Tensor) *tensor.Tensor {
	s := t.Scope()
	m := s.Mark()
	return s.Release(m, e.Fc2.Forward(e.Fc1.Forward(e.Features.Forward(t)).SiLU()))
}
