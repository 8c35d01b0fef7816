package bench

import (
	"context"
	"embed"
	"time"

	"github.com/langevin-go/langevin/train"
)

//go:embed workloads
var workloads embed.FS

// Training times the training step of an experiment: the data's batch, noise
// and times, forward and backward pass, clipping, update, moving average.
type Training struct {
	Label  string // names the workload
	Load   func() (*train.Loaded, error)
	Warm   int
	Runs   int
	Budget time.Duration // no further step is begun after that long, save for a few; 0: none
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
	return &Training{Label: exp.Name, Warm: 3, Runs: 200, Budget: 20 * time.Second,
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
	t, err := train.New(ctx, exp, train.Options{Bare: true})
	if err != nil {
		return err
	}
	defer t.Close()
	r, err := e.measure(ctx, measurement{label: w.Label, warm: w.Warm, runs: w.Runs, budget: w.Budget}, t.Train)
	if err != nil {
		return err
	}
	r.Mode, r.Workload, r.Batch, r.Params = modeOf(exp.Precision), w.Label, exp.Batch, t.Params()
	return emit(r)
}
