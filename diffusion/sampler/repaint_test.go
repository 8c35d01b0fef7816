package sampler

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// painted is the perfect model with the second of two values known.
type painted struct {
	*diffusion.Oracle
	value float64
}

func (m painted) Kind() diffusion.Kind { return diffusion.X0 }
func (m painted) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := m.Oracle.Eval(x, at, c)
	first := p.As(diffusion.X0, x, m.Along, at).Slice(1, 0, 1)
	return diffusion.Pred{Value: tensor.Concat(1, first, x.Scope().Full(m.value, x.Dim(0), 1)), Kind: diffusion.X0}
}

// Going back and forth makes what is not known agree with what is: the data lie on
// (1,1) and (−1,−1), of which the known value leaves one.
func TestRePaint(t *testing.T) {
	m := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{1, 1}, {-1, -1}}, Stds: [][]float64{{0.2}, {0.2}}}
	o := &diffusion.Oracle{Of: m, Along: diffusion.VP{Beta0: 0.1, Beta1: 20}, Predicts: diffusion.Eps}
	grid, err := (&UniformGrid{Shift: 1}).Times(o.Along, 25)
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	drawn := func(model diffusion.Model, how *RePaint) []float64 {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		defer s.Close()
		x, err := Sample(context.Background(), s, model, how, grid, s.Normal(rng.Key{Seed: 4}, 0, n, 2), Options{Key: rng.Key{Seed: 5}})
		if err != nil {
			t.Fatal(err)
		}
		return x.Float64s()
	}
	draw := func(model diffusion.Model, resample int) []float64 {
		return drawn(model, &RePaint{Variance: FixedSmall, Resample: resample})
	}
	disagree := func(resample int) (wrong float64) {
		x := draw(painted{o, 1}, resample)
		for i := range n {
			if x[2*i] < 0 {
				wrong += 1. / n
			}
			if x[2*i+1] != 1 {
				t.Errorf("resample %d: the known value is %g", resample, x[2*i+1])
			}
		}
		return wrong
	}
	once, often := disagree(1), disagree(10)
	if often > 0.01 || often > once/3 && once > 0 {
		t.Errorf("%.3f of samples disagree with what is known if each step is taken once, %.3f if ten times", once, often)
	}
	// Without anything known it draws the data's distribution: half on either side; the smaller
	// variance narrows it. Deviations of 300 samples are known to .008.
	spread := func(variance string) float64 {
		x := drawn(o, &RePaint{Variance: variance, Resample: 5})
		right, square := 0.0, 0.0
		for i := range n {
			if x[2*i] > 0 {
				right += 1. / n
			}
			d := math.Abs(x[2*i]) - 1
			square += d * d / n
		}
		if math.Abs(right-0.5) > 5*math.Sqrt(0.25/n) { // five standard errors
			t.Errorf("%s: %.3f on the right", variance, right)
		}
		return math.Sqrt(square)
	}
	if grid, err = (&UniformGrid{Shift: 1}).Times(o.Along, 100); err != nil { // the last step, to the mean, then leaves .195 of .2
		t.Fatal(err)
	}
	if small, large := spread(FixedSmall), spread(FixedLarge); !(small < large-0.016 && small > 0.1 && large > 0.17 && large < 0.3) {
		t.Errorf("deviations of %.3f and %.3f, the data's is .2", small, large)
	}
	// Once, it is ddpm.
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	y, err := Sample(context.Background(), s, o, &DDPM{Variance: FixedSmall}, grid, s.Normal(rng.Key{Seed: 4}, 0, n, 2), Options{Key: rng.Key{Seed: 5}})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range draw(o, 1) {
		if v != y.Float64s()[i] {
			t.Fatalf("value %d is %g, ddpm's %g", i, v, y.Float64s()[i])
		}
	}
	for _, bad := range []*RePaint{{Variance: FixedSmall}, {Resample: 2}, {Variance: Learned, Resample: 2}} {
		if bad.Validate() == nil {
			t.Errorf("takes %+v", bad)
		}
	}
}
