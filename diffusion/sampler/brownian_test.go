package sampler

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor/rng"
)

// An increment of the motion, written over its normal variables, has variance 1; those
// of ways apart are uncorrelated, and of nested ones the correlation is the root of
// their share. All of it is exact: sums of products of coefficients.
func TestMotion(t *testing.T) {
	dot := func(a, b []term) (s float64) {
		for _, x := range a {
			for _, y := range b {
				if x.node == y.node {
					s += x.c * y.c
				}
			}
		}
		return s
	}
	times := []float64{0, 0.0137, 0.25, 1.0 / 3, 0.5, 0.6180339, 0.75, 0.99, 1}
	for i := range times {
		for j := range i {
			a := increment(nil, times[i], times[j])
			if v := dot(a, a); math.Abs(v-1) > 1e-12 {
				t.Errorf("%g to %g: variance %.15g, want 1", times[i], times[j], v)
			}
			for k := range j {
				b := increment(nil, times[j], times[k])
				if c := dot(a, b); math.Abs(c) > 1e-9 {
					t.Errorf("%g to %g to %g: correlation %.2g, want 0", times[i], times[j], times[k], c)
				}
				whole := increment(nil, times[i], times[k])
				want := math.Sqrt((times[i] - times[j]) / (times[i] - times[k]))
				if c := dot(a, whole); math.Abs(c-want) > 1e-9 {
					t.Errorf("%g to %g within %g: correlation %.9f, want %.9f", times[i], times[j], times[k], c, want)
				}
			}
		}
	}
}

// With one Brownian motion a finer grid gives nearly the same samples: the difference falls
// with the step, at least like its root (the strong order of Euler–Maruyama is 1 where
// the noise does not depend on the state). Without, it does not fall.
func TestBrownianRefinement(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	for _, name := range []string{"ddim", "euler_ancestral", "dpm2_ancestral", "dpmpp_sde", "dpm_multistep_sde", "euler_maruyama"} {
		how := entry(t, Samplers, name)
		if d, ok := how.(*DDIM); ok {
			d.Eta = 1
		}
		change := func(steps int, brownian bool) float64 {
			run := func(n int) []float64 {
				return sample(t, o, how, inTime(1, 0.1)(n), 16, Options{Key: rng.Key{Seed: 5}, Brownian: brownian})
			}
			sum := 0.0
			a, b := run(steps), run(2*steps)
			for i := range a {
				sum += (a[i] - b[i]) * (a[i] - b[i])
			}
			return math.Sqrt(sum / float64(len(a)))
		}
		coarse, fine := change(16, true), change(128, true)
		// Over three halvings of the step: by 2^{1.5} at order ½, with room for 32 samples' luck.
		if !(fine < coarse/2) {
			t.Errorf("%s: twice the steps move samples by %.3g at 16 steps, %.3g at 128", name, coarse, fine)
		}
		if free := change(128, false); free < 5*fine {
			t.Errorf("%s: without a common motion samples move by %.3g, with it by %.3g", name, free, fine)
		}
	}
}

// What the noise is does not depend on the batch, and every sample has its own.
func TestBrownianBatch(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	how := entry(t, Samplers, "dpmpp_sde")
	all := sample(t, o, how, inTime(1, 0)(6), 5, Options{Brownian: true})
	one := sample(t, o, how, inTime(1, 0)(6), 1, Options{Brownian: true, First: 3})
	if !slices.Equal(all[6:8], one) {
		t.Errorf("sample 3 is %v alone and %v among five", one, all[6:8])
	}
}

// The noises of one step, and of the same numbers in other steps, are different and uncorrelated.
func TestNoisesOfAStep(t *testing.T) {
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.Trig{}, Predicts: diffusion.X0}
	const n = 4000
	var all [][]float64
	sample(t, o, samplerFunc(func(r *Run) {
		for range r.Steps() {
			for k := range 3 {
				all = append(all, r.NoiseOf(k, 3).Float64s())
			}
			r.X = r.X.Scale(1)
		}
	}), []float64{1, 0.5, 0}, n, Options{})
	for i := range all {
		for j := range i + 1 {
			sum, want := 0.0, 0.0
			for k := range all[i] {
				sum += all[i][k] * all[j][k] / (2 * n)
			}
			if i == j {
				want = 1
			}
			if math.Abs(sum-want) > 6*math.Sqrt((1+want)/(2*n)) { // six standard errors
				t.Errorf("draws %d and %d: correlation %.3f, want %g", j, i, sum, want)
			}
		}
	}
}
