// Package sampler turns noise into data with a Model. A sampler is one short
// function over a Run, which holds the state, asks the model and goes through
// the times of a grid, from noise (large) to data (0).
//
// A sample depends on the model, the grid, its own start, its own condition
// and its own random numbers, never on the batch that it is in.
package sampler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Sampler is a way to go along a grid. Its fields are its options.
type Sampler interface {
	// Sample moves r.X through all of r.Steps().
	Sample(r *Run)
}

// Options are what a sampling run needs besides model, sampler and grid. The
// zero value is unconditional, unclipped, with random numbers of seed 0.
type Options struct {
	Cond     func(s *tensor.Scope) diffusion.Cond // made anew at each step, in s; nil: none
	Clip     Clip                                 // of the estimate of the data
	Key      rng.Key                              // of the noise of stochastic samplers: step i draws under Key with i+1 steps more, so that Start may have Key itself
	First    uint64                               // sample i of the batch is row First+i under Key
	Noise    Noise                                // replaces the drawn noise; nil: drawn
	Noisy    error                                // why samplers must not ask for noise: the run ends with it where one does; nil: they may
	Brownian bool                                 // the noise of all steps is that of one Brownian motion along the path's time, so that on a finer grid a sample goes nearly the same way
	Progress Progress                             // called after each step; nil: nobody asks
	Trace    Trace                                // hears of the states on the way; nil: nobody asks
	Count    *Count                               // is told what the run took; nil: nobody asks
	Float64  bool                                 // keep the state, and compute what the sampler does with it, in float64, as EDM's sampler does; the model goes on computing in the scope's type
}

// Count is what a run took.
type Count struct {
	Evaluations int // of the model, each for the whole batch
	Rejected    int // steps that an adaptive sampler tried in vain
}

// Noise gives the standard normal noise of step i, of the state's shape; to a
// sampler that takes n noises a step, number i is noise i mod n of step i÷n. They
// are to be independent.
type Noise func(s *tensor.Scope, i int) *tensor.Tensor

// Progress hears that step i of n, from 0, is done, and what the model takes
// the data to be by now (nil where its prediction does not determine that). The
// tensor is valid during the call. From a sampler that chooses its steps itself it
// hears after each of them in which step of the grid that was, so that i may come
// again or be left out; the last is n−1.
type Progress func(i, n int, data *tensor.Tensor)

// Trace hears the state x at the point p: that at the grid's first time, and after each
// step the one that it led to. The tensor is valid during the call. A sampler that chooses its
// steps itself, for each sample on its own, has no such states: the run ends with an error.
type Trace func(p diffusion.Point, x *tensor.Tensor)

// Run is a sampling run in progress: what samplers are written in.
type Run struct {
	X     *tensor.Tensor // the state x_t
	Model diffusion.Model
	Path  diffusion.GaussianPath

	ctx   context.Context
	s     *tensor.Scope
	grid  []float64
	opts  Options
	cond  diffusion.Cond
	step  Step
	jump  bool // models of whole steps are to answer for one to the time ahead
	ahead float64
	state [1]*tensor.Param // X between steps
	err   error
	count Count
	done  int // steps before the grid's first
	terms sum
	mem   *memory

	// the newest evaluation of the model
	at    diffusion.Step
	t, to [1]float64
	pred  diffusion.Pred
	seen  *tensor.Tensor // the state that it saw
	data  *tensor.Tensor // clipped estimate of the data, once made
}

// Step is one interval of the grid.
type Step struct {
	Index, Count int
	From, To     diffusion.Point
}

// Last reports whether no step follows.
func (st *Step) Last() bool { return st.Index == st.Count-1 }

// Sample runs a sampler from x, the state at grid[0], along times of the
// model's path that do not rise, and returns the state at the last. s, x's scope, is Reset
// between steps, so that memory stays flat: whatever else was made in it is gone.
// The result is valid until s's next Reset. It is a [Plan] that is run once.
//
// Errors: ctx's, a grid that does not fit the path, a model whose prediction does
// not determine what the sampler needs somewhere on the grid (ε where α=0).
func Sample(ctx context.Context, s *tensor.Scope, m diffusion.Model, how Sampler, grid []float64, x *tensor.Tensor, o Options) (*tensor.Tensor, error) {
	p, err := NewPlan(s, m, how, grid, o)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Run(ctx, x)
}

// run is the whole of a run, on a grid that was checked.
func (r *Run) run(how Sampler) (out *tensor.Tensor, err error) {
	if err := r.opts.Clip.Validate(); err != nil {
		return nil, err
	}
	if r.opts.Float64 && r.s.DType() != tensor.Float64 {
		return r.runWide(how)
	}
	n := len(r.grid) - 1
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(error)
			var u *diffusion.UndeterminedError
			if !ok || !errors.As(e, &u) {
				panic(p)
			}
			out, err = nil, fmt.Errorf("sampling step %d of %d: %w", r.step.Index+1, n, u)
		}
	}()
	r.mem.rewind(r.X.Shape())
	r.state[0] = r.store()
	r.s.NoGrad(func() { how.Sample(r) })
	if r.opts.Count != nil {
		*r.opts.Count = r.count
	}
	if r.err != nil {
		return nil, r.err
	}
	if r.step.Index != n-1 {
		return nil, fmt.Errorf("the sampler stopped after %d of %d steps", r.step.Index+1, n)
	}
	if r.X == r.s.Param(r.state[0]) { // nothing was done in the last step
		r.X = r.X.Scale(1)
	}
	return r.X, nil
}

// CheckGrid is an error unless there are at least two times, none larger than
// the one before, all on the path.
func CheckGrid(path diffusion.GaussianPath, grid []float64) error {
	if len(grid) < 2 {
		return fmt.Errorf("a time grid of %d times: want at least 2", len(grid))
	}
	for i, t := range grid {
		p := path.At(t)
		if !(t >= 0 && p.Alpha >= 0 && p.Sigma >= 0 && p.Alpha+p.Sigma+gamma(path, t) > 0) || math.IsInf(p.Sigma, 1) {
			return fmt.Errorf("time %d of the grid, %g, is not on the path, which runs from 0 to %g", i, t, path.End())
		}
		if i > 0 && t > grid[i-1] {
			return fmt.Errorf("time %d of the grid, %g, is larger than the one before, %g: sampling runs from noise (large) to data (0)", i, t, grid[i-1])
		}
	}
	return nil
}

// gamma is the noise of an interpolant's own, which may be all that there is in its middle.
func gamma(path diffusion.GaussianPath, t float64) float64 {
	if l, ok := path.(interface {
		Gamma(t float64) (gamma, dGamma float64)
	}); ok {
		g, _ := l.Gamma(t)
		return g
	}
	return 0
}

var assign = tensor.NewUpdate("assign", 1, 1, 0, func(_, in, _ []tensor.Expr) []tensor.Expr { return in })

// Steps goes through the grid. Between steps it keeps X, gives everything else
// back, and looks whether the run is cancelled.
func (r *Run) Steps() iter.Seq[*Step] {
	return func(yield func(*Step) bool) { r.each(yield) } // short, to be inlined: a loop then allocates nothing
}

func (r *Run) each(yield func(*Step) bool) {
	n := len(r.grid) - 1
	for i := range n {
		if !r.begin(i == 0) {
			return
		}
		r.step = Step{Index: r.done + i, Count: r.done + n, From: r.Path.At(r.grid[i]), To: r.Path.At(r.grid[i+1])}
		if r.opts.Trace != nil && r.step.Index == 0 {
			r.opts.Trace(r.step.From, r.X)
		}
		if !yield(&r.step) {
			return
		}
		if r.opts.Trace != nil {
			r.opts.Trace(r.step.To, r.X)
		}
		if r.opts.Progress != nil {
			r.opts.Progress(r.done+i, r.done+n, r.estimate())
		}
	}
}

// begin is what comes before a step; false ends the run.
func (r *Run) begin(first bool) bool {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	if r.err != nil {
		return false
	}
	if !first {
		assign.Apply(r.s, nil, r.state[:], r.X)
		r.s.Reset()
		r.X = r.s.Param(r.state[0])
	}
	if r.opts.Cond != nil && (!first || r.cond == diffusion.Cond{}) {
		r.cond = r.opts.Cond(r.s)
	}
	return true
}

// Settle keeps X and gives everything else back, as happens between steps: for
// samplers that ask the model many times in one. It reports whether to go on, which
// a run that is cancelled or has failed must not.
func (r *Run) Settle() bool {
	r.pred, r.seen, r.data = diffusion.Pred{}, nil, nil
	return r.begin(false)
}

// eval asks the model about x at p.
func (r *Run) eval(x *tensor.Tensor, p diffusion.Point) diffusion.Pred {
	r.t[0] = p.T
	return r.evalEach(x, r.t[:])
}

// jumpTo has models of whole steps answer for one to time t, until land.
func (r *Run) jumpTo(t float64) { r.jump, r.ahead = true, t }
func (r *Run) land()            { r.jump = false }

// evalEach asks the model about x, each sample at a time of its own, or all at one.
func (r *Run) evalEach(x *tensor.Tensor, times []float64) diffusion.Pred {
	r.to[0] = r.step.To.T
	if r.jump {
		r.to[0] = r.ahead
	}
	r.at = diffusion.Step{T: times, Next: r.to[:], Index: r.step.Index, Count: r.step.Count, Jump: r.jump}
	r.seen, r.data = x, nil
	r.pred = r.Model.Eval(x, r.at, r.cond)
	r.count.Evaluations++
	return r.pred
}

func (r *Run) as(k diffusion.Kind) *tensor.Tensor {
	return r.pred.As(k, r.seen, r.Path, diffusion.Step{T: r.at.T})
}

// clipped is the estimate of the data of the newest evaluation.
func (r *Run) clipped() *tensor.Tensor {
	if r.data == nil {
		r.data = r.opts.Clip.apply(r.as(diffusion.X0), r.mem)
	}
	return r.data
}

// estimate is clipped, or nil where the prediction does not determine it.
func (r *Run) estimate() *tensor.Tensor {
	if r.pred.Value == nil {
		return nil
	}
	for _, t := range r.at.T {
		if _, ok := diffusion.TryConvert(r.pred.Kind, diffusion.X0, r.Path.At(t)); !ok {
			return nil
		}
	}
	return r.clipped()
}

// Data is the model's estimate of x0, clipped if the run clips, from x at p.
func (r *Run) Data(x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	r.eval(x, p)
	return r.clipped()
}

// Eps is the estimate of ε that goes with Data: (x − α·x̂0)/σ.
func (r *Run) Eps(x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	r.eval(x, p)
	return r.epsOfData(x, p)
}

func (r *Run) epsOfData(x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	if !r.opts.Clip.On() {
		return r.as(diffusion.Eps)
	}
	return x.Axpby(1/p.Sigma, r.clipped(), -p.Alpha/p.Sigma)
}

// Velocity is dx/dt = α'·x̂0 + σ'·ε̂.
func (r *Run) Velocity(x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	r.eval(x, p)
	if !r.opts.Clip.On() {
		return r.as(diffusion.Velocity)
	}
	m := diffusion.Convert(diffusion.X0, diffusion.Velocity, p)
	return x.Axpby(m.OnX, r.clipped(), m.OnValue)
}

// Predict is what the model itself predicts from x at p, not converted and not clipped: for
// samplers that are made for a prediction of their own.
func (r *Run) Predict(x *tensor.Tensor, p diffusion.Point) *tensor.Tensor {
	return r.eval(x, p).Value
}

// LogVar is the learned log-variance of the newest evaluation, nil if there is none.
func (r *Run) LogVar() *tensor.Tensor { return r.pred.LogVar }

// Latent is the estimate of an interpolant's own noise of the newest evaluation, nil if there is none.
func (r *Run) Latent() *tensor.Tensor { return r.pred.Latent }

// Fail ends the run with an error after this step.
func (r *Run) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// StreamStart is the stream of the noise that samples start from in the commands: with it
// [Plan.Draw] and a deterministic sampler give what they give for the same seed.
const StreamStart = diffusion.StreamFree + 0x1000

// Start draws the state that sampling starts from: N(0,1) times the standard
// deviation of the path's noise at t, row i of which is sample first+i under key.
func Start(s *tensor.Scope, path diffusion.GaussianPath, t float64, key rng.Key, first uint64, shape ...int) *tensor.Tensor {
	x := s.Normal(key, first, shape...)
	if std := diffusion.PriorStd(path.At(t)); std != 1 {
		x = x.Scale(std)
	}
	return x
}
