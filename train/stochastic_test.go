package train

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion/sampler"
)

// Every sampler draws finite samples from a trained flow; those of this package's
// stochastic ones also from where α is 0, and others with another seed from the same start.
func TestEverySamplerDraws(t *testing.T) {
	m := opened(t, trained(t, moonsYAML, "steps=30"))
	how := m.How
	from := func(name, grid string, seed uint64) []float32 {
		m.How = how
		c := Choice{Sampler: name, Steps: 12, Overrides: []string{"grid.kind=" + grid}}
		if name == "annealed_langevin" {
			c.Overrides = append(c.Overrides, "sampler.steps=3")
		}
		if err := m.Choose(c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		x := draw(t, m, Request{N: 3, Labels: turns(3, 2), Seed: seed, Noise: []float32{1, 0.5, -1, 0.2, 0, -0.7}})
		for _, v := range x {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("%s: %g among the samples", name, v)
			}
		}
		return x
	}
	for _, e := range sampler.Samplers {
		from(e.Name, "logsnr", 1)
	}
	for _, name := range []string{"euler_ancestral", "dpm2_ancestral", "dpmpp_sde", "dpm_multistep_sde", "euler_maruyama", "predictor_corrector", "annealed_langevin", "restart"} {
		if slices.Equal(from(name, "uniform", 1), from(name, "uniform", 2)) {
			t.Errorf("%s gives the same samples with another seed", name)
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
