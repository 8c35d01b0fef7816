package sampler

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// diffusers starts at step n − min(int(n·strength), n).
func TestLast(t *testing.T) {
	grid := []float64{1, 0.8, 0.6, 0.4, 0.2, 0}
	for strength, want := range map[float64][]float64{1: grid, 0.6: grid[2:], 0.79: grid[2:], 0.8: grid[1:], 0.2: grid[4:], 0.01: grid[4:]} {
		if got := Last(grid, strength); !slices.Equal(got, want) {
			t.Errorf("strength %g: %v, want %v", strength, got, want)
		}
	}
	if n := len(Last(make([]float64, 101), 0.29)); n != 30 {
		t.Errorf(".29 of 100 steps: %d times", n)
	}
}

func TestSlerp(t *testing.T) {
	const n = 2000
	a, b, c := make([]float32, n), make([]float32, n), make([]float32, n)
	rng.Normal(a, rng.Key{Seed: 1}, 0)
	rng.Normal(b, rng.Key{Seed: 2}, 0)
	norm := func(x []float32) float64 {
		sum := 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum)
	}
	angle := func(x, y []float32) float64 {
		dot := 0.0
		for i := range x {
			dot += float64(x[i]) * float64(y[i])
		}
		return math.Acos(dot / (norm(x) * norm(y)))
	}
	for _, u := range []float64{0, 0.25, 0.5, 1} {
		Slerp(c, a, b, u)
		if want := (1-u)*norm(a) + u*norm(b); math.Abs(norm(c)-want) > 1e-6*want {
			t.Errorf("at %g the length is %g, want %g", u, norm(c), want)
		}
		// float32 rounds by 2⁻²⁴; an arc cosine near 0 doubles the digits that are lost
		if want := u * angle(a, b); math.Abs(angle(a, c)-want) > 1e-3 {
			t.Errorf("at %g the angle is %g, want %g", u, angle(a, c), want)
		}
	}
	x, y := []float32{3, 0}, []float32{0, 4}
	Slerp(x, x, y, 0.5)
	if want := float32(3.5 / math.Sqrt2); math.Abs(float64(x[0]-want)) > 1e-6 || math.Abs(float64(x[1]-want)) > 1e-6 {
		t.Errorf("between (3,0) and (0,4) there is %v", x)
	}
	Slerp(x, []float32{2, 2}, []float32{4, 4}, 0.25)
	if !slices.Equal(x, []float32{2.5, 2.5}) {
		t.Errorf("in one direction: %v", x)
	}
	Slerp(x, []float32{0, 0}, []float32{4, 2}, 0.5)
	if !slices.Equal(x, []float32{2, 1}) {
		t.Errorf("from nothing: %v", x)
	}
}

type bridged struct{ diffusion.CondOT }

func (bridged) Gamma(t float64) (float64, float64) { return t * (1 - t), 1 - 2*t }

func TestNoised(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, e, z := s.Full(2, 1, 1), s.Full(-1, 1, 1), s.Full(10, 1, 1)
	for _, c := range []struct {
		path diffusion.GaussianPath
		want float64
	}{
		{diffusion.CondOT{}, 0.75*2 - 0.25},
		{diffusion.EDM{SigmaMax: 80}, 2 - 0.25},
		{bridged{}, 0.75*2 - 0.25 + 10*0.25*0.75},
	} {
		if got := Noised(x, e, z, c.path, 0.25).Item(); got != c.want {
			t.Errorf("%T: %g, want %g", c.path, got, c.want)
		}
	}
}
