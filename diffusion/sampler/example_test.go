package sampler_test

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Heun's method turns noise into samples of a mixture whose velocity is known exactly.
func ExampleSample() {
	data := &diffusion.Mixture{
		Weights: []float64{0.5, 0.5},
		Means:   [][]float64{{-2}, {2}},
		Stds:    [][]float64{{0.1}, {0.1}},
	}
	model := &diffusion.Oracle{Of: data, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	heun, err := sampler.New(sampler.Samplers, "heun")
	if err != nil {
		panic(err)
	}
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(model.Path(), 40)
	if err != nil {
		panic(err)
	}

	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	noise := sampler.Start(s, model.Path(), grid[0], rng.Key{Seed: 1}, 0, 1000, 1)
	x, err := sampler.Sample(context.Background(), s, model, heun, grid, noise, sampler.Options{})
	if err != nil {
		panic(err)
	}
	near := 0
	for _, v := range x.Float32s() {
		if v > 1.5 && v < 2.5 || v < -1.5 && v > -2.5 {
			near++
		}
	}
	fmt.Println(near, "of 1000 samples are near a mode")
	// Output: 1000 of 1000 samples are near a mode
}
