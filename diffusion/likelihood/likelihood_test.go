package likelihood

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// mixtureOf is a mixture of three Gaussians in two classes.
func mixtureOf(dim int) *diffusion.Mixture {
	m := &diffusion.Mixture{Weights: []float64{0.5, 0.3, 0.2}, Classes: []int{0, 1, 1}}
	for k := range 3 {
		mean, std := make([]float64, dim), make([]float64, dim)
		for j := range dim {
			mean[j] = math.Sin(float64(1 + 3*k + 2*j))
			std[j] = 0.3 + 0.1*float64((k+j)%3)
		}
		m.Means, m.Stds = append(m.Means, mean), append(m.Stds, std)
	}
	return m
}

func table(t *testing.T) *diffusion.Table {
	t.Helper()
	betas, err := diffusion.Betas(diffusion.BetaLinear, 1000, 1e-4, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	p, err := diffusion.NewTable(betas, diffusion.InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// truth is ln p of each sample under the data's own distribution.
func truth(s *tensor.Scope, m *diffusion.Mixture, x []float64, c diffusion.Cond) []float64 {
	dim := len(m.Means[0])
	return m.LogDensity(s.Tensor(x, len(x)/dim, dim), diffusion.CondOT{}, diffusion.Step{T: []float64{0}}, c).Float64s()
}

func mean(x []float64) (m float64) {
	for _, v := range x {
		m += v / float64(len(x))
	}
	return m
}

// The likelihood of mixtures is the true one, on every path, by every prediction, in 1, 2 and 8 dimensions.
func TestMixtures(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	for _, dim := range []int{1, 2, 8} {
		m := mixtureOf(dim)
		const n = 60
		x, _ := m.Sample(rng.Key{Seed: 4}, n)
		want := truth(s, m, x, diffusion.Cond{})
		for _, c := range []struct {
			path diffusion.GaussianPath
			kind diffusion.Kind
			// Each sample's ln p is wrong by what the end of the path has left of the data: about
			// α|x0|·|y| at VP's end, α=e^{−5}, |x0|/σ at EDM's, and by what the noise at the start
			// blurs: σ²/2·|Δp/p| with σ=10⁻³ (10⁻² of the table), |Δp/p| below 10 a dimension. Where α=0 and ε is
			// predicted, the end is at σ/α=1000, |x0|<2.5 and |y|<4.
			each float64
			low  bool // in 1-D and 2-D only
		}{
			{diffusion.CondOT{}, diffusion.Velocity, 1e-4, false},
			{diffusion.CondOT{}, diffusion.X0, 1e-4, true},
			{diffusion.CondOT{}, diffusion.V, 1e-4, true},
			{diffusion.CondOT{}, diffusion.Eps, 1e-2, false},
			{diffusion.Trig{}, diffusion.Velocity, 1e-4, true},
			{diffusion.Trig{}, diffusion.Score, 1e-2, true},
			{diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.Eps, 0.1, false},
			{diffusion.VP{Beta0: 0.1, Beta1: 40}, diffusion.Score, 3e-4, true},
			{diffusion.SubVP{VP: diffusion.VP{Beta0: 0.1, Beta1: 40}}, diffusion.Eps, 3e-4, true},
			{diffusion.Cosine{Shift: 0.008}, diffusion.V, 1e-4, true},
			{diffusion.VE{SigmaMin: 0.01, SigmaMax: 1e5}, diffusion.Score, 3e-4, true},
			{diffusion.EDM{SigmaMax: 80}, diffusion.Preconditioned{SigmaData: 0.5}, 0.15, false},
			{diffusion.EDM{SigmaMax: 1e5}, diffusion.X0, 3e-4, true},
			{table(t), diffusion.Eps, 0.1, false},
		} {
			if c.low && dim > 2 {
				continue
			}
			o := new(ODE)
			o.SetDefaults()
			o.RTol, o.ATol, o.Divergence = 1e-6, 1e-6, Exact
			model := &diffusion.Oracle{Of: m, Along: c.path, Predicts: c.kind}
			r, err := o.LogLikelihood(context.Background(), s, model, Data{X: x, Shape: []int{dim}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%d-D, %T, %v", dim, c.path, c.kind)
			for i := range want {
				if !(math.Abs(r.LogP[i]-want[i]) < c.each) {
					t.Errorf("%s: ln p of sample %d is %.6f, the truth %.6f", what, i, r.LogP[i], want[i])
					break
				}
			}
			// What the ends leave out has mean 0 to first order.
			if got := r.NLL(); !(math.Abs(got.Mean+mean(want)) < 1e-3) {
				t.Errorf("%s: NLL %.5f, the truth %.5f", what, got.Mean, -mean(want))
			}
		}
	}
}

// settings are defaults with changes.
func settings(change func(o *ODE)) *ODE {
	o := new(ODE)
	o.SetDefaults()
	change(o)
	return o
}

func logP(t *testing.T, s *tensor.Scope, o *ODE, m diffusion.Model, d Data) *Result {
	t.Helper()
	r, err := o.LogLikelihood(context.Background(), s, m, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each sample is judged by its own condition, in any batch, the same bits.
func TestConditionsAndBatches(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m := mixtureOf(2)
	const n = 20
	x, class := m.Sample(rng.Key{Seed: 5}, n)
	want := truth(s, m, x, diffusion.Cond{Labels: s.Ints(class, n)})
	data := Data{X: x, Shape: []int{2}, Cond: func(s *tensor.Scope, samples []int) diffusion.Cond {
		labels := make([]int32, len(samples))
		for i, k := range samples {
			labels[i] = class[k]
		}
		return diffusion.Cond{Labels: s.Ints(labels, len(labels))}
	}}
	o := &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	for _, how := range []string{Exact, Rademacher} {
		all := logP(t, s, settings(func(o *ODE) { o.Divergence, o.Probes = how, 2 }), o, data)
		for i, l := range all.LogP {
			if how == Exact && math.Abs(l-want[i]) > 1e-3 {
				t.Errorf("ln p of sample %d of class %d is %g, the truth %g", i, class[i], l, want[i])
			}
		}
		for _, batch := range []int{1, 7} {
			if got := logP(t, s, settings(func(o *ODE) { o.Divergence, o.Probes, o.Batch = how, 2, batch }), o, data); !slices.Equal(got.LogP, all.LogP) {
				t.Errorf("%s: other values in batches of %d", how, batch)
			}
		}
	}
}

// Hutchinson's estimate is unbiased, its error what is said, and exact in one dimension with ±1.
func TestProbes(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m := mixtureOf(8)
	x, _ := m.Sample(rng.Key{Seed: 6}, 6)
	o := &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	data := Data{X: x, Shape: []int{2, 4}}
	exact := logP(t, s, settings(func(o *ODE) { o.Divergence = Exact }), o, data)
	if e := exact.NLL(); e.Probe != 0 || !exact.Exact {
		t.Errorf("an exact divergence has an error of %g by probes", e.Probe)
	}
	for _, how := range []string{Rademacher, Gaussian} {
		r := logP(t, s, settings(func(o *ODE) { o.Divergence, o.Probes = how, 40 }), o, data)
		e := r.NLL()
		if off := e.Mean - exact.NLL().Mean; !(math.Abs(off) < 4*e.Probe) || e.Probe > 0.5 || e.Probe == 0 {
			t.Errorf("%s: NLL %g, exactly %g, said to be within %g", how, e.Mean, exact.NLL().Mean, e.Probe)
		}
		if one := logP(t, s, settings(func(o *ODE) { o.Divergence, o.Probes = how, 1 }), o, data); !math.IsNaN(one.NLL().Probe) {
			t.Errorf("%s: an error of %g by a single probe", how, one.NLL().Probe)
		}
	}
	line := mixtureOf(1)
	y, _ := line.Sample(rng.Key{Seed: 7}, 5)
	on := &diffusion.Oracle{Of: line, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	a := logP(t, s, settings(func(o *ODE) { o.Divergence = Exact }), on, Data{X: y, Shape: []int{1}})
	b := logP(t, s, settings(func(o *ODE) { o.Divergence, o.Probes = Rademacher, 1 }), on, Data{X: y, Shape: []int{1}})
	for i := range y {
		if math.Abs(a.LogP[i]-b.LogP[i]) > 1e-9 {
			t.Errorf("in one dimension ±1 gives %g, the derivative %g", b.LogP[i], a.LogP[i])
		}
	}
}

// Kutta's method has order 4; Dormand and Prince's keeps to its tolerance.
func TestOrders(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m := mixtureOf(2)
	x, _ := m.Sample(rng.Key{Seed: 8}, 20)
	o := &diffusion.Oracle{Of: m, Along: diffusion.Trig{}, Predicts: diffusion.V}
	data := Data{X: x, Shape: []int{2}}
	ref := logP(t, s, settings(func(o *ODE) { o.RTol, o.ATol = 1e-11, 1e-11 }), o, data).LogP
	wrong := func(o2 *ODE) (worst float64) {
		for i, l := range logP(t, s, o2, o, data).LogP {
			worst = max(worst, math.Abs(l-ref[i]))
		}
		return worst
	}
	few := wrong(settings(func(o *ODE) { o.Method, o.Steps = RK4, 40 }))
	many := wrong(settings(func(o *ODE) { o.Method, o.Steps = RK4, 80 }))
	if slope := math.Log2(few / many); math.Abs(slope-4) > 0.5 {
		t.Errorf("rk4: errors %.2e and %.2e of 40 and 80 steps, order %.2f", few, many, slope)
	}
	for _, tol := range []float64{1e-3, 1e-5, 1e-7} {
		// Errors of some 15 steps add up, and stretch as probabilities do.
		if got := wrong(settings(func(o *ODE) { o.RTol, o.ATol = tol, tol })); got > 50*tol || got < tol/1e4 {
			t.Errorf("rk45 with tolerance %g is off by %g", tol, got)
		}
	}
}

// The tableaux satisfy the conditions of their orders.
func TestTableaux(t *testing.T) {
	for name, rk := range map[string]*tableau{"rk4": rk4, "rk45": dormandPrince} {
		order := 4
		if rk.e != nil {
			order = 5
		}
		for p := range order {
			b, e := 0.0, 0.0
			for i, w := range rk.b {
				b += w * math.Pow(rk.c[i], float64(p))
				if rk.e != nil {
					e += rk.e[i] * math.Pow(rk.c[i], float64(p))
				}
			}
			if math.Abs(b-1/float64(p+1)) > 1e-15 || p < 4 && math.Abs(e) > 1e-15 {
				t.Errorf("%s: Σb·c^%d is %g, Σe·c^%d %g", name, p, b, p, e)
			}
		}
		for i, a := range rk.a {
			sum := 0.0
			for _, v := range a {
				sum += v
			}
			if math.Abs(sum-rk.c[i]) > 1e-14 {
				t.Errorf("%s: row %d sums to %g, want %g", name, i, sum, rk.c[i])
			}
		}
	}
}

// Data spread evenly over the levels and their widths take log2(levels) bits.
func TestBits(t *testing.T) {
	for _, levels := range []int{2, 17, 256} {
		width := 2 / float64(levels-1)
		const dim = 64
		nats := dim * math.Log(float64(levels)*width)
		if got, want := BitsPerDim(nats, dim, levels), math.Log2(float64(levels)); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d levels: %g bits, want %g", levels, got, want)
		}
		x := make([]float64, 2000)
		for i := range x {
			x[i] = float64(i%levels)*width - 1
		}
		y := Dequantise(x, 10, levels, rng.Key{Seed: 1}, 0)
		sum, sq := 0.0, 0.0
		for i := range x {
			u := (y[i] - x[i]) / width
			if u < -0.5-1e-9 || u > 0.5+1e-9 {
				t.Fatalf("%d levels: %g has become %g, another level", levels, x[i], y[i])
			}
			sum, sq = sum+u/2000, sq+u*u/2000
		}
		// Mean 0 and variance 1/12, with standard errors of .0065 and .0017.
		if math.Abs(sum) > 0.03 || math.Abs(sq-1./12) > 0.008 {
			t.Errorf("%d levels: noise of mean %g and mean square %g", levels, sum, sq)
		}
		if part := Dequantise(x[500:520], 10, levels, rng.Key{Seed: 1}, 50); !slices.Equal(part, y[500:520]) {
			t.Errorf("%d levels: a sample's noise depends on those before it", levels)
		}
	}
	if got := BitsPerDim(3*math.Ln2, 3, 0); math.Abs(got-1) > 1e-15 {
		t.Errorf("without levels: %g bits, want 1", got)
	}
	e := (&Result{LogP: []float64{-1, -2, -6}, Probed: [][]float64{{-1, -1}, {-1, -3}, {-6, -6}}}).NLL()
	// Mean 3, deviations 2, 1, 3: √(14/(2·3)); the probes of one sample have variance 2, of their mean 1: √1/3.
	if math.Abs(e.Mean-3) > 1e-15 || math.Abs(e.Error-math.Sqrt(14./6)) > 1e-15 || math.Abs(e.Probe-1./3) > 1e-15 {
		t.Errorf("estimate %+v", e)
	}
	if b := e.Bits(2, 17); math.Abs(b.Mean-(3/(2*math.Ln2)+3)) > 1e-14 || math.Abs(b.Error-e.Error/(2*math.Ln2)) > 1e-15 {
		t.Errorf("in bits %+v", b)
	}
}

// rough is a model whose answers jump.
type rough struct{ diffusion.CondOT }

func (m rough) Path() diffusion.GaussianPath { return m.CondOT }
func (rough) Kind() diffusion.Kind           { return diffusion.Velocity }
func (rough) Eval(x *tensor.Tensor, _ diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Value: x.Scale(1e9).Sin(), Kind: diffusion.Velocity}
}

func TestErrors(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	one := Data{X: []float64{0.3}, Shape: []int{1}}
	flow := func(k diffusion.Kind) diffusion.Model {
		return &diffusion.Oracle{Of: mixtureOf(1), Along: diffusion.CondOT{}, Predicts: k}
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	for name, c := range map[string]struct {
		ctx  context.Context
		m    diffusion.Model
		data Data
		o    *ODE
		want string
	}{
		"method":        {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.Method = "rk5" }), want: "method"},
		"steps":         {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.Method, o.Steps = RK4, 0 }), want: "steps"},
		"rtol":          {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.RTol = 0 }), want: "rtol"},
		"atol":          {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.ATol = -1 }), want: "atol"},
		"divergence":    {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.Divergence = "all" }), want: "divergence"},
		"probes":        {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.Probes = 0 }), want: "probes"},
		"sigma_min":     {m: flow(diffusion.Velocity), data: one, o: settings(func(o *ODE) { o.SigmaMin = -1 }), want: "sigma_min"},
		"values":        {m: flow(diffusion.Velocity), data: Data{X: []float64{1, 2, 3}, Shape: []int{2}}, o: settings(func(*ODE) {}), want: "shape [2]"},
		"cancelled":     {ctx: cancelled, m: flow(diffusion.Velocity), data: one, o: settings(func(*ODE) {}), want: "cancel"},
		"rough answers": {m: rough{}, data: one, o: settings(func(*ODE) {}), want: "too rough"},
	} {
		if c.ctx == nil {
			c.ctx = context.Background()
		}
		r, err := c.o.LogLikelihood(c.ctx, s, c.m, c.data, nil)
		if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
