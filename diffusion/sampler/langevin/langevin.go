// Package langevin samples from a density that is known by its score ∇ ln p, or
// by its logarithm up to a constant: a posterior, an energy. No path and no
// noise levels are needed. Chains run in parallel, one a row of the state, and a chain
// depends on its start and its own random numbers, never on the others.
//
// Between modes that are far apart a chain hardly ever goes: between modes at ±3
// of deviation .5 it takes some 2·10⁹ steps of .01. Use many chains from spread
// starts, or the annealed samplers of package sampler.
package langevin

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Target is the density p to sample from.
type Target struct {
	// Score is ∇ ln p at x (N,…), of x's shape; nil: the gradient of LogDensity, for
	// which the scope must record.
	Score func(x *tensor.Tensor) *tensor.Tensor
	// LogDensity is ln p at x up to a constant, shape (N): of MALA, or without Score.
	// Each sample's must depend on that sample alone.
	LogDensity func(x *tensor.Tensor) *tensor.Tensor
}

// Method is a step of a Markov chain: ULA, MALA or OU.
type Method interface {
	// Validate is an error about the first field with an impossible value.
	Validate() error
	// needs says whether a target's score and log-density are asked for.
	needs() (score, logDensity bool)
	// step moves the chains.
	step(c *chains)
}

// Options of a run. The zero value keeps the state after one step.
type Options struct {
	Keep     int      // states to keep of each chain; 0: 1
	BurnIn   int      // steps before the first that counts
	Thin     int      // steps from one kept state to the next; 0: 1
	Key      rng.Key  // step i draws under Key with i+1 steps more, so that the start may have Key itself
	First    uint64   // chain i is row First+i under Key
	Noise    Noise    // replaces the drawn normal noise; nil: drawn
	Progress Progress // called after each step; nil: nobody asks
}

// Noise gives the standard normal noise of step i, of the state's shape.
type Noise func(s *tensor.Scope, i int) *tensor.Tensor

// Progress hears that step i of n, from 0, is done, and what part of all
// proposals since the burn-in was accepted (1 for methods without, and during it). The state is valid during the call.
type Progress func(i, n int, accepted float64, state *tensor.Tensor)

// Result is what chains went through.
type Result struct {
	Samples    []float64 // kept states, (Keep,N,…) row-major
	Acceptance []float64 // (N) accepted part of each chain's proposals after the burn-in; 1 for methods without
}

// Sample runs chains from x (N,…) in s, which is Reset between steps: whatever
// else was made in it is gone. Errors: ctx's; an impossible option; a target that
// lacks what the method needs.
func Sample(ctx context.Context, s *tensor.Scope, target Target, how Method, x *tensor.Tensor, o Options) (*Result, error) {
	if err := how.Validate(); err != nil {
		return nil, err
	}
	if o.Keep < 0 || o.BurnIn < 0 || o.Thin < 0 {
		return nil, fmt.Errorf("keep, burn-in and thinning must not be negative, are %d, %d, %d", o.Keep, o.BurnIn, o.Thin)
	}
	o.Keep, o.Thin = max(o.Keep, 1), max(o.Thin, 1)
	score, density := how.needs()
	switch {
	case density && target.LogDensity == nil:
		return nil, fmt.Errorf("%T needs the target's log-density, to accept or reject by", how)
	case score && target.Score == nil && target.LogDensity == nil:
		return nil, fmt.Errorf("%T needs the target's score, or its log-density", how)
	case score && target.Score == nil && !s.Recording():
		return nil, fmt.Errorf("the score of a log-density is its gradient: the scope must record")
	}
	c := newChains(s, target, x, o)
	defer c.close()
	n := o.BurnIn + o.Keep*o.Thin
	r := &Result{}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i > 0 {
			c.settle()
		}
		if i == o.BurnIn {
			clear(c.accepted)
		}
		c.i = i
		how.step(c)
		counted := max(i-o.BurnIn+1, 0)
		if counted > 0 && counted%o.Thin == 0 {
			r.Samples = append(r.Samples, c.x.Float64s()...)
		}
		if o.Progress != nil {
			o.Progress(i, n, c.rate(counted), c.x)
		}
	}
	r.Acceptance = c.rates(o.Keep * o.Thin)
	return r, nil
}
