package langevin

import (
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// chains are the state of a run.
type chains struct {
	s        *tensor.Scope
	target   Target
	o        Options
	i        int            // step
	x        *tensor.Tensor // (N,…)
	score    *tensor.Tensor // of x; nil: not asked yet
	density  *tensor.Tensor // (N); nil: not asked, or not needed
	accepted []int          // of each chain; nil: the method always moves
	stored   [3]*tensor.Param
}

func newChains(s *tensor.Scope, target Target, x *tensor.Tensor, o Options) *chains {
	c := &chains{s: s, target: target, o: o, x: x}
	for i, shape := range [][]int{x.Shape(), x.Shape(), {x.Dim(0)}} {
		c.stored[i] = tensor.NewParam(s.Device(), s.DType(), shape...)
		c.stored[i].Frozen = true
	}
	return c
}

func (c *chains) close() {
	for _, p := range c.stored {
		(*tensor.Kept)(p).Drop()
	}
}

var assign = tensor.NewUpdate("assign", 1, 1, 0, func(_, in, _ []tensor.Expr) []tensor.Expr { return in })

// settle keeps the state, and what is known of it, and gives everything else back.
func (c *chains) settle() {
	values := []**tensor.Tensor{&c.x, &c.score, &c.density}
	for i, v := range values {
		if *v != nil {
			assign.Apply(c.s, nil, c.stored[i:i+1], *v)
		}
	}
	c.s.Reset()
	for i, v := range values {
		if *v != nil {
			*v = c.s.Param(c.stored[i])
		}
	}
}

// noise is the standard normal noise of this step.
func (c *chains) noise() *tensor.Tensor {
	if c.o.Noise != nil {
		return c.o.Noise(c.s, c.i)
	}
	return c.s.Normal(c.key(), c.o.First, c.x.Shape()...)
}

func (c *chains) key() rng.Key { return c.o.Key.WithStep(c.o.Key.Step + uint64(c.i) + 1) }

// streamAccept tells the decisions of a step from its noise.
const streamAccept = 0x5b_0003

// uniform is a number in [0,1) of each chain.
func (c *chains) uniform(n int) []float64 {
	u := make([]float64, n)
	key := c.key()
	key.Stream ^= streamAccept
	for i := range u {
		u[i] = rng.Float64(key, c.o.First+uint64(i), 0)
	}
	return u
}

// at asks the target about x: the score, and the log-density where it is asked for
// or had on the way.
func (c *chains) at(x *tensor.Tensor, density bool) (score, logDensity *tensor.Tensor) {
	if c.target.Score == nil {
		leaf := c.s.Leaf(x)
		logDensity = c.s.Hold(c.target.LogDensity(leaf))
		checkDensity(logDensity, x)
		return c.s.GradOf(logDensity.Sum(), tensor.GradOptions{}, leaf)[0], logDensity
	}
	c.s.NoGrad(func() {
		score = c.target.Score(x)
		if density {
			logDensity = c.target.LogDensity(x)
			checkDensity(logDensity, x)
		}
	})
	return score, logDensity
}

func checkDensity(d, x *tensor.Tensor) {
	if d.Rank() != 1 || d.Dim(0) != x.Dim(0) {
		panic(&ShapeError{Got: d.Shape(), Samples: x.Dim(0)})
	}
}

// rate is the accepted part of all chains' proposals in so many steps.
func (c *chains) rate(steps int) float64 {
	if c.accepted == nil || steps == 0 {
		return 1
	}
	sum := 0
	for _, k := range c.accepted {
		sum += k
	}
	return float64(sum) / float64(steps*len(c.accepted))
}

func (c *chains) rates(steps int) []float64 {
	out := make([]float64, c.x.Dim(0))
	for i := range out {
		out[i] = 1
		if c.accepted != nil {
			out[i] = float64(c.accepted[i]) / float64(steps)
		}
	}
	return out
}
