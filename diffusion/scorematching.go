package diffusion

import (
	"github.com/langevin-go/langevin/tensor"
)

// ScoreMatching is score matching of the path's marginals without knowing what noise was added
// (Hyvärinen 2005): E_t E_{x_t} w(t)·(‖s‖² + 2·div s)/D, s the model's score at (x_t,t) and D the
// number of elements. It differs from the denoising loss E‖s + ε/σ‖²/D by a number that no
// parameter changes, and costs derivatives of the network. With times at the data
// (Uniform of a small To) it is the original.
type ScoreMatching struct {
	Regression // the weighting is one of the score's error; none: even in it

	// Probes is the number of random directions that stand for the divergence (sliced score matching with
	// variance reduction, Song et al. 2019); 0: it is exact, at the cost of a derivative for every element.
	Probes int
}

// streamProbe is that of the directions; see StreamNoise.
const streamProbe uint32 = 0xe0

// Loss is a scalar.
func (o *ScoreMatching) Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor {
	at, cond := Step{T: d.T}, d.Cond(s)
	x := Noised(d.Data(s), o.Noise.offset(s, d), o.Path, at)
	score := func(x *tensor.Tensor) *tensor.Tensor { return m.Eval(x, at, cond).As(Score, x, o.Path, at) }
	elems := x.Elems() / max(d.N, 1)
	losses := perSample(score(x).Square()).Add(o.divergence(s, d, score, x).Scale(2 / float64(max(elems, 1))))
	if o.Weighting != nil {
		losses = losses.Mul(s.TensorOf(func(i int) float64 { return EffectiveWeight(o.Weighting, Score, o.Path.At(d.T[i])) }, d.N))
	}
	return o.Reduce(s, d, losses)
}

func (o *ScoreMatching) divergence(s *tensor.Scope, d *Draw, f func(x *tensor.Tensor) *tensor.Tensor, x *tensor.Tensor) *tensor.Tensor {
	if o.Probes == 0 {
		return s.Divergence(f, x)
	}
	var sum *tensor.Tensor
	for i := range o.Probes {
		probe := s.Normal(d.NoiseKey.WithStream(streamProbe+uint32(i)<<16), d.First, x.Shape()...)
		part := s.HutchinsonDivergence(f, x, signs.Apply(nil, probe))
		if sum == nil {
			sum = part
		} else {
			sum = sum.Add(part)
		}
	}
	return sum.Scale(1 / float64(o.Probes))
}

// signs makes Rademacher numbers of normal ones: of all with mean 0 and variance 1, those with the
// least variance of the estimate.
var signs = tensor.NewPointwise("sign", 1, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[0].Less(in[0].Const(0)).Select(in[0].Const(-1), in[0].Const(1))
})
