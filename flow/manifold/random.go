package manifold

import (
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Random are the random numbers of one sample, a function of key and sample.
type Random struct {
	key    rng.Key
	sample uint64
	next   int
}

// NewRandom are those of a sample under a key.
func NewRandom(key rng.Key, sample uint64) Random { return Random{key: key, sample: sample} }

// Uniform is the next number, uniform in (0,1).
func (r *Random) Uniform() float64 {
	u := rng.Bits(r.key, r.sample, r.next) >> 12
	r.next++
	return (float64(u) + 0.5) * (1.0 / (1 << 52))
}

// Normal is the next number, N(0,1), by inversion.
func (r *Random) Normal() float64 { return math.Sqrt2 * math.Erfinv(2*r.Uniform()-1) }
