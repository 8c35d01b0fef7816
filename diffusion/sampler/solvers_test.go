package sampler

import (
	"context"
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
	for _, variable := range []string{"time", "sigma"} {
		add("`euler`, "+variable, euler(variable), 1, 0)
		add("`heun`, "+variable, heun(variable), 2, 0)
	}
	for _, t := range tableaus {
		for _, variable := range []string{"time", "sigma", "lambda"} {
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
	for order := 1; order <= maxNodes; order++ {
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
	much(t)
	const hi, lo = 5, 0.2
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Normal(rng.Key{Seed: 1}, 0, 6, 2).Float64s()
	known := map[float64][]float64{}
	// The truth is the classical method's, extrapolated, in steps of at most 1/1024 of the way: its error is that of 1/1024 to
	// the fifth; Dormand and Prince's method agrees below.
	exact := func(at float64) []float64 {
		if known[at] == nil {
			level := path.At(at).NoiseLevel()
			n := int(math.Ceil(512 * math.Log(hi/level) / math.Log(float64(hi)/lo)))
			fine := solve(t, o, rk("rk4", "lambda"), levels(path, hi, level, 2*n), x, 0, nil)
			for i, coarse := range solve(t, o, rk("rk4", "lambda"), levels(path, hi, level, n), x, 0, nil) {
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

// The step to σ=0 is apart from the orders: it is one, α·x̂0 in σ and λ or Euler's in time, and its error is of the second order in the
// noise level that it leaves; of the third in time on a path whose time is as σ² near the data. States before it and the truth are the classical method's;
// the truth's own last step leaves 1/200 of the least level.
func TestLastStep(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	const first, doublings = 0.1, 4
	for _, path := range []diffusion.GaussianPath{diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.CondOT{}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
		x := s.Normal(rng.Key{Seed: 1}, 0, 6, 2).Float64s()
		along := func(x []float64, from, to float64, steps int) []float64 {
			return solve(t, o, rk("rk4", "lambda"), levels(path, from, to, steps), x, 0, nil)
		}
		states := [][]float64{along(x, 0.2, first, 64)}
		for k := range doublings {
			states = append(states, along(states[k], math.Ldexp(first, -k), math.Ldexp(first, -k-1), 64))
		}
		least := math.Ldexp(first, -doublings)
		near := along(states[doublings], least, least/200, 256)
		truth := solve(t, o, &DDIM{}, []float64{levels(path, least, least/200, 1)[1], 0}, near, 0, nil)
		for name, how := range map[string]Sampler{
			"ddim": &DDIM{}, "heun, sigma": heun("sigma"), "rk4, lambda": rk("rk4", "lambda"), "euler, time": euler("time"), "heun, time": heun("time"),
			"dpm_multistep": multistep(DPMSolverPP, 2, Midpoint, Exact), "dpm_singlestep": singlestep(DPMSolver, 3, HeunType), "unipc": unipc(2, DPMSolverPP, BH2, true),
			"deis": &DEIS{Order: 2}, "lms": &LMS{Order: 2}, "dpm2": &DPM2{},
		} {
			off := func(k int) float64 {
				return distance(solve(t, o, how, []float64{levels(path, 0.2, math.Ldexp(first, -k), 1)[1], 0}, states[k], 0, nil), truth)
			}
			want := 2.
			if _, vp := path.(diffusion.VP); vp && strings.HasSuffix(name, "time") {
				want = 3
			}
			if order := math.Log2(off(0)/off(doublings)) / doublings; math.Abs(order-want) > 0.15 {
				t.Errorf("%s on %T: order %.2f in the last noise level, want %g", name, path, order, want)
			}
		}
	}
}
