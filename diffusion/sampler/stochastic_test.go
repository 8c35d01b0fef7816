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
