package manifold

import (
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Random gives random numbers, one after another.
type Random interface {
	// Uniform is the next number, uniform in (0,1).
	Uniform() float64
	// Normal is the next number, N(0,1).
	Normal() float64
}

// Stream are the random numbers of one sample, a function of key and sample.
type Stream struct {
	key    rng.Key
	sample uint64
	next   int
}

// NewStream are those of a sample under a key.
func NewStream(key rng.Key, sample uint64) Stream { return Stream{key: key, sample: sample} }

// Uniform is the next number, an odd multiple of 2⁻⁵³.
func (r *Stream) Uniform() float64 {
	u := rng.Bits(r.key, r.sample, r.next) >> 12
	r.next++
	return (float64(u) + 0.5) * (1.0 / (1 << 52))
}

// Normal is the next number, by inversion.
func (r *Stream) Normal() float64 { return math.Sqrt2 * math.Erfinv(2*r.Uniform()-1) }
