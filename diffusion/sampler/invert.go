package sampler

import (
	"context"
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Reversible is a sampler whose steps lead either way in time, which Invert needs:
// a deterministic solver of the probability-flow ODE.
type Reversible interface {
	Sampler
	// Reversible says whether it is with these options.
	Reversible() bool
}

// Invert leads data back to the noise that how makes it of: with the sampler ddim it is
// DDIM inversion (Song et al. 2021, section 4.3; Mokady et al. 2023). x is the state at
// the last of grid's times, which are as in Sample; the result is the state at the
// first. What comes back of it by Sample is x but for the errors of both ways.
//
// From σ=0, where few predictions say anything of ε, the first step is x' = α'·x/α + σ'·ε̂
// with ε̂ as the model sees it at the step's end, in α'·x/α.
//
// Errors are Sample's; a sampler that is not Reversible; an end at α=0 for one that
// works in σ/α.
func Invert(ctx context.Context, s *tensor.Scope, m diffusion.Model, how Sampler, grid []float64, x *tensor.Tensor, o Options) (*tensor.Tensor, error) {
	if v, ok := how.(Reversible); !ok || !v.Reversible() {
		return nil, fmt.Errorf("the sampler %T cannot go back to the noise with these options: it is not a deterministic solver of the flow on a given grid", how)
	}
	if err := CheckGrid(m.Path(), grid); err != nil {
		return nil, err
	}
	rising := slices.Clone(grid)
	slices.Reverse(rising)
	p, err := newPlan(s, m, inversion{how}, rising, o)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Run(ctx, x)
}

// inversion makes the step from σ=0, if there is one, and leaves the others to the sampler.
type inversion struct{ how Sampler }

// Sample goes through a rising grid.
func (v inversion) Sample(r *Run) {
	if r.Path.At(r.grid[0]).Sigma == 0 {
		if !v.first(r) {
			return
		}
	}
	if len(r.grid) > 1 {
		v.how.Sample(r)
	}
}

func (inversion) first(r *Run) bool {
	if !r.begin(true) {
		return false
	}
	n := len(r.grid) - 1
	r.step = Step{Count: n, From: r.Path.At(r.grid[0]), To: r.Path.At(r.grid[1])}
	if r.opts.Trace != nil {
		r.opts.Trace(r.step.From, r.X)
	}
	to := r.step.To
	x := r.X.Scale(to.Alpha / r.step.From.Alpha)
	r.X = x.Axpby(1, r.Eps(x, to), to.Sigma)
	if r.opts.Trace != nil {
		r.opts.Trace(to, r.X)
	}
	if r.opts.Progress != nil {
		r.opts.Progress(0, n, r.estimate())
	}
	r.grid, r.done = r.grid[1:], 1
	return true
}

// Reversible: without noise of its own, and on the grid's own times.
func (d *DDIM) Reversible() bool { return d.Eta == 0 && d.Stride == 0 }

// Reversible: without churn.
func (e *Euler) Reversible() bool { return e.Churn.Amount == 0 }

// Reversible: without churn.
func (h *Heun) Reversible() bool { return h.Churn.Amount == 0 }

// Reversible: always.
func (*RungeKutta) Reversible() bool { return true }
