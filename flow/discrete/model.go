package discrete

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// posterior is p(x0^i|x_t).
type posterior struct{}

// Posterior are logits of p(x0^i|x_t) for each token: of a state (N,…,C) a value (N,…,C·K), the K logits of each
// number one after another. Sums of two with weights that add up to 1 are guidance by products of powers of
// probabilities, p(x0|x_t,c)^s·p(x0|x_t)^{1−s}, not normalised (Schiff et al. 2025). Nothing converts to it or from it.
var Posterior diffusion.Kind = posterior{}

func (posterior) String() string                           { return "posterior" }
func (posterior) Of(diffusion.Point) (onX0, onEps float64) { return 0, 0 }

// Width is how many channels a network is given for each number of a state: one for each token, and for the mask.
func (p *Path) Width() int {
	if p.Source == Mask {
		return int(p.Alphabet) + 1
	}
	return int(p.Alphabet)
}

// Embed is what networks see of states (N,…,C): tokens one-hot, (N,…,C·Width). The network's first layer, a matrix or a
// convolution, has a row for each of them, and is a table of embeddings.
func (p *Path) Embed(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	tokens := x.Axpby(float64(p.Alphabet-1)/2, s.Ones(1), float64(p.Alphabet-1)/2).Round().Unsqueeze(-1)
	hot := tokens.Eq(s.Arange(0, 1, p.Width()))
	var dims [tensor.MaxRank]int
	shape := dims[:copy(dims[:], x.Shape())]
	shape[len(shape)-1] *= p.Width()
	return hot.Reshape(shape...)
}

// NewModel is a network as a model of tokens: it is given states as [Path.Embed] makes them, and answers with logits.
func NewModel(path *Path, net diffusion.Network) *diffusion.NetModel {
	return &diffusion.NetModel{
		Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			return net(path.Embed(x), t, c)
		},
		Along: path, Predicts: Posterior,
	}
}

// pathOf is the path of a model of tokens: others are the caller's bug.
func pathOf(m diffusion.Model) *Path {
	p, ok := m.Path().(*Path)
	if !ok || m.Kind() != Posterior {
		panic(fmt.Sprintf("discrete: a model that predicts %v along %T: want %v along a *discrete.Path", m.Kind(), m.Path(), Posterior))
	}
	return p
}

// softmax sets p to probabilities in proportion to exp(logits/temperature). Logits that are not finite make it NaN.
func softmax(p, logits []float64, temperature float64) {
	most := math.Inf(-1)
	for _, l := range logits {
		most = max(most, l)
	}
	sum := 0.0
	for k, l := range logits {
		p[k] = math.Exp((l - most) / temperature)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
}

// choose is the token at u, uniform in [0,1), of the distribution function of p; −1 where p is no distribution.
func choose(p []float64, u float64) int {
	sum, last := 0.0, -1
	for k, v := range p {
		if v > 0 {
			last = k
		}
		if sum += v; u < sum {
			return k
		}
	}
	if !(sum > 0.5) { // NaN
		return -1
	}
	return last // rounding left the sum below u
}
