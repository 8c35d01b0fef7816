package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/data"
)

func (a *app) train() *cobra.Command {
	var dir string
	var resume, dry bool
	c := &cobra.Command{
		Use:   "train FILE|RUN [key=value ...]",
		Short: "Train a model from a YAML file",
		Long: `Train a model from a YAML file. Keys of the file can be overridden behind it.
The run's folder holds the resolved config, checkpoints, metrics and pictures.
Ctrl-C writes a checkpoint and leaves; --resume goes on from the newest
checkpoint, bit for bit as if it had never stopped. Other settings may be given with
it: those that change the result are named, and with more steps the learning
rate follows the schedule of the new total from there on.

With --dry-run nothing is written: some steps on a few samples tell what the run would take, its
parameters, memory, operations and time. Mistakes show as they would in training.`,
		Example: fmt.Sprintf(`  %[1]s train examples/digits.yaml
  %[1]s train examples/digits.yaml steps=500 optim.lr=5e-4 --run runs/quick
  %[1]s train examples/digits.yaml --dry-run
  %[1]s train runs/quick --resume
  %[1]s train runs/quick steps=2000 --resume`, a.Name),
		Args: first("a YAML file, or the folder of a run to resume"),
		RunE: func(c *cobra.Command, args []string) error {
			if dry && (resume || dir != "") {
				return usagef("--dry-run writes nothing: leave out --run and --resume")
			}
			if dry {
				return a.runEstimate(c.Context(), args[0], args[1:])
			}
			return a.runTrain(c.Context(), args[0], args[1:], dir, resume)
		},
	}
	c.Flags().StringVar(&dir, "run", "", "folder of the run (default runs/NAME, with a number if that is taken)")
	c.Flags().BoolVar(&resume, "resume", false, "go on from the newest checkpoint of the run")
	c.Flags().BoolVar(&dry, "dry-run", false, "tell what the run would take, and make none")
	return c
}

// runEstimate tells what a run would take.
func (a *app) runEstimate(ctx context.Context, file string, overrides []string) error {
	if train.IsRun(file) {
		file = train.RunDir(file).Config()
	}
	exp, err := train.LoadExperiment(file, overrides)
	if err != nil {
		return err
	}
	e, err := exp.EstimateRun(ctx)
	if err != nil {
		return a.stopped(err)
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.Stdout, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	mib := func(n int64) string { return fmt.Sprintf("%.4g", float64(n)/(1<<20)) }
	row("data", "%s", e.Data)
	if e.Trained < e.Params {
		row("parameters", "%s, of which %s are trained", thousands(e.Params), thousands(e.Trained))
	} else {
		row("parameters", "%s", thousands(e.Params))
	}
	row("steps", "%d of %d samples", e.Steps, e.Batch)
	m := e.Memory
	row("memory", "about %s MiB: weights %s, optimiser %s, averages and the like %s, a step's activations and gradients %s",
		mib(m.Total()), mib(m.Weights), mib(m.State), mib(m.Others), mib(m.Step))
	row("operations", "%.3g GFLOP a step", e.FLOPs/1e9)
	row("time", "about %.3g steps/s, so %s in all, without pictures, evaluation and checkpoints", 1/e.Step.Seconds(), (e.Step * time.Duration(e.Steps)).Round(time.Second))
	return nil
}

func (a *app) runTrain(ctx context.Context, file string, overrides []string, dir string, resume bool) error {
	if train.IsRun(file) {
		if !resume {
			return usagef("%s is a run: add --resume to go on with it", file)
		}
		if dir != "" && dir != file {
			return usagef("the run is named twice: %s and --run %s", file, dir)
		}
		dir, file = file, train.RunDir(file).Config()
	} else if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder, and not that of a run (no config.yaml): name a YAML file; a diffusers folder goes into one, as init: %s or model: {kind: diffusers, path: %s}", file, file, file)
	}
	exp, err := train.LoadExperiment(file, overrides)
	if err != nil {
		return err
	}
	started := time.Now()
	t, err := train.New(ctx, exp, train.Options{
		Dir: dir, Resume: resume,
		Progress: a.progress, Warn: a.warn,
	})
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "Stopped before the first step.")
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if best, early := t.StoppedEarly(); early {
		fmt.Fprintf(a.Stdout, "%s was given up at step %d: the loss on held-out data has been no better since step %d.\nTo train it further: %s train %s validation.patience=0 --resume\n", t.Dir(), t.Step(), best, a.Name, t.Dir())
		return t.Close()
	}
	if t.Finished() {
		fmt.Fprintf(a.Stdout, "%s has all its %d steps: nothing to do.\nTo train it further: %s train %s steps=%d --resume\n", t.Dir(), t.Step(), a.Name, t.Dir(), 2*t.Step())
		return t.Close()
	}
	from := ""
	if t.Step() > 0 {
		from = fmt.Sprintf(" (going on from step %d)", t.Step())
	}
	fmt.Fprintf(a.Stderr, "%s: %s, %s; %s parameters; %d steps of %d samples%s → %s\n",
		exp.Name, exp.Data.Kind, t.Describe(), thousands(t.Params()), exp.Steps, exp.Batch, from, t.Dir())
	err = t.Run(ctx)
	if closeErr := t.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Stderr, "\nStopped at step %d; the checkpoint is %s.\nTo go on: %s train %s --resume\n", t.Step(), t.CheckpointPath(), a.Name, t.Dir())
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if t.OutOfTime() {
		fmt.Fprintf(a.Stdout, "\nThe time is over (max_time %v) after step %d; the checkpoint is %s.\nTo go on: %s train %s --resume\n", exp.MaxTime, t.Step(), t.CheckpointPath(), a.Name, t.Dir())
		return nil
	}
	fmt.Fprintf(a.Stdout, "\nTrained %d steps in %s.\n", t.Step(), time.Since(started).Round(time.Second))
	if w := t.Waited(); w > 0.1 {
		fmt.Fprintf(a.Stdout, "Steps waited for their data %.0f %% of the time: loading limits training (see loading.workers and docs/data.md).\n", 100*w)
	}
	if best, early := t.StoppedEarly(); early {
		fmt.Fprintf(a.Stdout, "Stopped early: the loss on held-out data has been no better since step %d.\n", best)
	}
	if n := t.Skipped(); n > 0 {
		fmt.Fprintf(a.Stdout, "%d of them changed nothing: their loss or gradient was not finite.\n", n)
	}
	rows := [][2]string{
		{"pictures", t.Dir().Samples()},
		{"checkpoint", t.CheckpointPath()},
		{"metrics", t.Dir().Metrics()},
	}
	for _, r := range rows {
		fmt.Fprintf(a.Stdout, "  %-11s %s\n", r[0], r[1])
	}
	fmt.Fprintf(a.Stdout, "\nNext:\n")
	if exp.Text != nil {
		fmt.Fprintf(a.Stdout, "  %s sample %s --prompt %q --n 16 --out samples.png\n", a.Name, t.Dir(), t.ExamplePrompt())
	} else if size := data.VectorSize(t.Data().Train); size > 0 && exp.Conditional {
		fmt.Fprintf(a.Stdout, "  %s sample %s --condition %q --n 16\n", a.Name, t.Dir(), strings.TrimPrefix(strings.Repeat(", 0.5", size), ", "))
	} else if classes := t.Data().Train.Classes(); classes > 0 && exp.Conditional {
		fmt.Fprintf(a.Stdout, "  %s sample %s --class %d --n 16 --out samples.png\n", a.Name, t.Dir(), min(7, classes-1))
	} else {
		fmt.Fprintf(a.Stdout, "  %s sample %s --n 16\n", a.Name, t.Dir())
	}
	fmt.Fprintf(a.Stdout, "  %s eval %s\n  %s inspect %s\n", a.Name, t.Dir(), a.Name, t.Dir())
	return nil
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
