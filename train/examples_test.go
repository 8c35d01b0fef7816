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
			load := LoadExperiment
			if strings.HasPrefix(filepath.Base(f), "distill-") {
				load = loadStudent(t)
			}
			exp, err := load(f, []string{"batch=4"})
			if err != nil {
				t.Fatal(err)
			}
			if exp.Data.Kind == "tar" {
				if exp, err = load(f, []string{"batch=4", "data.path=data/testdata/tar"}); err != nil {
					t.Fatal(err)
				}
			}
			if exp.Pairing() != nil {
				pairs := PairsArg{Dir: filepath.Join(t.TempDir(), "pairs"), Count: 4}
				if err := exp.MakePairs(context.Background(), pairs, t.Logf); err != nil {
					t.Fatal(err)
				}
				exp = exp.WithPairs(pairs.Dir)
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

// loadStudent reads a file for the distill command with a teacher that has hardly been trained.
func loadStudent(t *testing.T) func(file string, overrides []string) (*Loaded, error) {
	return func(file string, overrides []string) (*Loaded, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		moons, err := os.ReadFile("../examples/moons.yaml")
		if err != nil {
			t.Fatal(err)
		}
		set := []string{"steps=1", "batch=4", "sample.every=0"}
		for line := range strings.Lines(string(text)) { // how the teacher is trained stands in the file
			if _, more, ok := strings.Cut(line, "langevin train examples/moons.yaml "); ok {
				more, _, _ = strings.Cut(more, " --run")
				set = append(set, strings.Fields(more)...)
			}
		}
		return LoadDistillation(file, append(overrides, "teacher="+string(trained(t, string(moons), set...))), t.Logf)
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
