package sampler

import (
	"context"
	"errors"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Plan is a sampling run prepared to be made many times: what is to be checked is checked, and
// the memory that a run takes is kept for the next. A run of the same shape as the one before
// allocates nothing, on any goroutine, if the model and the functions in Options do not. Networks
// of package nn, guidance and the samplers of this package do not; reports of constraints, and several
// constraints at once, do.
//
// A Plan belongs to the goroutine of its Scope. Any number of goroutines, each with a Scope
// and a Plan of its own, may share a model, a sampler and a grid; what they draw is what one of them
// would have drawn.
type Plan struct {
	Options // may be changed between runs: Key and First say which samples are drawn

	s            *tensor.Scope
	model        diffusion.Model // for one trajectory after another
	restart, end func()
	how          Sampler
	grid         []float64
	run          Run
	mem          memory
	used, closed bool
}

// NewPlan prepares runs in s of a sampler along times of the model's path that do not rise. The
// model's options are taken as they are now; its weights, as they are in each run.
//
// Errors: a grid that does not fit the path, options that are not valid.
func NewPlan(s *tensor.Scope, m diffusion.Model, how Sampler, grid []float64, o Options) (*Plan, error) {
	if err := CheckGrid(m.Path(), grid); err != nil {
		return nil, err
	}
	return newPlan(s, m, how, grid, o)
}

// newPlan is NewPlan with a grid that was checked.
func newPlan(s *tensor.Scope, m diffusion.Model, how Sampler, grid []float64, o Options) (*Plan, error) {
	if err := o.Clip.Validate(); err != nil {
		return nil, err
	}
	p := &Plan{Options: o, s: s, how: how, grid: append([]float64(nil), grid...)}
	p.model, p.restart, p.end = diffusion.Begin(m)
	return p, nil
}

// Run samples from x, the state at the grid's first time, a tensor of the plan's scope, and returns
// the state at the last: see [Sample]. The scope is Reset between steps.
//
// Errors: ctx's, clipping that is not valid, a model whose prediction does not determine what the
// sampler needs somewhere on the grid. After an error the plan can be run again.
func (p *Plan) Run(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if p.closed {
		return nil, errors.New("a sampling plan was run after it was closed")
	}
	if p.used {
		p.restart()
	}
	p.used = true
	p.run = Run{X: x, Model: p.model, Path: p.model.Path(), ctx: ctx, s: p.s, grid: p.grid, opts: p.Options, mem: &p.mem}
	return p.run.run(p.how)
}

// Draw resets the scope, draws samples First, First+1, … under Key from the noise at the grid's
// first time (see [Start]), and runs. shape is the batch's: how many, and of one sample.
func (p *Plan) Draw(ctx context.Context, shape ...int) (*tensor.Tensor, error) {
	p.s.Reset()
	return p.Run(ctx, Start(p.s, p.model.Path(), p.grid[0], p.Key, p.First, shape...))
}

// Close gives the plan's memory back. The newest result stays valid.
func (p *Plan) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.end()
	p.mem.close()
}
