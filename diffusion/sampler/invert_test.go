package sampler

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func invert(t testing.TB, m diffusion.Model, how Sampler, grid, x []float64, o Options) []float64 {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	out, err := Invert(context.Background(), s, m, how, grid, s.Tensor(x, len(x)/2, 2), o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Float64s()
}

func distance(a, b []float64) (d float64) {
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}

// The way to the noise is the flow's, with the solver's own order; and back from it the
// sampler comes to the data that it began with.
func TestInvert(t *testing.T) {
	const hi, lo = 5, 0.2
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	noise := s.Normal(rng.Key{Seed: 3}, 0, 5, 2).Float64s()
	data := solve(t, o, rk("rk4", "lambda"), levels(path, hi, lo, 2000), noise, 0, nil)
	count := 0
	for name, how := range variants(t) {
		v, ok := how.(Reversible)
		if !ok || !v.Reversible() {
			continue
		}
		count++
		var there, back [2]float64
		for k := range there {
			grid := levels(path, hi, lo, 60<<k)
			got := invert(t, o, how, grid, data, Options{})
			there[k] = distance(got, noise)
			back[k] = distance(solve(t, o, how, grid, got, 0, nil), data)
		}
		// At first order an error is halved by twice the steps; .8 leaves room for the next term.
		if there[1] > 0.05 || there[0] > 1e-9 && math.Log2(there[0]/there[1]) < 0.8 {
			t.Errorf("%s: the noise is off by %.2g in 60 steps and %.2g in 120", name, there[0], there[1])
		}
		if back[1] > 0.05 || back[0] > 1e-9 && math.Log2(back[0]/back[1]) < 0.8 {
			t.Errorf("%s: what comes back is off by %.2g in 60 steps and %.2g in 120", name, back[0], back[1])
		}
	}
	if count < 30 {
		t.Errorf("only %d samplers can be inverted", count)
	}
}

// From the data itself to where nothing of it is left, and back, whatever is
// predicted and asked in which step.
func TestInvertEnds(t *testing.T) {
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}, table(t)} {
		for _, kind := range []diffusion.Kind{diffusion.X0, diffusion.V} {
			o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: kind}
			data := []float64{0.9, -0.4, -1.3, 0.2, 0.3, 1.4}
			var before float64
			for _, n := range []int{100, 200, 400} {
				grid := make([]float64, n+1)
				diffusion.Linspace(grid, path.End(), 0)
				calls := 0
				noise := invert(t, o, &DDIM{}, grid, data, Options{Progress: func(i, total int, _ *tensor.Tensor) {
					if i != calls || total != n {
						t.Errorf("progress %d of %d, want %d of %d", i, total, calls, n)
					}
					calls++
				}})
				d := distance(solve(t, o, &DDIM{}, grid, noise, 0, nil), data)
				if calls != n || before > 0 && d > 0.62*before { // first order: half, and a term of the next
					t.Errorf("%T, %v: %g off in %d steps, %g in half of them; %d calls", path, kind, d, n, before, calls)
				}
				before = d
			}
		}
	}
}

func TestInvertErrors(t *testing.T) {
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	for name, c := range map[string]struct {
		how  Sampler
		grid []float64
		want string
	}{
		"noisy":       {&DDIM{Eta: 1}, []float64{1, 0.5, 0}, "cannot go back"},
		"ancestral":   {&DDPM{Variance: FixedSmall}, []float64{1, 0.5, 0}, "cannot go back"},
		"adaptive":    {&Dopri5{}, []float64{1, 0.5, 0}, "cannot go back"},
		"rising":      {&DDIM{}, []float64{0, 0.5, 1}, "larger than the one before"},
		"one time":    {&DDIM{}, []float64{0}, "at least 2"},
		"wrong limit": {&DDIM{}, []float64{2, 0}, "not on the path"},
	} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		if _, err := Invert(context.Background(), s, o, c.how, c.grid, s.Ones(1, 2), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
		s.Close()
	}
}
