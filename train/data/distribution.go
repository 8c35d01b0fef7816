package data

import (
	"fmt"
	"math"
	"sync"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Distribution is a probability distribution of points, as a source that never ends.
type Distribution interface {
	// Dim is the number of coordinates.
	Dim() int
	// Classes is the number of parts that Draw tells apart; 0: none.
	Classes() int
	// Draw writes one point to x, which has Dim elements, and gives its part (0 without parts).
	Draw(r *Draws, x []float64) (label int)
	// LogDensity gives the exact logarithm of the density at a point (−Inf
	// outside the support), or is nil where no closed form is known.
	LogDensity() func(x []float64) float64
}

// Draws are the random numbers of one point.
type Draws struct {
	key    rng.Key
	sample uint64
	next   int
}

// Uniform is the next number, uniform in (0,1): an odd multiple of 2⁻⁵³, never 0 or 1.
func (d *Draws) Uniform() float64 {
	u := rng.Bits(d.key, d.sample, d.next) >> 12
	d.next++
	return (float64(u) + 0.5) * (1.0 / (1 << 52))
}

// Normal is the next number, N(0,1), by inversion.
func (d *Draws) Normal() float64 {
	return math.Sqrt2 * math.Erfinv(2*d.Uniform()-1)
}

// Intn is the next number, uniform on 0..n−1.
func (d *Draws) Intn(n int) int {
	v := rng.Intn(d.key, d.sample, d.next, n)
	d.next++
	return v
}

// points is the source of a distribution.
type points struct {
	Distribution
	key   rng.Key
	space sync.Pool // of *pointSpace
}

// pointSpace is what drawing one point needs, kept so that sampling does not allocate.
type pointSpace struct {
	draws Draws
	x     []float64
}

// Draw makes an infinite source of a distribution: sample i is the i-th
// independent draw under the seed. With heldout, the draws are independent of
// those without, for evaluation.
func Draw(d Distribution, seed uint64, heldout bool) Source {
	stream := uint32(streamTrain)
	if heldout {
		stream = streamHeldout
	}
	p := &points{Distribution: d, key: rng.Key{Seed: seed, Stream: stream}}
	p.space.New = func() any { return &pointSpace{x: make([]float64, d.Dim())} }
	return p
}

func (p *points) Len() int     { return Infinite }
func (p *points) Shape() []int { return []int{p.Dim()} }

func (p *points) Sample(i uint64, x []float32) (int, error) {
	if len(x) != p.Dim() {
		panic(fmt.Sprintf("data: space for %d elements, a point has %d", len(x), p.Dim()))
	}
	s := p.space.Get().(*pointSpace)
	defer p.space.Put(s)
	s.draws = Draws{key: p.key, sample: i}
	label := p.Draw(&s.draws, s.x)
	for k, v := range s.x {
		x[k] = float32(v)
	}
	return label, nil
}

// DensityOf gives the exact log-density of a source made by [Draw], or nil
// where it has none.
func DensityOf(s Source) func(x []float64) float64 {
	if p, ok := s.(*points); ok {
		return p.LogDensity()
	}
	return nil
}

// MixtureOf gives the mixture of Gaussians that a source made by [Draw] draws from, if it is one.
func MixtureOf(s Source) (*Mixture, bool) {
	if p, ok := s.(*points); ok {
		m, ok := p.Distribution.(*Mixture)
		return m, ok
	}
	return nil, false
}
