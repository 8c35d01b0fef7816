package bench

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train"
)

// Latency times sampling by Euler's method with a plan, from drawing the noise to the last step.
type Latency struct {
	Steps int
	Cases []LatencyCase
}

// LatencyCase is a network, one of the training workloads', at a batch size.
type LatencyCase struct {
	Net        string
	Batch      int
	Warm, Runs int
	Overrides  []string // of the experiment
}

// Name is latency.
func (*Latency) Name() string { return "latency" }

// Measure times every case.
func (w *Latency) Measure(ctx context.Context, e *Env, emit func(Result) error) error {
	for _, c := range w.Cases {
		r, err := w.sample(ctx, e, c)
		if err != nil {
			return err
		}
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

func (w *Latency) sample(ctx context.Context, e *Env, c LatencyCase) (Result, error) {
	exp, err := builtinExperiment(c.Net, c.Overrides)
	if err != nil {
		return Result{}, err
	}
	if e.Device != "" {
		exp.Device = e.Device
	}
	t, err := train.New(ctx, exp, train.Options{Bare: true})
	if err != nil {
		return Result{}, err
	}
	defer t.Close()
	s := tensor.NewScope(t.Drawer().Device, tensor.Inference)
	defer s.Close()
	p, shape, err := w.plan(s, t.Drawer(), c.Batch)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	what := measurement{label: fmt.Sprintf("latency %s, batch %d", c.Net, c.Batch), warm: c.Warm, runs: c.Runs}
	r, err := e.measure(ctx, what, func() error {
		p.Key.Step++
		if _, err := p.Draw(ctx, shape...); err != nil {
			return err
		}
		return t.Drawer().Device.Sync()
	})
	r.heldBy(t.Drawer().Device)
	r.Workload, r.Net, r.Batch, r.Steps, r.Params = w.Name(), c.Net, c.Batch, w.Steps, t.Params()
	return r, err
}

// plan is the sampling of a batch of that shape, its classes going through all there are.
func (w *Latency) plan(s *tensor.Scope, d *train.Drawer, batch int) (p *sampler.Plan, shape []int, err error) {
	euler := new(sampler.Euler)
	euler.SetDefaults()
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(d.Model.Path(), w.Steps)
	if err != nil {
		return nil, nil, err
	}
	o := sampler.Options{Key: rng.Key{Seed: 1}}
	if d.Classes > 0 {
		labels := make([]int32, batch)
		for i := range labels {
			labels[i] = int32(i % d.Classes)
		}
		o.Cond = func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Labels: s.Ints(labels, len(labels))} }
	}
	p, err = sampler.NewPlan(s, d.Model, euler, grid, o)
	return p, append([]int{batch}, d.Shape...), err
}
