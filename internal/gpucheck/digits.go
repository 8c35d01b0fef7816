package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// Bounds of the relative difference between mean losses of ten steps on the two devices, which draw the same numbers.
// They were fixed before there was any run on a GPU, from runs on CPUs: AVX-512 and AVX2, which differ in the order of
// sums, are 1.1·10⁻⁸ apart up to step 50, from where small differences grow as training does: 4·10⁻⁵ at step 200. A GPU's sums
// are shorter and its functions less exact: a hundred times that is left at first. AVX-512 in float32 and in bf16, where every
// operand is rounded otherwise, are 2.7·10⁻⁵ apart at step 30 and at most 2.7 % later, where curves
// have gone apart for good: two devices that round alike are to be within twice that.
var bounds = map[string][]bound{
	"float32": {{50, 1e-6}, {math.MaxInt64, 0.054}},
	"bf16":    {{20, 2.7e-5}, {math.MaxInt64, 0.054}},
}

// bound holds up to a step.
type bound struct {
	until int64
	most  float64
}

const every = 10 // steps between two records

func (c *checker) steps() int {
	if c.quick {
		return 20
	}
	return 200
}

// train trains the digits on a device, into the folder run.
func (c *checker) train(ctx context.Context, run, device, precision string) error {
	args := []string{"train", "examples/digits.yaml", "--run", run, "device=" + device, "precision=" + precision,
		"steps=" + strconv.Itoa(c.steps()), "log_every=" + strconv.Itoa(every), "sample.every=0",
		"checkpoint.every=" + strconv.Itoa(c.steps()/2), "checkpoint.keep=2"}
	if c.quick {
		args = append(args, "batch=8", "model.patch=4", "model.width=16", "model.depth=1", "model.heads=2", "sample.steps=2")
	}
	if out, err := c.command(ctx, c.program, args...); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// digits trains them on both devices and compares the losses.
func (c *checker) digits(ctx context.Context, precision string) (string, error) {
	var curves [2][]record.Record
	for i, device := range []string{"cpu", "cuda"} {
		run := filepath.Join(c.dir, device+"-"+precision)
		if err := c.train(ctx, run, device, precision); err != nil {
			return "", err
		}
		var err error
		if curves[i], err = record.ReadMetrics(train.RunDir(run).Metrics()); err != nil {
			return "", err
		}
	}
	return compare(curves[0], curves[1], bounds[precision], c.steps()/every)
}

// compare sets the losses of a device beside the CPU's, of which there must be n.
func compare(host, dev []record.Record, bounds []bound, n int) (string, error) {
	if len(host) != n || len(dev) != n {
		return "", fmt.Errorf("%d records on the CPU, %d on the GPU: want %d", len(host), len(dev), n)
	}
	var b strings.Builder
	b.WriteString("| steps | loss, CPU | loss, GPU | apart | bound |\n|---|---:|---:|---:|---:|\n")
	failures := 0
	for i := range host {
		x, ok := host[i].Get("train/loss")
		y, there := dev[i].Get("train/loss")
		if !ok || !there || host[i].Step != dev[i].Step {
			return "", fmt.Errorf("record %d has no loss, or is of another step", i)
		}
		apart, most := math.Abs(y/x-1), limit(bounds, host[i].Step)
		mark := ""
		if !(apart <= most) { // NaN too
			failures++
			mark = " **too much**"
		}
		fmt.Fprintf(&b, "| to %d | %.6f | %.6f | %.1e%s | %.1e |\n", host[i].Step, x, y, apart, mark, most)
	}
	if failures > 0 {
		return b.String(), fmt.Errorf("the losses are further apart than the bound in %d of %d records", failures, n)
	}
	return b.String(), nil
}

func limit(bounds []bound, step int64) float64 {
	for _, b := range bounds {
		if step <= b.until {
			return b.most
		}
	}
	return 0
}

// resume goes on from half of a run and compares the last checkpoints, byte by byte.
func (c *checker) resume(ctx context.Context) (string, error) {
	whole, parts := filepath.Join(c.dir, "cuda-float32"), filepath.Join(c.dir, "resumed")
	if err := os.CopyFS(parts, os.DirFS(whole)); err != nil {
		return "", err
	}
	last := filepath.Join("checkpoints", fmt.Sprintf("step-%08d.safetensors", c.steps()))
	if err := os.Remove(filepath.Join(parts, last)); err != nil {
		return "", err
	}
	if out, err := c.command(ctx, c.program, "train", parts, "--resume"); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(whole, last))
	if err != nil {
		return "", err
	}
	got, err := os.ReadFile(filepath.Join(parts, last))
	if err != nil {
		return "", err
	}
	if !bytes.Equal(got, want) {
		return "", fmt.Errorf("the checkpoint of step %d differs from that of the run that was not stopped", c.steps())
	}
	return fmt.Sprintf("From step %d on, the checkpoint of step %d is the same, byte by byte (%d).", c.steps()/2, c.steps(), len(got)), nil
}
