package distill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

const teacherYAML = `
name: teacher
seed: 3
steps: 400
batch: 64
data: moons
model: {kind: mlp, width: 32, depth: 2}
objective: flow
optim: {lr: 5e-3}
ema: {decay: 0.98}
sample: {sampler: heun, steps: 8, every: 0}
`

func teacher(t *testing.T, overrides ...string) string {
	t.Helper()
	dir := t.TempDir()
	file, run := filepath.Join(dir, "teacher.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte(teacherYAML), 0o666); err != nil {
		t.Fatal(err)
	}
	exp, err := train.LoadExperiment(file, overrides)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(context.Background(), exp, train.Options{Dir: run})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tr.Run(context.Background()), tr.Close()); err != nil {
		t.Fatal(err)
	}
	return run
}

func job(run, dir string) *Reflow {
	return &Reflow{Teacher: run, Dir: dir, Rounds: 2, Pairs: 600, Choice: train.Choice{Sampler: "heun", Steps: 10}, Seed: 1,
		Overrides: []string{"steps=150"}, Steps: []int{1, 4}, Samples: 200, Paths: 64}
}

// Each round is straighter than the one before, and one step of the last is better than one of the first.
func TestReflow(t *testing.T) {
	run := teacher(t)
	dir := filepath.Join(t.TempDir(), "job")
	rounds, err := job(run, dir).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(rounds) != 3 {
		t.Fatalf("%d rounds", len(rounds))
	}
	for k := 1; k < len(rounds); k++ {
		before, after := rounds[k-1].Shape, rounds[k].Shape
		// Transport falls for every convex cost (Liu et al. 2023, theorem 3.5); the network is not perfect.
		if !(after.Straightness < before.Straightness && after.Transport < 1.05*before.Transport) {
			t.Errorf("round %d: %+v, before %+v", k+1, after, before)
		}
	}
	if one, first := rounds[2].Quality[0].W2, rounds[0].Quality[0].W2; !(one < first/2) {
		t.Errorf("one step: W2 %.3f after rectification, %.3f before", one, first)
	}

	// A job that is stopped, again and again, ends alike.
	again := filepath.Join(t.TempDir(), "job")
	stops := 0
	var got []Round
	for left := 100; ; left += 170 {
		ctx, cancel := context.WithCancel(context.Background())
		r, n := job(run, again), left
		r.Progress = func(string, int64, int64) record.Progress {
			return updates(func() {
				if n--; n == 0 {
					cancel()
				}
			})
		}
		got, err = r.Run(ctx)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stops++; stops > 20 {
			t.Fatal("the job does not get on")
		}
	}
	if stops < 2 {
		t.Errorf("the job was stopped %d times", stops)
	}
	for k := range rounds {
		rounds[k].Run, got[k].Run = "", ""
		a, _ := json.Marshal(rounds[k])
		b, _ := json.Marshal(got[k])
		if string(a) != string(b) {
			t.Errorf("round %d of the job that was stopped: %s, else %s", k+1, b, a)
		}
	}

	// Figures of other samples, or of other ways, are not taken for those that are asked for.
	other := job(run, dir)
	other.Samples = 100
	fewer, err := other.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	other.Paths = 32
	shapes, err := other.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for k := range rounds {
		if fewer[k].Samples != 100 || fewer[k].Quality[0].W2 == rounds[k].Quality[0].W2 || fewer[k].Shape != rounds[k].Shape {
			t.Errorf("round %d measured by fewer samples: %+v, by more %+v", k+1, fewer[k], rounds[k])
		}
		if shapes[k].Ways != 32 || shapes[k].Shape == rounds[k].Shape || shapes[k].Quality[0] != fewer[k].Quality[0] {
			t.Errorf("round %d measured by fewer ways: %+v, by more %+v", k+1, shapes[k], fewer[k])
		}
	}
}

// updates is a progress that counts.
type updates func()

func (u updates) Update(int64, ...record.Value) { u() }
func (u updates) Finish()                       {}
func (u updates) Message(string, ...any)        {}

func TestReflowRefuses(t *testing.T) {
	ddpm := teacher(t, "steps=1", "objective=ddpm")
	for name, c := range map[string]struct {
		change func(r *Reflow)
		want   string
	}{
		"objective":   {func(r *Reflow) {}, "ddpm"},
		"no run":      {func(r *Reflow) { r.Teacher = filepath.Join(r.Dir, "nowhere") }, "nowhere"},
		"no rounds":   {func(r *Reflow) { r.Rounds = 0 }, "rounds"},
		"no pairs":    {func(r *Reflow) { r.Pairs = 0 }, "pairs"},
		"stochastic?": {func(r *Reflow) { r.Choice.Sampler = "nothing" }, "ddpm"},
	} {
		r := job(ddpm, filepath.Join(t.TempDir(), "job"))
		c.change(r)
		if _, err := r.Run(context.Background()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
		if _, err := os.Stat(r.Dir); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
}

// A preconditioned teacher is rectified as what it is.
func TestReflowOfEDM(t *testing.T) {
	run := teacher(t, "objective={kind: edm, sigma_data: 0.7}")
	r := job(run, filepath.Join(t.TempDir(), "job"))
	r.Rounds = 1
	rounds, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !(rounds[1].Shape.Straightness < rounds[0].Shape.Straightness) {
		t.Errorf("straightness %v", fmt.Sprint(rounds[0].Shape, rounds[1].Shape))
	}
}

// Pairs of real samples are a setting of the job like any other.
func TestReflowOnRealPairs(t *testing.T) {
	run := teacher(t, "steps=5")
	r := job(run, filepath.Join(t.TempDir(), "job"))
	r.Rounds, r.Pairs, r.Real, r.Steps, r.Overrides = 1, 60, 40, nil, []string{"steps=1"}
	if _, err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	p, err := train.OpenPairs(filepath.Join(r.Dir, "pairs-2"))
	if err != nil || p.Recipe.Real != 40 {
		t.Errorf("%+v, %v", p, err)
	}
	r.Dir, r.Real = filepath.Join(t.TempDir(), "other"), 61
	if _, err := r.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "61 pairs of real samples") {
		t.Errorf("more than all: %v", err)
	}
}
