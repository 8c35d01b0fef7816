package main

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/train/record"
)

// TestCheck runs all of it, small, on an emulated device.
func TestCheck(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Setenv("LANGEVIN_LIBCUDA", emulate.Path(t))
	report, err := check(t.Context(), options{root: "../..", quick: true, progress: io.Discard})
	if err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	for _, part := range []string{
		"## On emulation 0 (capability 8.0), driver for CUDA 11.8", "the figures mean nothing",
		"| Doctor | passed |", "emulation 0, 4 multiprocessors", "| Operations and training steps, held to float64 | passed |", "| The digits in float32, beside the CPU | passed |",
		"| The digits in bf16, beside the CPU | passed |", "| Exact resume | passed |", "| Times | passed |", "| Beside PyTorch | not run: ",
		"checkpoint of step 20 is the same", "fp32, ", "bf16, ", ", cuda:0 (emulation 0", "\n| unet | batch 2 |",
	} {
		if !strings.Contains(report, part) {
			t.Errorf("the report lacks %q", part)
		}
	}
	if t.Failed() {
		t.Log(report)
	}
}

func TestNoDriver(t *testing.T) {
	t.Setenv("LANGEVIN_LIBCUDA", "not-there.so")
	report, err := check(t.Context(), options{root: "../..", progress: io.Discard})
	if report != "" || err == nil || !strings.HasPrefix(err.Error(), "no CUDA: ") {
		t.Errorf("%q, %v", report, err)
	}
}

// What fails is in the report and in the error; what follows is run.
func TestFailedStage(t *testing.T) {
	of := func(found string, err error) func(*checker, context.Context) (string, error) {
		return func(*checker, context.Context) (string, error) { return found, err }
	}
	var b strings.Builder
	c := &checker{options: options{progress: io.Discard}}
	err := c.report(t.Context(), &b, []stage{
		{"one", of("half", errors.New("broken"))}, {"two", of("", &notRun{"no time"})}, {"three", of("fine", nil)}, {"four", of("", errors.New("too"))}})
	const want = "| check | | s |\n|---|---|---:|\n| one | **failed** | 0 |\n| two | not run: no time | 0 |\n| three | passed | 0 |\n| four | **failed** | 0 |\n" +
		"\n### one\n\nhalf\n\n```\nbroken\n```\n\n### three\n\nfine\n\n### four\n\n```\ntoo\n```\n"
	if err == nil || err.Error() != "failed: one; four" || b.String() != want {
		t.Errorf("%v\n%s", err, &b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.report(ctx, &b, []stage{{"one", of("", errors.New("killed"))}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
}

// Losses within the bound of their step pass, those beyond it fail, as does what is missing.
func TestCompare(t *testing.T) {
	curve := func(loss ...float64) (r []record.Record) {
		for i, x := range loss {
			r = append(r, record.Record{Step: int64(10 * (i + 1)), Values: []record.Value{record.V("train/loss", x)}})
		}
		return r
	}
	limits := []bound{{10, 0.01}, {math.MaxInt64, 0.1}}
	host := curve(2, 1)
	for _, k := range []struct {
		dev []record.Record
		ok  bool
	}{
		{curve(2, 1), true}, {curve(2.019, 0.91), true}, {curve(1.981, 1.09), true},
		{curve(2.021, 1), false}, {curve(1.979, 1), false}, {curve(2, 1.11), false}, {curve(2, 0.89), false},
		{curve(2, math.NaN()), false}, {curve(2), false}, {curve(2, 1, 1), false}, {nil, false},
	} {
		if _, err := compare(host, k.dev, limits, 2); (err == nil) != k.ok {
			t.Errorf("%v: %v", k.dev, err)
		}
	}
	moved := curve(2, 1)
	moved[1].Step++
	if _, err := compare(host, moved, limits, 2); err == nil {
		t.Error("losses of different steps are compared")
	}
	if _, err := compare(nil, nil, limits, 2); err == nil {
		t.Error("no records are as good as two")
	}
}
