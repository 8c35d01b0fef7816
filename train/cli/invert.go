package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/langevin-go/langevin/train"
)

// runInvert is sample --invert.
func (a *app) runInvert(ctx context.Context, path string, choice train.Choice, f sampleFlags) error {
	out := f.out
	if out == "" {
		out = "noise.safetensors"
	}
	if strings.ToLower(filepath.Ext(out)) != ".safetensors" {
		return usagef("--out %s: with --invert noise is written, as .safetensors", out)
	}
	t, err := train.Open(path, a.warn)
	if err != nil {
		return err
	}
	if err := t.Choose(choice); err != nil {
		return err
	}
	if err := t.CheckOutput(out); err != nil {
		return err
	}
	samples, err := train.ReadInit(ctx, f.invert, t.Shape, t.Classes, a.warn)
	if err != nil {
		return err
	}
	q := train.Request{N: samples.N, Init: samples.X, Seed: f.seed}
	if q.Labels, err = labelsOf(t, f.class, q.N, samples.Labels); err != nil {
		return err
	}
	if _, err := f.text.use(a, t, &q); err != nil {
		return err
	}
	if err := f.vectors.use(t, &q); err != nil {
		return err
	}
	for _, note := range t.Notes {
		fmt.Fprintln(a.Stderr, note)
	}
	progress := newStages(a)
	q.Progress = func(done, total int) { progress.at("inverting", done, total) }
	started := time.Now()
	x, err := t.Invert(ctx, q)
	progress.finish()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "Stopped; nothing was written.")
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if err := train.WriteNoise(out, x, t.Shape); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s: the noise of %d samples, %s, in %s\n", out, q.N, t.DescribeSampling(), time.Since(started).Round(time.Millisecond))
	return nil
}
