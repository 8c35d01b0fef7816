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
// is predicted. From α=0 those that are written in σ or λ refuse to start; the
// exponential integrators make a step of order one from the data, which must be known there.
func TestEnds(t *testing.T) {
	for name, how := range variants(t) {
		for _, c := range []struct {
			path diffusion.GaussianPath
			kind diffusion.Kind
			from float64
		}{
			{diffusion.CondOT{}, diffusion.Velocity, 1}, {diffusion.CondOT{}, diffusion.X0, 1}, {diffusion.CondOT{}, diffusion.Eps, 1}, {diffusion.Trig{}, diffusion.V, 1},
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
			case err != nil && start.Alpha > 0:
				t.Errorf("%s: %v", what, err)
			case err != nil:
				if says := err.Error(); !strings.Contains(says, "alpha is 0") && !strings.Contains(says, "does not determine") {
					t.Errorf("%s: %v", what, err)
				}
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
			switch how.(type) {
			case *DPMMultistep, *DPMSinglestep, *UniPC, *DEIS, *DDIM:
				if err != nil && c.kind != diffusion.Eps {
					t.Errorf("%s: %v", what, err)
				}
			}
			s.Close()
		}
	}
}
