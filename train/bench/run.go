package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// Options say what to measure and where results go.
type Options struct {
	// Args are names of standard workloads, none for all; or a YAML file. Key=value
	// settings behind them change the file, or the named training steps.
	Args []string
	// Precision is float32 or bf16; empty: float32, and for a file what it says.
	Precision string
	// Device is auto, cpu or cuda; empty: the CPU, and for a file what it says.
	Device string
	// Runs is how many steps of a training step are timed; 0: as many as is usual.
	Runs int
	// JSON prints a line of JSON a result instead of a table, Markdown a table of that kind.
	JSON, Markdown bool
	// Of training steps: Ops adds a breakdown by operation, which files have anyway,
	// Detail one by operation and shape; Sample times sampling instead.
	Ops, Detail, Sample bool

	Stdout io.Writer
	// Stderr shows progress and is what child processes write to.
	Stderr *os.File
	// Child is the command line that measures the one workload appended to it and
	// prints JSON.
	Child []string
}

// Run measures. Each of several workloads runs in a process of its own, because
// memory figures are a process's and because one workload's heap would be the next one's.
func Run(ctx context.Context, o Options) error {
	out := (&table{page: page{o.Stdout, o.Markdown}}).add
	if o.JSON {
		encoder := json.NewEncoder(o.Stdout)
		out = func(r Result) error { return encoder.Encode(r) }
	}
	jobs, err := plan(o.Args)
	if err != nil {
		return err
	}
	if o.Precision != "" {
		if jobs, err = inPrecision(jobs, o.Precision, len(o.Args) > 0); err != nil {
			return err
		}
		o.Child = append(o.Child[:len(o.Child):len(o.Child)], "--precision", o.Precision)
	}
	if o.Device != "" {
		if jobs, err = onDevice(jobs, o.Device, len(o.Args) > 0); err != nil {
			return err
		}
		o.Child = append(o.Child[:len(o.Child):len(o.Child)], "--device", o.Device)
	}
	if o.Runs < 0 {
		return fmt.Errorf("--runs %d: want a number of steps, 1 or more", o.Runs)
	}
	if err := o.choose(jobs); err != nil {
		return err
	}
	if len(jobs) == 1 {
		env := &Env{Precision: o.Precision, Device: o.Device, Progress: func(label string, total int64) record.Progress {
			return record.NewProgress(o.Stderr, label, 0, total)
		}}
		return jobs[0].Measure(ctx, env, out)
	}
	for _, j := range jobs {
		if err := measureInChild(ctx, o, j, out); err != nil {
			return err
		}
	}
	return nil
}

// choose hands the settings of training steps on to those among jobs.
func (o *Options) choose(jobs []Workload) error {
	flags := o.trainingFlags()
	for _, j := range jobs {
		if t, ok := j.(*Training); ok {
			t.Ops = t.Ops || o.Ops || o.Detail
			t.Detail, t.Sample = o.Detail, o.Sample
			if o.Runs > 0 {
				t.Runs, t.Budget = o.Runs, 0
			}
		} else if len(flags) > 0 && len(o.Args) > 0 {
			return fmt.Errorf("%s: %s is no training step: want mlp, unet, dit, or a YAML file", flags[0], j.Name())
		}
	}
	return nil
}

// trainingFlags are the flags that only training steps have, as they were given.
func (o *Options) trainingFlags() (flags []string) {
	if o.Ops {
		flags = append(flags, "--ops")
	}
	if o.Detail {
		flags = append(flags, "--detail")
	}
	if o.Sample {
		flags = append(flags, "--sample")
	}
	if o.Runs > 0 {
		flags = append(flags, fmt.Sprintf("--runs=%d", o.Runs))
	}
	return flags
}

// plan reads the arguments; all mistakes in them show before anything is measured.
func plan(args []string) ([]Workload, error) {
	if len(args) == 0 {
		return Standard(), nil
	}
	if isFile(args[0]) {
		for _, a := range args[1:] {
			if !strings.Contains(a, "=") {
				return nil, fmt.Errorf("%s: behind a file, want key=value settings of it; other files and workloads are measured one command each", a)
			}
		}
		w, err := File(args[0], args[1:])
		if err != nil {
			return nil, err
		}
		return []Workload{w}, nil
	}
	names, settings := split(args)
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: want the training steps that are to be changed before it: mlp, unet, dit, or a YAML file", settings[0])
	}
	var jobs []Workload
	for _, a := range names {
		w, err := Find(a)
		if err != nil {
			return nil, err
		}
		if t, ok := w.(*Training); ok {
			t.Load = func() (*train.Loaded, error) { return builtinExperiment(a, settings) }
			if _, err := t.Load(); err != nil {
				return nil, err
			}
		} else if len(settings) > 0 {
			return nil, fmt.Errorf("%s: %s has no settings: want mlp, unet, dit, or a YAML file", settings[0], a)
		}
		jobs = append(jobs, w)
	}
	return jobs, nil
}

// split tells settings, which have a =, from names.
func split(args []string) (names, settings []string) {
	for _, a := range args {
		if strings.Contains(a, "=") {
			settings = append(settings, a)
		} else {
			names = append(names, a)
		}
	}
	return names, settings
}

// onDevice are the jobs that can be measured on a device; it is an error to have
// named one that cannot.
func onDevice(jobs []Workload, device string, named bool) ([]Workload, error) {
	switch device {
	case "auto", "cpu":
		return jobs, nil
	case "cuda":
	default:
		return nil, fmt.Errorf("unknown device %q: want auto, cpu or cuda", device)
	}
	var can []Workload
	for _, j := range jobs {
		if _, host := j.(*Coupling); !host {
			can = append(can, j)
		} else if named {
			return nil, fmt.Errorf("%s is measured on the CPU only", j.Name())
		}
	}
	return can, nil
}

// inPrecision are the jobs that can be measured in a precision; it is an error to
// have named one that cannot.
func inPrecision(jobs []Workload, precision string, named bool) ([]Workload, error) {
	if precision != train.Float32 && precision != train.BF16 {
		return nil, fmt.Errorf("unknown precision %q: want float32 or bf16", precision)
	}
	var can []Workload
	for _, j := range jobs {
		switch j.(type) {
		case *GEMM, *Training:
			can = append(can, j)
		default:
			if precision == train.Float32 {
				can = append(can, j)
			} else if named {
				return nil, fmt.Errorf("%s is measured in float32 only", j.Name())
			}
		}
	}
	return can, nil
}

// isFile reports whether an argument is meant as a file: workloads have neither
// an ending nor a folder.
func isFile(arg string) bool {
	return filepath.Ext(arg) != "" || strings.ContainsAny(arg, `/\`)
}

// patience is how long a child process may take to leave after an interrupt.
const patience = 10 * time.Second

// longestLine is the most that a result may take: a breakdown by shape has many rows.
const longestLine = 16 << 20

// measureInChild has a process of its own measure a workload, and passes its results on.
func measureInChild(ctx context.Context, o Options, job Workload, emit func(Result) error) error {
	name, args := job.Name(), slices.Clone(o.Child[1:])
	var settings []string
	if _, ok := job.(*Training); ok {
		args = append(args, o.trainingFlags()...)
		_, settings = split(o.Args)
	}
	c := exec.CommandContext(ctx, o.Child[0], append(append(args, name), settings...)...)
	c.Stderr = o.Stderr
	c.WaitDelay = patience
	c.Cancel = func() error {
		if err := c.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return c.Process.Kill() // there are systems without interrupts
		}
		return nil
	}
	lines, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("cannot measure %s in a process of its own: %w", name, err)
	}
	var failed error
	s := bufio.NewScanner(lines)
	s.Buffer(nil, longestLine)
	for s.Scan() {
		var r Result
		if err := json.Unmarshal(s.Bytes(), &r); err != nil && failed == nil {
			failed = fmt.Errorf("the process that measures %s wrote %q: %w", name, s.Text(), err)
		} else if failed == nil {
			failed = emit(r)
		}
	}
	if failed == nil && s.Err() != nil {
		failed = fmt.Errorf("the process that measures %s wrote what cannot be read: %w", name, s.Err())
	}
	err = c.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("the process that measures %s failed: %w", name, err)
	}
	return failed
}
