package sampler

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Of every sampler, a trace begins with the start, has a state for each time of the grid, ends
// with the sample, and changes nothing; those that choose their steps themselves refuse it.
func TestTrace(t *testing.T) {
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.VP{Beta0: 0.1, Beta1: 20}, Predicts: diffusion.X0}
	grid := []float64{1, 0.7, 0.4, 0.2, 0.05, 0}
	for name, how := range variants(t) {
		for _, wide := range []bool{false, true} {
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			start := s.Normal(rng.Key{Seed: 3}, 0, 3, 2)
			begin := start.Float64s()
			opts := Options{Key: rng.Key{Seed: 4}, Float64: wide}
			x, err := Sample(context.Background(), s, o, how, grid, start, opts)
			if err != nil {
				t.Fatal(name, err)
			}
			want := x.Float64s()
			s.Reset()
			var times []float64
			var states [][]float64
			opts.Trace = func(p diffusion.Point, x *tensor.Tensor) {
				times, states = append(times, p.T), append(states, x.Float64s())
			}
			x, err = Sample(context.Background(), s, o, how, grid, s.Tensor(begin, 3, 2), opts)
			if _, ok := how.(*Dopri5); ok {
				if err == nil || !strings.Contains(err.Error(), "chooses its steps itself") {
					t.Errorf("%s: a trace: %v", name, err)
				}
				s.Close()
				continue
			}
			if err != nil {
				t.Fatal(name, err)
			}
			got := x.Float64s()
			if !slices.Equal(got, want) {
				t.Errorf("%s, float64 %t: traced, the samples are others", name, wide)
			}
			last := states[len(states)-1]
			if wide { // the result is rounded to the scope's type
				last = s.Tensor(last, 3, 2).Float64s()
			}
			if !slices.Equal(times, grid) || !slices.Equal(states[0], begin) || !slices.Equal(last, want) {
				t.Errorf("%s, float64 %t: the trace is of the times %v, from %v to %v; want %v, from %v to %v", name, wide, times, states[0], last, grid, begin, want)
			}
			s.Close()
		}
	}
}

// A traced state of a one-step method is what a grid that ends there leads to.
func TestTraceBetween(t *testing.T) {
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	grid := []float64{1, 0.8, 0.5, 0.3, 0}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	begin := []float64{0.3, -1, 2, 0.4}
	var states [][]float64
	trace := func(_ diffusion.Point, x *tensor.Tensor) { states = append(states, x.Float64s()) }
	if _, err := Sample(context.Background(), s, o, heun("time"), grid, s.Tensor(begin, 2, 2), Options{Trace: trace}); err != nil {
		t.Fatal(err)
	}
	for k := 1; k < len(grid); k++ {
		s.Reset()
		x, err := Sample(context.Background(), s, o, heun("time"), grid[:k+1], s.Tensor(begin, 2, 2), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Float64s(); !slices.Equal(got, states[k]) {
			t.Errorf("at time %g: %v is traced, %v reached", grid[k], states[k], got)
		}
	}
	// Back again: from the data's end to the noise's, the first step included.
	s.Reset()
	data := states[len(states)-1]
	states = nil
	var times []float64
	noise, err := Invert(context.Background(), s, o, heun("time"), grid, s.Tensor(data, 2, 2), Options{Trace: func(p diffusion.Point, x *tensor.Tensor) {
		times = append(times, p.T)
		trace(p, x)
	}})
	if err != nil {
		t.Fatal(err)
	}
	rising := slices.Clone(grid)
	slices.Reverse(rising)
	if !slices.Equal(times, rising) || !slices.Equal(states[0], data) || !slices.Equal(states[len(states)-1], noise.Float64s()) {
		t.Errorf("inversion is traced at %v", times)
	}
}
