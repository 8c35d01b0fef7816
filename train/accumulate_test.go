package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
)

// everythingYAML has all the randomness that a step may have, so that a sample
// that is drawn differently in a part of the batch shows.
const everythingYAML = `
steps: 12
batch: 16
data: digits
flip: true
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2, dropout: 0.2}
objective: {kind: flow, coupling: ot, times: logit_normal, stratified: true, weighting: min_snr, condition_dropout: 0.3}
optim: {lr: 3e-3}
sample: {every: 0}
checkpoint: {every: 5}
log_every: 4
`

// shake gives the zero weights that networks begin with other values: gradients of most
// others would be zero.
func shake(t *testing.T, tr *Trainer) {
	t.Helper()
	for i, p := range tr.params {
		v := p.Float32s()
		for j := range v {
			v[j] += float32(0.05 * math.Sin(float64(1+i+7*j)))
		}
		if err := p.Set(v); err != nil {
			t.Fatal(err)
		}
	}
}

// gradientOf is the loss and gradient of a trainer's next step, in one vector, and the norm.
func gradientOf(t *testing.T, tr *Trainer) (loss float64, grad []float64, norm float64) {
	t.Helper()
	if err := tr.loader.Batch(uint64(tr.step)*uint64(tr.exp.Batch), tr.batch.X, tr.labels); err != nil {
		t.Fatal(err)
	}
	tr.job.Objective.Draw(tr.key(), &tr.batch, &tr.draw)
	loss, grads, err := tr.gradient(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range grads {
		grad = append(grad, g.Float64s()...)
	}
	return loss, grad, optim.GlobalNorm(tr.scope, grads)
}

// The gradient of a batch in parts is that of the whole. Both are sums of the same
// products; with roundings of relative size u = 2⁻²⁴, each differs from the exact one by at
// most some k·u of the mean norm of the samples' gradients, k being the
// longest chain of roundings from a loss back to a weight: here some 20 operations
// of at most log-depth sums of up to 49 patches × 16 channels, so that 2·20·10 is enough.
func TestPartsMakeTheWhole(t *testing.T) {
	const bound = 400.0 / (1 << 24)
	whole := bare(t, everythingYAML)
	shake(t, whole)
	single := bare(t, everythingYAML, "accumulate=16")
	shake(t, single)
	for step := range int64(2) {
		whole.step, single.step = step, step
		loss, want, norm := gradientOf(t, whole)
		sampleNorm := meanSampleNorm(t, single)
		for _, k := range []int{2, 3, 5, 16} {
			parts := bare(t, everythingYAML, fmt.Sprint("accumulate=", k))
			shake(t, parts)
			parts.step = step
			gotLoss, got, gotNorm := gradientOf(t, parts)
			if d := math.Abs(gotLoss/loss - 1); !(d <= bound) {
				t.Errorf("step %d, %d parts: loss %.9g, whole %.9g", step, k, gotLoss, loss)
			}
			if d := math.Abs(gotNorm-norm) / sampleNorm; !(d <= bound) {
				t.Errorf("step %d, %d parts: norm %.9g, whole %.9g", step, k, gotNorm, norm)
			}
			diff := 0.0
			for i := range want {
				diff += (got[i] - want[i]) * (got[i] - want[i])
			}
			if d := math.Sqrt(diff) / sampleNorm; !(d <= bound) {
				t.Errorf("step %d, %d parts: the gradient is off by %.3g of a sample's, %.3g allowed", step, k, d, bound)
			}
		}
	}
}

// meanSampleNorm is the mean norm of the gradients of single samples.
func meanSampleNorm(t *testing.T, tr *Trainer) float64 {
	t.Helper()
	gradientOf(t, tr)
	sum := 0.0
	for i := range tr.draw.N {
		tr.draw.Part(&tr.part, i, i+1)
		l := tr.lossOf(tr.scope, &tr.part)
		sum += optim.GlobalNorm(tr.scope, tr.scope.Grad(l, tr.trained))
	}
	return sum / float64(tr.draw.N)
}

func TestPartsTakeLessMemory(t *testing.T) {
	var peak [2]int
	for i, k := range []int{1, 4} {
		tr := bare(t, everythingYAML, fmt.Sprint("accumulate=", k))
		for range 3 {
			if err := tr.Train(); err != nil {
				t.Fatal(err)
			}
		}
		peak[i] = tr.scope.MemoryPeak()
	}
	if 2*peak[1] > peak[0] {
		t.Errorf("%d bytes in four parts, %d in one: want less than half", peak[1], peak[0])
	}
}

func TestPartsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	tr := bare(t, everythingYAML, "accumulate=3", "optim.decay=weights", `optim.groups=[{match: "patch*", frozen: true}, {match: "out*", lr: 0.5}]`, "objective.coupling=independent")
	step := func() {
		if err := tr.Train(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		step()
	}
	if n := testenv.Allocs(t, step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

// interrupt cancels a context within the n-th loss.
type interrupt struct {
	diffusion.Objective
	left   int
	cancel context.CancelFunc
}

func (p *interrupt) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if p.left--; p.left == 0 {
		p.cancel()
	}
	return p.Objective.Loss(s, m, d)
}

// A run that is stopped between the parts of a step goes on as if it had not been.
func TestStopWithinAStep(t *testing.T) {
	want := result(t, trained(t, everythingYAML, "accumulate=3"))
	exp := experiment(t, everythingYAML, "accumulate=3")
	dir := filepath.Join(t.TempDir(), "run")
	stops := 0
	for o := (Options{Dir: dir}); ; o.Resume = true {
		ctx, cancel := context.WithCancel(context.Background())
		tr, err := New(ctx, exp, o)
		if err != nil {
			t.Fatal(err)
		}
		tr.job.Objective = &interrupt{tr.job.Objective, 8, cancel} // the second of three parts
		before := tr.Step()
		err = errors.Join(tr.Run(ctx), tr.Close())
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if tr.Step() != before+2 {
			t.Fatalf("stopped after %d steps, want 2: the third was cut short", tr.Step()-before)
		}
		stops++
	}
	if stops < 3 {
		t.Fatalf("stopped %d times only", stops)
	}
	sameResult(t, dropInterrupted(result(t, RunDir(dir)), want), want)
}

func TestMorePartsThanSamples(t *testing.T) {
	_, err := ReadExperiment("x.yaml", []byte("data: moons\nmodel: mlp\nbatch: 4\naccumulate: 5\n"), nil)
	wantError(t, err, "x.yaml:4: accumulate", "a batch of 4 samples has no more parts than samples")
}
