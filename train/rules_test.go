package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
)

// rules are settings of the later update rules.
var rules = map[string][]string{
	"lion":          {"optim.rule={kind: lion, weight_decay: 0.1}", "optim.lr=3e-4"},
	"muon":          {"optim.rule=muon"},
	"adafactor":     {"optim.rule=adafactor", "optim.lr=0.05"},
	"schedule_free": {"optim.rule=schedule_free", "optim.schedule={kind: constant, warmup: 5}", "ema=null"},
	"mixed":         {"optim.rule=muon", `optim.groups=[{match: "in.*", rule: schedule_free}, {match: "out.*", rule: lion, lr: 0.1}]`, "optim.schedule=constant", "ema=null", "optim.decay=weights"},
	"power":         {"ema={kind: power, sigma_rel: 0.15}", "post_hoc={every: 7, sigma_rel: [0.1, 0.2]}", "accumulate=3"},
}

// Every rule learns, and resumes bit for bit.
func TestRulesResume(t *testing.T) {
	for name, set := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resumesExactly(t, trained(t, moonsYAML, set...), moonsYAML, set...)
		})
	}
}

func TestRulesAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for name, set := range rules {
		stepsAllocateNothing(t, name, bare(t, moonsYAML, set...))
	}
}

// What is saved and sampled from is the schedule-free average x, not the y that gradients are taken at.
func TestScheduleFreeWeights(t *testing.T) {
	set := append([]string{"checkpoint.keep=0"}, rules["schedule_free"]...)
	dir := trained(t, moonsYAML, set...)
	w := weightsOf(t, dir)
	used := opened(t, dir)
	if !used.EMA {
		t.Error("the weights do not count as an average")
	}
	moved := 0
	for _, p := range used.Params {
		x, y, z := w[emaPrefix+p.Name], w[modelPrefix+p.Name], w[optimPrefix+"schedule_free_z."+p.Name]
		if !slices.Equal(p.Float32s(), x) {
			t.Errorf("%s: what is opened is not the average", p.Name)
		}
		for i := range x {
			// y = β1·x + (1−β1)·z, x from y and z in three roundings, of numbers up to 1/β1 of their size.
			want := 0.9*float64(x[i]) + 0.1*float64(z[i])
			if size := max(math.Abs(float64(x[i])), math.Abs(float64(y[i])), math.Abs(float64(z[i]))); !(math.Abs(float64(y[i])-want) <= 8.0/(1<<24)*size) {
				t.Fatalf("%s[%d]: y %g, from the average and z %g", p.Name, i, y[i], want)
			}
			if x[i] != y[i] {
				moved++
			}
		}
	}
	if moved == 0 {
		t.Error("the average is where the gradients are taken")
	}
}

// An average that is reconstructed is near the one that was tracked; one that was stored is found again.
func TestReconstruct(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=200", "post_hoc={every: 10, sigma_rel: [0.1, 0.2]}", "ema={kind: power, sigma_rel: 0.14}", "checkpoint.every=100", `optim.groups=[{match: "time.*", frozen: true}]`)
	w := weightsOf(t, dir)
	out := filepath.Join(t.TempDir(), "x.safetensors")
	for _, c := range []struct {
		sigma  float64
		prefix string
		bound  float64 // of the norm of the weights' way since an average of another width
	}{
		{0.14, emaPrefix, 0.02},
		{0.2, profilePrefix(1), 1e-4},
	} {
		if err := Reconstruct(string(dir), c.sigma, 0, out, t.Logf); err != nil {
			t.Fatal(err)
		}
		got := opened(t, RunDir(out))
		if got.Step != 200 || !got.EMA {
			t.Errorf("step %d, average %v", got.Step, got.EMA)
		}
		var off, way float64
		for _, p := range got.Params {
			want := w[c.prefix+p.Name]
			if strings.HasPrefix(p.Name, "time.") {
				want = w[modelPrefix+p.Name] // frozen
			}
			far := w[modelPrefix+p.Name]
			for i, x := range p.Float32s() {
				off += math.Pow(float64(x-want[i]), 2)
				way += math.Pow(float64(want[i]-far[i]), 2)
			}
		}
		if !(math.Sqrt(off) <= c.bound*math.Sqrt(way)) {
			t.Errorf("σ %g: off by %.3g of the way from the average to the last weights, want at most %g", c.sigma, math.Sqrt(off/way), c.bound)
		}
	}
	wantError(t, Reconstruct(string(dir), 0.5, 0, out, t.Logf), "a width of 0.5 is impossible")
	wantError(t, Reconstruct(string(dir), 0.1, 5, out, t.Logf), "no snapshot of up to update 5")
	wantError(t, Reconstruct(out, 0.1, 5, out, t.Logf), "is no run")
	wantError(t, Reconstruct(string(trained(t, moonsYAML, "steps=1")), 0.1, 0, out, t.Logf), "has no snapshots of averages", "post_hoc")
}

// Snapshots of steps that are taken back go with them.
func TestSnapshotsOfStepsTakenBack(t *testing.T) {
	set := []string{"post_hoc={every: 4}", "checkpoint.every=6"}
	exp := experiment(t, moonsYAML, set...)
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	tr, err := New(context.Background(), exp, Options{Dir: string(dir)})
	if err != nil {
		t.Fatal(err)
	}
	for range 11 { // as Run does, and then the process is gone
		if err := tr.Train(); err != nil {
			t.Fatal(err)
		}
		if tr.step == 6 {
			if err := tr.Save(); err != nil {
				t.Fatal(err)
			}
		}
		if tr.snapshotDue() {
			if err := tr.saveSnapshot(); err != nil {
				t.Fatal(err)
			}
		}
	}
	tr.Close()
	tr, err = New(context.Background(), exp, Options{Dir: string(dir), Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	paths, err := listCheckpoints(dir.Averages())
	if err != nil || len(paths) != 1 || filepath.Base(paths[0]) != checkpointName(4) {
		t.Errorf("after going back to step 6: snapshots %v, %v", paths, err)
	}
	if tr.profiles[0].ema.Steps() != 6 {
		t.Errorf("the averages have %d updates, want 6", tr.profiles[0].ema.Steps())
	}
}
