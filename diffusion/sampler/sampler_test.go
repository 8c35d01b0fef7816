package sampler

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func testMixture() *diffusion.Mixture {
	return &diffusion.Mixture{
		Weights: []float64{0.5, 0.3, 0.2},
		Means:   [][]float64{{1, -0.5}, {-1.2, 0.3}, {0.2, 1.5}},
		Stds:    [][]float64{{0.4, 0.6}, {0.5}, {0.3}},
	}
}

// own is a path as a user may write one: α = 1−t², σ = t on [0,1].
type own struct{}

func (own) At(t float64) diffusion.Point {
	return diffusion.Point{T: t, Alpha: 1 - t*t, Sigma: t, DAlpha: -2 * t, DSigma: 1}
}
func (own) HalfLogSNR(t float64) float64 { return math.Log((1 - t*t) / t) }
func (own) Time(l float64) float64 { // 1−t² = e^l·t
	e := math.Exp(l) / 2
	return 1 / (e + math.Sqrt(e*e+1))
}
func (own) End() float64 { return 1 }

func table(t testing.TB) *diffusion.Table {
	b, err := diffusion.Betas(diffusion.BetaLinear, 1000, 1e-4, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	p, err := diffusion.NewTable(b, diffusion.InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sample runs on a float64 scope from standard normal noise scaled for the path.
func sample(t testing.TB, m diffusion.Model, how Sampler, grid []float64, n int, o Options) []float64 {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := Start(s, m.Path(), grid[0], rng.Key{Seed: 1}, o.First, n, 2)
	out, err := Sample(context.Background(), s, m, how, grid, x, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Float64s()
}

func entry[T any](t testing.TB, entries []Entry[T], name string) T {
	t.Helper()
	x, err := New(entries, name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func euler(variable string) *Euler {
	e := new(Euler)
	e.SetDefaults()
	e.Variable = variable
	return e
}

func heun(variable string) *Heun {
	h := new(Heun)
	h.SetDefaults()
	h.Variable = variable
	return h
}

// A sample is the same bits alone as in any batch.
func TestBatchIndependence(t *testing.T) {
	m := testMixture()
	for _, e := range Samplers {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
			how := e.New()
			switch how := how.(type) {
			case *DDIM:
				how.Eta = 1
			case *Heun:
				how.Churn.Amount, how.Variable = 3, "sigma"
			case *AnnealedLangevin:
				how.Steps = 3
			case *PredictorCorrector:
				how.Corrector = CorrectLangevin
			}
			path := diffusion.EDM{SigmaMax: 10}
			grid, err := entry(t, Grids, "karras").Times(path, 7)
			if err != nil {
				t.Fatal(err)
			}
			run := func(first uint64, n int) []float64 {
				s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, dtype)
				defer s.Close()
				x := Start(s, path, grid[0], rng.Key{Seed: 1}, first, n, 2)
				out, err := Sample(context.Background(), s, &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.X0}, how, grid, x, Options{First: first, Key: rng.Key{Seed: 2}})
				if err != nil {
					t.Fatal(err)
				}
				return out.Float64s()
			}
			if all, one := run(0, 9), run(5, 1); !slices.Equal(all[10:12], one) {
				t.Errorf("%s, %v: sample 5 is %v alone and %v among nine", e.Name, dtype, one, all[10:12])
			}
		}
	}
}

type samplerFunc func(r *Run)

func (f samplerFunc) Sample(r *Run) { f(r) }

func TestProgressAndCancellation(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	grid := []float64{1, 0.8, 0.6, 0.3, 0}
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	var last []float64
	progress := func(i, n int, data *tensor.Tensor) {
		if i != calls || n != 4 {
			t.Errorf("progress %d of %d, want %d of 4", i, n, calls)
		}
		calls++
		last = data.Float64s()
	}
	out, err := Sample(ctx, s, o, euler("time"), grid, s.Normal(rng.Key{}, 0, 3, 2), Options{Progress: progress})
	if err != nil || calls != 4 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	for i, v := range out.Float64s() { // a straight path's last step ends at the estimate
		if math.Abs(v-last[i]) > 1e-14 {
			t.Errorf("the last estimate of the data is %g, the sample %g", last[i], v)
		}
	}
	s.Reset()
	calls = 0
	_, err = Sample(ctx, s, o, heun("time"), grid, s.Normal(rng.Key{}, 0, 3, 2), Options{Progress: func(i, n int, data *tensor.Tensor) {
		if calls++; i == 1 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || calls != 2 {
		t.Errorf("cancelled in step 2: %d calls, %v", calls, err)
	}
}

// The condition is made anew in each step, after what was in the scope is gone.
func TestConditionReachesTheModel(t *testing.T) {
	m := testMixture()
	labels := []int32{0, 2, 1}
	o := &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	grid, _ := (&UniformGrid{Shift: 1}).Times(o.Along, 60)
	got := sample(t, o, heun("time"), grid, 3, Options{Cond: func(s *tensor.Scope) diffusion.Cond {
		return diffusion.Cond{Labels: s.Ints(labels, 3)}
	}})
	for i, l := range labels {
		for d := range 2 { // within five deviations of its class's mean
			std := m.Stds[l][min(d, len(m.Stds[l])-1)]
			if mean := m.Means[l][d]; math.Abs(got[2*i+d]-mean) > 5*std {
				t.Errorf("sample %d of class %d is at %.3f, far from %.3f", i, l, got[2*i+d], mean)
			}
		}
	}
}

// simple is a model that takes no memory of its own.
type simple struct{ diffusion.CondOT }

func (m simple) Path() diffusion.GaussianPath { return m.CondOT }

func (simple) Kind() diffusion.Kind { return diffusion.Velocity }

func (simple) Eval(x *tensor.Tensor, _ diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Value: x.Scale(0.5), Kind: diffusion.Velocity}
}

// Memory does not grow with the number of steps, and a step allocates next to nothing.
func TestMemoryIsFlat(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	wide := false
	run := func(how Sampler, steps int) {
		s.Reset()
		grid := make([]float64, steps+1)
		diffusion.Linspace(grid, 1, 0)
		if _, err := Sample(context.Background(), s, simple{}, how, grid, s.Ones(16, 64), Options{Float64: wide}); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range Samplers {
		how := e.New()
		if a, ok := how.(*AnnealedLangevin); ok {
			a.Steps = 1
		}
		run(how, 20)
		held := s.MemoryHeld()
		run(how, 400)
		if got := s.MemoryHeld(); got != held {
			t.Errorf("%s: %d bytes held after 20 steps, %d after 400", e.Name, held, got)
		}
		wide = true
		run(how, 20)
		held = s.MemoryHeld()
		run(how, 400)
		if got := s.MemoryHeld(); got != held {
			t.Errorf("%s with a float64 state: %d bytes held after 20 steps, %d after 400", e.Name, held, got)
		}
		wide = false
		if testenv.Race {
			continue // allocations cannot be counted there
		}
		few := testing.AllocsPerRun(3, func() { run(how, 20) })
		many := testing.AllocsPerRun(3, func() { run(how, 120) })
		if per := (many - few) / 100; per > 3 {
			t.Errorf("%s: %.1f allocations a step", e.Name, per)
		}
	}
}

// What a history holds is given back with the run, also one that fails.
func TestHistoryIsGivenBack(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		var h *History
		spy := samplerFunc(func(r *Run) {
			h = r.History(2)
			for st := range r.Steps() {
				h.Push(st.From, r.X.Scale(float64(st.Index+1)))
				if h.Len() != min(st.Index+1, 2) || h.Point(0).T != st.From.T || h.Value(0).Float64s()[0] != float64(st.Index+1) {
					t.Errorf("step %d: %d values, the newest %v of %g", st.Index, h.Len(), h.Value(0).Float64s(), h.Point(0).T)
				}
				if st.Index > 0 && h.Value(1).Float64s()[0] != float64(st.Index) {
					t.Errorf("step %d: the older value is %v", st.Index, h.Value(1).Float64s())
				}
				if fails {
					r.Fail("as planned")
				}
			}
		})
		_, err := Sample(context.Background(), s, simple{}, spy, []float64{1, 0.7, 0.4, 0.2, 0}, s.Ones(1, 2), Options{})
		if (err != nil) != fails {
			t.Errorf("fails: %v, %v", fails, err)
		}
		for _, p := range h.slots {
			if p.View().Mem != (backend.Memory{}) {
				t.Error("a history's memory is still there")
			}
		}
		s.Close()
	}
}

func TestErrors(t *testing.T) {
	m := testMixture()
	flow := func(k diffusion.Kind) diffusion.Model {
		return &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: k}
	}
	good := []float64{1, 0.5, 0}
	for name, c := range map[string]struct {
		m    diffusion.Model
		how  Sampler
		grid []float64
		o    Options
		want string
	}{
		"one time":         {flow(diffusion.Velocity), &DDIM{}, []float64{1}, Options{}, "at least 2"},
		"rising":           {flow(diffusion.Velocity), &DDIM{}, []float64{0, 1}, Options{}, "larger than the one before"},
		"negative":         {flow(diffusion.Velocity), &DDIM{}, []float64{1, -0.1}, Options{}, "not on the path"},
		"past the end":     {flow(diffusion.Velocity), &DDIM{}, []float64{1.5, 0}, Options{}, "not on the path"},
		"NaN":              {flow(diffusion.Velocity), &DDIM{}, []float64{math.NaN(), 0}, Options{}, "not on the path"},
		"ε without signal": {flow(diffusion.Eps), &DDIM{}, good, Options{}, "does not determine x0"},
		"in σ likewise":    {flow(diffusion.Eps), heun("sigma"), good, Options{}, "does not determine x0"},
		"no variance":      {flow(diffusion.Velocity), &DDPM{Variance: Learned}, good, Options{}, "the model has none"},
		"clip":             {flow(diffusion.Velocity), &DDIM{}, good, Options{Clip: Clip{Range: -1}}, "range"},
		"fails, goes on": {flow(diffusion.Velocity), samplerFunc(func(r *Run) {
			for st := range r.Steps() {
				if st.Index == 0 {
					r.Fail("as planned")
				}
			}
		}), good, Options{}, "as planned"},
		"stops early": {flow(diffusion.Velocity), samplerFunc(func(r *Run) {}), good, Options{}, "stopped"},
	} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		out, err := Sample(context.Background(), s, c.m, c.how, c.grid, s.Ones(1, 2), c.o)
		if err == nil || out != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		s.Close()
	}
}
