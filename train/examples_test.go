package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples builds every experiment in examples/ and trains a step of those
// whose data are part of the program.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			exp, err := LoadExperiment(f, []string{"batch=4"})
			if err != nil {
				t.Fatal(err)
			}
			tr, err := New(context.Background(), exp, Options{Bare: true})
			if exp.Data.Kind == "idx" {
				if err == nil || !strings.Contains(err.Error(), "mnist/train-images-idx3-ubyte.gz") {
					t.Fatalf("without its files: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			if err := tr.Train(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What people trip over is not in the examples: inspect warns of nothing, and they can be drawn from.
func TestExamplesAreSampledAsTheyShould(t *testing.T) {
	files, err := filepath.Glob("../examples/digits*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d examples of digits, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			m := opened(t, trained(t, string(text), "steps=1", "batch=4", "sample.every=0"))
			if got := checkup(t, m); got != nil {
				t.Errorf("inspect warns of %q", got)
			}
			for i, v := range draw(t, m, Request{N: 1}) {
				if !finite(float64(v)) {
					t.Fatalf("pixel %d is %g", i, v)
				}
			}
		})
	}
}
