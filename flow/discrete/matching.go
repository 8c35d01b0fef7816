package discrete

import (
	"fmt"
	"sync"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Matching is discrete flow matching: the network learns the posterior of each token. Its loss is the cross-entropy
//
//	E_t E_{x0, x_t} (1/D)·Σ_i −ln p(x0^i|x_t),
//
// the tokens that are not masked, which are known, adding 0 where the source is the mask; or the bound on the
// likelihood in nats for each of the D tokens, with weights κ'/κ (Shi et al. 2024, eq. 5; Sahoo et al. 2024, eq. 10; Shaul
// et al. 2025 for any source):
//
//	E_t E_{x0, x_t} (κ'/κ)·(1/D)·Σ_i [x_t^i ≠ x0^i]·(−ln p(x0^i|x_t)) + [x_t^i = x0^i] − p(x_t^i|x_t),
//
// of which for the mask source the first term is left, and nothing of tokens that are known.
type Matching struct {
	Path       *Path
	Times      diffusion.TimeSampler // nil: uniform. None that learn from losses; for the bound, uniform
	Stratified bool
	Dropout    diffusion.Dropout
	Bound      bool // the bound instead of the cross-entropy

	space sync.Pool // of *[]float32
}

// streamReveal is that of the choice which tokens are the source's; see diffusion.StreamNoise.
const streamReveal uint32 = 0xd1

// Draw chooses times and dropped conditions, draws the source unless the batch has samples of it, and of each
// token whether it is the source's. d.Err says which number of the batch is no token, if one is.
func (o *Matching) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	r := diffusion.Regression{Path: o.Path, Times: o.Times, Stratified: o.Stratified, Dropout: o.Dropout}
	r.Draw(k, b, d)
	size := len(d.X) / max(d.N, 1)
	rows, _ := o.space.Get().(*[]float32)
	if rows == nil || len(*rows) != size {
		rows = new([]float32)
		*rows = make([]float32, size)
	}
	defer o.space.Put(rows)
	x := d.HostExtra(size)
	for i := range d.N {
		data, source := d.X[i*size:(i+1)*size], *rows
		if d.Noise != nil {
			source = d.Noise[i*size : (i+1)*size]
			if err := o.Path.CheckStarts(source); err != nil {
				d.Err = fmt.Errorf("sample %d of the source: %w", i, err)
				return
			}
		} else {
			o.Path.DrawSource(d.NoiseKey, d.First+uint64(i), source)
		}
		if err := o.Path.Check(data); err != nil {
			d.Err = fmt.Errorf("sample %d of the batch: %w", i, err)
			return
		}
		reveal(o.Path, k.WithStream(streamReveal), d.First+uint64(i), x[i*size:(i+1)*size], data, source, d.T[i])
	}
}

// Loss is a scalar.
func (o *Matching) Loss(s *tensor.Scope, model diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	logits := model.Eval(s.Tensor(d.Extra, d.Data(s).Shape()...), diffusion.Step{T: d.T}, d.Cond(s)).Value
	losses := pathOf(model).losses(logits, d.Extra, d.X, d.T, o.Bound)
	if d.Wants {
		s.NoGrad(func() { d.Keep(losses.Reshape(d.N, losses.Elems()/d.N).Mean(1)) })
	}
	return losses.Mean()
}

// losses are those of each token, (N·D,1): of states x with data x0 at times t, (N), for which logits (N,…,C·K) were predicted.
func (p *Path) losses(logits *tensor.Tensor, x, x0 []float32, t []float64, bound bool) *tensor.Tensor {
	s, n := logits.Scope(), len(x)
	log := logits.Reshape(n, int(p.Alphabet)).LogSoftmax()
	at := func(x []float32) *tensor.Tensor {
		return log.TakeAlong(-1, s.IntsOf(func(i int) int32 { return int32(p.Alphabet.Token(float64(x[i]))) }, n, 1))
	}
	size := n / max(len(t), 1)
	weights := func(same float64) *tensor.Tensor { // where x is x0, that; elsewhere 1; times that of the time
		return s.TensorOf(func(i int) float64 {
			w := 1.0
			if bound {
				w = p.weight(t[i/size])
			}
			if p.Alphabet.Token(float64(x[i])) == p.Alphabet.Token(float64(x0[i])) {
				w *= same
			}
			return w
		}, n, 1)
	}
	nll := at(x0).Neg()
	switch {
	case p.Source == Mask:
		return nll.Mul(weights(0))
	case !bound:
		return nll
	}
	// λ·(nll·[≠] + [=] − p(x)) = λ·(nll·[≠] − p(x)) + λ − λ·[≠]
	changed, all := weights(0), weights(1)
	return nll.Mul(changed).Sub(at(x).Exp().Mul(all)).Add(all).Sub(changed)
}

// weight is κ'/κ, or 0 where nothing is the source's.
func (p *Path) weight(t float64) float64 {
	kappa, rate := p.Kappa(t)
	if kappa == 0 {
		return 0
	}
	return rate / kappa
}
