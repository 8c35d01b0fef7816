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

// The angle's tangents are the noise levels: an even division of the quarter circle, for data of its deviation.
func TestAngleGrid(t *testing.T) {
	g := &AngleGrid{SigmaData: 0.5, SigmaMax: 80}
	for name, path := range map[string]diffusion.GaussianPath{"condot": diffusion.CondOT{}, "edm": diffusion.EDM{SigmaMax: 80}, "table": table(t), "trig": diffusion.Trig{}} {
		times, err := g.Times(path, 4)
		if err != nil {
			t.Fatal(err)
		}
		top := math.Atan(min(80, path.At(path.End()).NoiseLevel()) / 0.5)
		for i, at := range times[:4] {
			if got, want := math.Atan(path.At(at).NoiseLevel()/0.5), top*float64(4-i)/4; math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: angle %d is %g, want %g", name, i, got, want)
			}
		}
		if times[4] != 0 {
			t.Errorf("%s: ends at %g", name, times[4])
		}
		if path.At(path.End()).NoiseLevel() <= 80 && times[0] != path.End() {
			t.Errorf("%s: starts at %g of %g", name, times[0], path.End())
		}
	}
}

// Thinned grids are parts of the one they come from, down to a single step.
func TestThinned(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 80}
	karras := new(KarrasGrid)
	karras.SetDefaults()
	all, err := karras.Times(path, 8)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int][]int{8: {0, 1, 2, 3, 4, 5, 6, 7, 8}, 4: {0, 2, 4, 6, 8}, 2: {0, 4, 8}, 1: {0, 8}} {
		got, err := Thinned{karras, 8}.Times(path, n)
		if err != nil {
			t.Fatal(err)
		}
		var times []float64
		for _, i := range want {
			times = append(times, all[i])
		}
		if !slices.Equal(got, times) {
			t.Errorf("%d steps: %v, want %v", n, got, times)
		}
	}
	for _, n := range []int{0, 3, 16} {
		if _, err := (Thinned{karras, 8}).Times(path, n); err == nil {
			t.Errorf("%d steps of 8 are taken", n)
		}
	}
}

// Of a model that leads data N(0, s²) to the noise level left exactly, samples of two steps have the variance s² + left²:
// five standard deviations of a variance of 20000 numbers. Without noise_left they would have more after the last step but one.
func TestRenoiseWithNoiseLeft(t *testing.T) {
	const s, left, n = 0.5, 0.3, 20000
	path := diffusion.EDM{SigmaMax: 80}
	m := &consistent{path, s, left}
	// From noise level 80, by way of 0.4, to 0.
	x := drawn(t, m, &Renoise{Left: left}, []float64{80, 0.4, 0}, n)
	sum := 0.0
	for _, v := range x {
		sum += v * v / n
	}
	want := s*s + left*left
	if math.Abs(sum/want-1) > 5*math.Sqrt(2.0/n) {
		t.Errorf("variance %.4f, want %.4f", sum, want)
	}
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		if (&Renoise{Left: bad}).Validate() == nil {
			t.Errorf("noise_left %g is taken", bad)
		}
	}
}

// consistent leads data N(0, s²) along the exact flow to the noise level left.
type consistent struct {
	path    diffusion.GaussianPath
	s, left float64
}

func (m *consistent) Path() diffusion.GaussianPath { return m.path }
func (m *consistent) Kind() diffusion.Kind         { return diffusion.X0 }
func (m *consistent) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Kind: diffusion.X0, Value: x.Mul(diffusion.PerSample(x, m.path, diffusion.Step{T: at.T}, func(p, _ diffusion.Point) float64 {
		n := p.NoiseLevel()
		return math.Sqrt((m.s*m.s+m.left*m.left)/(m.s*m.s+n*n)) / p.Alpha
	}))}
}

// drawn are n samples of one number.
func drawn(t *testing.T, m diffusion.Model, how Sampler, grid []float64, n int) []float64 {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, err := Sample(context.Background(), s, m, how, grid, Start(s, m.Path(), grid[0], rng.Key{Seed: 1}, 0, n, 1), Options{Key: rng.Key{Seed: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return x.Float64s()
}
