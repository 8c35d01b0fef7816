package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

// poison is an objective whose loss is not finite from one step on up to another.
type poison struct {
	diffusion.Objective
	from, to, step uint64
}

func (p *poison) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	p.step = k.Step
	p.Objective.Draw(k, b, d)
}

func (p *poison) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	loss := p.Objective.Loss(s, m, d)
	if p.step >= p.from && p.step < p.to {
		return loss.Scale(math.NaN())
	}
	return loss
}

// poisoned runs an experiment that goes wrong from step from up to step to.
func poisoned(ctx context.Context, exp *Loaded, o Options, from, to uint64) error {
	tr, err := New(ctx, exp, o)
	if err != nil {
		return err
	}
	tr.job.Objective = &poison{Objective: tr.job.Objective, from: from, to: to}
	return errors.Join(tr.Run(ctx), tr.Close())
}

// poisonedRun is a run of moonsYAML whose steps 9 to 11, from 0, go wrong.
func poisonedRun(t *testing.T, overrides ...string) RunDir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := poisoned(context.Background(), experiment(t, moonsYAML, overrides...), Options{Dir: dir}, 9, 12); err != nil {
		t.Fatal(err)
	}
	return RunDir(dir)
}

// Steps with a loss that is not finite are counted and change nothing but the count.
func TestSkippedSteps(t *testing.T) {
	dir := poisonedRun(t, "log_every=1", "max_skips=4")
	lines := metricsOf(t, dir)
	for step := 1; step <= 40; step++ {
		skipped := min(max(step-9, 0), 3)
		if want := fmt.Sprintf(`"train/skipped":%d`, skipped); !strings.Contains(lines[step-1], want) {
			t.Errorf("record %s, want %s", lines[step-1], want)
		}
		if nan := strings.Contains(lines[step-1], `"train/loss":"NaN"`); nan != (step > 9 && step <= 12) {
			t.Errorf("record %s: a loss of NaN: %v", lines[step-1], nan)
		}
	}
	// The checkpoint of step 12 is put off: it would hold the weights of step 9.
	c, err := openWhole(checkpoints(t, poisonedRun(t, "checkpoint.keep=0"))[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.state.Skipped != 3 || c.state.OptimSteps != 37 || c.state.EMASteps != 37 || c.state.InARow != 0 {
		t.Errorf("state %+v: want 3 skipped, 37 steps of optimiser and average", c.state)
	}
	for _, v := range opened(t, dir).Params[0].Float32s() {
		if !finite(float64(v)) {
			t.Fatal("weights are not finite")
		}
	}
}

// Skipping resumes exactly, also when stopped between two bad steps.
func TestSkippedStepsResume(t *testing.T) {
	want := result(t, poisonedRun(t))
	exp := experiment(t, moonsYAML)
	dir := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(context.Background())
	stop := watch(func(step int64) {
		if step == 11 {
			cancel()
		}
	})
	if err := poisoned(ctx, exp, Options{Dir: dir, Progress: stop}, 9, 12); err == nil {
		t.Fatal("not stopped")
	}
	if err := poisoned(context.Background(), exp, Options{Dir: dir, Resume: true}, 9, 12); err != nil {
		t.Fatal(err)
	}
	sameResult(t, dropInterrupted(result(t, RunDir(dir)), want), want)
}

// After max_skips bad steps in a row training stops, says why, and the newest
// checkpoint is from before the trouble: from there the run goes on.
func TestDiverged(t *testing.T) {
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	exp := experiment(t, moonsYAML, "max_skips=8", "checkpoint.every=2")
	err := poisoned(context.Background(), exp, Options{Dir: string(dir)}, 20, 1000)
	wantError(t, err, "training stopped at step 28", "not finite for 8 steps in a row", "the loss", "lower optim.lr (0.003)", "step-00000020.safetensors")
	c, err := newestCheckpoint(dir.Checkpoints(), func(f string, a ...any) { t.Errorf(f, a...) })
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	c.Close()
	if c.state.Step != 20 || c.state.Skipped != 0 {
		t.Errorf("the newest checkpoint is of step %d with %d skipped", c.state.Step, c.state.Skipped)
	}
	cured := experiment(t, moonsYAML, "max_skips=8", "checkpoint.every=2", "optim.lr=1e-3")
	if err := trainIn(context.Background(), cured, Options{Dir: string(dir), Resume: true}); err != nil {
		t.Error(err)
	}
}

// Bad steps in a row are counted across an interruption.
func TestDivergedResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	exp := experiment(t, moonsYAML, "max_skips=8")
	ctx, cancel := context.WithCancel(context.Background())
	stop := watch(func(step int64) {
		if step == 24 {
			cancel()
		}
	})
	if err := poisoned(ctx, exp, Options{Dir: dir, Progress: stop}, 20, 1000); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	err := poisoned(context.Background(), exp, Options{Dir: dir, Resume: true}, 20, 1000)
	wantError(t, err, "training stopped at step 28", "for 8 steps in a row")
}

// A learning rate beyond all measure ends in the same message.
func TestExplodingLearningRate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	err := trainIn(context.Background(), experiment(t, moonsYAML, "optim.lr=1e30", "optim.clip=0", "optim.schedule=constant", "max_skips=3"), Options{Dir: dir})
	wantError(t, err, "training stopped at step", "not finite for 3 steps in a row", "lower optim.lr (1e+30)")
}

// scaled is an objective whose loss is another's times a number.
type scaled struct {
	diffusion.Objective
	by float64
}

func (p *scaled) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	return p.Objective.Loss(s, m, d).Scale(p.by)
}

// cusp is an objective with the value of another and no finite gradient: √(0·loss) is added.
type cusp struct{ diffusion.Objective }

func (p *cusp) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	l := p.Objective.Loss(s, m, d)
	return l.Add(l.Scale(0).Sqrt())
}

// setWeight puts x into the first element of a parameter.
func setWeight(t *testing.T, tr *Trainer, name string, x float32) {
	t.Helper()
	for _, p := range tr.params {
		if p.Name == name {
			v := p.Float32s()
			v[0] = x
			if err := p.Set(v); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no parameter %s", name)
}

// Whatever goes wrong, the error names what was first: an operation and the weight
// next to it, with the values that it had.
func TestDiagnosis(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, tr *Trainer)
		want  []string
	}{
		{"weight", func(t *testing.T, tr *Trainer) { setWeight(t, tr, "hidden.0.weight", float32(math.NaN())) },
			[]string{"first in weight hidden.0.weight (1 NaN, values in [", "lower optim.lr"}},
		{"forward", func(t *testing.T, tr *Trainer) {
			setWeight(t, tr, "in.weight", 1e30)
			setWeight(t, tr, "hidden.0.weight", 1e30)
		}, []string{"first in the network's forward pass: matmul with hidden.0.weight gives", "Inf", "e+30]"}},
		{"backward", func(t *testing.T, tr *Trainer) {
			tr.job.Objective = &cusp{tr.job.Objective}
		}, []string{"first in the backward pass: sqrt, before out.weight gives 1 Inf from values in [1, 1]"}},
		{"loss", func(t *testing.T, tr *Trainer) { tr.job.Objective = &scaled{tr.job.Objective, math.Inf(1)} },
			[]string{"first in the loss: scale, after out.weight gives 1 Inf from values in ["}},
		{"norm", func(t *testing.T, tr *Trainer) { tr.job.Objective = &scaled{tr.job.Objective, 1e25} },
			[]string{"first in the gradient's norm: all its elements are finite, the largest", "the sum of their squares is not"}},
	} {
		for _, parts := range []string{"accumulate=1", "accumulate=4"} {
			tr := bare(t, moonsYAML, "max_skips=2", "optim.clip=0", parts)
			c.spoil(t, tr)
			var before [][]float32
			for _, p := range tr.params {
				before = append(before, p.Float32s())
			}
			if err := tr.Train(); err != nil {
				t.Fatalf("%s: stopped at the first bad step: %v", c.name, err)
			}
			err := tr.Train()
			wantError(t, err, append(c.want, "training stopped at step 2", "for 2 steps in a row", "set optim.clip", "start again")...)
			if tr.Skipped() != 2 || tr.opt.Steps() != 0 || tr.ema.Steps() != 0 {
				t.Errorf("%s: %d skipped, %d updates", c.name, tr.Skipped(), tr.opt.Steps())
			}
			for i, p := range tr.params {
				for j, x := range p.Float32s() {
					if math.Float32bits(x) != math.Float32bits(before[i][j]) {
						t.Fatalf("%s: a skipped step changed %s", c.name, p.Name)
					}
				}
			}
		}
	}
}

// spoiled is a source some of whose samples have a NaN.
type spoiled struct {
	data.Source
	bad func(i uint64) bool
}

func (s spoiled) Sample(i uint64, x []float32) (int, error) {
	label, err := s.Source.Sample(i, x)
	if s.bad(i) {
		x[1] = float32(math.NaN())
	}
	return label, err
}

// Bad data are named by the sample's place in the data, each once, and cost the
// steps that meet them and no more.
func TestBadData(t *testing.T) {
	spoil := func(bad func(uint64) bool, warn func(string, ...any)) (*Trainer, error) {
		exp := experiment(t, digitsYAML, "steps=400", "max_skips=3", "sample.every=0")
		tr, err := New(context.Background(), exp, Options{Bare: true, Warn: warn})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { tr.Close() })
		tr.loader, err = data.NewLoader(spoiled{tr.data.Train, bad}, data.Options{Seed: exp.Seed})
		return tr, err
	}
	var warnings []string
	tr, err := spoil(func(i uint64) bool { return i == 17 || i == 1000 }, func(f string, a ...any) { warnings = append(warnings, fmt.Sprintf(f, a...)) })
	if err != nil {
		t.Fatal(err)
	}
	for range 360 { // two epochs of 1,437 samples
		if err := tr.Train(); err != nil {
			t.Fatal(err)
		}
	}
	all := strings.Join(warnings, "\n")
	if len(warnings) != 2 || !strings.Contains(all, "the data: sample 17 has 1 NaN, values in [") || !strings.Contains(all, "sample 1000 has") {
		t.Errorf("warnings:\n%s", all)
	}
	if tr.Skipped() != 4 {
		t.Errorf("%d steps skipped, want 4", tr.Skipped())
	}
	tr, err = spoil(func(i uint64) bool { return true }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = tr.Train()
	}
	index, _ := tr.loader.At(2 * 8)
	wantError(t, err, "training stopped at step 3", fmt.Sprintf("first in the data: sample %d has 1 NaN", index), "mend or remove it and start again")
}
