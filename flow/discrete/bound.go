package discrete

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Bound estimates the bound on −ln p(x0) that [Matching] can be trained on: the divergence between the chain that leads
// to x0 and the model's, in continuous time, which [CTMC] has with eta=0 and many steps; and, where the chain ends before the
// data, −ln of the posterior there, of which each token is then drawn. The source has no term: at time 1 the path is the source itself.
//
// From the mask, with exact posteriors and a chain to the data, the mean is the entropy of the data. From the uniform source it is
// above: a token that has come to the data stays there, which the chain of the posteriors does not know. And of any network that
// is not sure of a token near the data the divergence is infinite there, κ'/κ being so: Start must be above 0.
type Bound struct {
	Start float64 // where the chain ends; 0: at the data, for the mask
	Times int     // that each sample is asked at, one from each of as many equal parts; 0: DefaultTimes
	Key   rng.Key // of times and states
	First uint64  // sample i is row First+i under Key
	Batch int     // samples at a time; 0: 256
}

// DefaultTimes is how many times a [Bound] asks each sample at.
const DefaultTimes = 100

// Of is the estimate for each sample of data, whose conditions m is given, in nats: the part of the chain and that of the
// posterior at its end, which is 0 at the data. m, a model of tokens, is asked in s, which is Reset between evaluations. progress, if
// not nil, hears of evaluations of batches.
func (b *Bound) Of(ctx context.Context, s *tensor.Scope, m diffusion.Model, data likelihood.Data, progress func(done, total int)) (chain, decoder []float64, err error) {
	p, size := pathOf(m), data.Dim()
	times, batch := b.Times, b.Batch
	if times == 0 {
		times = DefaultTimes
	}
	if batch == 0 {
		batch = 256
	}
	switch {
	case times < 0:
		return nil, nil, invalid.Field("times", "must not be negative, is %d", times)
	case !(b.Start >= 0 && b.Start < 1) || b.Start == 0 && p.Source != Mask:
		return nil, nil, invalid.Field("start", "must be below 1, and 0 or more from the mask, above 0 from other sources, is %g", b.Start)
	case size == 0 || len(data.X)%size != 0:
		return nil, nil, fmt.Errorf("%d values are not samples of shape %v", len(data.X), data.Shape)
	}
	x0 := make([]float32, len(data.X))
	for i, v := range data.X {
		x0[i] = float32(v)
	}
	if err := p.Check(x0); err != nil {
		return nil, nil, err
	}
	chain, decoder = make([]float64, data.Len()), make([]float64, data.Len())
	first := 0 // part −1 is the end
	if b.Start > 0 {
		first = -1
	}
	done, evals := 0, (len(chain)+batch-1)/batch*(times-first)
	for from := 0; from < len(chain); from += batch {
		n := min(batch, len(chain)-from)
		for k := first; k < times; k++ {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			to, weight := decoder, 1.0
			if k >= 0 {
				to, weight = chain, (1-b.Start)/float64(times)
			}
			for i, v := range b.terms(s, m, p, data, x0[from*size:(from+n)*size], from, k, times) {
				to[from+i/size] += v * weight
			}
			if done++; progress != nil {
				progress(done, evals)
			}
		}
	}
	return chain, decoder, nil
}

// Streams of the random numbers under Key, whose steps are the parts of time.
const (
	streamTime uint32 = iota
	streamSource
	streamState
)

// terms are the bound's integrand for each token of data x0, which are samples from…, in part k of so many of the time; in
// part −1, those of the posterior at the end.
func (b *Bound) terms(s *tensor.Scope, m diffusion.Model, p *Path, data likelihood.Data, x0 []float32, from, k, times int) []float64 {
	s.Reset()
	size := data.Dim()
	n := len(x0) / size
	samples, t, x, source := make([]int, n), make([]float64, n), make([]float32, len(x0)), make([]float32, size)
	key := func(stream uint32) rng.Key {
		return b.Key.WithStream(b.Key.Stream + stream).WithStep(b.Key.Step + uint64(k+1))
	}
	for i := range n {
		row := b.First + uint64(from+i)
		samples[i] = from + i
		t[i] = b.Start
		if k >= 0 {
			t[i] += (1 - b.Start) * (float64(k) + rng.Float64(key(streamTime), row, 0)) / float64(times)
		}
		p.DrawSource(key(streamSource), row, source)
		reveal(p, key(streamState), row, x[i*size:(i+1)*size], x0[i*size:(i+1)*size], source, t[i])
	}
	var out []float64
	s.NoGrad(func() {
		var c diffusion.Cond
		if data.Cond != nil {
			c = data.Cond(s, samples)
		}
		logits := m.Eval(s.Tensor(x, append([]int{n}, data.Shape...)...), diffusion.Step{T: t}, c).Value
		out = p.losses(logits, x, x0, t, k >= 0).Float64s()
	})
	return out
}
