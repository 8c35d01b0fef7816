package sampler

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// moments gives the exact mean and variance of what a sampler ends with from a
// start of given ones, without drawing anything: for Gaussian data the model is affine
// in the state, so the result is c + A·x + Σ b_i·z_i. A batch in which sample 0
// starts at 0 without noise, sample 1 at 1, and sample 2+i at 0 with noise i alone
// being 1, shows c, A and every b_i.
func moments(t testing.TB, m diffusion.Model, how Sampler, grid []float64, draws int, mean, variance float64) (float64, float64) {
	t.Helper()
	return momentsOf(t, m, how, grid, draws, mean, variance, func(i int, unit func(i int) []float64) []float64 { return unit(i) })
}

// momentsOf is moments with noise i made of unit ones.
func momentsOf(t testing.TB, m diffusion.Model, how Sampler, grid []float64, draws int, mean, variance float64, noise func(i int, unit func(i int) []float64) []float64) (float64, float64) {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	n := 2 + (len(grid)-1)*draws
	start := make([]float64, n)
	start[1] = 1
	out, err := Sample(context.Background(), s, m, how, grid, s.Tensor(start, n, 1), Options{Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
		return s.Tensor(noise(i, func(i int) []float64 {
			z := make([]float64, n)
			z[2+i] = 1
			return z
		}), n, 1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	x := out.Float64s()
	a, v := x[1]-x[0], 0.0
	for _, y := range x[2:] {
		v += (y - x[0]) * (y - x[0])
	}
	return x[0] + a*mean, a*a*variance + v
}

func gaussian(mean, std float64) *diffusion.Mixture {
	return &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{mean}}, Stds: [][]float64{{std}}}
}

// exact is the order of what has no error but rounding. With η=1 one step from
// x̂0 gives the posterior mean E[x_s|x_t], for Gaussian data that of the
// process itself; and x̂0 is the same all along the mean's way.
var exact = math.Inf(1)

// unchecked is the order of what is not looked at: short first steps make a
// third-order method's starts exact in the mean, and noise between them large; from
// published starts, of orders 1 and 2, the order falls to 2 only on very fine grids. With churn, Heun's own error of the variance
// hides what is left of the start's.
var unchecked = math.NaN()

// weakCase is a sampler and the orders of its mean and variance.
type weakCase struct {
	name       string
	path       diffusion.GaussianPath
	how        Sampler
	draws      int
	grid       func(n int) []float64
	eta        float64 // of the SDE that the offset's way is taken from
	mean, vari float64
	std        func(p diffusion.Point) float64 // ς(t), in place of eta, for an SDE of one's own noise
	least      int                             // steps to begin with

	each   func(n int) Sampler // in place of how: one for each number of steps
	lost   float64             // a further factor of the offset, of restarts
	lawful bool                // begun on the path's law, which exact steps would keep
}

// shrink is the factor of an offset of the mean from one point to another. Of x/α
// it goes along dx̃ = (1+η)(x̂0−x̃)dλ + √(2η)·(σ/α)·dW as
// ((s²+ℓ²)/(s²+ℓ0²))^{(1+η)/2} between noise levels ℓ0 and ℓ; with noise ς, by the ODE's
// factor times exp(−½∫ς²/V dt), V being the variance of x_t (by Simpson's rule).
func (c *weakCase) shrink(std float64, from, to diffusion.Point) float64 {
	f := to.Alpha / from.Alpha * math.Pow((std*std+to.NoiseLevel()*to.NoiseLevel())/(std*std+from.NoiseLevel()*from.NoiseLevel()), (1+c.eta)/2)
	if c.lost != 0 {
		f *= c.lost
	}
	if c.std == nil {
		return f
	}
	const n = 20000
	h, sum := (from.T-to.T)/n, 0.0
	for i := range n + 1 {
		p := c.path.At(to.T + float64(i)*h)
		w := float64(2 + 2*(i%2))
		if i == 0 || i == n {
			w = 1
		}
		sum += w * c.std(p) * c.std(p) / (p.Alpha*p.Alpha*std*std + p.Sigma*p.Sigma)
	}
	return f * math.Exp(-sum*h/6)
}

// inLevels has n steps, equal in the log-SNR, between two noise levels.
func inLevels(path diffusion.GaussianPath, hi, lo float64) func(n int) []float64 {
	return func(n int) []float64 {
		g := make([]float64, n+1)
		diffusion.Linspace(g, -math.Log(hi), -math.Log(lo))
		for i := range g {
			g[i] = path.Time(g[i])
		}
		return g
	}
}

// graded is inLevels after two steps as short as the square of the others, so that a
// third-order multistep method begins with starts that are as good as exact.
func graded(path diffusion.GaussianPath, hi, lo float64) func(n int) []float64 {
	return func(n int) []float64 {
		h := math.Log(hi/lo) / float64(n)
		g := []float64{path.Time(-math.Log(hi)), path.Time(-math.Log(hi) + h*h), path.Time(-math.Log(hi) + 2*h*h)}
		from := -math.Log(hi) + 2*h*h
		for i := 1; i <= n; i++ {
			g = append(g, path.Time(from+(-math.Log(lo)-from)*float64(i)/float64(n)))
		}
		return g
	}
}

func inTime(from, to float64) func(n int) []float64 {
	return func(n int) []float64 {
		g := make([]float64, n+1)
		diffusion.Linspace(g, from, to)
		return g
	}
}

func sdeMultistep(set func(m *DPMMultistepSDE)) *DPMMultistepSDE {
	m := new(DPMMultistepSDE)
	m.SetDefaults()
	set(m)
	return m
}

func weakCases(t testing.TB) []weakCase {
	row := func(name string, path diffusion.GaussianPath, how Sampler, draws int, grid func(n int) []float64, eta, mean, vari float64, std func(p diffusion.Point) float64, least int) weakCase {
		return weakCase{name: name, path: path, how: how, draws: draws, grid: grid, eta: eta, mean: mean, vari: vari, std: std, least: least}
	}
	vp, edm, condot := diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 80}, diffusion.CondOT{}
	order := func(n int) *DPMMultistepSDE { return sdeMultistep(func(m *DPMMultistepSDE) { m.Order = n }) }
	half := Ancestral{Eta: math.Sqrt(0.5), Noise: 1} // η=½ of the SDE
	euler, dpmpp := &EulerAncestral{Ancestral: half, Form: "level"}, &DPMppSDE{Ancestral: half, Ratio: 0.5}
	em := func(shape, measure string) *EulerMaruyama {
		return &EulerMaruyama{Shape: shape, Scale: 1, Measure: measure}
	}
	pc := func(predictor string) *PredictorCorrector {
		return &PredictorCorrector{Predictor: predictor, Corrector: None, SNR: 0.16, Steps: 1}
	}
	singleSDE := func(order int, solver string) *DPMSinglestepSDE {
		return &DPMSinglestepSDE{Order: order, Solver: solver, Third: ThirdExact, Eta: 1, Noise: 1}
	}
	churned := func(set func(c *Churn)) Churn {
		var c Churn
		c.SetDefaults()
		set(&c)
		return c
	}
	// Churn's noise of a step is S/n of the level, squared and twice: over n steps equal in ln σ that of an SDE.
	const churn, hi, lo = 8, 3, 0.5
	much := churned(func(c *Churn) { c.Amount = churn })
	churnStd := func(p diffusion.Point) float64 { return math.Sqrt(2 * churn * p.Sigma / math.Log(hi/lo)) }
	const std, low, high, times = 0.5, 0.7071067812, 2, 3
	restart := func(n int) Sampler {
		return &Restart{Intervals: []RestartInterval{{Min: low, Max: high, Times: times, Steps: n}}, Noise: 1}
	}
	restarted := math.Pow((std*std+0.5)/(std*std+high*high), 0.5*times)
	cases := []weakCase{
		{name: "euler, churn", path: edm, how: &Euler{Integration{Variable: "sigma", Churn: much}}, draws: 1, grid: inLevels(edm, hi, lo), mean: 1, vari: 1, std: churnStd, least: 32},
		{name: "heun, churn", path: edm, how: &Heun{Integration{Variable: "sigma", Churn: much}}, draws: 1, grid: inLevels(edm, hi, lo), mean: 1, vari: unchecked, std: churnStd, least: 32},
		{name: "heun, churn, from the path's law", path: edm, how: &Heun{Integration{Variable: "sigma", Churn: much}}, draws: 1, grid: inLevels(edm, hi, lo), mean: exact, vari: 2, std: churnStd, least: 32, lawful: true},
		{name: "restart", path: edm, each: restart, draws: times, grid: inLevels(edm, 10, 0.05), mean: 2, vari: 2, lost: restarted, least: 16},
	}
	return append([]weakCase{
		row("ddpm", vp, &DDPM{Variance: FixedSmall, FinalNoise: true}, 1, inTime(1, 0.2), 1, exact, 1, nil, 16),
		row("ddim, eta=1", vp, &DDIM{Eta: 1}, 1, inLevels(vp, 10, 0.05), 1, exact, 1, nil, 16),
		row("euler_ancestral", vp, entry(t, Samplers, "euler_ancestral"), 1, inLevels(vp, 10, 0.05), 1, exact, 1, nil, 16),
		row("euler_ancestral, eta=√½", vp, euler, 1, inLevels(vp, 10, 0.05), 0.5, 1, 1, nil, 16),
		row("euler_ancestral, eta=√½, EDM", edm, euler, 1, inLevels(edm, 10, 0.05), 0.5, 1, 1, nil, 16),
		row("euler_ancestral, flow", condot, entry(t, Samplers, "euler_ancestral"), 1, inTime(0.99, 0.05), 1, 1, 1, nil, 16),
		row("dpm2_ancestral", vp, entry(t, Samplers, "dpm2_ancestral"), 1, inLevels(vp, 1, 0.5), 1, 1, 1, nil, 16),
		row("dpmpp_sde", vp, entry(t, Samplers, "dpmpp_sde"), 2, inLevels(vp, 10, 0.05), 1, exact, 2, nil, 16),
		row("dpmpp_sde, eta=√½", vp, dpmpp, 2, inLevels(vp, 1, 0.2), 0.5, 1, 1, nil, 16),
		row("dpm_multistep_sde, order=1", vp, order(1), 1, inLevels(vp, 10, 0.05), 1, exact, 1, nil, 16),
		row("dpm_multistep_sde", vp, order(2), 1, inLevels(vp, 10, 0.05), 1, exact, 2, nil, 16),
		row("dpm_multistep_sde, heun", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Solver = "heun" }), 1, inLevels(vp, 10, 0.05), 1, exact, 2, nil, 16),
		row("dpm_multistep_sde, eta=½", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Eta = 0.5 }), 1, inLevels(vp, 10, 0.05), 0.5, 2, 2, nil, 16),
		row("dpm_multistep_sde, eta=0", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Eta = 0 }), 1, inLevels(vp, 10, 0.05), 0, 2, 2, nil, 16),
		row("dpm_multistep_sde, noise", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Predict = OfNoise }), 1, inLevels(vp, 10, 0.05), 1, 2, 2, nil, 16),
		row("dpm_multistep_sde, order=3, eta=½", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Order, m.Eta = 3, 0.5 }), 1, inLevels(vp, 10, 0.05), 0.5, unchecked, 2, nil, 32),
		row("dpm_multistep_sde, order=3, eta=½, exact starts", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Order, m.Eta = 3, 0.5 }), 1, graded(vp, 10, 0.05), 0.5, 3, unchecked, nil, 32),
		row("dpm_multistep_sde, order=3, eta=½, published, exact starts", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Order, m.Eta, m.Third = 3, 0.5, ThirdPublished }), 1, graded(vp, 10, 0.05), 0.5, 2, unchecked, nil, 32),
		row("dpm_multistep_sde, order=3, eta=½, diffusers", vp, sdeMultistep(func(m *DPMMultistepSDE) { m.Order, m.Eta, m.Third = 3, 0.5, ThirdDiffusers }), 1, inLevels(vp, 10, 0.05), 0.5, 1, 1, nil, 16),
		row("dpm_singlestep_sde", vp, singleSDE(2, Midpoint), 1, inLevels(vp, 10, 0.05), 1, exact, 1, nil, 32),
		row("dpm_singlestep_sde, heun", vp, singleSDE(2, HeunType), 1, inLevels(vp, 10, 0.05), 1, exact, 1, nil, 32),
		row("dpm_singlestep_sde, order=3, heun", vp, singleSDE(3, HeunType), 1, func(n int) []float64 { return inLevels(vp, 10, 0.05)(3 * n) }, 1, exact, 1, nil, 16),
		row("euler_maruyama, reverse", vp, em(NoiseReverse, "std"), 1, inTime(1, 0.2), 1, 1, 1, nil, 16),
		row("euler_maruyama, reverse, EDM", edm, em(NoiseReverse, "std"), 1, inTime(5, 0.5), 1, 1, 1, nil, 32),
		row("euler_maruyama, proportional, CondOT", condot, em(NoiseProportional, "std"), 1, inTime(0.9, 0.1), 0, 1, 1, func(p diffusion.Point) float64 { return p.Sigma }, 16),
		row("euler_maruyama, sin, CondOT", condot, em(NoiseSin, "std"), 1, inTime(0.9, 0.1), 0, 1, 1, func(p diffusion.Point) float64 { return math.Sin(math.Pi * p.T) }, 16),
		row("euler_maruyama, epsilon=sigma, CondOT", condot, em(NoiseProportional, "epsilon"), 1, inTime(0.9, 0.1), 0, 1, 1, func(p diffusion.Point) float64 { return math.Sqrt(2 * p.Sigma) }, 16),
		row("euler_maruyama, constant, CondOT", condot, em(NoiseConstant, "std"), 1, inTime(0.9, 0.3), 0, 1, 1, func(diffusion.Point) float64 { return 1 }, 16),
		row("predictor reverse_diffusion", vp, pc(PredictReverseDiffusion), 1, inTime(1, 0.2), 1, 1, 1, nil, 16),
		row("predictor euler_maruyama", vp, pc(PredictEulerMaruyama), 1, inTime(1, 0.2), 1, 1, 1, nil, 16),
		row("predictor ancestral", vp, pc(PredictAncestral), 1, inTime(1, 0.2), 1, exact, 1, nil, 16),
	}, cases...)
}

// The errors of mean and variance fall with the number of steps as theory has it.
// They are exact: nothing is drawn. The start is off the path's law, in mean and in
// variance, so that there is something to be got wrong: an offset of the mean shrinks
// by a known factor, and one of the variance by its square.
func TestWeakOrders(t *testing.T) {
	const mu, std = 0.7, 0.5
	rows := "| sampler | mean | variance |\n|---|---|---|\n"
	for _, c := range weakCases(t) {
		o := &diffusion.Oracle{Of: gaussian(mu, std), Along: c.path, Predicts: diffusion.X0}
		var means, vars []float64
		for n := c.least; n <= 16*c.least; n *= 2 { // four doublings
			grid := c.grid(n)
			from, to := c.path.At(grid[0]), c.path.At(grid[len(grid)-1])
			if from.Alpha == 0 {
				o.Predicts = diffusion.Velocity
			}
			law := func(p diffusion.Point) float64 { return p.Alpha*p.Alpha*std*std + p.Sigma*p.Sigma }
			shrink := c.shrink(std, from, to)
			offset, excess := 0.5*from.Sigma, 0.5*law(from)
			if c.lawful {
				offset, excess = 0, 0
			}
			how := c.how
			if c.each != nil {
				how = c.each(n)
			}
			m, v := moments(t, o, how, grid, c.draws, from.Alpha*mu+offset, law(from)+excess)
			means = append(means, math.Log2(math.Abs(m-to.Alpha*mu-shrink*offset)))
			vars = append(vars, math.Log2(math.Abs(v-law(to)-shrink*shrink*excess)))
		}
		slope := func(e []float64) float64 { return (e[0] - e[4]) / 4 }
		entry := func(order float64, e []float64) string {
			switch {
			case order == exact:
				return "exact"
			case math.IsNaN(order):
				return "–"
			}
			return fmt.Sprintf("%.2f", slope(e))
		}
		rows += fmt.Sprintf("| `%s` | %s | %s |\n", c.name, entry(c.mean, means), entry(c.vari, vars))
		if c.mean == exact {
			if slices.Max(means) > -40 {
				t.Errorf("%s: log₂ errors %.2f of the mean, which should be exact", c.name, means)
			}
		} else if s := slope(means); math.Abs(s-c.mean) > 0.15 {
			t.Errorf("%s: order %.3f of the mean, want %g (log₂ errors %.2f)", c.name, s, c.mean, means)
		}
		if s := slope(vars); math.Abs(s-c.vari) > 0.15 {
			t.Errorf("%s: order %.3f of the variance, want %g (log₂ errors %.2f)", c.name, s, c.vari, vars)
		}
	}
	checkTable(t, "weak orders", rows)
}

// dpmpp_sde's order 2 of the variance is due to its nested noises: given such that
// those over half of the step and all of it are independent, it has order 1.
func TestNestedNoiseMatters(t *testing.T) {
	const mu, std = 0.7, 0.5
	path := diffusion.EDM{SigmaMax: 80}
	o := &diffusion.Oracle{Of: gaussian(mu, std), Along: path, Predicts: diffusion.X0}
	grids := inLevels(path, 10, 0.05)
	var logs []float64
	for n := 16; n <= 256; n *= 2 {
		_, v := momentsOf(t, o, entry(t, Samplers, "dpmpp_sde"), grids(n), 2, mu, std*std+100, func(i int, unit func(i int) []float64) []float64 {
			z := unit(i)
			if i%2 == 1 { // whole = (first + z)/√2 is to be the unit noise i
				for j, first := range unit(i - 1) {
					z[j] = math.Sqrt2*z[j] - first
				}
			}
			return z
		})
		logs = append(logs, math.Log2(math.Abs(v-std*std-0.0025)))
	}
	if slope := (logs[0] - logs[4]) / 4; math.Abs(slope-1) > 0.15 {
		t.Errorf("order %.3f, want 1 (log₂ errors %.2f)", slope, logs)
	}
}

var writeTables = flag.Bool("weak-orders", false, "write the measured weak orders into the documentation")

// checkTable compares a table in docs/samplers-stochastic.md, between comments that
// name it, with what was measured, or with -weak-orders puts it there.
func checkTable(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join("..", "..", "docs", "samplers-stochastic.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(string(data), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table %q", file, name)
	}
	if *writeTables {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	number := regexp.MustCompile(`\d+\.\d+`)
	same := number.ReplaceAllString(got, "#") == number.ReplaceAllString(want, "#")
	a, b := number.FindAllString(got, -1), number.FindAllString(want, -1)
	for i := range a {
		x, _ := strconv.ParseFloat(a[i], 64)
		y, _ := strconv.ParseFloat(b[min(i, len(b)-1)], 64)
		same = same && math.Abs(x-y) < 0.015 // one unit of the last digit
	}
	if !same {
		t.Errorf("the table %q in %s is not what was measured: go test ./diffusion/sampler -run WeakOrders -weak-orders\n%s", name, file, want)
	}
}
