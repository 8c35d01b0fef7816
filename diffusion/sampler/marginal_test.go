package sampler

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// On a fine grid every stochastic sampler gives the law of the data: the largest
// difference between the distribution functions of 8000 samples and of a mixture
// is within the bound that Massart's inequality gives for exact samples,
// √(ln(2/δ)/2n) with δ=10⁻⁶.
func TestMarginals(t *testing.T) {
	much(t)
	const n = 8000
	m := &diffusion.Mixture{Weights: []float64{0.6, 0.4}, Means: [][]float64{{-1}, {1.5}}, Stds: [][]float64{{0.4}, {0.6}}}
	cdf := func(x float64) float64 {
		return 0.6*normalCDF((x+1)/0.4) + 0.4*normalCDF((x-1.5)/0.6)
	}
	vp, edm := diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 40}
	ddpm := table(t)
	levels := func(path diffusion.GaussianPath, steps int) []float64 {
		return append(inLevels(path, min(40, path.At(path.End()).NoiseLevel()), 0.02)(steps), 0)
	}
	for _, c := range []struct {
		name string
		path diffusion.GaussianPath
		how  Sampler
		grid []float64
	}{
		{name: "euler_ancestral", path: vp, how: entry(t, Samplers, "euler_ancestral"), grid: levels(vp, 100)},
		{name: "euler_ancestral, flow", path: diffusion.CondOT{}, how: entry(t, Samplers, "euler_ancestral"), grid: inTime(1, 0)(200)},
		{name: "dpm2_ancestral", path: edm, how: entry(t, Samplers, "dpm2_ancestral"), grid: levels(edm, 100)},
		{name: "dpmpp_sde", path: edm, how: entry(t, Samplers, "dpmpp_sde"), grid: levels(edm, 60)},
		{name: "dpm_multistep_sde", path: vp, how: entry(t, Samplers, "dpm_multistep_sde"), grid: levels(vp, 100)},
		{name: "dpm_multistep_sde, order=3", path: edm, how: sdeMultistep(func(m *DPMMultistepSDE) { m.Order = 3 }), grid: levels(edm, 100)},
		{name: "euler_maruyama", path: vp, how: entry(t, Samplers, "euler_maruyama"), grid: inTime(1, 0)(200)},
		{name: "euler_maruyama, table", path: ddpm, how: entry(t, Samplers, "euler_maruyama"), grid: inTime(1000, 0)(250)},
		{name: "predictor_corrector, table", path: ddpm, how: entry(t, Samplers, "predictor_corrector"), grid: inTime(1000, 0)(125)},
		{name: "euler_maruyama, CondOT", path: diffusion.CondOT{}, how: entry(t, Samplers, "euler_maruyama"), grid: inTime(1, 0)(200)},
		{name: "euler_maruyama, sin, trigonometric", path: diffusion.Trig{}, how: &EulerMaruyama{Shape: NoiseSin, Scale: 1, Measure: "std", Denoise: true}, grid: inTime(1, 0)(200)},
		{name: "predictor_corrector, annealed", path: vp, how: &PredictorCorrector{Predictor: PredictReverseDiffusion, Corrector: CorrectAnnealed, SNR: 0.1, Steps: 1, Denoise: true}, grid: inTime(1, 0)(150)},
		{name: "restart", path: edm, how: &Restart{Intervals: []RestartInterval{{0.1, 2, 3, 20}}, Noise: 1}, grid: levels(edm, 60)},
		{name: "annealed_langevin", path: edm, how: &AnnealedLangevin{Steps: 60, Denoise: true}, grid: levels(edm, 25)},
	} {
		o := &diffusion.Oracle{Of: m, Along: c.path, Predicts: diffusion.X0}
		if c.path.At(c.grid[0]).Alpha == 0 {
			o.Predicts = diffusion.Velocity
		}
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		x := Start(s, c.path, c.grid[0], rng.Key{Seed: 1}, 0, n, 1)
		out, err := Sample(context.Background(), s, o, c.how, c.grid, x, Options{Key: rng.Key{Seed: 2}})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		d := kolmogorov(out.Float64s(), cdf)
		s.Close()
		t.Logf("%s: %.4f", c.name, d)
		if bound := math.Sqrt(math.Log(2e6) / (2 * n)); !(d < bound) {
			t.Errorf("%s: distribution functions differ by %.4f, want less than %.4f", c.name, d, bound)
		}
	}
}

func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// kolmogorov is the largest difference between x's distribution function and f.
func kolmogorov(x []float64, f func(float64) float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	d, n := 0.0, float64(len(x))
	for i, v := range x {
		d = max(d, math.Abs(f(v)-float64(i)/n), math.Abs(f(v)-float64(i+1)/n))
	}
	return d
}
