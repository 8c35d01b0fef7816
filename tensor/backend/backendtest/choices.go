package backendtest

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// choices makes the decisions of one random case. They come from the fuzzer's
// bytes while those last, so that it can steer, and from a generator seeded by
// all of them after that.
type choices struct {
	data []byte
	rnd  *rand.Rand
}

func newChoices(data []byte) *choices {
	h := fnv.New64a()
	h.Write(data)
	return &choices{data, rand.New(rand.NewPCG(h.Sum64(), 1))}
}

// reseed starts the generator anew without steering it.
func (c *choices) reseed(seed []byte) *choices {
	*c = *newChoices(seed)
	c.data = nil
	return c
}

// pick is a choice among 0..n-1.
func (c *choices) pick(n int) int {
	if len(c.data) == 0 {
		return c.rnd.IntN(n)
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

func (c *choices) flip() bool { return c.pick(2) == 1 }

// size is an axis length up to limit, with a liking for the edges of kernels:
// nothing, one, around multiples of a vector's width, primes.
func (c *choices) size(limit int) int {
	edges := []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 97, 127, 128, 130, 191, 257, 384, 521, 1024, 1031, 2053}
	n := edges[c.pick(len(edges))]
	if n > limit {
		return n%limit + 1
	}
	return n
}

// positive is a size that is not zero.
func (c *choices) positive(limit int) int { return max(1, c.size(limit)) }

// normals are n values of N(0,1)·scale, rounded to the dtype by the operand that takes them.
func (c *choices) normals(n int, scale float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = c.rnd.NormFloat64() * scale
	}
	return v
}

// specials are values where kernels go wrong: signs of zero, subnormals,
// infinities, NaN, neighbours of one, huge arguments.
var specials = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, -2, 1 + 0x1p-23, 1 - 0x1p-24, -1 - 0x1p-23,
	0x1p-149, -0x1p-149, 0x1p-127, -0x1p-126, 0x1p-126, 3e-39, 1e-20, -1e-20, 1e-7, -1e-7, 3e-4, -3e-4,
	0.7, -0.7, 0.9277, 1.4142135, 1.5, 2.5, -2.5, 3.5, math.Pi / 2, math.Pi, -math.Pi, 10, -10, 17, -17, 40, -40,
	88, 88.72, 88.73, 89, -87, -87.4, -88, -103, -104, -110, 127, 1000, -1000, 8388607.5, 8388608, 16777216, -16777217,
	1e4, -1e4, 12345.678, 1e5, 1e6, 1e10, -1e10, 1e20, 1e30, -1e30, 0x1p127, math.MaxFloat32, -math.MaxFloat32,
	math.Inf(1), math.Inf(-1), math.NaN(),
}
