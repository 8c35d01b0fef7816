package sampler

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// solve runs from the state x at grid[0]. The results of the first steps are
// replaced with exact(their times), so that a multistep method starts from true values.
func solve(t testing.TB, m diffusion.Model, how Sampler, grid, x []float64, starts int, exact func(at float64) []float64) []float64 {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	var run *Run
	watched := samplerFunc(func(r *Run) { run = r; how.Sample(r) })
	out, err := Sample(context.Background(), s, m, watched, grid, s.Tensor(x, len(x)/2, 2), Options{
		Progress: func(i, _ int, _ *tensor.Tensor) {
			if i < starts {
				run.X = run.s.Tensor(exact(grid[i+1]), len(x)/2, 2)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Float64s()
}

// levels are times with equal steps in the log-SNR, from noise level hi to lo.
func levels(path diffusion.GaussianPath, hi, lo float64, n int) []float64 {
	g := make([]float64, n+1)
	diffusion.Linspace(g, -math.Log(hi), -math.Log(lo))
	for i := range g {
		g[i] = path.Time(g[i])
	}
	return g
}

func multistep(algorithm string, order int, kind, third string) *DPMMultistep {
	return &DPMMultistep{DPM: DPM{algorithm, order, kind}, Third: third}
}

func singlestep(algorithm string, order int, kind string) *DPMSinglestep {
	return &DPMSinglestep{DPM: DPM{algorithm, order, kind}}
}

func unipc(order int, algorithm, b string, corrector bool) *UniPC {
	u := &UniPC{Order: order, Algorithm: algorithm, B: b, Corrector: corrector}
	for i := range order { // where the starts are exact, they are not corrected
		u.NoCorrector = append(u.NoCorrector, i)
	}
	return u
}

// asRun is the sampler with its own starts.
func asRun(how Sampler) Sampler {
	if u, ok := how.(*UniPC); ok {
		v := *u
		v.NoCorrector = nil
		return &v
	}
	return how
}

func rk(method, variable string) *RungeKutta {
	return &RungeKutta{Coordinate: Coordinate{variable}, Method: method}
}

// solverCase is a sampler and the order of convergence that its theory names.
type solverCase struct {
	name   string
	how    Sampler
	order  float64
	starts int // steps from true values
}

func solverCases() []solverCase {
	var out []solverCase
	add := func(name string, how Sampler, order, starts int) {
		out = append(out, solverCase{name, how, float64(order), starts})
	}
	add("`ddim`", &DDIM{}, 1, 0)
	add("`euler`, sigma", euler("sigma"), 1, 0)
	add("`heun`, sigma", heun("sigma"), 2, 0)
	for _, t := range tableaus {
		for _, variable := range []string{"sigma", "lambda"} {
			add("`runge_kutta` "+t.name+", "+variable, rk(t.name, variable), t.Tableau.Order(), 0)
		}
	}
	for _, algorithm := range []string{DPMSolverPP, DPMSolver} {
		for order := 1; order <= 3; order++ {
			for _, kind := range []string{Midpoint, HeunType} {
				name := fmt.Sprintf("%s, order %d, %s", algorithm, order, kind)
				if order == 1 && kind == HeunType {
					continue // the same
				}
				if order < 3 || kind == HeunType {
					add("`dpm_multistep` "+strings.TrimSuffix(name, map[bool]string{true: ", heun"}[order == 3]), multistep(algorithm, order, kind, Exact), order, order-1)
				}
				add("`dpm_singlestep` "+name, singlestep(algorithm, order, kind), order, 0)
			}
		}
		add("`dpm_multistep` "+algorithm+", order 3, published", multistep(algorithm, 3, Midpoint, Published), 2, 2)
		for order := 1; order <= 3; order++ {
			for _, b := range []string{BH1, BH2} {
				if b == BH2 || order < 3 { // B(h) has no part in order 3
					add(fmt.Sprintf("`unipc` %s, order %d, %s", algorithm, order, b), unipc(order, algorithm, b, true), order+1, order)
				}
			}
			add(fmt.Sprintf("`unipc` %s, order %d, no corrector", algorithm, order), unipc(order, algorithm, BH2, false), order, order)
		}
	}
	for order := 1; order <= 3; order++ {
		add(fmt.Sprintf("`deis` order %d", order), &DEIS{Order: order}, order, order-1)
	}
	for order := 1; order <= 4; order++ {
		add(fmt.Sprintf("`lms` order %d", order), &LMS{Order: order}, order, order-1)
	}
	add("`dpm2`", &DPM2{}, 2, 0)
	return out
}

var update = flag.Bool("update", false, "write the table of docs/samplers.md")

// TestSolverOrders measures the order of every deterministic solver: the slope of ln
// error over ln of the number of steps, over four doublings, on grids with equal steps
// in the log-SNR that end above σ=0. A multistep method is measured from true
// starts, which must give the named order, and as it runs, where its first steps of
// lower order may spoil it. docs/samplers.md has the same numbers.
func TestSolverOrders(t *testing.T) {
	const hi, lo = 5, 0.2
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Normal(rng.Key{Seed: 1}, 0, 6, 2).Float64s()
	known := map[float64][]float64{}
	// The truth is the classical method's, extrapolated: its error is that of 1/1024 to
	// the fifth; Dormand and Prince's method agrees below.
	exact := func(at float64) []float64 {
		if known[at] == nil {
			level := path.At(at).NoiseLevel()
			fine := solve(t, o, rk("rk4", "lambda"), levels(path, hi, level, 1024), x, 0, nil)
			for i, coarse := range solve(t, o, rk("rk4", "lambda"), levels(path, hi, level, 512), x, 0, nil) {
				fine[i] += (fine[i] - coarse) / 15
			}
			known[at] = fine
		}
		return known[at]
	}
	end := levels(path, hi, lo, 1)[1]
	truth := exact(end)
	d := new(Dopri5)
	d.SetDefaults()
	d.RTol, d.ATol = 1e-13, 1e-13
	for i, v := range solve(t, o, d, levels(path, hi, lo, 1), x, 0, nil) {
		if math.Abs(v-truth[i]) > 1e-11 {
			t.Fatalf("the two truths are %.14g and %.14g", truth[i], v)
		}
	}
	slope := func(how Sampler, starts int, order float64, multistep bool) float64 {
		var logs [5]float64
		first := 24
		if order > 3 && multistep { // the next term is small later only
			first = 96
		}
		for k := range logs {
			e := 0.0
			for i, v := range solve(t, o, how, levels(path, hi, lo, first<<k), x, starts, exact) {
				e += math.Abs(v - truth[i])
			}
			logs[k] = math.Log2(e)
		}
		if floor := math.Log2(1e-12); logs[4] < floor {
			t.Errorf("%T: an error of 2^%.1f is no more than rounding", how, logs[4])
		}
		return (logs[0] - logs[4]) / 4
	}
	table := [][3]string{}
	for _, c := range solverCases() {
		got := slope(c.how, c.starts, c.order, c.starts > 0)
		own := got
		if c.starts > 0 {
			own = slope(asRun(c.how), 0, c.order, true)
		}
		if math.Abs(got-c.order) > 0.15 {
			t.Errorf("%s: order %.3f, want %g", c.name, got, c.order)
		}
		table = append(table, [3]string{c.name, fmt.Sprintf("%g | %.2f", c.order, got), fmt.Sprintf("%.2f", own)})
	}
	compareDocs(t, table)
}

// compareDocs holds the table in docs/samplers.md to what was measured, or writes it.
func compareDocs(t *testing.T, table [][3]string) {
	file := filepath.Join("..", "..", "docs", "samplers.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const open, end = "<!-- orders -->\n", "<!-- end of orders -->"
	before, rest, ok := strings.Cut(string(text), open)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	var b strings.Builder
	b.WriteString("| sampler | order | measured from true starts | as it runs |\n|---|---|---|---|\n")
	for _, row := range table {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row[0], row[1], row[2])
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+open+b.String()+end+after), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	// Another machine's exponentials may differ in the last digit: so may a slope.
	number := regexp.MustCompile(`\d+\.\d\d`)
	if number.ReplaceAllString(old, "") != number.ReplaceAllString(b.String(), "") {
		t.Fatalf("%s lists other samplers; go test ./diffusion/sampler -run TestSolverOrders -update", file)
	}
	was, is := number.FindAllString(old, -1), number.FindAllString(b.String(), -1)
	for i := range is {
		p, _ := strconv.ParseFloat(was[i], 64)
		q, _ := strconv.ParseFloat(is[i], 64)
		if math.Abs(p-q) > 0.03 {
			t.Errorf("%s has the slope %s where %s is measured; go test ./diffusion/sampler -run TestSolverOrders -update", file, was[i], is[i])
		}
	}
}

// In time, on straight and circular paths.
func TestRungeKuttaInTime(t *testing.T) {
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.Velocity}
		grid := func(n int) []float64 {
			g := make([]float64, n+1)
			diffusion.Linspace(g, 1, 0.3)
			return g
		}
		x := sample(t, o, rk("rk4", "time"), []float64{1, 1}, 4, Options{})
		fine := solve(t, o, rk("rk4", "time"), grid(1024), x, 0, nil)
		for i, coarse := range solve(t, o, rk("rk4", "time"), grid(512), x, 0, nil) {
			fine[i] += (fine[i] - coarse) / 15
		}
		for _, method := range tableaus {
			var logs [5]float64
			for k := range logs {
				e := 0.0
				for i, v := range solve(t, o, rk(method.name, "time"), grid(40<<k), x, 0, nil) {
					e += math.Abs(v - fine[i])
				}
				logs[k] = math.Log2(e)
			}
			if got, want := (logs[0]-logs[4])/4, float64(method.Order()); math.Abs(got-want) > 0.15 {
				t.Errorf("%s on %T: order %.3f, want %g (log₂ errors %.2f)", method.name, path, got, want, logs)
			}
		}
	}
}

// Butcher's conditions give the order in the books.
func TestTableauOrder(t *testing.T) {
	want := map[string]int{"midpoint": 2, "heun2": 2, "ralston": 2, "heun3": 3, "kutta3": 3, "rk4": 4, "three_eighths": 4}
	for _, method := range tableaus {
		if err := method.Validate(); err != nil {
			t.Errorf("%s: %v", method.name, err)
		}
		if got := method.Order(); got != want[method.name] {
			t.Errorf("%s: order %d, want %d", method.name, got, want[method.name])
		}
	}
	last := len(dopri.a) - 1
	full := Tableau{A: dopri.a[:last], B: dopri.a[last], C: dopri.c[:last]}
	if err := full.Validate(); err != nil || full.Order() != 4 { // 4 or more
		t.Errorf("Dormand and Prince: order %d, %v", full.Order(), err)
	}
	// The embedded solution is of order 4, so that the error estimate is not 0, and sums to 0.
	low := Tableau{A: dopri.a[:], B: make([]float64, 7), C: dopri.c[:]}
	for i := range low.B {
		low.B[i] = -dopri.e[i]
		if i < last {
			low.B[i] += dopri.a[last][i]
		}
	}
	if err := low.Validate(); err != nil || low.Order() != 4 {
		t.Errorf("the embedded method: order %d, %v", low.Order(), err)
	}
}

// One's own tableau is the method that it describes, and a wrong one is refused by field.
func TestOwnTableau(t *testing.T) {
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.EDM{SigmaMax: 5}, Predicts: diffusion.X0}
	named, _ := NamedTableau("kutta3")
	own := &RungeKutta{Coordinate: Coordinate{"sigma"}, Method: "own", Tableau: named}
	grid := []float64{5, 2, 1, 0.5, 0}
	a, b := sample(t, o, own, grid, 3, Options{}), sample(t, o, rk("kutta3", "sigma"), grid, 3, Options{})
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("own gives %v, named %v", a, b)
		}
	}
	half := func() Tableau {
		return Tableau{A: [][]float64{{}, {0.5}}, B: []float64{0, 1}, C: []float64{0, 0.5}}
	}
	for name, c := range map[string]struct {
		change func(k *RungeKutta)
		field  string
	}{
		"weights":    {func(k *RungeKutta) { k.Tableau.B[1] = 0.9 }, "b"},
		"row":        {func(k *RungeKutta) { k.Tableau.A[1][0] = 0.4 }, "c"},
		"implicit":   {func(k *RungeKutta) { k.Tableau.A[1] = []float64{0.25, 0.25} }, "a"},
		"rows":       {func(k *RungeKutta) { k.Tableau.A = k.Tableau.A[:1] }, "a"},
		"nodes":      {func(k *RungeKutta) { k.Tableau.C = nil }, "c"},
		"no weights": {func(k *RungeKutta) { k.Tableau.B = nil }, "b"},
		"outside":    {func(k *RungeKutta) { k.Tableau.A[1][0], k.Tableau.C[1] = 1.5, 1.5 }, "c"},
		"NaN":        {func(k *RungeKutta) { k.Tableau.B[0] = math.NaN() }, "b"},
		"none":       {func(k *RungeKutta) { k.Tableau = Tableau{} }, "tableau"},
		"not own":    {func(k *RungeKutta) { k.Method = "rk4" }, "tableau"},
		"unknown":    {func(k *RungeKutta) { k.Method, k.Tableau = "rk5", Tableau{} }, "method"},
		"variable":   {func(k *RungeKutta) { k.Variable = "t" }, "variable"},
	} {
		k := &RungeKutta{Coordinate: Coordinate{"path"}, Method: "own", Tableau: half()}
		if err := k.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(k)
		err := k.Validate()
		if f, ok := err.(interface{ ConfigField() string }); !ok || f.ConfigField() != c.field {
			t.Errorf("%s: error %v, want one about %s", name, err, c.field)
		}
	}
}

// The adaptive solver's error follows its tolerance, in every variable, with a
// number of evaluations that grows as that of a method of order 5.
func TestDopri5(t *testing.T) {
	vp := diffusion.VP{Beta0: 0.1, Beta1: 20}
	for _, c := range []struct {
		variable string
		path     diffusion.GaussianPath
		grid     []float64
	}{
		{"sigma", vp, []float64{0.9, 0.05}},
		{"lambda", vp, []float64{0.9, 0.05}},
		{"path", vp, []float64{0.9, 0.05}},
		{"time", diffusion.CondOT{}, []float64{1, 0.02}},
		{"lambda", diffusion.CondOT{}, []float64{0.98, 0.02}},
		{"sigma", diffusion.EDM{SigmaMax: 80}, []float64{80, 0.02}},
	} {
		o := &diffusion.Oracle{Of: testMixture(), Along: c.path, Predicts: diffusion.Velocity}
		run := func(tol float64, grid []float64) ([]float64, Count) {
			d := new(Dopri5)
			d.SetDefaults()
			d.Variable, d.RTol, d.ATol = c.variable, tol, tol
			var n Count
			return sample(t, o, d, grid, 5, Options{Count: &n}), n
		}
		truth, _ := run(1e-13, c.grid)
		var before Count
		for _, tol := range []float64{1e-3, 1e-5, 1e-7, 1e-9} {
			got, n := run(tol, c.grid)
			worst := 0.0
			for i := range got {
				worst = max(worst, math.Abs(got[i]-truth[i]))
			}
			// The error of a step is kept to tol·(1+|x|); fewer than 200 steps add up, and
			// the flow to the data contracts them or stretches them by less than 10 between modes.
			if worst > 2000*tol {
				t.Errorf("%s on %T, tolerance %g: off by %g", c.variable, c.path, tol, worst)
			}
			// Order 5: a hundredth of the error takes 100^(1/5) = 2.5 times the steps.
			if before.Evaluations > 100 && n.Evaluations > 4*before.Evaluations {
				t.Errorf("%s on %T: %d evaluations for %g, %d for a hundred times that", c.variable, c.path, n.Evaluations, tol, before.Evaluations)
			}
			before = n
			if again, m := run(tol, []float64{c.grid[0], (c.grid[0] + c.grid[1]) / 2, c.grid[1]}); again[0] != got[0] || m != n {
				t.Errorf("%s on %T: inner times of the grid change the result", c.variable, c.path)
			}
		}
	}
}

// wall is a model whose velocity is infinite at ½.
type wall struct{ diffusion.CondOT }

func (m wall) Path() diffusion.GaussianPath { return m.CondOT }
func (wall) Kind() diffusion.Kind           { return diffusion.Velocity }
func (wall) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	n := x.Dim(0)
	v := x.Scope().TensorOf(func(i int) float64 { return 1 / math.Pow(at.At(i)-0.5, 2) }, n, 1)
	return diffusion.Pred{Value: x.Scale(0).Add(v), Kind: diffusion.Velocity}
}

func TestDopri5Ends(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	d := new(Dopri5)
	d.SetDefaults()
	run := func(m diffusion.Model, grid []float64, o Options) error {
		s.Reset()
		_, err := Sample(context.Background(), s, m, d, grid, s.Ones(2, 2), o)
		return err
	}
	if err := run(wall{}, []float64{1, 0}, Options{}); err == nil || !strings.Contains(err.Error(), "too small at time 0.5") {
		t.Errorf("a singular velocity: %v", err)
	}
	flow := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	d.RTol, d.ATol, d.Attempts = 1e-8, 1e-8, 3
	if err := run(flow, []float64{1, 0}, Options{}); err == nil || !strings.Contains(err.Error(), "after 3 steps") {
		t.Errorf("too few attempts: %v", err)
	}
	d.Attempts = 1000
	// Progress names the grid's interval, rises, and ends with the last.
	last, calls := 0, 0
	if err := run(flow, []float64{1, 0.7, 0.4, 0.2, 0}, Options{Progress: func(i, n int, data *tensor.Tensor) {
		if i < last || n != 4 || data == nil {
			t.Errorf("progress %d of %d after %d", i, n, last)
		}
		last = i
		calls++
	}}); err != nil || last != 3 || calls < 6 {
		t.Errorf("%d calls, the last for interval %d, %v", calls, last, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls = 0
	s.Reset()
	_, err := Sample(ctx, s, flow, d, []float64{1, 0}, s.Ones(2, 2), Options{Progress: func(int, int, *tensor.Tensor) {
		if calls++; calls == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || calls != 2 {
		t.Errorf("cancelled after 2 steps: %d calls, %v", calls, err)
	}
	d.Variable = "sigma"
	if err := run(flow, []float64{1, 0}, Options{}); err == nil || !strings.Contains(err.Error(), "alpha is 0") {
		t.Errorf("in sigma from alpha=0: %v", err)
	}
	d.Variable = "time"
	if err := run(flow, []float64{0.001, 0}, Options{}); err != nil { // below Final: one step
		t.Error(err)
	}
	for field, change := range map[string]func(d *Dopri5){
		"rtol": func(d *Dopri5) { d.RTol, d.ATol = 0, 0 }, "atol": func(d *Dopri5) { d.ATol = -1 },
		"final": func(d *Dopri5) { d.Final = 0 }, "attempts": func(d *Dopri5) { d.Attempts = 0 }, "variable": func(d *Dopri5) { d.Variable = "" },
	} {
		bad := *d
		change(&bad)
		if f, ok := bad.Validate().(interface{ ConfigField() string }); !ok || f.ConfigField() != field {
			t.Errorf("%s: %v", field, bad.Validate())
		}
	}
}
