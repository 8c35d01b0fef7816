package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/langevin-go/langevin/internal/tinyrun"
	"github.com/langevin-go/langevin/train/cli"
)

// options say how long and where.
type options struct {
	dir           string
	length, cycle time.Duration
	cycles        int    // at most; 0: as many as the time takes
	after         func() // is called after each cycle, for tests; nil: nothing
	progress      io.Writer
}

// commands are those of a cycle; the first trains on until its time is over, with checkpoints, losses on held-out data, stored averages and pictures.
var commands = [][]string{
	{"sample", "run", "--n", "8", "--prompt", "picture 3", "--out", "samples.png"},
	{"sample", "run", "--n", "8", "--out", "samples.npy"},
	{"eval", "run", "--n", "12"},
	{"inspect", "run"},
	{"export", "run", "--out", "weights.safetensors"},
	{"sample", "weights.safetensors", "--n", "8", "--out", "samples.safetensors"},
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
	train := []string{"train", tinyrun.File, "--run", "run", "max_time=" + o.cycle.String(), "optim.schedule=constant",
		"post_hoc.every=10000", "sample.every=1000", "validation.every=200", "checkpoint.every=100", "checkpoint.keep_every=0", "log_every=100"}
	for began := time.Now(); time.Since(began) < o.length && (o.cycles == 0 || len(s) < o.cycles); {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if err := resetHighest(); err != nil {
			return s, err
		}
		for _, args := range append([][]string{train}, commands...) {
			if err := langevin(args); err != nil {
				return s, err
			}
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
		train = []string{"train", "run", "--resume"}
		if err := dropPictures(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// langevin runs a command in this process.
func langevin(args []string) error {
	var said bytes.Buffer
	if code := cli.Main(cli.Options{Args: args, Stdout: &said, Stderr: &said}); code != 0 {
		return fmt.Errorf("langevin %s: exit code %d\n%s", strings.Join(args, " "), code, &said)
	}
	return nil
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
