package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// knownFile writes what is known of a sample; no mask if it is nil.
func knownFile(t *testing.T, dims []int, known, mask []float32) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known.safetensors")
	entries := []safetensors.Entry{safetensors.Float32("known", dims, known)}
	if mask != nil {
		entries = append(entries, safetensors.Float32("mask", dims, mask))
	}
	if err := safetensors.WriteFile(path, entries, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// Samples keep to constraints, low costs and their own randomness, in any batch.
func TestSteering(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=30", "optim.lr=1e-2")
	known := knownFile(t, []int{2}, []float32{0.25, 9}, []float32{1, 0})
	q := Request{N: 9, Seed: 1, Labels: turns(9, 2)}
	free := draw(t, chosen(t, dir), q)
	for over, ok := range map[string]func(x, y float64) bool{
		"constraints=[{kind: known, file: " + known + "}]":                    func(x, _ float64) bool { return x == 0.25 },
		"constraints=[{kind: mean, value: 0.3}]":                              func(x, y float64) bool { return math.Abs(x+y-0.6) < 1e-5 },
		"constraints=[{kind: mean, value: 1, sum: true}]":                     func(x, y float64) bool { return math.Abs(x+y-1) < 1e-5 },
		"constraints=[{kind: box, min: 0, max: 0.5}]":                         func(x, y float64) bool { return min(x, y) >= -1e-6 && max(x, y) <= 0.5+1e-6 },
		"constraints=[{kind: box, min: 0, max: 2}, {kind: mean, value: 0.5}]": func(x, y float64) bool { return min(x, y) > -1e-5 && math.Abs(x+y-1) < 1e-5 },
	} {
		m := chosen(t, dir, over, "guidance_rule=apg", "guidance=1.5")
		m.How.Steps = 20
		all := draw(t, m, q)
		for i := range q.N {
			if x, y := float64(all[2*i]), float64(all[2*i+1]); !ok(x, y) {
				t.Errorf("%s: sample %d is (%g, %g)", over, i, x, y)
			}
		}
		if slices.Equal(all, free) {
			t.Errorf("%s changes nothing", over)
		}
		m.How.Batch = 4
		if !slices.Equal(draw(t, m, q), all) {
			t.Errorf("%s: other samples in other batches", over)
		}
	}
	// A cost is no constraint: samples come nearer.
	for over, off := range map[string]func(x, y float64) float64{
		"cost={of: {kind: mean, value: 0.3, std: 0.05}}":                             func(x, y float64) float64 { return math.Abs(x + y - 0.6) },
		"cost={of: {kind: known, file: " + known + ", std: 0.05}}":                   func(x, _ float64) float64 { return math.Abs(x - 0.25) },
		"cost={of: {kind: mean, value: 0.3, std: 0.05}, through: false, from: 0.01}": func(x, y float64) float64 { return math.Abs(x + y - 0.6) },
	} {
		m := chosen(t, dir, over)
		m.How.Steps = 20
		all := draw(t, m, q)
		near, far := 0.0, 0.0
		for i := range q.N {
			near += off(float64(all[2*i]), float64(all[2*i+1]))
			far += off(float64(free[2*i]), float64(free[2*i+1]))
		}
		if !(near < far/3) {
			t.Errorf("%s: samples are off by %g, without it by %g", over, near/9, far/9)
		}
		m.How.Batch = 4
		if !slices.Equal(draw(t, m, q), all) {
			t.Errorf("%s: other samples in other batches", over)
		}
	}
	if got := draw(t, chosen(t, dir, "cost={of: {kind: mean, value: 0.3}, scale: 0}"), q); !slices.Equal(got, free) {
		t.Error("a cost times 0 changes samples")
	}
}

// How far the model was from the constraints is said of each step, and of the samples.
func TestViolations(t *testing.T) {
	m := chosen(t, trained(t, moonsYAML, "steps=30"), "constraints=[{kind: mean, value: 0.5}]")
	m.How.Batch = 4
	seen := map[int]int{}
	q := Request{N: 6, Labels: turns(6, 2), Violated: func(step, steps int, v []float64) {
		if steps != 5 {
			t.Errorf("%d steps", steps)
		}
		for _, d := range v {
			if step == steps && d > 1e-6 || d < 0 {
				t.Errorf("step %d: off by %g", step, d)
			}
		}
		seen[step] += len(v)
	}}
	draw(t, m, q)
	for step := range 6 {
		want := 12 // Heun asks twice a step
		if step >= 4 {
			want = 6
		}
		if seen[step] != want {
			t.Errorf("step %d: %d violations, want %d", step, seen[step], want)
		}
	}
}

func TestSteeringMistakes(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=1")
	digits := knownFile(t, []int{1, 8, 8}, make([]float32, 64), nil)
	grey := knownFile(t, []int{2}, []float32{0, 0}, []float32{0.5, 1})
	for over, want := range map[string]string{
		"constraints=[{kind: known, file: nowhere}]":            "nowhere",
		"constraints=[{kind: known, file: " + digits + "}]":     "[1 8 8], want (2)",
		"constraints=[{kind: known, file: " + grey + "}]":       "must be 0 or 1",
		"constraints=[{kind: box, min: 1, max: 0}]":             "max",
		"constraints=[{kind: mean}]":                            "value",
		"constraints=[{kind: ball}]":                            "box, known, mean",
		"cost={of: {kind: known, file: nowhere}}":               "nowhere",
		"cost={scale: 2}":                                       "of",
		"cost={of: {kind: mean, value: 0}, from: 0.5, to: 0.4}": "above from",
		"cost={of: {kind: mean, value: 0, std: 0}}":             "std",
	} {
		m := opened(t, dir)
		err := m.Choose(Choice{Steps: 2, Overrides: []string{over}})
		if err == nil {
			_, err = m.Draw(context.Background(), Request{N: 2, Labels: turns(2, 2)})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", over, err, want)
		}
	}
	m := chosen(t, dir, "guidance=1", "cost={of: {kind: mean, value: 0.3}, scale: 2}", "constraints=[box, {kind: mean, value: 0}]")
	if got, want := m.DescribeSampling(), "heun, 5 steps, cost mean × 2, within box mean"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
