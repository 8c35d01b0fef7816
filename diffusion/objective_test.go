package diffusion

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// perturbed is a model plus θ·tanh(x_t).
type perturbed struct {
	Model
	theta *tensor.Param
}

func (p perturbed) Eval(x *tensor.Tensor, at Step, c Cond) Pred {
	out := p.Model.Eval(x, at, c)
	out.Value = out.Value.Add(x.Tanh().Mul(p.theta))
	return out
}

func batchOf(m *Mixture, key rng.Key, n int) *Batch {
	x, class := m.Sample(key, n)
	b := &Batch{N: n, Shape: []int{len(m.Means[0])}, Labels: class}
	for _, v := range x {
		b.X = append(b.X, float32(v))
	}
	return b
}

// slopeAtZero is the mean over independent batches of ∂loss/∂θ at θ=0, and its standard error.
func slopeAtZero(s *tensor.Scope, r Objective, data *Mixture, m Model) (mean, err float64) {
	theta := tensor.NewParam(s.Device(), tensor.Float64, 1)
	const batches = 24
	var sum, sum2 float64
	var d Draw
	for i := range batches {
		s.Reset()
		k := rng.Key{Seed: 12, Step: uint64(i)}
		r.Draw(k, batchOf(data, k.WithStream(1), 128), &d)
		loss := r.Loss(s, perturbed{m, theta}, &d)
		g := s.Grad(loss, []*tensor.Param{theta})[0].Float64s()[0]
		sum += g
		sum2 += g * g
	}
	mean = sum / batches
	return mean, math.Sqrt((sum2/batches - mean*mean) / (batches - 1))
}

// A perfect model is the optimum of every regression: whatever is predicted, on
// whatever path, however it is weighed. A model of other data is not.
func TestOptimumIsTheOracle(t *testing.T) {
	s := scope64(t, tensor.Recording)
	data, other := testMixture(), testMixture()
	other.Means = [][]float64{{1.3, -0.5}, {-1.2, 0.6}, {0.5, 1.5}}
	wrong := 0
	tests := 0
	for name, path := range paths() {
		if name == "table of one" || name == "zero snr of 2" || name == "ve" || name == "edm" {
			continue // few times, or many levels of noise so high that nothing is learned there
		}
		for i, k := range []Kind{Eps, X0, V, Velocity} {
			r := &Regression{Path: path, Times: &Uniform{From: 0.02, To: 0.98}, Stratified: i%2 == 0}
			if i%2 == 1 {
				r.Weighting = &MinSNR{Gamma: 5}
			}
			tests++
			mean, err := slopeAtZero(s, r, data, &Oracle{data, path, k})
			if !(math.Abs(mean) <= 5*err) {
				t.Errorf("%s, %v: the slope at the oracle is %.3g ± %.2g, want 0", name, k, mean, err)
			}
			if mean, err := slopeAtZero(s, r, data, &Oracle{other, path, k}); math.Abs(mean) > 5*err {
				wrong++
			}
		}
	}
	if wrong < tests*3/4 {
		t.Errorf("only %d of %d tests tell a wrong model", wrong, tests)
	}
}

// For one Gaussian the smallest loss is known: the mean over time of the posterior variance.
func TestLossOfTheOracle(t *testing.T) {
	const std = 0.6
	data := &Mixture{Weights: []float64{1}, Means: [][]float64{{0.4, -0.2}}, Stds: [][]float64{{std}}}
	s := scope64(t, tensor.Inference)
	for _, path := range []GaussianPath{CondOT{}, Trig{}, VP{0.1, 20}, paths()["linear table"]} {
		for _, k := range []Kind{Eps, X0, V, Velocity} {
			if _, vp := path.(VP); vp && k == Velocity {
				continue // infinite: σ' is at 0
			}
			want := 0.0
			const steps = 20000
			for i := range steps {
				p := path.At(onClock(path, (float64(i)+0.5)/steps))
				// Var[x0|x] = s²σ²/(α²s²+σ²); the error of p·x0+q·ε is (p−qα/σ) times that of x0.
				a, b := k.Of(p)
				f := a - b*p.Alpha/p.Sigma
				want += f * f * std * std * p.Sigma * p.Sigma / (p.Alpha*p.Alpha*std*std + p.Sigma*p.Sigma) / steps
			}
			r := &Regression{Path: path, Stratified: true}
			var d Draw
			var sum, sum2 float64
			const batches = 30
			for i := range batches {
				s.Reset()
				key := rng.Key{Seed: 5, Step: uint64(i)}
				r.Draw(key, batchOf(data, key, 256), &d)
				l := r.Loss(s, &Oracle{data, path, k}, &d).Item()
				sum += l
				sum2 += l * l
			}
			mean := sum / batches
			err := math.Sqrt((sum2/batches - mean*mean) / (batches - 1))
			if !(math.Abs(mean-want) <= 5*err) || err > 0.05*want {
				t.Errorf("%T, %v: loss of the oracle is %.5f ± %.5f, want %.5f", path, k, mean, err, want)
			}
		}
	}
}

// constant is a model that says the same of everything.
type constant struct {
	fixed
	kind  Kind
	value []float64
}

func (c constant) Path() GaussianPath { return c.fixed }
func (c constant) Kind() Kind         { return c.kind }
func (c constant) Eval(x *tensor.Tensor, _ Step, _ Cond) Pred {
	return Pred{Value: x.Scope().Tensor(c.value, x.Shape()...), Kind: c.kind}
}

// Sums of squares, as texts print them; losses are means.
func TestWorkedLosses(t *testing.T) {
	s := scope64(t, tensor.Inference)
	for _, c := range []struct {
		name         string
		alpha, sigma float64
		x0, eps      []float32
		kind         Kind
		says         []float64
		sum          float64
	}{
		{"denoising score matching", 0.7, 0.3, []float32{4, 2}, []float32{0.5, -1.2}, Score, []float64{-1.5, 3.5}, 0.27778},
		{"DDPM", 0.4, 0.6, []float32{3, -1}, []float32{0.8, -0.5}, Eps, []float64{0.6, -0.3}, 0.08},
	} {
		path := fixed{Alpha: c.alpha, Sigma: c.sigma}
		d := &Draw{N: 1, Shape: []int{2}, X: c.x0, Noise: c.eps, T: []float64{0.5}}
		loss := (&Regression{Path: path}).Loss(s, constant{path, c.kind, c.says}, d)
		close(t, c.name, 2*loss.Item(), c.sum, 5e-6) // five digits are given; float32 inputs hold seven
	}
}

func TestWeights(t *testing.T) {
	for name, path := range paths() {
		for i := range 20 {
			p := path.At(path.End() * (0.01 + 0.98*unitFloat(i)))
			snr := p.SNR()
			low := math.Min(snr, 5)
			n := p.Alpha*p.Alpha + p.Sigma*p.Sigma
			u := p.DAlpha - p.DSigma*p.Alpha/p.Sigma
			for _, c := range []struct {
				w    Weighting
				own  Kind
				want float64
			}{
				{&MinSNR{5}, Eps, low / snr},
				{&MinSNR{5}, X0, low},
				{&MinSNR{5}, V, low * p.Sigma * p.Sigma / (n * n)}, // min(S,γ)/(S+1) if n=1
				{&MinSNR{5}, Velocity, low / (u * u)},
				{SNR{}, Eps, 1},
				{SNR{}, X0, snr},
				{Even{}, V, 1},
				{Even{X0}, Eps, 1 / snr},
				{Even{Velocity}, X0, u * u},
			} {
				close(t, fmt.Sprintf("%s at %g: weight %T of %v", name, p.T, c.w, c.own), EffectiveWeight(c.w, c.own, p), c.want, 1e-10)
			}
			if name == "condot" {
				close(t, "min-SNR of a CondOT velocity", EffectiveWeight(&MinSNR{5}, Velocity, p), low*p.Sigma*p.Sigma, 1e-12)
			}
		}
	}
	// Where there is no signal min-SNR still has its limits.
	none := Point{Alpha: 0, Sigma: 1}
	for k, want := range map[Kind]float64{Eps: 1, X0: 0, V: 0} {
		if got := EffectiveWeight(&MinSNR{5}, k, none); got != want {
			t.Errorf("min-SNR of %v without signal is %g, want %g", k, got, want)
		}
	}
	table := paths()["zero snr"].(*Table)
	if err := (&Regression{Path: table, Weighting: Even{X0}}).Check(Eps); err == nil {
		t.Error("no error for ε weighed as x0 where α=0")
	}
	for _, k := range []Kind{Eps, X0, V} {
		if err := (&Regression{Path: table, Weighting: &MinSNR{5}}).Check(k); err != nil {
			t.Error(err)
		}
	}
}

func TestDrawIsAFunctionOfItsKey(t *testing.T) {
	m := testMixture()
	r := &Regression{Path: CondOT{}, Dropout: Dropout{P: 0.3, Classes: 2}}
	k := rng.Key{Seed: 3, Step: 17}
	b := batchOf(m, k, 50)
	b.Vector = make([]float32, 50*3)
	var one, two Draw
	r.Draw(k, b, &one)
	r.Draw(k.WithStep(18), b, &two)
	if slices.Equal(one.T, two.T) || slices.Equal(one.Labels, two.Labels) || one.NoiseKey == two.NoiseKey {
		t.Error("two steps have the same randomness")
	}
	half := &Batch{N: 20, Shape: b.Shape, X: b.X[:40], Labels: b.Labels[:20], Vector: b.Vector[:60]}
	r.Draw(k, half, &two)
	if !slices.Equal(one.T[:20], two.T) || !slices.Equal(one.Labels[:20], two.Labels) || !slices.Equal(one.Drop[:20], two.Drop) {
		t.Error("a sample's randomness depends on the batch")
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	device := one.Eps(s).Float32s()
	if !slices.Equal(device, one.HostNoise()) || !slices.Equal(device, one.Eps(s).Float32s()) {
		t.Error("the host draws other noise than the device")
	}
}

func TestConditionDropout(t *testing.T) {
	const n, p = 20000, 0.15
	b := &Batch{N: n, Shape: []int{1}, X: make([]float32, n), Labels: make([]int32, n), Vector: make([]float32, n)}
	for i := range b.Labels {
		b.Labels[i] = int32(i % 7)
	}
	r := &Regression{Path: CondOT{}, Dropout: Dropout{P: p, Classes: 7}}
	var d Draw
	r.Draw(rng.Key{Seed: 2}, b, &d)
	dropped := 0
	for i, l := range d.Labels {
		if (l == 7) != (d.Drop[i] == 1) || d.Drop[i] != 0 && d.Drop[i] != 1 {
			t.Fatalf("sample %d: label %d, vector dropped %g", i, l, d.Drop[i])
		}
		if l == 7 {
			dropped++
		} else if l != b.Labels[i] {
			t.Fatalf("sample %d: label %d became %d", i, b.Labels[i], l)
		}
	}
	// five standard deviations
	if f := float64(dropped) / n; math.Abs(f-p) > 5*math.Sqrt(p*(1-p)/n) {
		t.Errorf("%.4f of the conditions are dropped, want %g", f, p)
	}
	for _, l := range b.Labels {
		if l == 7 {
			t.Fatal("the batch's own labels are changed")
		}
	}
	for _, p := range []float64{0, 1} {
		r.Dropout.P = p
		r.Draw(rng.Key{Seed: 2}, b, &d)
		if got := slices.Index(d.Labels, 7) >= 0; got != (p == 1) {
			t.Errorf("with probability %g some are dropped: %t", p, got)
		}
	}
}

func TestTimes(t *testing.T) {
	const n = 4000
	draw := func(d TimeSampler, p GaussianPath, stratified bool) []float64 {
		r := &Regression{Path: p, Times: d, Stratified: stratified}
		var out Draw
		r.Draw(rng.Key{Seed: 6}, &Batch{N: n, Shape: []int{1}, X: make([]float32, n)}, &out)
		return out.T
	}
	mean := func(x []float64, f func(float64) float64) (m float64) {
		for _, v := range x {
			m += f(v) / n
		}
		return m
	}
	same := func(v float64) float64 { return v }
	// five standard errors of a mean of n
	near := func(what string, got, want, std float64) {
		if t.Helper(); !(math.Abs(got-want) <= 5*std/math.Sqrt(n)) {
			t.Errorf("%s is %.4f, want %.4f", what, got, want)
		}
	}
	near("uniform mean", mean(draw(&Uniform{To: 1}, CondOT{}, false), same), 0.5, math.Sqrt(1.0/12))
	near("part of the path", mean(draw(&Uniform{From: 0.2, To: 0.4}, EDM{80}, false), same), 24, 16/math.Sqrt(12))
	logit := func(v float64) float64 { return math.Log(v / (1 - v)) }
	near("logit", mean(draw(&LogitNormal{Mean: -0.4, Std: 1.5}, CondOT{}, false), logit), -0.4, 1.5)
	near("log σ", mean(draw(&LogNormal{Mean: -1.2, Std: 1.2}, EDM{80}, false), math.Log), -1.2, 1.2)
	near("log σ on CondOT", mean(draw(&LogNormal{Mean: -1.2, Std: 1.2}, CondOT{}, false), logit), -1.2, 1.2)
	near("shifted", mean(draw(Shifted{&Uniform{To: 1}, 3}, CondOT{}, false), func(v float64) float64 { return v / (3 - 2*v) }), 0.5, math.Sqrt(1.0/12))
	strata := draw(&Uniform{To: 1}, CondOT{}, true)
	for i, v := range strata {
		if v < float64(i)/n || v > float64(i+1)/n {
			t.Fatalf("time %d of %d slices is %g", i, n, v)
		}
	}
	table := paths()["scaled table"].(*Table)
	for _, d := range []TimeSampler{&Uniform{To: 1}, &LogitNormal{Std: 3}, &LogNormal{Std: 3}, Shifted{&Uniform{To: 1}, 2}} {
		seen := map[float64]int{}
		for _, v := range draw(d, table, false) {
			if v != math.Trunc(v) || v < 1 || v > 100 {
				t.Fatalf("%T: time %g of a table of 100", d, v)
			}
			seen[v]++
		}
		if seen[1] == 0 || seen[100] == 0 {
			t.Errorf("%T: the table's first entry is drawn %d times, its last %d", d, seen[1], seen[100])
		}
	}
	counts := make([]float64, 101)
	for _, v := range draw(&Uniform{To: 1}, table, false) {
		counts[int(v)]++
	}
	chi := 0.0
	for _, c := range counts[1:] {
		chi += (c - 40) * (c - 40) / 40
	}
	if chi > 99+5*math.Sqrt(2*99) { // χ² of 99 degrees: mean 99, variance 198
		t.Errorf("entries are not uniform: χ² is %g", chi)
	}
}

func TestObjectiveRefusesAnotherPath(t *testing.T) {
	m := testMixture()
	s := scope64(t, tensor.Inference)
	r := &Regression{Path: CondOT{}}
	var d Draw
	r.Draw(rng.Key{}, batchOf(m, rng.Key{}, 4), &d)
	defer func() {
		if recover() == nil {
			t.Error("trains a model of another path")
		}
	}()
	r.Loss(s, &Oracle{m, Trig{}, Velocity}, &d)
}
