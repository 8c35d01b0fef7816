package discrete

import (
	"fmt"
	"math"
	"strings"

	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Source is what tokens are at the end of a path, π.
type Source uint8

const (
	Mask    Source = iota // the mask
	Uniform               // each token of the alphabet alike
)

var sourceNames = []string{"mask", "uniform"}

func (s Source) String() string { return sourceNames[s] }

// Choices lists the names that UnmarshalText knows.
func (Source) Choices() []string { return append([]string(nil), sourceNames...) }

// MarshalText gives the name.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Source) UnmarshalText(b []byte) error {
	for i, n := range sourceNames {
		if n == string(b) {
			*s = Source(i)
			return nil
		}
	}
	return fmt.Errorf("unknown source %q; valid are %s", b, strings.Join(sourceNames, ", "))
}

// Path leads tokens to a source, each at a time of its own (Gat et al. 2024, eq. 7 and 8). It is [flow.Confined].
type Path struct {
	flow.OrdersTimes
	Alphabet  Alphabet
	Source    Source
	Scheduler flow.Scheduler // κ; nil: t
}

// Kappa is κ and its derivative at a time in [0,1].
func (p *Path) Kappa(t float64) (kappa, dKappa float64) {
	if p.Scheduler == nil {
		return t, 1
	}
	return p.Scheduler.Kappa(t)
}

// String says how many tokens there are.
func (p *Path) String() string { return fmt.Sprintf("%d tokens", int(p.Alphabet)) }

// Samplers is ctmc and, for the mask, unmask.
func (p *Path) Samplers() []string {
	if p.Source == Mask {
		return []string{"ctmc", "unmask"}
	}
	return []string{"ctmc"}
}

// Check says which number of the samples x is no token's, if one is.
func (p *Path) Check(x []float32) error { return p.check(x, false) }

// CheckStarts is the same of starts, in which tokens may be masked, or all but those that are given.
func (p *Path) CheckStarts(x []float32) error { return p.check(x, p.Source == Mask) }

func (p *Path) check(x []float32, mask bool) error {
	for i, v := range x {
		if !p.Alphabet.Is(float64(v), mask) {
			beside := ""
			if mask {
				beside = fmt.Sprintf(" nor the mask, %g", p.Alphabet.Value(p.Alphabet.Mask()))
			}
			return fmt.Errorf("number %d is %g, which is none of the %d equally spaced values from −1 to 1%s", i, v, int(p.Alphabet), beside)
		}
	}
	return nil
}

// Rates are how often, as time runs to the data, a token of the source's becomes the data's, κ'/κ, and for steps that go
// both ways how often one of the data's becomes the source's, κ'/(1−κ): with both, times any number, the distribution
// at a time stays what it is (Gat et al. 2024, eq. 24 to 26: û, ǔ and û−ǔ).
func (p *Path) Rates(t float64) (toData, toSource float64) {
	kappa, rate := p.Kappa(t)
	return rate / kappa, rate / (1 - kappa)
}

// Kernel is the chain's step from time t to an earlier one s, for a token whose data token x0 is known: it stays what it
// is with probability stay, becomes x0 with probability data, and anew one of the source's with probability source. The
// rates are 1+η times those to the data and η times those to the source, and integrated, not frozen at t: so the step has the
// marginals of the path at s whatever its length.
//
//	stay = (κ_s/κ_t)^{1+η}·((1−κ_t)/(1−κ_s))^η,   data = 1−κ_s − stay·(1−κ_t),   source = κ_s − stay·κ_t
func (p *Path) Kernel(t, s, eta float64) (stay, data, source float64) {
	from, _ := p.Kappa(t)
	to, _ := p.Kappa(s)
	if to >= from {
		return 1, 0, 0
	}
	if eta == 0 {
		return to / from, 1 - to/from, 0
	}
	stay = math.Pow(to/from, 1+eta) * math.Pow((1-from)/(1-to), eta)
	source = max(0, to-stay*from)
	return stay, 1 - stay - source, source
}

// fromSource draws a token of the source by u, uniform in [0,1).
func (p *Path) fromSource(u float64) int {
	if p.Source == Mask {
		return p.Alphabet.Mask()
	}
	return min(int(u*float64(p.Alphabet)), int(p.Alphabet)-1)
}

// DrawSource fills x with tokens of the source: those of a sample under a key.
func (p *Path) DrawSource(key rng.Key, sample uint64, x []float32) {
	for j := range x {
		x[j] = p.Alphabet.Value(p.fromSource(rng.Float64(key, sample, j)))
	}
}

// reveal sets x to a draw of x_t, by a sample's random numbers: each token is the source's with probability κ(t), or the data's.
func reveal[F float32 | float64](p *Path, key rng.Key, sample uint64, x, data, source []F, t float64) {
	kappa, _ := p.Kappa(t)
	for j := range x {
		x[j] = data[j]
		if rng.Float64(key, sample, j) < kappa {
			x[j] = source[j]
		}
	}
}

// Between draws x_t of data and samples of the source, both (N,…).
func (p *Path) Between(key rng.Key, first uint64, data, source *tensor.Tensor, t float64) *tensor.Tensor {
	n := data.Dim(0)
	return data.Scope().Host(func(y []float64, in [][]float64) {
		size := len(y) / max(n, 1)
		for i := range n {
			at, to := i*size, (i+1)*size
			reveal(p, key, first+uint64(i), y[at:to], in[0][at:to], in[1][at:to], t)
		}
	}, data.Shape(), data, source)
}
