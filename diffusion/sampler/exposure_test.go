package sampler

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Whatever the model predicts, what its prediction says of ε is divided by b + k·t, and
// what it says of the data follows: x0 = (x − σε/λ)/α.
func TestEpsScaling(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	p := path.At(0.3)
	at := diffusion.Step{T: []float64{0.3}, Next: []float64{0.2}, Index: 6, Count: 10}
	x := s.Tensor([]float64{0.4, -1, 0.2, 1.3}, 2, 2)
	for _, kind := range []diffusion.Kind{diffusion.Eps, diffusion.X0, diffusion.V, diffusion.Score, diffusion.Velocity, diffusion.Preconditioned{SigmaData: 0.5}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: kind}
		eps := o.Eval(x, at, diffusion.Cond{}).As(diffusion.Eps, x, path, at).Float64s()
		scaled := EpsScaling{Bias: 1.02, Slope: 0.01}.Model(o)
		pred := scaled.Eval(x, at, diffusion.Cond{})
		if pred.Kind != kind || scaled.Kind() != kind || scaled.Path() != o.Path() {
			t.Errorf("%v became %v", kind, pred.Kind)
		}
		got, data := pred.As(diffusion.Eps, x, path, at).Float64s(), pred.As(diffusion.X0, x, path, at).Float64s()
		for i, v := range x.Float64s() {
			want := eps[i] / (1.02 + 0.01*4) // four steps are left, this one included
			if math.Abs(got[i]-want) > 1e-12 || math.Abs(data[i]-(v-p.Sigma*want)/p.Alpha) > 1e-11 {
				t.Errorf("%v: ε %.12g and data %.12g, want %.12g and %.12g", kind, got[i], data[i], want, (v-p.Sigma*want)/p.Alpha)
			}
		}
	}
	// From pure noise, ε̂ says nothing of the data: as it is.
	flow := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	end := diffusion.Step{T: []float64{1}, Count: 10}
	if a, b := flow.Eval(x, end, diffusion.Cond{}).Value.Float64s(), (EpsScaling{Bias: 2}).Model(flow).Eval(x, end, diffusion.Cond{}).Value.Float64s(); !slices.Equal(a, b) {
		t.Errorf("where alpha is 0: %v became %v", a, b)
	}
	none := EpsScaling{}
	none.SetDefaults()
	if none.Model(flow) != diffusion.Model(flow) {
		t.Error("the defaults scale")
	}
	for _, bad := range []EpsScaling{{Bias: 0}, {Bias: 1, Slope: -1}, {Bias: math.Inf(1)}} {
		if bad.Validate() == nil {
			t.Errorf("no error for %+v", bad)
		}
	}
	// A sample's variance falls with the bias: what was taken away as noise comes back. Of
	// deterministic samples of N(0,s²) the variance is that of a linear recursion.
	grid := append(inLevels(path, 20, 0.05)(50), 0)
	o := &diffusion.Oracle{Of: gaussian(0, 0.5), Along: path, Predicts: diffusion.Eps}
	v := func(e EpsScaling) float64 {
		_, v := moments(t, e.Model(o), &DDIM{}, grid, 1, 0, 1)
		return v
	}
	want, level := 1.0, 1.0
	for i, at := range grid[:len(grid)-1] {
		a, b := path.At(at), path.At(grid[i+1])
		l, m := a.NoiseLevel(), b.NoiseLevel()
		if i == 0 {
			level = 1 / a.Alpha
		}
		level *= 1 + (m-l)*l/(l*l+0.25)/1.01 // ε̂ = x̃·ℓ/(ℓ²+s²)
		want = level * level
	}
	if got := v(EpsScaling{Bias: 1.01}); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("variance %.12g, want %.12g", got, want)
	}
	if !(v(EpsScaling{Bias: 1.01}) > v(EpsScaling{Bias: 1})) {
		t.Error("a smaller noise estimate leaves more in the sample")
	}
}
