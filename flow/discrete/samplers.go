package discrete

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// CTMC goes along the continuous-time Markov chain whose rates are the posterior's (Campbell et al. 2024; Gat et al. 2024,
// algorithm 1): in a step each token jumps to a draw of its posterior with the probability of [Path.Kernel], the
// posterior being that of the step's start. Tokens that jump in one step know nothing of each other, so that the law of samples is right
// as steps become short, to the first order; of one token it is right for any steps. In the last step every token is
// drawn. With the mask as the source and eta=0 it is ancestral sampling of masked diffusion.
type CTMC struct {
	Eta         float64 `yaml:"eta" doc:"stochasticity η: tokens also go back to the source, κ'/(1−κ)·η often, and to the data 1+η times as often, which mends mistakes; 0: no more jumps than needed" range:"[0,inf)"`
	Temperature float64 `yaml:"temperature" doc:"what logits are divided by: below 1 the likely tokens become more so" range:"(0,inf)"`
}

// SetDefaults is no more jumps than needed, and the posterior as it is.
func (o *CTMC) SetDefaults() { o.Eta, o.Temperature = 0, 1 }

// Validate checks the ranges.
func (o *CTMC) Validate() error {
	if !(o.Eta >= 0) || math.IsInf(o.Eta, 0) {
		return invalid.Field("eta", "must not be negative, is %g", o.Eta)
	}
	return checkTemperature(o.Temperature)
}

func checkTemperature(t float64) error {
	if !(t > 0) || math.IsInf(t, 0) {
		return invalid.Field("temperature", "must be positive, is %g", t)
	}
	return nil
}

// Fits is an error unless the path is one of tokens.
func (o *CTMC) Fits(path diffusion.GaussianPath) error {
	if _, ok := path.(*Path); !ok {
		return fmt.Errorf("the sampler ctmc is for tokens (objective discrete_flow): take another sampler")
	}
	return nil
}

// Sample makes a step for each interval.
func (o *CTMC) Sample(r *sampler.Run) {
	if err := o.Fits(r.Path); err != nil {
		r.Fail("%w", err)
		return
	}
	p := r.Path.(*Path)
	work := r.Floats(int(p.Alphabet))
	for st := range r.Steps() {
		logits := r.Predict(r.X, st.From)
		stay, _, source := p.Kernel(st.From.T, st.To.T, o.Eta)
		r.X = p.each(r, logits, rows{p: work, temperature: o.Temperature}, func(x []float64, posterior rows, u chances) {
			for j := range x {
				jump := u.at(2 * j)
				switch {
				case jump < source:
					x[j] = float64(p.Alphabet.Value(p.fromSource(u.at(2*j + 1))))
				case jump >= source+stay && !p.known(x[j]):
					x[j] = p.value(choose(posterior.of(j), u.at(2*j+1)))
				}
			}
		})
	}
}

// known reports whether a token of a state is the data's for sure.
func (p *Path) known(x float64) bool {
	return p.Source == Mask && p.Alphabet.Token(x) != p.Alphabet.Mask()
}

// value is what a token is in states; of none, NaN, which shows in the samples as elsewhere.
func (p *Path) value(token int) float64 {
	if token < 0 {
		return math.NaN()
	}
	return float64(p.Alphabet.Value(token))
}

// rows are posteriors of the tokens of a sample.
type rows struct {
	logits, p   []float64
	temperature float64
}

// of is the posterior of token j, until it is next called.
func (r rows) of(j int) []float64 {
	k := len(r.p)
	softmax(r.p, r.logits[j*k:(j+1)*k], r.temperature)
	return r.p
}

// chances are a sample's random numbers of a step, uniform in [0,1).
type chances struct {
	key    rng.Key
	sample uint64
}

func (c chances) at(i int) float64 { return rng.Float64(c.key, c.sample, i) }

// each is the state with every sample changed by f, on the host in float64: categorical draws from float32 noise would leave out
// what is less likely than 2⁻²⁴. posterior has no logits yet.
func (p *Path) each(r *sampler.Run, logits *tensor.Tensor, posterior rows, f func(x []float64, posterior rows, u chances)) *tensor.Tensor {
	key, first := r.Chance()
	n, k := r.X.Dim(0), int(p.Alphabet)
	return r.X.Scope().Host(func(y []float64, in [][]float64) {
		copy(y, in[0])
		size := len(y) / max(n, 1)
		for i := range n {
			posterior.logits = in[1][i*size*k : (i+1)*size*k]
			f(y[i*size:(i+1)*size], posterior, chances{key, first + uint64(i)})
		}
	}, r.X.Shape(), r.X, logits)
}

// Unmask reveals in each step as many tokens as κ has it, rounded, where the chain's number is random. In
// random order and one token a step it draws from the posteriors' joint law without any error of discretisation (Zheng et al. 2025, whose
// first-hitting sampler it is but for the times that the network is told). In the order of confidence it is MaskGIT's
// (Chang et al. 2022), which is biased to what is likely.
type Unmask struct {
	Order       string  `yaml:"order" doc:"which tokens are revealed: at random, or those whose draws are the most probable (MaskGIT)" oneof:"random confidence"`
	Noise       float64 `yaml:"noise" doc:"in the order of confidence: Gumbel noise on the logarithms of probabilities, times the part of tokens that stay masked" range:"[0,inf)"`
	Temperature float64 `yaml:"temperature" doc:"what logits are divided by: below 1 the likely tokens become more so" range:"(0,inf)"`
}

// SetDefaults is random order.
func (o *Unmask) SetDefaults() { o.Order, o.Noise, o.Temperature = "random", 1, 1 }

// Validate checks name and ranges.
func (o *Unmask) Validate() error {
	switch {
	case o.Order != "random" && o.Order != "confidence":
		return invalid.Field("order", "must be random or confidence, is %q", o.Order)
	case !(o.Noise >= 0) || math.IsInf(o.Noise, 0):
		return invalid.Field("noise", "must not be negative, is %g", o.Noise)
	}
	return checkTemperature(o.Temperature)
}

// Fits is an error unless the path is one of tokens to the mask.
func (o *Unmask) Fits(path diffusion.GaussianPath) error {
	if p, ok := path.(*Path); !ok || p.Source != Mask {
		return fmt.Errorf("the sampler unmask is for tokens with the mask as source (objective discrete_flow): take another sampler")
	}
	return nil
}

// Sample makes a step for each interval.
func (o *Unmask) Sample(r *sampler.Run) {
	if err := o.Fits(r.Path); err != nil {
		r.Fail("%w", err)
		return
	}
	p := r.Path.(*Path)
	work := r.Floats(int(p.Alphabet))
	list, _ := candidates.Get().(*[]candidate)
	if list == nil {
		list = new([]candidate)
	}
	defer candidates.Put(list)
	for st := range r.Steps() {
		logits := r.Predict(r.X, st.From)
		to, _ := p.Kappa(st.To.T)
		r.X = p.each(r, logits, rows{p: work, temperature: o.Temperature}, func(x []float64, posterior rows, u chances) {
			hidden := (*list)[:0]
			for j, v := range x {
				if !p.known(v) {
					hidden = append(hidden, o.candidate(j, posterior.of(j), u, to))
				}
			}
			*list = hidden
			slices.SortFunc(hidden, candidate.compare)
			for i := range len(hidden) - int(math.Round(to*float64(len(x)))) {
				x[hidden[i].at] = p.value(hidden[i].token)
			}
		})
	}
}

// candidates are lists for use again.
var candidates sync.Pool // of *[]candidate

// candidate is a masked token with a draw for it.
type candidate struct {
	at, token int
	rank      float64 // low: revealed early
}

func (a candidate) compare(b candidate) int {
	switch {
	case a.rank < b.rank:
		return -1
	case a.rank > b.rank:
		return 1
	}
	return a.at - b.at
}

// candidate draws for token j; left is the part of tokens that stay masked.
func (o *Unmask) candidate(j int, posterior []float64, u chances, left float64) candidate {
	c := candidate{at: j, token: choose(posterior, u.at(2*j)), rank: u.at(2*j + 1)}
	if o.Order == "confidence" && c.token >= 0 {
		gumbel := -math.Log(-math.Log(c.rank + 0x1p-54)) // of a number in (0,1)
		c.rank = -(math.Log(posterior[c.token]) + o.Noise*left*gumbel)
	}
	return c
}
