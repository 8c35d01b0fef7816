package sampler

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// variants are all samplers of the registry with their defaults, so that a new one is
// among them, and others with the options that change what they compute.
func variants(t testing.TB) map[string]Sampler {
	churned := heun("sigma")
	churned.Churn.Amount = 5
	out := map[string]Sampler{
		"ddim η=.7": &DDIM{Eta: 0.7}, "ddim rederived": &DDIM{Rederive: true}, "ddpm large": &DDPM{Variance: FixedLarge},
		"euler time": euler("time"), "heun time": heun("time"), "euler sigma": euler("sigma"), "heun sigma": heun("sigma"), "heun churn": churned,
	}
	for _, e := range Samplers {
		out[e.Name] = e.New()
	}
	for _, variable := range []string{"time", "sigma", "lambda"} {
		out["three_eighths "+variable] = rk("three_eighths", variable)
		d := new(Dopri5)
		d.SetDefaults()
		d.Variable = variable
		out["dopri5 "+variable] = d
	}
	for _, algorithm := range []string{DPMSolver, DPMSolverPP} {
		for order := 1; order <= 3; order++ {
			for _, kind := range []string{Midpoint, HeunType} {
				out[fmt.Sprintf("multistep %s %d %s", algorithm, order, kind)] = multistep(algorithm, order, kind, Published)
				out[fmt.Sprintf("singlestep %s %d %s", algorithm, order, kind)] = singlestep(algorithm, order, kind)
			}
			u := unipc(order, algorithm, BH1, true)
			u.NoCorrector = nil
			out[fmt.Sprintf("unipc %s %d", algorithm, order)] = u
		}
	}
	return out
}

// inLogSNR reports that a sampler sees of a path its noise levels alone.
func inLogSNR(how Sampler) bool {
	switch how := how.(type) {
	case *DPMMultistep, *DPMSinglestep, *UniPC, *DEIS, *LMS, *DPM2:
		return true
	case *DDIM:
		return how.Eta == 0
	case *RungeKutta:
		return how.Variable == "sigma" || how.Variable == "lambda"
	case *Dopri5:
		return how.Variable == "sigma" || how.Variable == "lambda"
	case *Euler:
		return how.Variable == "sigma"
	case *Heun:
		return how.Variable == "sigma" && how.Churn.Amount == 0
	}
	return false
}

// From states of the same x/α, on grids of the same noise levels, the solvers in
// the log-SNR make the same samples on every path.
// (own is a path of the user's, in no way special.)
func TestPathsAgree(t *testing.T) {
	compared := 0
	for name, how := range variants(t) {
		if !inLogSNR(how) {
			continue
		}
		compared++
		var first []float64
		for _, path := range []diffusion.GaussianPath{
			diffusion.EDM{SigmaMax: 80}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.CondOT{}, diffusion.Trig{}, diffusion.VE{SigmaMin: 0.01, SigmaMax: 50}, diffusion.Cosine{Shift: 0.008},
			diffusion.SubVP{VP: diffusion.VP{Beta0: 0.1, Beta1: 20}}, own{},
		} {
			grid := append(levels(path, 8, 0.05, 12), 0)
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
			x := s.Normal(rng.Key{Seed: 4}, 0, 3, 2).Scale(path.At(grid[0]).Sigma)
			o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
			out, err := Sample(context.Background(), s, o, how, grid, x, Options{})
			if err != nil {
				t.Fatalf("%s on %T: %v", name, path, err)
			}
			got := out.Float64s()
			s.Close()
			if first == nil {
				first = got
			}
			for i := range got {
				if !(math.Abs(got[i]-first[i]) <= 1e-10) {
					t.Errorf("%s on %T: %.15g, on EDM %.15g", name, path, got[i], first[i])
					break
				}
			}
		}
	}
	if compared < 30 {
		t.Errorf("only %d samplers", compared)
	}
}

// What happens where λ is infinite. At σ=0 every sampler ends with finite numbers, whatever
// is predicted, and from α=0 every one starts, if the prediction says there what the data are.
func TestEnds(t *testing.T) {
	for name, how := range variants(t) {
		for _, c := range []struct {
			path diffusion.GaussianPath
			kind diffusion.Kind
			from float64
		}{
			{diffusion.CondOT{}, diffusion.Velocity, 1}, {diffusion.CondOT{}, diffusion.X0, 1}, {diffusion.CondOT{}, diffusion.Eps, 1}, {diffusion.Trig{}, diffusion.V, 1},
			{zeroSNR(t), diffusion.V, 1000}, {zeroSNR(t), diffusion.X0, 1000},
			{diffusion.CondOT{}, diffusion.X0, 0.9}, {diffusion.EDM{SigmaMax: 5}, diffusion.Eps, 5}, {diffusion.Trig{}, diffusion.Score, 0.8}, {table(t), diffusion.X0, 900},
		} {
			start := c.path.At(c.from)
			grid := make([]float64, 8)
			diffusion.Linspace(grid, c.from, 0)
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
			o := &diffusion.Oracle{Of: testMixture(), Along: c.path, Predicts: c.kind}
			out, err := Sample(context.Background(), s, o, how, grid, Start(s, c.path, c.from, rng.Key{}, 0, 4, 2), Options{})
			what := fmt.Sprintf("%s on %T from α=%g, %v", name, c.path, start.Alpha, c.kind)
			switch {
			case err != nil && start.Alpha == 0 && name == "three_eighths lambda":
				if !strings.Contains(err.Error(), "lambda is infinite") {
					t.Errorf("%s: %v", what, err)
				}
			case err != nil && c.kind == diffusion.Eps && start.Alpha == 0:
				if says := err.Error(); !strings.Contains(says, "does not determine") {
					t.Errorf("%s: %v", what, err)
				}
			case err != nil:
				t.Errorf("%s: %v", what, err)
			case c.kind == diffusion.Eps && start.Alpha == 0:
				t.Errorf("%s: ε says nothing of the data there, but there is no error", what)
			default:
				for _, v := range out.Float64s() {
					if !(math.Abs(v) < 20) {
						t.Errorf("%s: a sample at %g", what, v)
						break
					}
				}
			}
			s.Close()
		}
	}
}

// zeroSNR is Stable Diffusion's table, rescaled to end in noise alone.
func zeroSNR(t testing.TB) *diffusion.Table {
	t.Helper()
	betas, err := diffusion.Betas(diffusion.BetaScaledLinear, 1000, 0.00085, 0.012)
	if err != nil {
		t.Fatal(err)
	}
	path, err := diffusion.NewTable(diffusion.RescaleZeroSNR(betas), diffusion.InterpolateLinear)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// From α=0 methods of order two and more have an error of h²·ln(1/h) (see edge.go): e·n² grows by the same with every doubling of n, where
// an error of h^p grew it by 2^(2−p) times as much each time, twice for order one. The truth is the classical method's in time,
// where nothing is infinite; grids end above σ=0. The adaptive method is off by its tolerance.
func TestOrdersFromNoSignal(t *testing.T) {
	const end = 0.3
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Normal(rng.Key{Seed: 1}, 0, 6, 2).Float64s()
	uniform := func(n int) []float64 {
		g := make([]float64, n+1)
		diffusion.Linspace(g, 1, end)
		return g
	}
	dopri := new(Dopri5)
	dopri.SetDefaults()
	dopri.Variable, dopri.RTol, dopri.ATol, dopri.First = "sigma", 1e-10, 1e-10, 1e4
	for _, path := range []diffusion.GaussianPath{diffusion.Trig{}, diffusion.CondOT{}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.V}
		truth := solve(t, o, rk("rk4", "time"), uniform(1024), x, 0, nil) // off by 1024⁻⁴
		off := func(how Sampler, n int) float64 { return distance(solve(t, o, how, uniform(n), x, 0, nil), truth) }
		second := func(name string, at func(n int) []float64, truth []float64) {
			var size, change float64
			var e [4][]float64
			for k := range e {
				n := 64 << k
				e[k] = at(n)
				for i := range e[k] {
					e[k][i] = (e[k][i] - truth[i]) * float64(n) * float64(n)
					size = max(size, math.Abs(e[k][i]))
				}
			}
			for i := range truth {
				change = max(change, math.Abs(e[3][i]-e[2][i]-(e[1][i]-e[0][i])))
			}
			if change > 0.05*size {
				t.Errorf("%s on %T: e·n² up to %.3f, its growth changes by %.3f", name, path, size, change)
			}
		}
		for name, how := range map[string]Sampler{
			"heun": heun("sigma"), "rk4": rk("rk4", "sigma"), "dpm2": &DPM2{}, "lms": &LMS{Order: 2}, "dpm_multistep": multistep(DPMSolverPP, 2, Midpoint, Exact),
		} {
			second(name, func(n int) []float64 { return solve(t, o, how, uniform(n), x, 0, nil) }, truth)
		}
		if order := math.Log2(off(euler("sigma"), 64)/off(euler("sigma"), 512)) / 3; math.Abs(order-1) > 0.15 {
			t.Errorf("euler on %T: order %.2f", path, order)
		}
		// First leaves an error of some 1/First² of states of size 1.
		if d := off(dopri, 1); d > 1e-7 {
			t.Errorf("dopri5 in sigma on %T is off by %g", path, d)
		}
		// Back to the noise: the last step is of order one, too.
		second("inversion", func(n int) []float64 { return invert(t, o, heun("sigma"), uniform(n), truth, Options{}) }, x)
	}
}
