package cli_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// points are the numbers of an array file.
func points(t *testing.T, path string) []float32 {
	t.Helper()
	d, err := gorgonia.ReadNPY(path)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := d.Data().([]float32)
	if !ok {
		t.Fatalf("%s holds %T", path, d.Data())
	}
	return v
}

// Checkpoints of earlier versions give the samples that those gave, and their runs go on, with no setting changed.
func TestOldCheckpoints(t *testing.T) {
	const old = "../testdata/old"
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join(old, name+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			succeeds(t, dir, "sample", file, "--n", "8", "--seed", "3", "--out", "x.npy")
			got, want := points(t, filepath.Join(dir, "x.npy")), points(t, filepath.Join(old, name+".npy"))
			if len(got) != len(want) {
				t.Fatalf("%d numbers, want %d", len(got), len(want))
			}
			for i := range want {
				// Up to ten evaluations, each of some dozens of roundings of numbers below 10 that no later step makes more than
				// a few times as large: 10·50·10·2⁻²⁴.
				if !(math.Abs(float64(got[i]-want[i])) <= 3e-4) {
					t.Errorf("number %d of the samples is %g, was %g", i, got[i], want[i])
				}
			}
			f, err := safetensors.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			config := f.Metadata()["langevin.config"]
			f.Close()
			if err := os.MkdirAll(filepath.Join(dir, "run/checkpoints"), 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "run/config.yaml"), config)
			write(t, filepath.Join(dir, "run/checkpoints/step-00000040.safetensors"), string(read(t, file)))
			write(t, filepath.Join(dir, "run/metrics.jsonl"), string(read(t, filepath.Join(old, name+".jsonl"))))
			out := succeeds(t, dir, "train", "run", "steps=50", "--resume")
			if n := strings.Count(out.stderr, "warning"); n != 1 || !strings.Contains(out.stderr, "steps=50 (was 40)") {
				t.Errorf("warnings of more than the number of steps:\n%s", out.stderr)
			}
			if _, err := os.Stat(filepath.Join(dir, "run/checkpoints/step-00000050.safetensors")); err != nil {
				t.Error(err)
			}
		})
	}
}
