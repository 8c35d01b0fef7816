package sampler

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// leaping leads data N(0, s²) along the exact flow in jumps of any length.
type leaping struct {
	path diffusion.GaussianPath
	s    float64
}

func (m *leaping) Path() diffusion.GaussianPath { return m.path }
func (m *leaping) Kind() diffusion.Kind         { return diffusion.X0 }
func (m *leaping) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	if !at.Jump {
		panic("asked without a jump")
	}
	return diffusion.Pred{Kind: diffusion.X0, Value: x.Mul(diffusion.PerSample(x, m.path, at, func(p, q diffusion.Point) float64 {
		n, to := p.NoiseLevel(), q.NoiseLevel()
		r := to / n
		return (math.Sqrt((m.s*m.s+to*to)/(m.s*m.s+n*n)) - r) / (1 - r) / p.Alpha
	}))}
}

// With exact jumps samples have the data's variance on any grid, whatever part of the noise is drawn anew: without any noise the jumps add up to one; else to five
// standard deviations of a variance of 20000 numbers.
func TestGammaOfExactJumps(t *testing.T) {
	const s, n = 0.5, 20000
	for _, path := range []diffusion.GaussianPath{diffusion.EDM{SigmaMax: 80}, diffusion.VP{Beta0: 0.1, Beta1: 20}} {
		m := &leaping{path, s}
		time := func(level float64) float64 { return path.Time(-math.Log(level)) }
		grid := []float64{path.End(), time(3), time(0.7), time(0.2), 0}
		whole := drawn(t, m, &Gamma{}, []float64{path.End(), 0}, n)
		// Starts have the prior's variance, not that of noised data: they lead to data of a variance next to s².
		start := diffusion.PriorStd(path.At(path.End())) / path.At(path.End()).Alpha
		top := path.At(path.End()).NoiseLevel()
		for _, gamma := range []float64{0, 0.4, 1} {
			x, sum := drawn(t, m, &Gamma{Gamma: gamma}, grid, n), 0.0
			for i, v := range x {
				sum += v * v / n
				if gamma == 0 && math.Abs(v-whole[i]) > 1e-9 {
					t.Fatalf("%T: four jumps lead to %g, one to %g", path, v, whole[i])
				}
			}
			want := s * s * start * start / (s*s + top*top)
			if gamma > 0 {
				want = s * s // but for what the first jump leaves, below 10⁻² of it
			}
			if math.Abs(sum/want-1) > 5*math.Sqrt(2.0/n)+1e-2 {
				t.Errorf("%T, gamma %g: variance %.4f, want %.4f", path, gamma, sum, want)
			}
		}
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		if (&Gamma{Gamma: bad}).Validate() == nil {
			t.Errorf("gamma %g is taken", bad)
		}
	}
}
