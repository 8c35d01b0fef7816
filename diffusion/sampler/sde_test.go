package sampler

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// What a constant ς does at the data: on the straight path a point mass is sampled,
// with ς=.5 in 50 equal steps, as a cloud of standard deviation .65, since near the data
// a step of h multiplies deviations by 1 − h/t − ½ς²h/t², −6.25 in the last. Noise
// that goes to 0 with σ, or a last step to the estimate, does not.
func TestConstantNoiseDoesNotEndAtTheData(t *testing.T) {
	o := &diffusion.Oracle{Of: gaussian(2, 0), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	grid := inTime(1, 0)(50)
	std := func(how *EulerMaruyama) float64 {
		m, v := moments(t, o, how, grid, 1, 0, 1)
		if math.Abs(m-2) > 1e-9 {
			t.Errorf("%s: mean %g, want 2", how.Shape, m)
		}
		return math.Sqrt(v)
	}
	// The same by hand: V' = a²V + ς²h.
	want, h := 1.0, 1.0/50
	for k := 50; k > 0; k-- {
		at := float64(k) * h
		a := 1 - h/at - 0.125*h/(at*at)
		want = a*a*want + 0.25*h
	}
	want = math.Sqrt(want)
	if math.Abs(want-0.65) > 0.005 {
		t.Errorf("by hand %.4f, want .65", want)
	}
	if got := std(&EulerMaruyama{Shape: NoiseConstant, Scale: 0.5, Measure: "std"}); math.Abs(got-want) > 1e-9 {
		t.Errorf("constant: %.6f, want %.6f", got, want)
	}
	if got := std(&EulerMaruyama{Shape: NoiseConstant, Scale: 0.5, Measure: "std", Denoise: true}); got > 1e-12 {
		t.Errorf("constant, last step to the estimate: %g, want 0", got)
	}
	// The last step of sin's adds ς(h)·√h, the proportional one's ½σ(h)·√h, and what was there is times 1−1−½ς²/h.
	if got := std(&EulerMaruyama{Shape: NoiseSin, Scale: 0.5, Measure: "std"}); got > 0.01 {
		t.Errorf("sin: %.4f, want nearly 0", got)
	}
	if got := std(&EulerMaruyama{Shape: NoiseProportional, Scale: 0.5, Measure: "std"}); got > 0.01 {
		t.Errorf("proportional: %.4f, want nearly 0", got)
	}
}

// On EDM's grid, whose first steps are of 20 and more, the noise that a path has by default must be that of
// its reverse SDE: for normal data of variance v a step from σ to s multiplies deviations by 1−2hσ/(v+σ²), h = σ−s, which
// is never below −1, and adds 2σh; the last is the estimate of the data, v/(v+σ²).
// ς = σ would multiply them by some −10 in each of the first steps.
func TestDefaultNoiseOnEDM(t *testing.T) {
	path, v := diffusion.EDM{SigmaMax: 80}, 0.25
	karras := new(KarrasGrid)
	karras.SetDefaults()
	grid := times(t, karras, path, 10)
	want := 6400.
	for i := range 9 {
		sigma, h := grid[i], grid[i]-grid[i+1]
		a := 1 - 2*h*sigma/(v+sigma*sigma)
		want = a*a*want + 2*sigma*h
	}
	last := v / (v + grid[9]*grid[9])
	want *= last * last
	how := new(EulerMaruyama)
	how.SetDefaults()
	o := &diffusion.Oracle{Of: gaussian(2, 0.5), Along: path, Predicts: diffusion.Eps}
	// A sum of ten products: some roundings of 2⁻⁵³ each, of states of up to 80.
	if _, got := moments(t, o, how, grid, 1, 0, 6400); math.Abs(got-want) > 1e-11 {
		t.Errorf("variance %.12f, want %.12f", got, want)
	}
}

// Drift and diffusion of the paths' forward SDEs are those of Song et al. 2021,
// appendix B and C: VP −½β·x and β; sub-VP β·(1−e^{−2∫β}); VE 0 and d(σ²)/dt; EDM 0 and 2t.
func TestForwardSDE(t *testing.T) {
	vp := diffusion.VP{Beta0: 0.1, Beta1: 20}
	for _, at := range []float64{0.1, 0.37, 0.9} {
		beta, integral := 0.1+19.9*at, 0.1*at+19.9*at*at/2
		ve := diffusion.VE{SigmaMin: 0.01, SigmaMax: 50}
		for _, c := range []struct {
			name  string
			p     diffusion.Point
			f, g2 float64
		}{
			{"VP", vp.At(at), -beta / 2, beta},
			{"sub-VP", diffusion.SubVP{VP: vp}.At(at), -beta / 2, beta * -math.Expm1(-2*integral)},
			{"VE", ve.At(at), 0, 1e-4 * 2 * math.Log(5000) * math.Pow(5000, 2*at)},
			{"EDM", diffusion.EDM{SigmaMax: 80}.At(at), 0, 2 * at},
			{"CondOT", diffusion.CondOT{}.At(at), -1 / (1 - at), 2*at + 2*at*at/(1-at)},
		} {
			if got := c.p.Drift(); math.Abs(got-c.f) > 1e-12*(1+math.Abs(c.f)) {
				t.Errorf("%s at %g: f = %g, want %g", c.name, at, got, c.f)
			}
			if got := c.p.Diffusion2(); math.Abs(got-c.g2) > 1e-11*c.g2 {
				t.Errorf("%s at %g: g² = %g, want %g", c.name, at, got, c.g2)
			}
		}
	}
}

// ddim of the same eta is euler_ancestral (Song et al. 2021a, eq. 16, is the split of
// the next level's variance), and at eta=1 ddpm with the posterior's variance.
func TestAncestralIsDDIM(t *testing.T) {
	for _, path := range []diffusion.GaussianPath{diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 5}, table(t), diffusion.CondOT{}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
		grid := inTime(0.95*path.End(), 0)(9)
		for _, eta := range []float64{0, 0.6, 1} {
			want := sample(t, o, &DDIM{Eta: eta}, grid, 4, Options{})
			how := &EulerAncestral{Ancestral: Ancestral{Eta: eta, Noise: 1}, Form: "level"}
			if d := largestGap(sample(t, o, how, grid, 4, Options{}), want); d > 1e-11 {
				t.Errorf("%T, eta=%g: ddim and euler_ancestral differ by %.2g", path, eta, d)
			}
		}
		want := sample(t, o, &DDPM{Variance: FixedSmall}, grid, 4, Options{})
		if d := largestGap(sample(t, o, &DDIM{Eta: 1}, grid, 4, Options{}), want); d > 1e-9 {
			t.Errorf("%T: ddim with eta=1 and ddpm differ by %.2g", path, d) // their last noise: √(1e-20)
		}
	}
}

// The predictor `ancestral` alone is ddpm, from where there is no signal, too.
func TestAncestralPredictorIsDDPM(t *testing.T) {
	for _, path := range []diffusion.GaussianPath{diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 5}, table(t), diffusion.CondOT{}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
		grid := inTime(path.End(), 0)(9)
		how := &PredictorCorrector{Predictor: PredictAncestral, Corrector: None, SNR: 0.1, Steps: 1, Denoise: true}
		want := sample(t, o, &DDPM{Variance: FixedSmall}, grid, 4, Options{})
		if d := largestGap(sample(t, o, how, grid, 4, Options{}), want); d > 1e-11 {
			t.Errorf("%T: they differ by %.2g", path, d)
		}
	}
}

func largestGap(a, b []float64) float64 {
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}

// A time that a grid has twice is no step: samples are those without it, and whoever
// watches the estimate of the data gets one all the same.
func TestRepeatedTime(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	z := func(s *tensor.Scope, at float64) *tensor.Tensor { // by the time, whatever step it is
		return s.Normal(rng.Key{Seed: uint64(1000 * at)}, 0, 3, 2)
	}
	for _, e := range Samplers {
		switch e.Name {
		case "euler_ancestral", "dpm2_ancestral", "dpmpp_sde", "dpm_multistep_sde", "euler_maruyama":
		default:
			continue
		}
		run := func(grid []float64) []float64 {
			seen := 0
			draws := 1
			if e.Name == "dpmpp_sde" {
				draws = 2
			}
			x := sample(t, o, e.New(), grid, 3, Options{
				Noise:    func(s *tensor.Scope, i int) *tensor.Tensor { return z(s, grid[i/draws+1]+float64(i%draws)) },
				Progress: func(_, _ int, data *tensor.Tensor) { seen += len(data.Float64s()) },
			})
			if seen != 6*(len(grid)-1) {
				t.Errorf("%s: %d numbers of estimates in %d steps", e.Name, seen, len(grid)-1)
			}
			return x
		}
		if d := largestGap(run([]float64{1, 0.6, 0.6, 0.3, 0.3, 0.1}), run([]float64{1, 0.6, 0.3, 0.1})); d > 1e-9 {
			t.Errorf("%s: repeated times move samples by %.2g", e.Name, d)
		}
	}
}

// Without noise the blocks of the stochastic method are those of the ODE's.
func TestSinglestepWithoutNoise(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.Eps}
	x := make([]float64, 6)
	for i := range x {
		x[i] = math.Sin(float64(3 * i))
	}
	for order := 1; order <= 3; order++ {
		for _, solver := range []string{Midpoint, HeunType} {
			for _, grid := range [][]float64{levels(path, 10, 0.1, 12), append(levels(path, 10, 0.1, 6), 0)} {
				sde := &DPMSinglestepSDE{Order: order, Solver: solver, Third: ThirdExact, Noise: 1}
				got, want := solve(t, o, sde, grid, x, 0, nil), solve(t, o, singlestep(DPMSolverPP, order, solver), grid, x, 0, nil)
				if d := distance(got, want); !(d < 1e-11) { // some hundred roundings of numbers around 1
					t.Errorf("order %d, %s, %d steps: %g apart", order, solver, len(grid)-1, d)
				}
			}
		}
	}
}
