// Command gpucheck shows what a GPU does: it runs the compliance suite on it, trains the digits on it and on
// the CPU, resumes a run, times training steps, and prints a report in Markdown. It runs from the repository's root;
// see docs/cuda.md.
//
//	go run ./internal/gpucheck [--quick] [--out FILE] [--peer PYTHON]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "everything small, to see that it runs: the figures then mean nothing")
	flag.StringVar(&o.peer, "peer", "", "a Python with scripts/bench/requirements.txt: times PyTorch beside")
	out := flag.String("out", "", "file for the report (default: standard output)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o.root, o.progress = ".", os.Stderr
	report, err := check(ctx, o)
	if report != "" && *out == "" {
		fmt.Print(report)
	} else if report != "" {
		err = errors.Join(err, atomicfile.Write(*out, func(w io.Writer) error { _, err := io.WriteString(w, report); return err }))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpu-check:", err)
		os.Exit(1)
	}
}

type options struct {
	root     string // the repository's
	quick    bool
	peer     string
	progress io.Writer
}

// checker is a check as it goes on.
type checker struct {
	options
	dir     string // for what is made on the way
	program string // langevin, built
}

// stage is a part of the check. What it found goes into the report, also where it fails.
type stage struct {
	title string
	run   func(c *checker, ctx context.Context) (found string, err error)
}

var stages = []stage{
	{"Doctor", (*checker).doctor},
	{"Operations and training steps, held to float64", (*checker).suite},
	{"The digits in float32, beside the CPU", func(c *checker, ctx context.Context) (string, error) { return c.digits(ctx, "float32") }},
	{"The digits in bf16, beside the CPU", func(c *checker, ctx context.Context) (string, error) { return c.digits(ctx, "bf16") }},
	{"Exact resume", (*checker).resume},
	{"Times", (*checker).times},
	{"Beside PyTorch", (*checker).beside},
}

// check makes the report. Its error names the stages that failed; the report is empty where there is no GPU, or time was up.
func check(ctx context.Context, o options) (report string, err error) {
	name, err := device()
	if err != nil {
		return "", err
	}
	c := &checker{options: o}
	if c.dir, err = os.MkdirTemp("", "gpu-check-"); err != nil {
		return "", err
	}
	defer os.RemoveAll(c.dir)
	c.program = filepath.Join(c.dir, "langevin")
	if out, err := c.command(ctx, "go", "build", "-o", c.program, "./cmd/langevin"); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## On %s\n\n", name)
	if o.quick {
		b.WriteString("Everything small (`--quick`): the figures mean nothing.\n\n")
	}
	err = c.report(ctx, &b, stages)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return b.String(), err
}

// report runs the stages and writes a table of them, then what they found. Its error names those that failed.
func (c *checker) report(ctx context.Context, b *strings.Builder, stages []stage) error {
	var parts strings.Builder
	var failed []string
	b.WriteString("| check | | s |\n|---|---|---:|\n")
	for _, s := range stages {
		fmt.Fprintln(c.progress, s.title)
		began := time.Now()
		found, err := s.run(c, ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		state := "passed"
		var not *notRun
		if errors.As(err, &not) {
			state = "not run: " + not.why
		} else if err != nil {
			state = "**failed**"
			failed = append(failed, s.title)
			found = fmt.Sprintf("%s\n\n```\n%s\n```", found, err)
		}
		fmt.Fprintf(c.progress, "  %s\n", state)
		fmt.Fprintf(b, "| %s | %s | %.0f |\n", s.title, state, time.Since(began).Seconds())
		if found = strings.TrimSpace(found); found != "" {
			fmt.Fprintf(&parts, "\n### %s\n\n%s\n", s.title, found)
		}
	}
	b.WriteString(parts.String())
	if failed != nil {
		return fmt.Errorf("failed: %s", strings.Join(failed, "; "))
	}
	return nil
}

// notRun is why a stage was left out.
type notRun struct{ why string }

func (n *notRun) Error() string { return n.why }

// device is the name of the GPU that is used.
func device() (string, error) {
	drv, err := driver.Open("")
	if err != nil {
		return "", err
	}
	list, err := drv.Devices()
	if err != nil {
		return "", err
	}
	i := list[0]
	return fmt.Sprintf("%s (capability %d.%d), driver for CUDA %d.%d, %s/%s", i.Name, i.Major, i.Minor,
		drv.Version()/1000, drv.Version()%1000/10, runtime.GOOS, runtime.GOARCH), nil
}

// command runs a program in the repository's root; what it prints comes back, errors and all.
func (c *checker) command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "LANGEVIN_GPU=1")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return string(out), err
}

// table is what a program writes to standard output.
func (c *checker) table(ctx context.Context, name string, args ...string) (string, error) {
	var out, said strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.root, &out, &said
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, said.String())
	}
	return out.String(), err
}

// doctor shows what langevin doctor says of the machine, and the version.
func (c *checker) doctor(ctx context.Context) (string, error) {
	out, err := c.command(ctx, c.program, "doctor")
	return fmt.Sprintf("```\n%s```", out), err
}

// suite runs the device's tests on it.
func (c *checker) suite(ctx context.Context) (string, error) {
	args := []string{"test", "-count=1", "-timeout=1h", "-run=^TestGPU$", "-v"}
	if c.quick {
		args = append(args, "-short")
	}
	out, err := c.command(ctx, "go", append(args, "./tensor/cuda")...)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w\n%s", err, out)
	case !strings.Contains(out, "--- PASS: TestGPU"):
		return "", fmt.Errorf("the tests were not run:\n%s", out)
	}
	return fmt.Sprintf("%d checks passed.", strings.Count(out, "--- PASS:")), nil
}
