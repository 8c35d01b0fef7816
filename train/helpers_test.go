package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/record"
)

// moonsYAML goes through most of what a run has: moving average, schedule,
// condition dropout, records whose windows checkpoints fall into. (Drawing
// points takes longer than all its steps; digitsYAML has pictures.)
const moonsYAML = `
name: moons
seed: 3
steps: 40
batch: 16
data: moons
model: {kind: mlp, width: 16, depth: 1}
objective: {kind: flow, times: logit_normal, stratified: true}
optim: {lr: 3e-3, schedule: {kind: cosine, warmup: 5}}
sample: {steps: 3, every: 0, guidance: 1.5}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

// digitsYAML is a small transformer on pictures.
const digitsYAML = `
name: digits
steps: 14
batch: 8
data: digits
flip: true
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}
objective: {kind: ddpm, steps: 50, predict: v, weighting: min_snr}
optim: {lr: 3e-3, rule: {kind: sgd, momentum: 0.9}}
sample: {sampler: ddim, steps: 2, every: 7, rows: 2}
checkpoint: {every: 3, keep: 3}
log_every: 4
`

// learningYAML has an objective that learns beside the network, on the host and on the device.
const learningYAML = `
name: learning
steps: 30
batch: 12
accumulate: 2
data: moons
model: {kind: mlp, width: 16, depth: 1}
objective: {kind: ddpm, steps: 20, beta_start: 0.005, beta_end: 0.5, loss: vlb, variance: learned_range, uncertainty: true, times: {kind: by_loss, bins: 4, history: 3}}
optim: {lr: 3e-3, groups: [{match: "*.bias", lr: 2}]}
sample: {sampler: ddpm, steps: 3, every: 0}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

// shortcutYAML asks the moving average in training.
const shortcutYAML = `
name: shortcut
steps: 20
batch: 12
accumulate: 3
data: moons
model: {kind: mlp, width: 16, depth: 1}
objective: {kind: shortcut, steps: 8, ratio: 0.5}
optim: {lr: 3e-3}
ema: {decay: 0.9}
sample: {sampler: jump, steps: 2, every: 0}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

// consistencyYAML asks it at the other end of a short step.
const consistencyYAML = `
name: consistency
steps: 20
batch: 12
accumulate: 3
data: moons
model: {kind: mlp, width: 16, depth: 1}
objective: {kind: consistency_flow, average: true, delta: 0.1}
optim: {lr: 3e-3}
ema: {decay: 0.9}
sample: {sampler: euler, steps: 2, every: 0}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

// experiment reads a config from text.
func experiment(t *testing.T, text string, overrides ...string) *Loaded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "experiment.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	exp, err := LoadExperiment(file, overrides)
	if err != nil {
		t.Fatal(err)
	}
	return exp
}

// trained runs an experiment to its end in a new folder.
func trained(t *testing.T, text string, overrides ...string) RunDir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := trainIn(context.Background(), experiment(t, text, overrides...), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	return RunDir(dir)
}

func trainIn(ctx context.Context, exp *Loaded, o Options) error {
	tr, err := New(ctx, exp, o)
	if err != nil {
		return err
	}
	return errors.Join(tr.Run(ctx), tr.Close())
}

// resumesExactly runs the experiment of a finished run again, interrupts it after step 17, resumes it, and
// holds that it ends with the same bits.
func resumesExactly(t *testing.T, finished RunDir, text string, overrides ...string) {
	t.Helper()
	want := result(t, finished)
	exp := experiment(t, text, overrides...)
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	ctx, cancel := context.WithCancel(context.Background())
	if err := trainIn(ctx, exp, Options{Dir: string(dir), Progress: watch(func(step int64) {
		if step == 17 {
			cancel()
		}
	})}); err == nil {
		t.Fatal("not stopped")
	}
	if err := trainIn(context.Background(), exp, Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	sameResult(t, dropInterrupted(result(t, dir), want), want)
}

// stepsAllocateNothing holds that training steps in a steady state allocate nothing.
func stepsAllocateNothing(t *testing.T, what any, tr *Trainer) {
	t.Helper()
	step := func() {
		if err := tr.Train(); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 {
		step()
	}
	if n := testenv.Allocs(t, step); n != 0 {
		t.Errorf("%v: %g allocations a step", what, n)
	}
}

// watcher calls at after each step.
type watcher struct {
	record.Silent
	at func(step int64)
}

func (w watcher) Update(step int64, _ ...record.Value) { w.at(step) }

func watch(at func(step int64)) func(string, int64, int64) record.Progress {
	return func(string, int64, int64) record.Progress { return watcher{at: at} }
}

// result is all of a run that must not depend on interruptions: the bytes of its
// checkpoints (weights, average, optimiser, counters) and pictures, and its
// metrics without time and wall-clock figures.
func result(t *testing.T, dir RunDir) map[string]string {
	t.Helper()
	out := map[string]string{"metrics": strings.Join(metricsOf(t, dir), "\n")}
	for _, pattern := range []string{filepath.Join(dir.Checkpoints(), "*"), filepath.Join(dir.Samples(), "*"), filepath.Join(string(dir), ".*"), filepath.Join(dir.Checkpoints(), ".*")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(string(dir), f)
			out[name] = string(b)
		}
	}
	return out
}

func metricsOf(t *testing.T, dir RunDir) []string {
	t.Helper()
	text, err := os.ReadFile(dir.Metrics())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("metrics line %q: %v", line, err)
		}
		delete(v, "time")
		maps.DeleteFunc(v, func(k string, _ any) bool { return strings.HasPrefix(k, record.WallPrefix) })
		b, _ := json.Marshal(v)
		lines = append(lines, string(b))
	}
	return lines
}

func sameResult(t *testing.T, got, want map[string]string) {
	t.Helper()
	names := func(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
	if !slices.Equal(names(got), names(want)) {
		t.Fatalf("files:\n%v, want\n%v", names(got), names(want))
	}
	for name := range want {
		if got[name] == want[name] {
			continue
		}
		if name == "metrics" {
			t.Errorf("metrics:\n%s\nwant\n%s", got[name], want[name])
		} else {
			t.Errorf("%s differs (%d and %d bytes)", name, len(got[name]), len(want[name]))
		}
	}
}

// everyFile maps each file below dir to its content and time.
func everyFile(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "lock" {
			return err
		}
		b, err := os.ReadFile(path)
		info, _ := e.Info()
		out[path] = fmt.Sprint(info.ModTime(), string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantError is one line that has all the parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %v", err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

// checkAlong compares the model in training with a teacher's on the path of the training.
func checkAlong(t *testing.T, teacher *Trained, tr *Trainer) {
	t.Helper()
	path := tr.model.Path()
	velocity := func(dev backend.Device, m diffusion.Model) []float32 {
		s := tensor.NewScope(dev, tensor.Inference)
		defer s.Close()
		at := diffusion.Step{T: []float64{0.2, 0.5, 0.9}}
		x := s.Normal(rng.Key{Seed: 3}, 0, 3, 2)
		return m.Eval(x, at, diffusion.Cond{Labels: s.Ints([]int32{0, 1, 0}, 3)}).As(diffusion.Velocity, x, path, at).Float32s()
	}
	got, want := velocity(tr.dev, tr.model), velocity(teacher.Device, diffusion.Along(teacher.Model, path))
	for i := range got {
		// float32: a dozen roundings of numbers up to ten.
		if math.Abs(float64(got[i]-want[i])) > 1e-4 {
			t.Errorf("velocity %d is %g, the teacher's %g", i, got[i], want[i])
		}
	}
}
