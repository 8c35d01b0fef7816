package likelihood

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// With what the path's end really is for the prior, a path that ends early leaves nothing out.
func TestPrior(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m := mixtureOf(2)
	x, _ := m.Sample(rng.Key{Seed: 4}, 20)
	want := truth(s, m, x, diffusion.Cond{})
	for _, path := range []diffusion.GaussianPath{diffusion.EDM{SigmaMax: 1.5}, diffusion.VP{Beta0: 0.1, Beta1: 3}} {
		at := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		o := settings(func(o *ODE) {
			o.RTol, o.ATol = 1e-7, 1e-7
			o.Prior = func(x []float64) float64 {
				at.Reset()
				return m.LogDensity(at.Tensor(x, 1, 2), path, diffusion.Step{T: []float64{path.End()}}, diffusion.Cond{}).Item()
			}
		})
		for i, l := range logP(t, s, o, &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.V}, Data{X: x, Shape: []int{2}}).LogP {
			if math.Abs(l-want[i]) > 1e-4 { // what the noise at the start blurs
				t.Errorf("%T: ln p of sample %d is %.6f, the truth %.6f", path, i, l, want[i])
			}
		}
		at.Close()
	}
}
