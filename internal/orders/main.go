// Command orders draws the error of deterministic samplers over the number of times
// that they ask the model, on data whose score is known:
//
//	go run ./internal/orders docs/samplers.png
package main

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/plot"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: orders FILE.png")
		os.Exit(2)
	}
	if err := draw(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// shown are the samplers with their options, as they run by themselves.
func shown() []struct {
	name string
	how  sampler.Sampler
} {
	dpm := func(order int) sampler.Sampler {
		return &sampler.DPMMultistep{DPM: sampler.DPM{Algorithm: sampler.DPMSolverPP, Order: order, Type: sampler.Midpoint}, Third: sampler.Exact}
	}
	sigma := sampler.Coordinate{Variable: "sigma"}
	return []struct {
		name string
		how  sampler.Sampler
	}{
		{"ddim", &sampler.DDIM{}},
		{"heun", &sampler.RungeKutta{Coordinate: sigma, Method: "heun2"}},
		{"rk4", &sampler.RungeKutta{Coordinate: sigma, Method: "rk4"}},
		{"DPM++ 2M", dpm(2)},
		{"DPM++ 3M", dpm(3)},
		{"unipc 3", &sampler.UniPC{Order: 3, Algorithm: sampler.DPMSolverPP, B: sampler.BH2, Corrector: true}},
	}
}

// draw measures from σ/α = 5 to .2 on grids with equal steps in the log-SNR.
func draw(file string) error {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	model := &diffusion.Oracle{Along: path, Predicts: diffusion.X0, Of: &diffusion.Mixture{
		Weights: []float64{0.5, 0.3, 0.2},
		Means:   [][]float64{{1, -0.5}, {-1.2, 0.3}, {0.2, 1.5}},
		Stds:    [][]float64{{0.4, 0.6}, {0.5}, {0.3}},
	}}
	run := func(how sampler.Sampler, steps int) (x []float64, calls int, err error) {
		grid := make([]float64, steps+1)
		diffusion.Linspace(grid, -math.Log(5), -math.Log(0.2))
		for i := range grid {
			grid[i] = path.Time(grid[i])
		}
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		defer s.Close()
		var n sampler.Count
		out, err := sampler.Sample(context.Background(), s, model, how, grid, s.Normal(rng.Key{Seed: 1}, 0, 64, 2), sampler.Options{Count: &n})
		if err != nil {
			return nil, 0, err
		}
		return out.Float64s(), n.Evaluations, nil
	}
	exact := new(sampler.Dopri5)
	exact.SetDefaults()
	exact.RTol, exact.ATol = 1e-13, 1e-13
	truth, _, err := run(exact, 1)
	if err != nil {
		return err
	}
	var curves []plot.Series
	for _, c := range shown() {
		curve := plot.Series{Name: c.name}
		for steps := 4; steps <= 128; steps *= 2 {
			x, calls, err := run(c.how, steps)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			square := 0.0
			for i, v := range x {
				square += (v - truth[i]) * (v - truth[i])
			}
			curve.X = append(curve.X, math.Log2(float64(calls)))
			curve.Y = append(curve.Y, math.Sqrt(square/float64(len(x))))
		}
		curves = append(curves, curve)
	}
	return plot.WriteCurve(file, curves, plot.CurveOptions{
		Title: "Error", XLabel: "log₂ of the model calls", YLabel: "root mean square error", Log: true,
	})
}
