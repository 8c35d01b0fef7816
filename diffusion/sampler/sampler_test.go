package sampler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
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

// Each solver's error falls with the number of steps as its theory has it. The
// grids end above σ=0: the last step, there, is apart. The reference is Heun's method, extrapolated.
func TestOrders(t *testing.T) {
	m := testMixture()
	shiftedTo := func(path diffusion.GaussianPath, from, to float64) func(n int) []float64 {
		return func(n int) []float64 { // equal steps in time
			g := make([]float64, n+1)
			diffusion.Linspace(g, from, to)
			return g
		}
	}
	levels := func(path diffusion.GaussianPath, hi, lo float64) func(n int) []float64 {
		return func(n int) []float64 { // smooth in the log-SNR
			g := make([]float64, n+1)
			diffusion.Linspace(g, -math.Log(hi), -math.Log(lo))
			for i := range g {
				g[i] = path.Time(g[i])
			}
			return g
		}
	}
	condot, trig, edm := diffusion.CondOT{}, diffusion.Trig{}, diffusion.EDM{SigmaMax: 80}
	vp := diffusion.VP{Beta0: 0.1, Beta1: 20}
	for _, c := range []struct {
		name  string
		path  diffusion.GaussianPath
		how   Sampler
		grid  func(n int) []float64
		order float64
	}{
		{"euler in time, CondOT", condot, euler("time"), shiftedTo(condot, 1, 0.05), 1},
		{"heun in time, CondOT", condot, heun("time"), shiftedTo(condot, 1, 0.05), 2},
		{"euler in time, trigonometric", trig, euler("time"), shiftedTo(trig, 1, 0.05), 1},
		{"heun in time, trigonometric", trig, heun("time"), shiftedTo(trig, 1, 0.05), 2},
		{"heun in time, VP", vp, heun("time"), shiftedTo(vp, 1, 0.1), 2},
		{"euler in sigma, EDM", edm, euler("sigma"), levels(edm, 20, 0.05), 1},
		{"heun in sigma, EDM", edm, heun("sigma"), levels(edm, 20, 0.05), 2},
		{"heun in sigma, VP", vp, heun("sigma"), levels(vp, 20, 0.05), 2},
		{"heun in sigma, CondOT", condot, heun("sigma"), levels(condot, 20, 0.05), 2},
		{"ddim, VP", vp, entry(t, Samplers, "ddim"), levels(vp, 20, 0.05), 1},
		{"ddim, CondOT", condot, entry(t, Samplers, "ddim"), levels(condot, 20, 0.05), 1},
		{"ddim, table", table(t), entry(t, Samplers, "ddim"), levels(table(t), 20, 0.05), 1},
	} {
		o := &diffusion.Oracle{Of: m, Along: c.path, Predicts: diffusion.X0}
		if c.path == condot || c.path == trig {
			o.Predicts = diffusion.Velocity
		}
		const n = 6
		variable := "sigma"
		if c.grid(2)[0] == c.path.End() && c.path != edm {
			variable = "time"
		}
		// Richardson's extrapolation: what is left is of third order.
		exact, coarse := sample(t, o, heun(variable), c.grid(1024), n, Options{}), sample(t, o, heun(variable), c.grid(512), n, Options{})
		for i := range exact {
			exact[i] += (exact[i] - coarse[i]) / 3
		}
		var logs []float64
		for steps := 32; steps <= 512; steps *= 2 { // four doublings
			e := 0.0
			for i, x := range sample(t, o, c.how, c.grid(steps), n, Options{}) {
				e += math.Abs(x - exact[i])
			}
			logs = append(logs, math.Log2(e))
		}
		t.Logf("%s: %.3f", c.name, (logs[0]-logs[4])/4)
		if slope := (logs[0] - logs[4]) / 4; math.Abs(slope-c.order) > 0.15 {
			t.Errorf("%s: order %.3f, want %g (log₂ errors %.2f)", c.name, slope, c.order, logs)
		}
	}
}

// Whatever the model predicts, the samples are the same.
func TestPredictionsAgree(t *testing.T) {
	m := testMixture()
	kinds := []diffusion.Kind{diffusion.X0, diffusion.Eps, diffusion.V, diffusion.Score, diffusion.Velocity, diffusion.DataVelocity, diffusion.Preconditioned{SigmaData: 0.5}}
	churned := heun("sigma")
	churned.Churn.Amount = 5
	samplers := map[string]Sampler{
		"ddim": &DDIM{}, "ddim η=.7": &DDIM{Eta: 0.7}, "ddim rederived": &DDIM{Rederive: true},
		"ddpm small": &DDPM{Variance: FixedSmall}, "ddpm large": &DDPM{Variance: FixedLarge}, "renoise": &Renoise{},
		"euler time": euler("time"), "heun time": heun("time"), "euler sigma": euler("sigma"), "heun sigma": heun("sigma"), "heun churn": churned,
	}
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}, diffusion.EDM{SigmaMax: 5}, diffusion.VP{Beta0: 0.1, Beta1: 10}, table(t)} {
		for name, how := range samplers {
			var first []float64
			for _, k := range kinds {
				o := &diffusion.Oracle{Of: m, Along: path, Predicts: k}
				grid := make([]float64, 9)
				diffusion.Linspace(grid, 0.9*path.End(), 0)
				got := sample(t, o, how, grid, 3, Options{Clip: Clip{Range: 2}})
				if first == nil {
					first = got
					continue
				}
				for i := range got {
					if !(math.Abs(got[i]-first[i]) <= 1e-10) {
						t.Errorf("%s on %T: %v gives %.15g, %v %.15g", name, path, k, got[i], kinds[0], first[i])
						break
					}
				}
			}
		}
	}
}

// Euler in σ and DDIM are one method; across variance-preserving and straight
// paths it makes the same samples on grids of the same noise levels.
func TestEulerInSigmaIsDDIM(t *testing.T) {
	m := testMixture()
	var first []float64
	for _, path := range []diffusion.GaussianPath{diffusion.EDM{SigmaMax: 80}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.CondOT{}, diffusion.Trig{}} {
		for _, how := range []Sampler{&DDIM{}, euler("sigma")} {
			o := &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.X0}
			var grid []float64
			for i := range 10 {
				grid = append(grid, path.Time(-math.Log(8*math.Pow(0.6, float64(i)))))
			}
			grid = append(grid, 0)
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
			p := path.At(grid[0])
			x := s.Normal(rng.Key{Seed: 4}, 0, 3, 2).Scale(p.Sigma) // the same noise level, so the same x/α
			out, err := Sample(context.Background(), s, o, how, grid, x, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := out.Float64s()
			s.Close()
			if first == nil {
				first = got
			}
			for i := range got {
				if math.Abs(got[i]-first[i]) > 1e-10 {
					t.Errorf("%T, %T: %g, want %g", path, how, got[i], first[i])
				}
			}
		}
	}
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

// A stochastic sampler draws another noise at each step, and none that the start had.
func TestNoiseIsFresh(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.Trig{}, Predicts: diffusion.X0}
	seen := [][]float64{Start(s, o.Along, 1, rng.Key{}, 0, 2, 2).Float64s()} // with the same key
	spy := samplerFunc(func(r *Run) {
		for range r.Steps() {
			seen = append(seen, r.Noise().Float64s())
			r.X = r.X.Scale(1)
		}
	})
	if _, err := Sample(context.Background(), s, o, spy, []float64{1, 0.5, 0.2, 0}, s.Normal(rng.Key{}, 0, 2, 2), Options{}); err != nil {
		t.Fatal(err)
	}
	for i := range seen {
		for j := range i {
			if slices.Equal(seen[i], seen[j]) {
				t.Errorf("draws %d and %d are the same noise", j, i)
			}
		}
	}
}

type samplerFunc func(r *Run)

func (f samplerFunc) Sample(r *Run) { f(r) }

// For data N(0,1), fixed_large keeps every marginal's variance 1; for a point
// mass, fixed_small does all of it (Ho et al. 2020, section 3.2).
func TestAncestralVariances(t *testing.T) {
	path := table(t)
	grid, err := (&TableGrid{Spacing: Trailing}).Times(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	grid = grid[:10] // up to the last noisy state
	const n = 20000
	variance := func(std float64, how string) float64 {
		m := &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{0, 0}}, Stds: [][]float64{{std}}}
		x := sample(t, &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.Eps}, &DDPM{Variance: how, FinalNoise: true}, grid, n, Options{Key: rng.Key{Seed: 7}})
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		return sum / (2 * n)
	}
	end := path.At(grid[9])
	se := math.Sqrt(2.0 / (2 * n)) // of a variance, relative
	if v := variance(1, FixedLarge); math.Abs(v-1) > 5*se {
		t.Errorf("N(0,1) with fixed_large: variance %.4f, want 1", v)
	}
	if v, want := variance(0, FixedSmall), end.Sigma*end.Sigma; math.Abs(v/want-1) > 5*se {
		t.Errorf("a point with fixed_small: variance %.5f, want %.5f", v, want)
	}
	if v := variance(1, FixedSmall); v > 1-10*se {
		t.Errorf("N(0,1) with fixed_small: variance %.4f, should fall short of 1", v)
	}
}

// Churn changes the path of a sample, not its distribution.
func TestChurnKeepsTheDistribution(t *testing.T) {
	const std, n = 0.5, 4000
	m := &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{0.3, 0.3}}, Stds: [][]float64{{std}}}
	path := diffusion.EDM{SigmaMax: 20}
	grid, err := (&KarrasGrid{Levels: Levels{SigmaMin: 0.01, SigmaMax: 20}, Rho: 7}).Times(path, 40)
	if err != nil {
		t.Fatal(err)
	}
	h := heun("sigma")
	h.Churn.Amount = 20
	o := &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.X0}
	plain, churned := sample(t, o, heun("sigma"), grid, n, Options{}), sample(t, o, h, grid, n, Options{Key: rng.Key{Seed: 3}})
	if math.Abs(plain[0]-churned[0]) < 1e-3 {
		t.Error("churn does nothing")
	}
	var sum, sum2 float64
	for _, v := range churned {
		sum += v / (2 * n)
		sum2 += v * v / (2 * n)
	}
	// Five standard errors, and 1 % of the deviation for the solver's own error at 40 steps.
	if math.Abs(sum-0.3) > 5*std/math.Sqrt(2*n)+0.01*std {
		t.Errorf("mean %.4f, want .3", sum)
	}
	if v := sum2 - sum*sum; math.Abs(v/(std*std)-1) > 5/math.Sqrt(n)+0.02 {
		t.Errorf("variance %.4f, want %.4f", v, std*std)
	}
	h.Churn.Min, h.Churn.Max = 30, 40 // levels that the grid does not have
	if !slices.Equal(sample(t, o, h, grid, 3, Options{}), sample(t, o, heun("sigma"), grid, 3, Options{})) {
		t.Error("churn outside of its interval")
	}
}

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
func (simple) Kind() diffusion.Kind           { return diffusion.Velocity }
func (simple) Eval(x *tensor.Tensor, _ diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Value: x.Scale(0.5), Kind: diffusion.Velocity}
}

// Memory does not grow with the number of steps, and a step allocates next to nothing.
func TestMemoryIsFlat(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	run := func(how Sampler, steps int) {
		s.Reset()
		grid, _ := (&UniformGrid{Shift: 1}).Times(diffusion.CondOT{}, steps)
		if _, err := Sample(context.Background(), s, simple{}, how, grid, s.Ones(16, 64), Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range Samplers {
		how := e.New()
		run(how, 20)
		held := s.MemoryHeld()
		run(how, 400)
		if got := s.MemoryHeld(); got != held {
			t.Errorf("%s: %d bytes held after 20 steps, %d after 400", e.Name, held, got)
		}
		few := testing.AllocsPerRun(3, func() { run(how, 20) })
		many := testing.AllocsPerRun(3, func() { run(how, 120) })
		if per := (many - few) / 100; per > 3 {
			t.Errorf("%s: %.1f allocations a step", e.Name, per)
		}
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
		"σ/α infinite":     {flow(diffusion.Velocity), euler("sigma"), good, Options{}, "alpha is 0"},
		"heun likewise":    {flow(diffusion.Velocity), heun("sigma"), good, Options{}, "alpha is 0"},
		"no variance":      {flow(diffusion.Velocity), &DDPM{Variance: Learned}, good, Options{}, "the model has none"},
		"clip":             {flow(diffusion.Velocity), &DDIM{}, good, Options{Clip: Clip{Range: -1}}, "range"},
		"stops early":      {flow(diffusion.Velocity), samplerFunc(func(r *Run) {}), good, Options{}, "stopped"},
	} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		out, err := Sample(context.Background(), s, c.m, c.how, c.grid, s.Ones(1, 2), c.o)
		if err == nil || out != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		s.Close()
	}
}

func TestRegistry(t *testing.T) {
	for _, e := range Samplers {
		if v, ok := e.New().(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				t.Errorf("the defaults of %s: %v", e.Name, err)
			}
		}
	}
	for _, e := range Grids {
		g := e.New()
		if e.Name == "times" {
			g.(*OwnGrid).List = []float64{1000, 500, 1, 0}
		}
		if v, ok := g.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				t.Errorf("the defaults of %s: %v", e.Name, err)
			}
		}
		times, err := g.Times(table(t), 3)
		if err != nil || len(times) != 4 || times[3] != 0 || CheckGrid(table(t), times) != nil {
			t.Errorf("%s: %v, %v", e.Name, times, err)
		}
		if e.Name == "table" || e.Name == "uniform" {
			if times[0] != 1000 {
				t.Errorf("%s starts at %g of 1000", e.Name, times[0])
			}
		}
	}
	if _, err := New(Samplers, "dimm"); err == nil || !strings.Contains(err.Error(), "ddim") {
		t.Errorf("an unknown name: %v", err)
	}
	for name, v := range map[string]interface{ Validate() error }{
		"eta": &DDIM{Eta: -1}, "variance": &DDPM{Variance: "big"}, "variable": &Euler{Integration{Variable: "lambda"}},
		"churn": &Heun{Integration{Variable: "time", Churn: Churn{Amount: 1}}}, "amount": &Churn{Amount: -1},
		"range": &Clip{Range: -1}, "quantile": &Clip{Quantile: 2}, "max": &Clip{Quantile: 0.9, Max: 0.5},
		"shift": &UniformGrid{}, "sigma_min": &Levels{}, "sigma_max": &Levels{SigmaMin: 1, SigmaMax: 0.5}, "rho": &KarrasGrid{Levels: Levels{1, 2}},
		"spacing": &TableGrid{Spacing: "even"}, "offset": &TableGrid{Spacing: Leading, Offset: -1}, "times": &OwnGrid{List: []float64{0, 1}},
	} {
		err := v.Validate()
		if f, ok := err.(interface{ ConfigField() string }); !ok || f.ConfigField() != name {
			t.Errorf("%T: error %v, want one about %s", v, err, name)
		}
	}
}

func TestGrids(t *testing.T) {
	for _, c := range []struct {
		spacing         string
		size, n, offset int
		want            string
	}{
		{Linspace, 1000, 7, 0, "[999 832.5 666 499.5 333 166.5 0]"},
		{Linspace, 1000, 1, 0, "[0]"},
		{Linspace, 5, 5, 0, "[4 3 2 1 0]"},
		{Leading, 1000, 4, 1, "[751 501 251 1]"},
		{Leading, 1000, 7, 0, "[852 710 568 426 284 142 0]"},
		{Trailing, 1000, 4, 0, "[999 749 499 249]"},
		{Trailing, 1000, 16, 0, "[999 937 874 811 749 687 624 561 499 437 374 311 249 187 124 61]"}, // halves to even
		{Trailing, 1000, 1, 0, "[999]"},
	} {
		got, err := Entries(c.spacing, c.size, c.n, c.offset)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s, %d of %d: %v, %v, want %s", c.spacing, c.n, c.size, got, err, c.want)
		}
	}
	for n := 1; n <= 1000; n++ { // where numpy's arange has one too many, 61 among them
		if e, err := Entries(Trailing, 1000, n, 0); err != nil || len(e) != n || e[n-1] < 0 {
			t.Fatalf("trailing with %d steps: %d entries, %v", n, len(e), err)
		}
	}
	for _, bad := range [][3]int{{10, 0, 0}, {10, 11, 0}, {10, 10, 1}, {10, -1, 0}} {
		if _, err := Entries(Leading, bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("no error for %v", bad)
		}
	}
	g, _ := (&UniformGrid{Shift: 3}).Times(diffusion.CondOT{}, 4)
	if want := []float64{1, 0.9, 0.75, 0.5, 0}; !slices.EqualFunc(g, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-15 }) {
		t.Errorf("shifted once by 3: %v, want %v", g, want)
	}
	// Karras et al. 2022: σ_0=80, σ_{n−1}=.002, then 0; the middle one by hand.
	k, _ := (&KarrasGrid{Levels: Levels{0.002, 80}, Rho: 7}).Times(diffusion.EDM{SigmaMax: 80}, 3)
	mid := math.Pow((math.Pow(80, 1.0/7)+math.Pow(0.002, 1.0/7))/2, 7)
	for i, want := range []float64{80, mid, 0.002, 0} {
		if math.Abs(k[i]-want) > 1e-13*want {
			t.Errorf("Karras level %d is %.15g, want %.15g", i, k[i], want)
		}
	}
	l, _ := (&LogSNRGrid{Levels{0.01, 100}}).Times(diffusion.Trig{}, 5)
	for i := range 5 {
		if got, want := diffusion.Trig.HalfLogSNR(diffusion.Trig{}, l[i]), math.Log(100)*(float64(i)/2-1); math.Abs(got-want) > 1e-12 {
			t.Errorf("half log-SNR %d is %g, want %g", i, got, want)
		}
	}
}

func TestDynamicThreshold(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Tensor([]float64{0.5, -4, 2, 1, 0.1, 0.2, -0.3, 0.4}, 2, 4)
	c := Clip{Quantile: 0.5, Max: 10}
	// |x| of the first sorted .5 1 2 4: median 1.5. The second stays below 1.
	want := []float64{0.5 / 1.5, -1, 1, 1 / 1.5, 0.1, 0.2, -0.3, 0.4}
	for i, got := range c.apply(x).Float64s() {
		if math.Abs(got-want[i]) > 1e-15 {
			t.Errorf("element %d is %g, want %g", i, got, want[i])
		}
	}
	c = Clip{Quantile: 1, Max: 3}
	if got := c.apply(x).Float64s(); got[1] != -1 || math.Abs(got[2]-2.0/3) > 1e-15 {
		t.Errorf("limited to 3: %v", got[:4])
	}
}
