package langevin

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func scope(t *testing.T, mode tensor.Mode) *tensor.Scope {
	s := tensor.NewScopeOf(cpu.Default(), mode, tensor.Float64)
	t.Cleanup(s.Close)
	return s
}

// normal is N(mean, variance) on every axis.
func normal(mean, variance float64) Target {
	return Target{
		Score: func(x *tensor.Tensor) *tensor.Tensor { return x.AddScalar(-mean).Scale(-1 / variance) },
		LogDensity: func(x *tensor.Tensor) *tensor.Tensor {
			return x.AddScalar(-mean).Square().Scale(-0.5 / variance).Sum(1)
		},
	}
}

// A tutorial's chain on N(3,1) from −2 with h=.01 and noises .3, −1.2, .8 (its table has
// the third state at −2.040, rounded).
func TestWorkedChain(t *testing.T) {
	z := []float64{0.3, -1.2, 0.8}
	want := []float64{-1.945, -2.040275, -1.935073625}
	for _, how := range []Method{&ULA{Step: 0.01}, &ULA{Step: 0.005, Measure: FullScore}} {
		s := scope(t, tensor.Inference)
		r, err := Sample(context.Background(), s, normal(3, 1), how, s.Tensor([]float64{-2}, 1, 1), Options{
			Keep:  3,
			Noise: func(s *tensor.Scope, i int) *tensor.Tensor { return s.Tensor(z[i:i+1], 1, 1) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if math.Abs(r.Samples[i]-w) > 1e-14 {
				t.Errorf("%+v: state %d is %.9f, want %.9f", how, i+1, r.Samples[i], w)
			}
		}
	}
}

// stationary is the exact variance of a method's law after n steps from 0: its steps
// are affine, so that chains which each have one noise of 1 and no other show it all.
func stationary(t *testing.T, target Target, how Method, n int) (mean, variance float64) {
	s := scope(t, tensor.Inference)
	r, err := Sample(context.Background(), s, target, how, s.Zeros(n+1, 1), Options{BurnIn: n - 1, Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
		z := make([]float64, n+1)
		z[i] = 1
		return s.Tensor(z, n+1, 1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	mean = r.Samples[n]
	for _, x := range r.Samples {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance
}

// Stationary laws, in closed form and with nothing drawn: ULA's variance V/(1−h/4V), the
// Ornstein–Uhlenbeck process's σ²/2θ, and of its Euler–Maruyama σ²/(2θ−θ²h).
func TestStationaryLaws(t *testing.T) {
	for _, c := range []struct {
		name   string
		target Target
		how    Method
		want   float64
	}{
		{"ULA, h=.1", normal(0.7, 1), &ULA{Step: 0.1}, 1 / (1 - 0.1/4)},
		{"ULA, h=1.5 on variance .8", normal(0.7, 0.8), &ULA{Step: 1.5}, 0.8 / (1 - 1.5/3.2)},
		{"ULA, full, h=.05", normal(0.7, 1), &ULA{Step: 0.05, Measure: FullScore}, 1 / (1 - 0.1/4)},
		{"OU", Target{}, &OU{Theta: 1.5, Mu: 0.7, Sigma: 0.6, Step: 0.2}, 0.36 / 3},
		{"OU, long steps", Target{}, &OU{Theta: 1.5, Mu: 0.7, Sigma: 0.6, Step: 3}, 0.36 / 3},
		{"OU, Euler", Target{}, &OU{Theta: 1.5, Mu: 0.7, Sigma: 0.6, Step: 0.2, Euler: true}, 0.36 / (3 - 2.25*0.2)},
	} {
		mean, variance := stationary(t, c.target, c.how, 600)
		if math.Abs(mean-0.7) > 1e-10 || math.Abs(variance/c.want-1) > 1e-10 {
			t.Errorf("%s: mean %.12g and variance %.12g, want .7 and %.12g", c.name, mean, variance, c.want)
		}
	}
	// Its law at any time: from 2, after four steps of .2.
	p := &OU{Theta: 1.5, Mu: 0.7, Sigma: 0.6, Step: 0.2}
	kept, std := p.Transition(0.8)
	if want := math.Exp(-1.2); math.Abs(kept-want) > 1e-15 || math.Abs(std*std-0.36*(1-want*want)/3) > 1e-15 {
		t.Errorf("transition %g, %g", kept, std)
	}
}

// modes is ½N(−1.5, .5²) + ½N(1.5, 1) by its log-density alone.
var modes = Target{LogDensity: func(x *tensor.Tensor) *tensor.Tensor {
	a := x.AddScalar(1.5).Square().Scale(-2).AddScalar(math.Log(2))
	b := x.AddScalar(-1.5).Square().Scale(-0.5)
	return tensor.Concat(1, a, b).LogSumExp(1)
}}

func exactModes(n int, key rng.Key) []float64 {
	x, z := make([]float64, n), make([]float32, 1)
	for i := range x {
		rng.Normal(z, key, uint64(i))
		x[i] = -1.5 + 0.5*float64(z[0])
		if rng.Float64(key.WithStream(9), uint64(i), 0) < 0.5 {
			x[i] = 1.5 + float64(z[0])
		}
	}
	return x
}

func modesCDF(x float64) float64 {
	phi := func(v float64) float64 { return math.Erfc(-v/math.Sqrt2) / 2 }
	return 0.5*phi((x+1.5)/0.5) + 0.5*phi(x-1.5)
}

// MALA leaves its target as it is, at a step at which ULA does not: from exact samples,
// the largest difference of the distribution functions stays within √(ln(2/δ)/2n)
// (Massart), δ=10⁻⁶. Chains from one point come to it, too.
func TestMALAIsExact(t *testing.T) {
	const n = 8000
	bound := math.Sqrt(math.Log(2e6) / (2 * n))
	run := func(how Method, start []float64, steps int) (float64, *Result) {
		s := scope(t, tensor.Recording)
		r, err := Sample(context.Background(), s, modes, how, s.Tensor(start, n, 1), Options{BurnIn: steps - 1, Key: rng.Key{Seed: 3}})
		if err != nil {
			t.Fatal(err)
		}
		return kolmogorov(r.Samples, modesCDF), r
	}
	exact := exactModes(n, rng.Key{Seed: 1})
	if d := kolmogorov(exact, modesCDF); d > bound {
		t.Fatalf("the start is off by %.4f", d)
	}
	if d, _ := run(&MALA{Step: 0.8}, exact, 50); d > bound {
		t.Errorf("after 50 steps of MALA from exact samples: %.4f, want below %.4f", d, bound)
	}
	if d, _ := run(&ULA{Step: 0.8}, exact, 50); d < 2*bound {
		t.Errorf("ULA with that step is off by %.4f only: the test could not tell", d)
	}
	d, r := run(&MALA{Step: 0.4, Measure: FullScore}, make([]float64, n), 300)
	if d > bound {
		t.Errorf("after 300 steps of MALA from 0: %.4f, want below %.4f", d, bound)
	}
	for i, a := range r.Acceptance {
		if a != 0 && a != 1 { // one step counts
			t.Fatalf("chain %d accepted %g of one proposal", i, a)
		}
	}
}

// Detailed balance: of chains in equilibrium as many go from below 0 to above as back; and
// the acceptance that is reported is the number of moves.
func TestAcceptance(t *testing.T) {
	const n, keep, thin, burn = 3000, 10, 3, 7
	s := scope(t, tensor.Recording)
	moves, last, steps := make([]float64, n), []float64(nil), 0
	up, down := 0.0, 0.0
	rate := 0.0
	r, err := Sample(context.Background(), s, modes, &MALA{Step: 1.5}, s.Tensor(exactModes(n, rng.Key{Seed: 1}), n, 1), Options{
		Keep: keep, BurnIn: burn, Thin: thin, Key: rng.Key{Seed: 4},
		Progress: func(i, total int, accepted float64, x *tensor.Tensor) {
			if i != steps || total != burn+keep*thin {
				t.Errorf("progress %d of %d, want %d", i, total, steps)
			}
			steps++
			now := x.Float64s()
			if i >= burn {
				for j, v := range now {
					if v != last[j] {
						moves[j]++
					}
					switch {
					case v > 0 && last[j] < 0:
						up++
					case v < 0 && last[j] > 0:
						down++
					}
				}
			} else if accepted != 1 {
				t.Errorf("acceptance %g during the burn-in", accepted)
			}
			rate, last = accepted, now
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Samples) != keep*n || !slices.Equal(r.Samples[(keep-1)*n:], last) {
		t.Errorf("%d samples; the last kept ones are not the last state", len(r.Samples))
	}
	mean := 0.0
	for j, a := range r.Acceptance {
		if math.Abs(a-moves[j]/(keep*thin)) > 1e-12 {
			t.Fatalf("chain %d: acceptance %g, moved %g times", j, a, moves[j])
		}
		mean += a / n
	}
	if math.Abs(mean-rate) > 1e-12 || mean < 0.2 || mean > 0.95 {
		t.Errorf("acceptance %g, by progress %g", mean, rate)
	}
	if up < 500 || math.Abs(up-down) > 5*math.Sqrt(up+down) {
		t.Errorf("%g crossings up and %g down", up, down)
	}
}

func kolmogorov(x []float64, f func(float64) float64) float64 {
	x = slices.Sorted(slices.Values(x))
	d, n := 0.0, float64(len(x))
	for i, v := range x {
		d = max(d, math.Abs(f(v)-float64(i)/n), math.Abs(f(v)-float64(i+1)/n))
	}
	return d
}

// A chain is the same bits alone as among others, and the gradient of a log-density serves as well as the score.
func TestChainsAreIndependent(t *testing.T) {
	target := normal(0.3, 0.5)
	gradient := Target{LogDensity: target.LogDensity}
	for _, how := range []Method{&ULA{Step: 0.1}, &MALA{Step: 0.7}, &OU{Theta: 1, Sigma: 1, Step: 0.1}} {
		run := func(target Target, first uint64, n int) []float64 {
			s := scope(t, tensor.Recording)
			x := s.Normal(rng.Key{Seed: 1}, first, n, 2)
			r, err := Sample(context.Background(), s, target, how, x, Options{Keep: 5, Thin: 2, First: first, Key: rng.Key{Seed: 1}})
			if err != nil {
				t.Fatal(err)
			}
			return r.Samples
		}
		all, one, g := run(target, 0, 4), run(target, 2, 1), run(gradient, 0, 4)
		for k := range 5 {
			if !slices.Equal(all[8*k+4:8*k+6], one[2*k:2*k+2]) {
				t.Errorf("%T: chain 2 is %v alone, %v among four", how, one[2*k:2*k+2], all[8*k+4:8*k+6])
			}
		}
		for i := range all {
			if math.Abs(all[i]-g[i]) > 1e-13 {
				t.Errorf("%T: %g by the score, %g by the log-density's gradient", how, all[i], g[i])
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	good := normal(0, 1)
	for name, c := range map[string]struct {
		target Target
		how    Method
		o      Options
		mode   tensor.Mode
		want   string
	}{
		"no density":    {Target{Score: good.Score}, &MALA{Step: 1}, Options{}, tensor.Recording, "log-density"},
		"nothing":       {Target{}, &ULA{Step: 1}, Options{}, tensor.Recording, "score"},
		"no recording":  {Target{LogDensity: good.LogDensity}, &ULA{Step: 1}, Options{}, tensor.Inference, "record"},
		"step":          {good, &ULA{}, Options{}, tensor.Inference, "step"},
		"infinite step": {good, &MALA{Step: math.Inf(1)}, Options{}, tensor.Inference, "step"},
		"theta":         {good, &OU{Sigma: 1, Step: 1}, Options{}, tensor.Inference, "theta"},
		"mu":            {good, &OU{Theta: 1, Mu: math.NaN(), Step: 1}, Options{}, tensor.Inference, "mu"},
		"sigma":         {good, &OU{Theta: 1, Sigma: -1, Step: 1}, Options{}, tensor.Inference, "sigma"},
		"time":          {good, &OU{Theta: 1, Sigma: 1}, Options{}, tensor.Inference, "step"},
		"thinning":      {good, &ULA{Step: 1}, Options{Thin: -1}, tensor.Inference, "thinning"},
	} {
		s := scope(t, c.mode)
		if r, err := Sample(context.Background(), s, c.target, c.how, s.Zeros(2, 1), c.o); err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	s := scope(t, tensor.Inference)
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	_, err := Sample(ctx, s, good, &MALA{Step: 1}, s.Zeros(2, 1), Options{Keep: 10, Progress: func(int, int, float64, *tensor.Tensor) {
		if steps++; steps == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || steps != 3 {
		t.Errorf("cancelled after 3 steps: %v after %d", err, steps)
	}
	defer func() {
		var e *ShapeError
		if err, _ := recover().(error); !errors.As(err, &e) {
			t.Errorf("a log-density of the wrong shape: %v", err)
		}
	}()
	bad := Target{Score: good.Score, LogDensity: func(x *tensor.Tensor) *tensor.Tensor { return x.Square() }}
	_, _ = Sample(context.Background(), s, bad, &MALA{Step: 1}, s.Zeros(2, 1), Options{})
}

// Memory does not grow with the number of steps.
func TestMemoryIsFlat(t *testing.T) {
	for _, how := range []Method{&ULA{Step: 0.1}, &MALA{Step: 0.7}} {
		s := scope(t, tensor.Recording)
		run := func(n int) int {
			s.Reset()
			if _, err := Sample(context.Background(), s, modes, how, s.Zeros(16, 1), Options{BurnIn: n}); err != nil {
				t.Fatal(err)
			}
			return s.MemoryHeld()
		}
		if few, many := run(20), run(300); few != many {
			t.Errorf("%T: %d bytes held after 20 steps, %d after 300", how, few, many)
		}
	}
}

// Between modes ±3 of deviation .5 a chain with steps of .01 goes once in some 2·10⁹
// steps: the mean time that dx = ½·score·dt + dW takes from −3 to 3 is
// 2·∫ (1/p(y))·∫_{−∞}^y p dy over that way (Karlin and Taylor), here by Simpson's rule.
func TestCrossingTime(t *testing.T) {
	p := func(x float64) float64 {
		g := func(d float64) float64 { return math.Exp(-2*d*d) / (0.5 * math.Sqrt(2*math.Pi)) }
		return (g(x-3) + g(x+3)) / 2
	}
	below := func(x float64) float64 {
		phi := func(v float64) float64 { return math.Erfc(-v/math.Sqrt2) / 2 }
		return (phi((x-3)/0.5) + phi((x+3)/0.5)) / 2
	}
	const n = 6000
	sum := 0.0
	for i := range n + 1 {
		w := float64(2 + 2*(i%2))
		if i == 0 || i == n {
			w = 1
		}
		y := -3 + 6*float64(i)/n
		sum += w * below(y) / p(y)
	}
	steps := 2 * sum * (6.0 / n) / 3 / 0.01
	if steps < 1.5e9 || steps > 2.5e9 {
		t.Errorf("%.3g steps, want some 2e9", steps)
	}
	// Near 0, p = √(2/π)·e^{−18−2y²}·cosh(12y): 1/p has the width π/12, and half of p is below.
	if rough := math.Exp(18) * math.Sqrt(2*math.Pi) / 2 * math.Pi / 12 / 0.01; math.Abs(steps/rough-1) > 0.05 {
		t.Errorf("%.3g steps, by the peak alone %.3g", steps, rough)
	}
}
