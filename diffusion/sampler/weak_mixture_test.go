package sampler

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// unparted asks a model once about paths that have been given the same noises so far: at step i of n there are 3^i of each start,
// of 3^(n−i) neighbours each.
type unparted struct {
	diffusion.Model
	starts int
}

func (m *unparted) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	n := m.starts
	for range at.Index {
		n *= 3
	}
	same := x.Dim(0) / n
	p := m.Model.Eval(x.Reshape(n, same).Slice(1, 0, 1).Contiguous(), at, c)
	p.Value = p.Value.Expand(n, same).Reshape(n*same, 1)
	return p
}

// expectations are E[f(x)] of what a sampler with one noise a step ends with from the path's own law at the grid's start, in one
// dimension, without drawing anything: over the start by the trapezoid rule, and each noise takes ±√3 and 0 with
// probabilities ⅙, ⅙ and ⅔, which are a normal variable's moments up to the fifth: the weak order stays
// what it is up to two (Kloeden and Platen 1992, sec. 14.1). Paths that have not parted yet are one to the model.
func expectations(t testing.TB, o *diffusion.Oracle, how Sampler, grid []float64, fs []func(x float64) float64) []float64 {
	t.Helper()
	// In units of scale the density has deviations of .7 and more at distances of .7 and less: the rule is off by some
	// e^(−2π²·.7²/.5²), and beyond ±6 there is e^(−5.3²/2/.7²) of the mass.
	const starts, far = 25, 6.0
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	steps := len(grid) - 1
	paths := int(math.Pow(3, float64(steps)) + 0.5)
	from := o.Along.At(grid[0])
	scale := math.Hypot(from.Alpha, from.Sigma)
	x, weight := make([]float64, starts*paths), make([]float64, starts*paths)
	for i := range starts {
		x[i*paths] = scale * far * (2*float64(i)/(starts-1) - 1)
		for j := range paths {
			x[i*paths+j] = x[i*paths]
		}
	}
	density := o.Of.LogDensity(s.Tensor(x, len(x), 1), o.Along, diffusion.Step{T: grid[:1]}, diffusion.Cond{}).Float64s()
	digit := func(j, k int) int { // of noise k in path j: neighbours differ in the last ones
		for range steps - 1 - k {
			j /= 3
		}
		return j % 3
	}
	for i := range weight {
		weight[i] = math.Exp(density[i]) * scale * far * 2 / (starts - 1)
		for k := range steps {
			if digit(i%paths, k) == 0 {
				weight[i] *= 2. / 3
			} else {
				weight[i] /= 6
			}
		}
	}
	out, err := Sample(context.Background(), s, &unparted{o, starts}, how, grid, s.Tensor(x, len(x), 1), Options{Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
		return s.TensorOf(func(j int) float64 { return [3]float64{0, math.Sqrt(3), -math.Sqrt(3)}[digit(j%paths, i)] }, len(x), 1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	means := make([]float64, len(fs))
	for i, v := range out.Float64s() {
		for k, f := range fs {
			means[k] += weight[i] * f(v)
		}
	}
	return means
}

// Multistep methods keep their weak order where the drift is not linear, too: on a mixture, the errors of E[x²], E[cos x] and
// E[x³] fall from four steps to eight as those of order one and two do. (Four steps over half a unit of the log-SNR; that of the mean is
// smaller and not in its regime yet, and of one step with eta=1 it is exact.)
func TestWeakOrdersOnAMixture(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	data := &diffusion.Mixture{Weights: []float64{0.35, 0.65}, Means: [][]float64{{1}, {-0.7}}, Stds: [][]float64{{0.4}, {0.3}}}
	o := &diffusion.Oracle{Of: data, Along: path, Predicts: diffusion.X0}
	const hi, lo = 1, 0.6
	fs := []func(x float64) float64{
		func(x float64) float64 { return x }, func(x float64) float64 { return x * x }, math.Cos, func(x float64) float64 { return x * x * x },
	}
	end := path.Time(-math.Log(lo))
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	const n, far = 4001, 8.0
	xs, want := make([]float64, n), make([]float64, len(fs))
	for i := range xs {
		xs[i] = far * (2*float64(i)/(n-1) - 1)
	}
	for i, l := range data.LogDensity(s.Tensor(xs, n, 1), path, diffusion.Step{T: []float64{end}}, diffusion.Cond{}).Float64s() {
		for k, f := range fs {
			want[k] += f(xs[i]) * math.Exp(l) * far * 2 / (n - 1)
		}
	}
	for _, c := range []struct {
		name  string
		order float64
		how   *DPMMultistepSDE
	}{
		{"order=2", 2, sdeMultistep(func(*DPMMultistepSDE) {})},
		{"order=1", 1, sdeMultistep(func(m *DPMMultistepSDE) { m.Order = 1 })},
		{"heun", 2, sdeMultistep(func(m *DPMMultistepSDE) { m.Solver = "heun" })},
		{"eta=½", 2, sdeMultistep(func(m *DPMMultistepSDE) { m.Eta = 0.5 })},
		{"noise", 2, sdeMultistep(func(m *DPMMultistepSDE) { m.Predict = OfNoise })},
	} {
		at := func(steps int) []float64 {
			got := expectations(t, o, c.how, inLevels(path, hi, lo)(steps), fs)
			for k := range got {
				got[k] = math.Abs(got[k] - want[k])
			}
			return got
		}
		if c.how.Eta == 1 {
			if e := at(1)[0]; e > 1e-12 {
				t.Errorf("%s: the mean after one step is off by %g", c.name, e)
			}
		}
		four, eight := at(4), at(8)
		for k := 1; k < len(fs); k++ {
			if order := math.Log2(four[k] / eight[k]); math.Abs(order-c.order) > 0.4 {
				t.Errorf("%s: order %.2f of moment %d, want %g", c.name, order, k, c.order)
			}
		}
		if testing.Short() {
			break
		}
	}
}
