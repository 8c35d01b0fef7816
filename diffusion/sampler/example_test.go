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

// Data is led back to the noise that it comes from, which makes the same data again.
func ExampleInvert() {
	model := &diffusion.Oracle{
		Of:       &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{-2}, {2}}, Stds: [][]float64{{0.5}, {0.5}}},
		Along:    diffusion.CondOT{},
		Predicts: diffusion.Velocity,
	}
	ddim, err := sampler.New(sampler.Samplers, "ddim")
	if err != nil {
		panic(err)
	}
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(model.Path(), 400)
	if err != nil {
		panic(err)
	}
	ctx, s := context.Background(), tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	noise, err := sampler.Invert(ctx, s, model, ddim, grid, s.Tensor([]float32{-2.5, -1.5, 1.7, 2}, 4, 1), sampler.Options{})
	if err != nil {
		panic(err)
	}
	data, err := sampler.Sample(ctx, s, model, ddim, grid, noise, sampler.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.1f\n", data.Float32s())
	// Output: [-2.5 -1.5 1.7 2.0]
}
