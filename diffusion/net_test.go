package diffusion

import (
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// A network embeds a time that all samples share once, and gets one time a sample
// otherwise.
func TestNetworkGetsSharedTimesOnce(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	x := s.Normal(rng.Key{Seed: 1}, 0, 3, 2)
	for _, c := range []struct{ times, want []float64 }{
		{[]float64{0.25}, []float64{250}},
		{[]float64{0.25, 0.5, 1}, []float64{250, 500, 1000}},
	} {
		var got []float64
		m := &NetModel{Along: CondOT{}, Predicts: Velocity, TimeInput: func(p Point) float64 { return 1000 * p.T },
			Net: func(x, t *tensor.Tensor, _ Cond) *tensor.Tensor { got = t.Float64s(); return x }}
		m.Eval(x, Step{T: c.times}, Cond{})
		if !slices.Equal(got, c.want) {
			t.Errorf("times %v: the network got %v, want %v", c.times, got, c.want)
		}
	}
}
