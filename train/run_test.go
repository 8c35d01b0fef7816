package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

func TestResumeIsExact(t *testing.T) {
	for _, c := range []struct{ name, text string }{{"moons", moonsYAML}, {"digits", digitsYAML}} {
		t.Run(c.name, func(t *testing.T) {
			exp := experiment(t, c.text)
			want := result(t, trained(t, c.text))
			if n := len(want); n < 3 {
				t.Fatalf("a run left %d files only", n)
			}
			r := rand.New(rand.NewPCG(1, 2))
			for range 3 {
				dir := filepath.Join(t.TempDir(), "run")
				stops := 0
				for o := (Options{Dir: dir}); ; o.Resume = true {
					ctx, cancel := context.WithCancel(context.Background())
					left := 1 + r.Int64N(exp.Steps/3)
					o.Progress = watch(func(int64) {
						if left--; left == 0 {
							cancel()
						}
					})
					err := trainIn(ctx, exp, o)
					cancel()
					if err == nil {
						break
					}
					if !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					stops++
				}
				if stops == 0 {
					t.Fatal("the run was never interrupted")
				}
				sameResult(t, dropInterrupted(result(t, RunDir(dir)), want), want)
			}
		})
	}
}

// dropInterrupted leaves out the checkpoints that only interruptions wrote.
func dropInterrupted(got, want map[string]string) map[string]string {
	maps.DeleteFunc(got, func(k, _ string) bool {
		_, ok := want[k]
		return !ok && strings.HasPrefix(k, "checkpoints"+string(filepath.Separator)+"step-")
	})
	for k := range want { // pruned earlier, as the interruptions' count too
		if _, ok := got[k]; !ok && strings.HasPrefix(k, "checkpoints") && k != newestName(want) {
			got[k] = want[k]
		}
	}
	return got
}

func newestName(files map[string]string) string {
	newest := ""
	for k := range files {
		if strings.HasPrefix(k, "checkpoints") {
			newest = max(newest, k)
		}
	}
	return newest
}

// A picture that Ctrl-C cut short is drawn when the run goes on, also after the last step.
func TestStopWhileDrawing(t *testing.T) {
	want := result(t, trained(t, digitsYAML))
	exp := experiment(t, digitsYAML)
	for _, at := range []int64{7, 14} {
		dir := filepath.Join(t.TempDir(), "run")
		ctx, cancel := context.WithCancel(context.Background())
		tr, err := New(ctx, exp, Options{Dir: dir, Progress: watch(func(step int64) {
			if step == at { // log, then the picture: sampling finds the context cancelled
				cancel()
			}
		})})
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at step %d: %v", at, err)
		}
		if tr.Step() != at || tr.Finished() {
			t.Errorf("stopped at step %d, finished %v; want %d, false", tr.Step(), tr.Finished(), at)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if err := trainIn(context.Background(), exp, Options{Dir: dir, Resume: true}); err != nil {
			t.Fatal(err)
		}
		sameResult(t, dropInterrupted(result(t, RunDir(dir)), want), want)
	}
}

func TestResumeFinishedChangesNothing(t *testing.T) {
	dir := trained(t, moonsYAML)
	before := everyFile(t, string(dir))
	tr, err := New(context.Background(), experiment(t, moonsYAML), Options{Dir: string(dir), Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	if !tr.Finished() {
		t.Error("a run with all its steps is not finished")
	}
	if err := errors.Join(tr.Run(context.Background()), tr.Close()); err != nil {
		t.Fatal(err)
	}
	if after := everyFile(t, string(dir)); !maps.Equal(before, after) {
		t.Errorf("files changed: %v, were %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
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

// More steps: what is promised is that the steps so far stand, and that the rest is
// what a run would do that has the new schedule from there on.
func TestResumeWithMoreSteps(t *testing.T) {
	dir := trained(t, moonsYAML)
	before := metricsOf(t, dir)
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	exp := experiment(t, moonsYAML, "steps=60", "seed=3", "batch=8")
	if err := trainIn(context.Background(), exp, Options{Dir: string(dir), Resume: true, Warn: warn}); err != nil {
		t.Fatal(err)
	}
	after := metricsOf(t, dir)
	if !slices.Equal(after[:len(before)], before) {
		t.Error("records of the steps so far have changed")
	}
	if last := after[len(after)-1]; !strings.Contains(last, `"step":60`) {
		t.Errorf("the last record is %s, want step 60", last)
	}
	// The rate at the last step is that of the schedule of 60 steps.
	if !strings.Contains(after[len(before)], rateAt(t, exp, 42)) {
		t.Errorf("record %s has not the rate %s", after[len(before)], rateAt(t, exp, 42))
	}
	all := strings.Join(warnings, "\n")
	for _, want := range []string{"batch=8 (was 16)", "steps=60 (was 40)", "from step 40"} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings %q do not say %q", all, want)
		}
	}
	if strings.Contains(all, "seed") {
		t.Errorf("warnings %q speak of a seed that is the same", all)
	}
}

func rateAt(t *testing.T, exp *Loaded, step int) string {
	t.Helper()
	s, err := exp.Optim.Schedule.Build(ScheduleArg{})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(exp.Optim.LR * s.Rate(step-1, int(exp.Steps)))
	return `"train/lr":` + string(b)
}

func TestFewerStepsThanDone(t *testing.T) {
	dir := trained(t, moonsYAML)
	before := everyFile(t, string(dir))
	_, err := New(context.Background(), experiment(t, moonsYAML, "steps=20"), Options{Dir: string(dir), Resume: true})
	wantError(t, err, "steps=20", "step 40")
	if !maps.Equal(before, everyFile(t, string(dir))) {
		t.Error("a refused resume changed the run")
	}
}

func TestResumeWithAnotherModel(t *testing.T) {
	dir := trained(t, moonsYAML)
	before := everyFile(t, string(dir))
	_, err := New(context.Background(), experiment(t, moonsYAML, "steps=60", "model.width=8"), Options{Dir: string(dir), Resume: true})
	wantError(t, err, "cannot go on with these settings", "shape")
	if !maps.Equal(before, everyFile(t, string(dir))) {
		t.Error("a refused resume changed the run")
	}
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

func TestTwoTrainersInOneFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	exp := experiment(t, moonsYAML)
	tr, err := New(context.Background(), exp, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	before := everyFile(t, dir)
	_, err = New(context.Background(), exp, Options{Dir: dir, Resume: true})
	var locked *record.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("a second trainer: %v, want a LockedError", err)
	}
	_, err = New(context.Background(), exp, Options{Dir: dir})
	wantError(t, err, "already holds a run")
	if !maps.Equal(before, everyFile(t, dir)) {
		t.Error("the second trainer touched the folder")
	}
	if err := tr.Run(context.Background()); err != nil {
		t.Error(err)
	}
}

// What a process leaves that was killed before it wrote its config is no obstacle.
func TestFolderOfAKilledStart(t *testing.T) {
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	for _, p := range []string{dir.Checkpoints(), dir.Samples()} {
		if err := os.MkdirAll(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{dir.lock(), filepath.Join(string(dir), ".config.yaml.langevin-tmp-0123456789abcdef")} {
		if err := os.WriteFile(p, []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := trainIn(context.Background(), experiment(t, moonsYAML), Options{Dir: string(dir)}); err != nil {
		t.Fatal(err)
	}
	sameResult(t, result(t, dir), result(t, trained(t, moonsYAML)))
}

// Weights that a run began from are not asked for again when it goes on.
func TestResumeWithoutItsInit(t *testing.T) {
	from := trained(t, moonsYAML, "steps=5")
	dir := trained(t, moonsYAML, "steps=12", "seed=9", "init="+string(from))
	if err := os.RemoveAll(string(from)); err != nil {
		t.Fatal(err)
	}
	exp := experiment(t, moonsYAML, "steps=20", "seed=9", "init="+string(from))
	if err := trainIn(context.Background(), exp, Options{Dir: string(dir), Resume: true}); err != nil {
		t.Error(err)
	}
	_, err := New(context.Background(), exp, Options{Dir: filepath.Join(t.TempDir(), "new")})
	wantError(t, err, "init", string(from), "there is no such file or folder")
}
