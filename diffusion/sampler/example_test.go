package sampler_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/nn"
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

// A network's weights are read once, and goroutines with a scope and a plan each draw from it: requests for
// one sample, each a function of its number.
func ExamplePlan() {
	var o nn.DiTOptions
	o.SetDefaults()
	o.InChannels, o.Width, o.Depth, o.Heads, o.Classes = 1, 32, 2, 2, 10
	network := func(seed uint64) *nn.DiT {
		net, err := nn.NewDiT(nn.NewInit(cpu.Default(), rng.Key{Seed: seed}), o)
		if err != nil {
			panic(err)
		}
		return net
	}
	dir, err := os.MkdirTemp("", "weights")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "dit.safetensors")
	if err := nn.Save(file, network(1), nil); err != nil { // as training would have
		panic(err)
	}

	net := network(0)
	if err := nn.Load(file, net); err != nil { // of a run's checkpoint: nn.LoadPrefix(file, "ema.", net)
		panic(err)
	}
	model := &guidance.CFG{
		Of: &diffusion.NetModel{
			Net:   func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) },
			Along: diffusion.CondOT{}, Predicts: diffusion.Velocity,
		},
		Strength: guidance.Strength{Scale: 2}, Classes: o.Classes,
	}
	unipc, err := sampler.New(sampler.Samplers, "unipc")
	if err != nil {
		panic(err)
	}
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(model.Path(), 8)
	if err != nil {
		panic(err)
	}

	// serve answers requests until there are no more.
	serve := func(requests <-chan int, pictures [][]float32) {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		defer s.Close()
		label := []int32{0}
		plan, err := sampler.NewPlan(s, model, unipc, grid, sampler.Options{
			Key:  rng.Key{Seed: 42},
			Cond: func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Labels: s.Ints(label, 1)} },
		})
		if err != nil {
			panic(err)
		}
		defer plan.Close()
		for i := range requests { // from the second on without an allocation
			plan.First, label[0] = uint64(i), int32(i%10)
			x, err := plan.Draw(context.Background(), 1, 8, 8, 1)
			if err != nil {
				panic(err)
			}
			x.CopyTo(pictures[i])
		}
	}
	draw := func(workers int) [][]float32 {
		pictures := make([][]float32, 12)
		requests := make(chan int, len(pictures))
		for i := range pictures {
			pictures[i] = make([]float32, 8*8)
			requests <- i
		}
		close(requests)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() { serve(requests, pictures) })
		}
		all.Wait()
		return pictures
	}
	fmt.Println("the same from 1 goroutine and from 4:", reflect.DeepEqual(draw(1), draw(4)))
	// Output: the same from 1 goroutine and from 4: true
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
