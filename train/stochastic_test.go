package train

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion/sampler"
)

// Every sampler of the registry draws finite samples from a trained flow, whose grid
// begins where α is 0, and every stochastic one others with another seed.
func TestEverySamplerDraws(t *testing.T) {
	m := opened(t, trained(t, moonsYAML, "steps=30"))
	for _, name := range Samplers.Kinds() {
		c := Choice{Sampler: name, Steps: 4}
		if name == "annealed_langevin" {
			c.Overrides = []string{"sampler.steps=3"}
		}
		if err := m.Choose(c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, x := range draw(t, m, Request{N: 3, Labels: turns(3, 2), Seed: 1}) {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Errorf("%s: %g among the samples", name, x)
			}
		}
	}
}

// With one Brownian motion more steps refine a sample; epsilon scaling changes it, in a
// run's config and on the command line.
func TestBrownianAndScaling(t *testing.T) {
	m := opened(t, trained(t, moonsYAML, "steps=30", "sample.eps_scaling.bias=1.5"))
	if m.How.Scaling != (sampler.EpsScaling{Bias: 1.5}) {
		t.Errorf("the run's scaling is %+v", m.How.Scaling)
	}
	at := func(steps int, overrides ...string) []float32 {
		if err := m.Choose(Choice{Sampler: "euler_ancestral", Steps: steps, Overrides: append(overrides, "eps_scaling.slope=0")}); err != nil {
			t.Fatal(err)
		}
		return draw(t, m, Request{N: 20, Labels: turns(20, 2), Seed: 3})
	}
	apart := func(a, b []float32) (d float64) {
		for i := range a {
			d += math.Abs(float64(a[i] - b[i]))
		}
		return d
	}
	scaled, plain := at(20), at(20, "eps_scaling.bias=1")
	if slices.Equal(scaled, plain) {
		t.Error("the scaling changes nothing")
	}
	free := apart(at(200, "brownian=false"), at(400, "brownian=false"))
	if one := apart(at(200, "brownian=true"), at(400, "brownian=true")); one > free/3 {
		t.Errorf("twice the steps move samples by %.3g with one motion and %.3g without", one, free)
	}
}
