package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/langevin-go/langevin/internal/tinyrun"
	"github.com/langevin-go/langevin/train"
)

// options say how long and where.
type options struct {
	dir           string
	length, cycle time.Duration
	cycles        int    // at most; 0: as many as the time takes
	after         func() // is called after each cycle, for tests; nil: nothing
	progress      io.Writer
}

// soak goes through cycles until the time is over.
func soak(ctx context.Context, o options) (s series, err error) {
	if _, err := take(); err != nil {
		return s, err
	}
	if err := tinyrun.Prepare(o.dir, 1<<40); err != nil {
		return s, err
	}
	was, err := os.Getwd()
	if err != nil {
		return s, err
	}
	if err := os.Chdir(o.dir); err != nil { // paths in the experiment are from where langevin is started
		return s, err
	}
	defer os.Chdir(was)
	overrides := []string{"max_time=" + o.cycle.String(), "optim.schedule=constant", "post_hoc.every=10000", "sample.every=1000",
		"validation.every=200", "checkpoint.every=100", "checkpoint.keep_every=0", "log_every=100"}
	exp, err := train.LoadExperiment(tinyrun.File, overrides)
	if err != nil {
		return s, err
	}
	for began := time.Now(); time.Since(began) < o.length && (o.cycles == 0 || len(s) < o.cycles); {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if err := resetHighest(); err != nil {
			return s, err
		}
		if err := cycle(ctx, exp, len(s) > 0); err != nil {
			return s, err
		}
		if o.after != nil {
			o.after()
		}
		runtime.GC()
		runtime.GC() // what finalizers have let go
		p, err := take()
		if err != nil {
			return s, err
		}
		p.at = time.Since(began)
		s = append(s, p)
		fmt.Fprintf(o.progress, "%s\n", p)
		if err := dropPictures(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// cycle trains on until the time of a cycle is over, with checkpoints, losses on held-out data, stored averages and pictures; then it opens
// what was saved, draws samples, measures them, and exports and opens the weights.
//
// It is not made of command lines: cobra remembers each one's flags for ever, so that what it holds grows by
// some kilobytes a command, of which a process has one.
func cycle(ctx context.Context, exp *train.Loaded, resume bool) error {
	t, err := train.New(ctx, exp, train.Options{Dir: "run", Resume: resume})
	if err != nil {
		return err
	}
	if err := errors.Join(t.Run(ctx), t.Close()); err != nil {
		return err
	}
	quiet := func(string, ...any) {}
	if err := train.Export("run", false, "weights.safetensors", quiet); err != nil {
		return err
	}
	for _, path := range []string{"run", "weights.safetensors"} {
		m, err := train.Open(path, quiet)
		if err != nil {
			return err
		}
		q := train.Request{N: 8, Prompts: slices.Repeat([]string{"picture 3"}, 8)}
		if _, err := m.Draw(ctx, q); err != nil {
			return err
		}
	}
	m, err := train.Open("run", quiet)
	if err != nil {
		return err
	}
	_, err = train.Eval(ctx, m, train.EvalOptions{N: 12, Warn: quiet})
	return err
}

// dropPictures keeps the disk from filling up.
func dropPictures() error {
	for _, pattern := range []string{"run/samples/*", "run/averages/*", "run/events/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, f := range files[:max(0, len(files)-3)] {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
	}
	return nil
}
