package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Noise is the standard normal noise of this step, for samplers that add it as the noise of the path.
func (r *Run) Noise() *tensor.Tensor {
	if r.opts.Brownian && r.opts.Noise == nil && r.opts.Noisy == nil {
		return r.brownian(r.step.From.T, r.step.To.T)
	}
	return r.NoiseOf(0, 1)
}

// NoiseOf is number k, from 0, of the n independent standard normal noises that a
// sampler takes in each step. Number 0 is the one that Noise gives without Options.Brownian.
func (r *Run) NoiseOf(k, n int) *tensor.Tensor {
	if r.opts.Noisy != nil {
		if r.err == nil {
			r.err = r.opts.Noisy
		}
		return r.s.Zeros(r.X.Shape()...)
	}
	return r.draw(k, n)
}

// LatentNoise is Noise for samplers that do not take it for the path's own, and so go with any path.
func (r *Run) LatentNoise() *tensor.Tensor { return r.draw(0, 1) }

func (r *Run) draw(k, n int) *tensor.Tensor {
	if r.opts.Noise != nil {
		return r.opts.Noise(r.s, r.step.Index*n+k)
	}
	key := r.opts.Key.WithStep(r.opts.Key.Step + uint64(r.step.Index) + 1)
	if k > 0 {
		key = subKey(key, uint64(k))
	}
	return r.s.Normal(key, r.opts.First, r.X.Shape()...)
}

// Nested are the standard normal noises of the way to a time within this step
// and of the whole step. share is the part that the first is of the second: their
// correlation is √share, as of a Brownian motion's increments. Of independent ones
// the step takes two.
func (r *Run) Nested(mid diffusion.Point, share float64) (first, whole *tensor.Tensor) {
	if r.opts.Brownian && r.opts.Noise == nil && r.opts.Noisy == nil {
		return r.brownian(r.step.From.T, mid.T), r.brownian(r.step.From.T, r.step.To.T)
	}
	first = r.NoiseOf(0, 2)
	return first, first.Axpby(math.Sqrt(share), r.NoiseOf(1, 2), math.Sqrt(1-share))
}

// Streams of what is derived from a key.
const (
	streamSub      = 0x5b_0001
	streamBrownian = 0x5b_0002
	streamChance   = 0x5b_0003
)

// subKey is a key of its own for purpose number i under k.
func subKey(k rng.Key, i uint64) rng.Key {
	k.Seed = rng.Bits(k.WithStream(k.Stream^streamSub), i, 0)
	return k
}

// brownianDepth is how often the tree below halves the path. Times nearer than
// 2^−depth of the path share their last digit of noise.
const brownianDepth = 20

// term is one normal variable and its coefficient.
type term struct {
	node uint64
	c    float64
}

// motionTerms is how many of them make a motion.
const motionTerms = brownianDepth + 2

// motion writes W(u), u in [0,1], as a sum over normal variables: Lévy's
// construction, W(u) = u·z_0 + Σ_l hat_l(u)·z_l with a hat of height ½√w over the
// interval of width w=2^−l that u is in, and below the smallest a bridge.
func motion(out []term, u float64) []term {
	out = append(out, term{0, u})
	w := 1.0
	for l := 0; l <= brownianDepth; l++ {
		j := min(math.Floor(u/w), 1/w-1)
		f := u/w - j
		c := math.Sqrt(w) / 2 * (1 - math.Abs(2*f-1))
		if l == brownianDepth {
			c = math.Sqrt(w * f * (1 - f))
		}
		out = append(out, term{1<<l + uint64(j), c})
		w /= 2
	}
	return out
}

// increment is W(v)−W(u) over its standard deviation, u≠v; nodes above both come once. Its terms are
// appended to out, which is empty.
func increment(out []term, u, v float64) []term {
	var before [motionTerms]term
	a, b := motion(out, v), motion(before[:0], u)
	for i, t := range b {
		if a[i].node == t.node {
			a[i].c -= t.c
		} else {
			a = append(a, term{t.node, -t.c})
		}
	}
	scale := 1 / math.Sqrt(math.Abs(v-u))
	kept := a[:0]
	for _, t := range a {
		if t.c != 0 {
			kept = append(kept, term{t.node, t.c * scale})
		}
	}
	return kept
}

// brownian is the increment from one time to another of the motion that belongs
// to the run's key, over its standard deviation.
func (r *Run) brownian(from, to float64) *tensor.Tensor {
	if from == to {
		return r.s.Zeros(r.X.Shape()...)
	}
	end := max(r.Path.End(), r.grid[0])
	key := subKey(r.opts.Key.WithStream(r.opts.Key.Stream^streamBrownian), 0)
	var sum *tensor.Tensor
	var terms [2 * motionTerms]term
	for _, t := range increment(terms[:0], from/end, to/end) {
		z := r.s.Normal(key.WithStep(t.node), r.opts.First, r.X.Shape()...)
		if sum == nil {
			sum = z.Scale(t.c)
		} else {
			sum = sum.Axpby(1, z, t.c)
		}
	}
	return sum
}

// Chance is the key of this step's random numbers of other kinds than normal noise, and the row under it of the batch's
// first sample.
func (r *Run) Chance() (key rng.Key, first uint64) {
	key = r.opts.Key.WithStep(r.opts.Key.Step + uint64(r.step.Index) + 1)
	return key.WithStream(key.Stream ^ streamChance), r.opts.First
}
