package bench

import (
	"context"
	"embed"
	"time"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/trace"
	"github.com/langevin-go/langevin/train"
)

//go:embed workloads
var workloads embed.FS

// Training times the training step of an experiment: the data's batch, noise
// and times, forward and backward pass, clipping, update, moving average. Or the
// drawing of a batch of samples, as the experiment's sample settings say.
type Training struct {
	Label  string // names the workload
	Load   func() (*train.Loaded, error)
	Warm   int
	Runs   int
	Budget time.Duration // no further step is begun after that long, save for a few; 0: none

	Ops    bool // a breakdown by operation besides
	Detail bool // the breakdown tells shapes apart
	Sample bool // time sampling, from the weights as they begin
}

// builtin is an experiment that is part of the program.
func builtin(name string, runs int) *Training {
	return &Training{Label: name, Warm: 3, Runs: runs, Load: func() (*train.Loaded, error) { return builtinExperiment(name, nil) }}
}

func builtinExperiment(name string, overrides []string) (*train.Loaded, error) {
	file := "workloads/" + name + ".yaml"
	yaml, err := workloads.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return train.ReadExperiment(file, yaml, overrides)
}

// File is the training step of the experiment in a YAML file, with key=value overrides.
func File(path string, overrides []string) (*Training, error) {
	exp, err := train.LoadExperiment(path, overrides)
	if err != nil {
		return nil, err
	}
	return &Training{Label: exp.Name, Warm: 3, Runs: 200, Budget: 20 * time.Second, Ops: true,
		Load: func() (*train.Loaded, error) { return exp, nil }}, nil
}

// Name is the label.
func (w *Training) Name() string { return w.Label }

// Measure times the step.
func (w *Training) Measure(ctx context.Context, e *Env, emit func(Result) error) error {
	exp, err := w.Load()
	if err != nil {
		return err
	}
	if e.Precision != "" {
		exp.Precision = e.Precision
	}
	if e.Device != "" {
		exp.Device = e.Device
	}
	var (
		o       = train.Options{Bare: true}
		tracer  *trace.Tracer
		beneath backend.Device // the tracer
		machine Machine
	)
	if w.Ops {
		dev, err := train.OpenDevice(exp.Device)
		if err != nil {
			return err
		}
		if machine, err = e.machine(dev); err != nil {
			return err
		}
		tracer, beneath = trace.New(dev), dev
		o.Device = tracer.Device()
	}
	t, err := train.New(ctx, exp, o)
	if err != nil {
		return err
	}
	defer t.Close()
	plan := measurement{label: w.Label, warm: w.Warm, runs: w.Runs, budget: w.Budget}
	dev := t.Drawer().Device
	batch := exp.Batch
	step := func() error {
		if err := t.Train(); err != nil {
			return err
		}
		return dev.Sync()
	}
	if w.Sample {
		d := t.Drawer()
		plan.label, plan.warm, batch = w.Label+", samples", 1, exp.Sample.Batch
		step = func() error { return draw(ctx, d, batch) }
	}
	r, err := e.measure(ctx, plan, step)
	if err != nil {
		return err
	}
	r.Mode, r.Workload, r.Batch, r.Params = modeOf(exp.Precision), w.Label, batch, t.Params()
	if beneath == nil {
		beneath = dev
	}
	r.heldBy(beneath)
	if w.Sample {
		r.Sampler, r.Steps = t.Drawer().SamplerKind(), exp.Sample.Steps
	}
	if w.Ops {
		if r.Breakdown, err = breakdown(ctx, &machine, tracer, w.Detail, step); err != nil {
			return err
		}
		if !w.Sample {
			r.Breakdown.Memory = memoryOf(t)
		}
	}
	return emit(r)
}

// draw draws samples of the classes in turn.
func draw(ctx context.Context, d *train.Drawer, n int) error {
	q := train.Request{N: n}
	if d.Classes > 0 {
		q.Labels = make([]int32, n)
		for i := range q.Labels {
			q.Labels[i] = int32(i % d.Classes)
		}
	}
	_, err := d.Draw(ctx, q)
	return err
}
