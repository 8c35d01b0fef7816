package bench

import (
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train"
)

// tiny are overrides that make the standard experiments small; shapes and
// options that decide which code runs stay.
var tiny = map[string][]string{
	"mlp":  {"batch=8", "model.width=16"},
	"unet": {"batch=2", "data.shape=[8,8,1]", "model.channels=[8,16,16]", "model.groups=4", "model.head_dim=8"},
	"dit":  {"batch=2", "data.shape=[8,8,1]", "model.sample_size=8", "model.width=32", "model.depth=2", "model.heads=2", "model.classes=20"},
}

func tinyTrainer(t testing.TB, name string) *train.Trainer {
	t.Helper()
	exp, err := builtinExperiment(name, tiny[name])
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(t.Context(), exp, train.Options{Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// A training step allocates nothing once its shapes are known: not in reading
// data, drawing, the passes, nor the update.
func TestTrainingAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for name := range tiny {
		t.Run(name, func(t *testing.T) {
			tr := tinyTrainer(t, name)
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
		})
	}
}

// Nor does sampling, with what the benchmark of its latency measures.
func TestSamplingAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for name := range tiny {
		for _, batch := range []int{1, 8} {
			d := tinyTrainer(t, name).Drawer()
			s := tensor.NewScope(d.Device, tensor.Inference)
			p, shape, err := (&Latency{Steps: 3}).plan(s, d, batch)
			if err != nil {
				t.Fatal(err)
			}
			draw := func() {
				p.Key.Step++
				if _, err := p.Draw(t.Context(), shape...); err != nil {
					t.Fatal(err)
				}
			}
			if n := testenv.Allocs(t, draw); n != 0 {
				t.Errorf("%s, batch %d: %g allocations a run", name, batch, n)
			}
			p.Close()
			s.Close()
		}
	}
}
