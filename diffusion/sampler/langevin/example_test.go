package langevin_test

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/diffusion/sampler/langevin"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Heads came up 7 times in 10: the posterior of the log-odds under the prior N(0,1),
// by its logarithm alone.
func ExampleSample() {
	posterior := langevin.Target{LogDensity: func(x *tensor.Tensor) *tensor.Tensor {
		heads, tails := x.LogSigmoid().Scale(7), x.Neg().LogSigmoid().Scale(3)
		return heads.Add(tails).Add(x.Square().Scale(-0.5)).Sum(1)
	}}
	s := tensor.NewScope(cpu.Default(), tensor.Recording) // the score is a gradient
	defer s.Close()
	start := s.Normal(rng.Key{Seed: 1}, 0, 500, 1) // 500 chains
	r, err := langevin.Sample(context.Background(), s, posterior, &langevin.MALA{Step: 0.5}, start, langevin.Options{
		Keep: 20, BurnIn: 50, Thin: 5, Key: rng.Key{Seed: 1},
	})
	if err != nil {
		panic(err)
	}
	mean := 0.0
	for _, x := range r.Samples {
		mean += x / float64(len(r.Samples))
	}
	fmt.Printf("mean of %d samples: %.1f\n", len(r.Samples), mean)
	// Output: mean of 10000 samples: 0.6
}
