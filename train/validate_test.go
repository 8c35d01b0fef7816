package train

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// weightsOf are all arrays of a run's newest checkpoint.
func weightsOf(t *testing.T, dir RunDir) map[string][]float32 {
	t.Helper()
	c, err := newestOf(string(dir), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := make(map[string][]float32)
	for _, name := range c.file.Names() {
		if out[name], err = c.values(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Looking at a run does not change it: losses on held-out data, pictures, stored averages.
func TestLookingChangesNothing(t *testing.T) {
	want := weightsOf(t, trained(t, digitsYAML, "sample.every=0"))
	got := weightsOf(t, trained(t, digitsYAML, "sample.every=3", "validation={every: 2, samples: 50}", "checkpoint.best=true", "post_hoc={every: 4}"))
	maps.DeleteFunc(got, func(k string, _ []float32) bool { return strings.HasPrefix(k, "average.") })
	if len(got) != len(want) {
		t.Errorf("%d arrays, want %d", len(got), len(want))
	}
	for k := range want {
		if !slices.Equal(got[k], want[k]) {
			t.Errorf("%s is not what it is without looking", k)
		}
	}
}

// validLosses are the losses on held-out data in a run's metrics, by step.
func validLosses(t *testing.T, dir RunDir) (lines []string) {
	t.Helper()
	for _, l := range metricsOf(t, dir) {
		if strings.Contains(l, `"valid/loss"`) {
			lines = append(lines, l)
		}
	}
	return lines
}

// countdown cancels a context within a loss on held-out data.
type countdown struct {
	diffusion.Objective
	left   *int
	cancel context.CancelFunc
}

func (c *countdown) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if !s.Recording() {
		if *c.left--; *c.left == 0 {
			c.cancel()
		}
	}
	return c.Objective.Loss(s, m, d)
}

// A run that is stopped while it takes a loss takes it when it goes on.
func TestValidationResume(t *testing.T) {
	set := []string{"validation={every: 3, samples: 20}", "checkpoint.best=true", "post_hoc={every: 4}", "ema={kind: power, sigma_rel: 0.2}", "checkpoint.keep_every=6"}
	dir := trained(t, digitsYAML, set...)
	want := result(t, dir)
	if n := len(validLosses(t, dir)); n != 5 { // steps 3, 6, 9, 12, 14
		t.Fatalf("%d losses taken, want 5", n)
	}
	if _, ok := want[filepath.Join("checkpoints", "best.safetensors")]; !ok {
		t.Fatal("no best checkpoint")
	}
	if _, ok := want[filepath.Join("checkpoints", checkpointName(6))]; !ok {
		t.Error("the checkpoint of step 6 is not kept")
	}
	exp := experiment(t, digitsYAML, set...)
	dir = RunDir(filepath.Join(t.TempDir(), "run"))
	left := 4 // in the second of three batches of the loss of step 6
	stops := 0
	for o := (Options{Dir: string(dir)}); ; o.Resume = true {
		ctx, cancel := context.WithCancel(context.Background())
		tr, err := New(ctx, exp, o)
		if err != nil {
			t.Fatal(err)
		}
		tr.job.Objective = &countdown{tr.job.Objective, &left, cancel}
		err = errors.Join(tr.Run(ctx), tr.Close())
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		stops++
		left = 5
	}
	if stops < 2 {
		t.Fatalf("stopped %d times", stops)
	}
	sameResult(t, dropInterrupted(result(t, dir), want), want)
}

// worsening is an objective whose loss on held-out data is what a test says.
type worsening struct {
	diffusion.Objective
	losses []float64
}

func (w *worsening) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if s.Recording() {
		return w.Objective.Loss(s, m, d)
	}
	l := w.losses[0]
	if len(w.losses) > 1 {
		w.losses = w.losses[1:]
	}
	return s.Full(l)
}

// Training ends after as many losses without a new best as patience says, with a
// checkpoint; the best one is kept, and resuming finds nothing to do.
func TestEarlyStop(t *testing.T) {
	set := []string{"validation={every: 2, samples: 8, patience: 3, min_delta: 0.1}", "checkpoint.best=true", "steps=40", "sample.every=0"}
	exp := experiment(t, digitsYAML, set...)
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	tr, err := New(context.Background(), exp, Options{Dir: string(dir)})
	if err != nil {
		t.Fatal(err)
	}
	// Bests at steps 2, 6; 0.95 is no new best by less than 0.1, NaN none at all.
	tr.job.Objective = &worsening{tr.job.Objective, []float64{2, 3, 1, 0.95, nan(), 1.5, 0}}
	if err := errors.Join(tr.Run(context.Background()), tr.Close()); err != nil {
		t.Fatal(err)
	}
	if best, early := tr.StoppedEarly(); tr.Step() != 12 || best != 6 || !early || !tr.Finished() {
		t.Errorf("stopped at step %d, best %d, early %v", tr.Step(), best, early)
	}
	for path, step := range map[string]int64{dir.Best(): 6, tr.CheckpointPath(): 12} {
		c, err := openWhole(path)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c.state.Step != step {
			t.Errorf("%s is of step %d, want %d", path, c.state.Step, step)
		}
	}
	before := everyFile(t, string(dir))
	if err := trainIn(context.Background(), exp, Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	for k, v := range everyFile(t, string(dir)) {
		if before[k] != v {
			t.Errorf("resuming a run that was given up changed %s", k)
		}
	}
	if o := opened(t, RunDir(dir.Best())); o.Step != 6 {
		t.Errorf("the best checkpoint opens as step %d", o.Step)
	}
}

func nan() float64 { var zero float64; return zero / zero }

// A time budget ends a run with a checkpoint, and resuming goes on exactly.
func TestMaxTime(t *testing.T) {
	want := result(t, trained(t, moonsYAML))
	exp := experiment(t, moonsYAML, "max_time=1h")
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	runs := 0
	for o := (Options{Dir: string(dir)}); ; o.Resume = true {
		tr, err := New(context.Background(), exp, o)
		if err != nil {
			t.Fatal(err)
		}
		clock := time.Unix(0, 0)
		tr.now = func() time.Time { clock = clock.Add(4 * time.Minute); return clock } // 15 looks an hour
		if err := errors.Join(tr.Run(context.Background()), tr.Close()); err != nil {
			t.Fatal(err)
		}
		runs++
		if tr.OutOfTime() == tr.Finished() {
			t.Fatalf("step %d: out of time %v, finished %v", tr.Step(), tr.OutOfTime(), tr.Finished())
		}
		if tr.Finished() {
			break
		}
		if tr.Step()%14 != 0 {
			t.Errorf("out of time after step %d", tr.Step())
		}
	}
	if runs != 3 {
		t.Errorf("%d runs of an hour, want 3", runs)
	}
	got, same := result(t, dir), dropInterrupted
	for _, m := range []map[string]string{got, want} { // the config in them names the time
		maps.DeleteFunc(m, func(k, _ string) bool { return strings.HasPrefix(k, "checkpoints") })
	}
	sameResult(t, same(got, want), want)
	a, b := weightsOf(t, dir), weightsOf(t, trained(t, moonsYAML))
	for k := range b {
		if !slices.Equal(a[k], b[k]) {
			t.Errorf("%s differs from that of a run in one go", k)
		}
	}
}

func TestValidationMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"data: {kind: noise, shape: [2]}\nvalidation: {every: 5}", "x.yaml:2: validation.every: is 5, but the data hold nothing out"},
		{"data: moons\nvalidation: {patience: 5}", "x.yaml:2: validation.patience: is 5, and no losses are taken: set validation.every"},
		{"data: moons\ncheckpoint: {best: true}", "x.yaml:2: checkpoint.best: has nothing to go by: set validation.every"},
		{"data: moons\nmax_time: -1s", "x.yaml:2: max_time: must not be negative"},
		{"data: moons\npost_hoc: {sigma_rel: []}", "x.yaml:2: post_hoc.sigma_rel: must name at least one width"},
		{"data: moons\npost_hoc: {sigma_rel: [0.1, 0.1]}", "x.yaml:2: post_hoc.sigma_rel: has 0.1 twice"},
		{"data: moons\npost_hoc: {sigma_rel: [0.4]}", "x.yaml:2: post_hoc.sigma_rel: must be above 0 and at most 0.289"},
		{"data: moons\nema: {kind: power, sigma_rel: 0}", "x.yaml:2: ema.sigma_rel: must be above 0"},
		{"data: moons\noptim: {rule: schedule_free, schedule: constant}", "ema: is a second average: the update rule averages weights itself; set ema: null"},
		{"data: moons\nema: null\noptim: {rule: schedule_free}", "optim.schedule: is cosine: the update rule takes the place of a schedule"},
		{"data: moons\noptim: {groups: [{match: \"*.bias\", rule: {kind: muon, scale: big}}]}", "x.yaml:2: optim.groups[0].rule.scale: is \"big\""},
	} {
		exp, err := ReadExperiment("x.yaml", []byte(c.text+"\nmodel: {kind: mlp, width: 16, depth: 1}\nsample: {every: 0}\n"), nil)
		if err == nil {
			_, err = New(context.Background(), exp, Options{Bare: true})
		}
		wantError(t, err, c.want)
	}
}
