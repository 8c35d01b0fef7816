package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/gorgonia"
	gt "gorgonia.org/tensor"
)

// Sequences with vectors are trained on and drawn by a network along time; a length that its levels do not halve is refused.
func TestTemporalUNet(t *testing.T) {
	dir := t.TempDir()
	const n, steps = 40, 8
	paths, speeds := make([]float32, n*steps*2), make([]float32, n)
	for i := range n {
		speeds[i] = float32(i%7) / 7
		for k := range steps {
			paths[(i*steps+k)*2] = float32(k) * speeds[i] / steps
			paths[(i*steps+k)*2+1] = float32(i%2) * float32(k*k) / 64
		}
	}
	for name, a := range map[string]*gt.Dense{
		"paths.npy": gt.New(gt.WithShape(n, steps, 2), gt.WithBacking(paths)), "speeds.npy": gt.New(gt.WithShape(n, 1), gt.WithBacking(speeds)),
	} {
		if err := gorgonia.WriteNPY(filepath.Join(dir, name), a); err != nil {
			t.Fatal(err)
		}
	}
	text := `
steps: 4
batch: 8
data: {kind: npy, samples: DIR/paths.npy, vectors: DIR/speeds.npy, sequences: true, heldout: 8}
model: {kind: temporal_unet, channels: [8, 16], groups: 4, time_dim: 8}
objective: {kind: flow, condition_dropout: 0.2}
sample: {steps: 2}
`
	load := func(overrides ...string) (*Loaded, error) {
		return ReadExperiment("paths.yaml", []byte(strings.ReplaceAll(text, "DIR", dir)), overrides)
	}
	exp, err := load()
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	tr, err := New(context.Background(), exp, Options{Dir: run})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := tr.Drawer().Shape; len(got) != 2 || got[0] != steps || got[1] != 2 {
		t.Errorf("samples have shape %v", got)
	}
	x, err := tr.Drawer().Draw(context.Background(), Request{N: 3, Vectors: []float32{0, 0.5, 1}})
	if err != nil || len(x) != 3*steps*2 {
		t.Errorf("%d numbers drawn, %v", len(x), err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ override, want string }{
		{"model.channels=[8, 8, 8, 8, 8]", "a multiple of 16; the data have 8 steps"},
		{"data.sequences=false", "is for sequences (steps, numbers); the data have shape [8 2 1]"},
		{"model.kernel=2", "must be odd"},
		{"data.samples=" + filepath.Join(dir, "speeds.npy"), "want (N,T,D) for sequences"},
	} {
		exp, err := load(c.override)
		if err == nil {
			var tr *Trainer
			if tr, err = New(context.Background(), exp, Options{Dir: filepath.Join(dir, "refused")}); err == nil {
				tr.Close()
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.override, err, c.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "refused")); err == nil {
			t.Errorf("%s: a run's folder was made", c.override)
			os.RemoveAll(filepath.Join(dir, "refused"))
		}
	}
}
