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

func TestResumeIsExact(t *testing.T) {
	for _, c := range []struct{ name, text string }{{"moons", moonsYAML}, {"digits", digitsYAML}, {"learning", learningYAML}, {"shortcut", shortcutYAML}, {"consistency", consistencyYAML}} {
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

// Weights that fit are not enough: a transformer takes pictures of any size.
func TestResumeOnOtherData(t *testing.T) {
	const text = "steps: 2\nbatch: 4\ndata: {kind: noise, shape: [8, 8, 1]}\nmodel: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}\nsample: {every: 0}\n"
	dir := trained(t, text)
	_, err := New(context.Background(), experiment(t, text, "steps=4", "data.shape=[12, 8, 1]"), Options{Dir: string(dir), Resume: true})
	wantError(t, err, "data", "[12 8 1]", "[8 8 1]")
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
