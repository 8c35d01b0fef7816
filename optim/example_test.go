package optim_test

import (
	"fmt"

	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// A linear regression by AdamW: y = 2·x₀ − x₁ + 0.5.
func ExampleNewAdamW() {
	dev := cpu.Default()
	w, b := tensor.NewParam(dev, tensor.Float32, 2, 1), tensor.NewParam(dev, tensor.Float32, 1)
	w.Name, b.Name = "weight", "bias"
	params := []*tensor.Param{w, b}

	var c optim.AdamConfig
	c.SetDefaults()
	adamw := optim.NewAdamW(params, c)
	schedule := &optim.Cosine{Decay: optim.Decay{WarmupConfig: optim.WarmupConfig{Warmup: 20}}}

	s := tensor.NewScope(dev, tensor.Recording)
	defer s.Close()
	const steps = 400
	for step := range steps {
		s.Reset()
		x := s.Normal(rng.Key{Seed: 1, Step: uint64(step)}, 0, 64, 2)
		y := x.Slice(1, 0, 1).Scale(2).Sub(x.Slice(1, 1, 2)).AddScalar(0.5)
		loss := x.Linear(w, b).MSE(y)
		grads := s.Grad(loss, params)
		clip := optim.ClipScale(optim.GlobalNorm(s, grads), 1)
		adamw.Step(s, grads, 0.05*schedule.Rate(step, steps), clip)
	}
	fmt.Printf("weight %.3f bias %.3f after %d steps\n", w.Float32s(), b.Float32s(), adamw.Steps())
	// Output:
	// weight [2.000 -1.000] bias [0.500] after 400 steps
}

// An average of the weights, in the parameters of a second model, so that it can be run as it is.
func ExampleNewEMA() {
	dev := cpu.Default()
	w, average := tensor.NewParam(dev, tensor.Float32, 1), tensor.NewParam(dev, tensor.Float32, 1)
	ema, err := optim.NewEMA([]*tensor.Param{w}, []*tensor.Param{average}, optim.EMAConfig{Decay: 0.75})
	if err != nil {
		panic(err)
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	if err := w.Set([]float32{1}); err != nil {
		panic(err)
	}
	for range 3 {
		s.Reset()
		ema.Update(s)
		fmt.Print(average.Float32s(), " ")
	}
	// Output:
	// [0.25] [0.4375] [0.578125]
}
