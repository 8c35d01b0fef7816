package guidance

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// bayes is the perfect classifier of a mixture: ln p(c|x) = ln p(x|c) − ln p(x) + ln p(c), the last without gradient.
type bayes struct {
	of   *diffusion.Mixture
	path diffusion.GaussianPath
}

func (b bayes) LogProb(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	return b.of.LogDensity(x, b.path, at, c).Sub(b.of.LogDensity(x, b.path, at, diffusion.Cond{}))
}

// towards is (x0−y)²/(2τ²), summed over a sample.
func towards(y, tau float64) Cost {
	return func(x0, _ *tensor.Tensor) *tensor.Tensor {
		return x0.AddScalar(-y).Square().Reshape(x0.Dim(0), -1).Sum(1).Scale(1 / (2 * tau * tau))
	}
}

var allKinds = []diffusion.Kind{diffusion.Eps, diffusion.X0, diffusion.V, diffusion.Score, diffusion.Velocity, diffusion.DataVelocity, diffusion.Preconditioned{SigmaData: 0.5}}

// The perfect classifier makes the unconditional model the conditional one, on every path, by every prediction.
func TestClassifierGuidance(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, _, c := three(s)
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 2}} {
		for _, k := range allKinds {
			o := &diffusion.Oracle{Of: mixture, Along: path, Predicts: k}
			for _, at := range []diffusion.Step{{T: []float64{0.4}}, {T: []float64{0.2, 0.5, 0.8}}} {
				cond, null := o.Eval(x, at, c).Value.Float64s(), o.Eval(x, at, Null(s, c, 2, 3)).Value.Float64s()
				for _, scale := range []float64{0, 1, 2.5} {
					g := &Classified{Of: o, By: bayes{mixture, path}, Strength: Strength{Scale: scale}, Blind: true, Classes: 2}
					m, _, end := diffusion.Begin(g)
					for _, m := range []diffusion.Model{g, m, m} {
						got := m.Eval(x, at, c).Value.Float64s()
						for i := range cond { // affine in the score
							near(t, k.String(), got[i:i+1], []float64{null[i] + scale*(cond[i]-null[i])}, 1e-11)
						}
					}
					end()
				}
			}
		}
	}
	// A model that sees the class is moved further; outside of the interval, or blind to labels altogether, none of it.
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Score}
	at := diffusion.Step{T: []float64{0.4}}
	cond, null := o.Eval(x, at, c).Value.Float64s(), o.Eval(x, at, diffusion.Cond{}).Value.Float64s()
	g := &Classified{Of: o, By: bayes{mixture, o.Along}, Strength: Strength{Scale: 1}}
	got := g.Eval(x, at, c).Value.Float64s()
	for i := range cond {
		near(t, "seeing", got[i:i+1], []float64{2*cond[i] - null[i]}, 1e-11)
	}
	g.Strength.To = 0.3
	near(t, "outside", g.Eval(x, at, c).Value.Float64s(), cond, 0)
	g.Blind, g.Classes = true, -1
	near(t, "without labels", g.Eval(x, at, c).Value.Float64s(), null, 1e-15)
}

// Of Gaussian data, where x̂0 = m + k·(x−αm) with k = αs²/(α²s²+σ²), the gradient of the cost is known.
func TestCostGuidance(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	const y, tau = 0.8, 0.5
	x := s.Tensor([]float64{0.3, -0.2, 1}, 3, 1)
	at := diffusion.Step{T: []float64{0.4}}
	for _, std := range []float64{1, 0.4} {
		const m = 0.2
		of := &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{m}}, Stds: [][]float64{{std}}}
		for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 2}} {
			for _, k := range allKinds {
				o := &diffusion.Oracle{Of: of, Along: path, Predicts: k}
				p := path.At(0.4)
				slope := p.Alpha * std * std / (p.Alpha*p.Alpha*std*std + p.Sigma*p.Sigma)
				for _, scale := range []float64{0, 1.5} {
					exact, cheap := make([]float64, 3), make([]float64, 3)
					for i, v := range x.Float64s() {
						x0 := m + slope*(v-p.Alpha*m)
						exact[i] = -(v-p.Alpha*m)/(p.Alpha*p.Alpha*std*std+p.Sigma*p.Sigma) - scale*slope*(x0-y)/(tau*tau)
						cheap[i] = x0 - scale*p.Sigma*p.Sigma/(p.Alpha*p.Alpha+p.Sigma*p.Sigma)*(x0-y)/(tau*tau)
					}
					g := &Costed{Of: o, J: towards(y, tau), Through: true, Strength: Strength{Scale: scale}}
					near(t, "score through "+k.String(), g.Eval(x, at, diffusion.Cond{}).As(diffusion.Score, x, path, at).Float64s(), exact, 1e-11)
					through := g.Eval(x, at, diffusion.Cond{}).As(diffusion.X0, x, path, at).Float64s()
					g.Through = false
					near(t, "data by "+k.String(), g.Eval(x, at, diffusion.Cond{}).As(diffusion.X0, x, path, at).Float64s(), cheap, 1e-11)
					if std == 1 { // where the cheap one is exact
						near(t, "both", through, cheap, 1e-11)
					}
				}
			}
		}
	}
	// A cost that says nothing of the data changes nothing.
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	x, _, c := three(s)
	g := &Costed{Of: o, J: func(x0, _ *tensor.Tensor) *tensor.Tensor { return x0.Scope().Ones(x0.Dim(0)) }, Through: true, Strength: Strength{Scale: 3}}
	near(t, "constant cost", g.Eval(x, at, c).Value.Float64s(), o.Eval(x, at, c).Value.Float64s(), 1e-15)
}

// At the end of a flow, where nothing of the data is left and gradients by the state vanish, the
// estimate of the data moves as it does just before: by −s·std²·∇J, the classes' means by Bayes' rule.
func TestAtTheNoise(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	path, x := diffusion.CondOT{}, s.Tensor([]float64{0.3, -0.2, 1}, 3, 1)
	of := &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{0.2}}, Stds: [][]float64{{0.4}}}
	two := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{0.6}, {-0.6}}, Stds: [][]float64{{0.4}, {0.4}}}
	c := diffusion.Cond{Labels: s.Ints([]int32{0, 1, 0}, 3)}
	for _, k := range []diffusion.Kind{diffusion.X0, diffusion.V, diffusion.Velocity} {
		for _, at := range []diffusion.Step{{T: []float64{1}}, {T: []float64{0.9995}}} {
			g := &Costed{Of: &diffusion.Oracle{Of: of, Along: path, Predicts: k}, J: towards(0.8, 0.5), Through: true, Strength: Strength{Scale: 1.5}}
			want := 0.2 - 1.5*0.4*0.4*(0.2-0.8)/0.25
			// α/σ=10⁻³ is to the first order, times numbers of about 1.
			near(t, "cost", g.Eval(x, at, diffusion.Cond{}).As(diffusion.X0, x, path, at).Float64s(), []float64{want, want, want}, 5e-3)
			b := &Classified{Of: &diffusion.Oracle{Of: two, Along: path, Predicts: k}, By: bayes{two, path}, Strength: Strength{Scale: 1}, Blind: true, Classes: 2}
			near(t, "classes", b.Eval(x, at, c).As(diffusion.X0, x, path, at).Float64s(), []float64{0.6, -0.6, 0.6}, 5e-3)
		}
	}
}

// Of standard normal data, measured with an error, the guided score is that of the posterior, noised:
// data with mean y/(1+τ²) and variance τ²/(1+τ²); and likewise of a measured mean.
func TestMeasurementsOfNormalData(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	const y, tau = 0.75, 0.3
	of := &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{0, 0}}, Stds: [][]float64{{1}}}
	x := s.Tensor([]float64{0.3, -0.2, 1, 0.6}, 2, 2)
	v := x.Float64s()
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 2}} {
		for _, at := range []diffusion.Step{{T: []float64{0.4}}, {T: []float64{0.2, 0.9}}} {
			o := &diffusion.Oracle{Of: of, Along: path, Predicts: diffusion.Score}
			score := func(v, mean, variance float64, p diffusion.Point) float64 {
				return -(v - p.Alpha*mean) / (p.Alpha*p.Alpha*variance + p.Sigma*p.Sigma)
			}
			for _, through := range []bool{true, false} {
				g := &Costed{Of: o, Through: through, Strength: Strength{Scale: 1}}
				g.J = Near(&Known{Values: []float32{0, y}, Mask: []float32{0, 1}}, tau)
				known := g.Eval(x, at, diffusion.Cond{}).Value.Float64s()
				g.J = NearMean(y, tau)
				mean := g.Eval(x, at, diffusion.Cond{}).Value.Float64s()
				for i := range 2 {
					p := path.At(at.At(i))
					near(t, "known", known[2*i:2*i+2], []float64{score(v[2*i], 0, 1, p), score(v[2*i+1], y/(1+tau*tau), tau*tau/(1+tau*tau), p)}, 1e-11)
					// Sum and difference over √2 are independent; the sum is √2·mean, measured at √2·y with √2·τ.
					sum, diff := (v[2*i]+v[2*i+1])/math.Sqrt2, (v[2*i]-v[2*i+1])/math.Sqrt2
					t2 := 2 * tau * tau
					a, b := score(sum, math.Sqrt2*y/(1+t2), t2/(1+t2), p), score(diff, 0, 1, p)
					near(t, "mean", mean[2*i:2*i+2], []float64{(a + b) / math.Sqrt2, (a - b) / math.Sqrt2}, 1e-11)
				}
			}
		}
	}
}

// Samples go where the cost is low.
func TestCostSteersSamples(t *testing.T) {
	m := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{1}, {-1}}, Stds: [][]float64{{0.3}, {0.3}}}
	o := &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	for _, through := range []bool{true, false} {
		x := sampled(t, &Costed{Of: o, J: towards(1, 0.5), Through: through, Strength: Strength{Scale: 1}}, 200, 1, nil)
		right := 0
		for _, v := range x {
			if v > 0 {
				right++
			}
		}
		if right < 190 { // half of them without
			t.Errorf("through=%v: %d of 200 samples on the right", through, right)
		}
	}
}

// sampled draws n samples of dim values by DDIM.
func sampled(t *testing.T, m diffusion.Model, n, dim int, cond func(s *tensor.Scope) diffusion.Cond) []float64 {
	t.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(m.Path(), 20)
	if err != nil {
		t.Fatal(err)
	}
	x, err := sampler.Sample(context.Background(), s, m, &sampler.DDIM{}, grid, s.Normal(rng.Key{Seed: 2}, 0, n, dim), sampler.Options{Cond: cond})
	if err != nil {
		t.Fatal(err)
	}
	return x.Float64s()
}

func TestProjections(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Tensor([]float64{0.5, -3, 2, 0.25, math.Inf(1), 1}, 2, 3)
	for _, c := range []struct {
		c         Constraint
		want      []float64
		violation []float64
	}{
		{&Box{Min: -1, Max: 1.5}, []float64{0.5, -1, 1.5, 0.25, 1.5, 1}, []float64{2, math.Inf(1)}},
		{&Known{Values: []float32{7, 8, 9}, Mask: []float32{0, 1, 0}}, []float64{0.5, 8, 2, 0.25, 8, 1}, []float64{11, math.Inf(1)}},
		{&Known{Values: []float32{7, 8, 9}}, []float64{7, 8, 9, 7, 8, 9}, nil},
		{All{&Box{Min: -1, Max: 1}, &Known{Values: []float32{7, 8, 9}, Mask: []float32{0, 1, 0}}}, []float64{0.5, 8, 1, 0.25, 8, 1}, nil},
		{Projection(func(x *tensor.Tensor) *tensor.Tensor { return x.Clamp(0, 1) }), []float64{0.5, 0, 1, 0.25, 1, 1}, nil},
	} {
		p := c.c.Project(x)
		near(t, "projection", p.Float64s(), c.want, 0)
		for i, v := range Violation(c.c, p) {
			if v != 0 {
				t.Errorf("%T: sample %d is %g off after projection", c.c, i, v)
			}
		}
		for i, v := range c.violation {
			if got := Violation(c.c, x)[i]; got != v {
				t.Errorf("%T: sample %d is %g off, want %g", c.c, i, got, v)
			}
		}
	}
	y := s.Tensor([]float64{0.5, -3, 2, 0.25, 4, 1}, 2, 3)
	// The nearest values in a box with a mean are clamp(x+λ) with λ such that the mean is right.
	wide := []float64{0.5, -3, 2, 0.25, -0.7, 1.2, 0.1, 0.9}
	want := make([]float64, len(wide))
	for lo, hi := -5.0, 5.0; hi-lo > 1e-14; {
		mid, sum := (lo+hi)/2, 0.0
		for i, v := range wide {
			want[i] = min(max(v+mid, -1), 1)
			sum += want[i]
		}
		if sum/8 < 0.4 {
			lo = mid
		} else {
			hi = mid
		}
	}
	near(t, "box and mean", All{&Box{Min: -1, Max: 1}, &Mean{Value: 0.4}}.Project(s.Tensor(wide, 1, 8)).Float64s(), want, 1e-6)
	near(t, "mean", (&Mean{Value: 1}).Project(y).Float64s(), []float64{0.5 + 1 + 1./6, -3 + 1 + 1./6, 2 + 1 + 1./6, -0.5, 3.25, 0.25}, 1e-15)
	near(t, "sum", (&Mean{Value: 3, Sum: true}).Project(y).Float64s(), (&Mean{Value: 1}).Project(y).Float64s(), 1e-15)
	if (&Box{Min: 1, Max: 0}).Validate() == nil {
		t.Error("takes a box without inside")
	}
}

// spy sees the states that a model is asked about.
type spy struct {
	diffusion.Model
	seen func(x *tensor.Tensor, t float64)
}

func (m *spy) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	m.seen(x, at.T[0])
	return m.Model.Eval(x, at, c)
}

// Along a deterministic sampler, what is known of the state is α·y + σ·ε with the noise at
// the start (the method of replacement), samples keep to the constraint exactly, and
// it is said how far the model was from it.
func TestInpainting(t *testing.T) {
	path := diffusion.CondOT{}
	var first []float64
	y := float64(float32(0.7))
	o := &spy{&diffusion.Oracle{Of: mixture, Along: path, Predicts: diffusion.Velocity}, func(x *tensor.Tensor, at float64) {
		v := x.Float64s()
		if first == nil {
			first = v // at t=1, the noise
		}
		for i := 1; i < len(v); i += 2 {
			if want := path.At(at).Alpha*y + path.At(at).Sigma*first[i]; math.Abs(v[i]-want) > 1e-12 {
				t.Fatalf("at %g the known value of the state is %g, want %g", at, v[i], want)
			}
		}
	}}
	var worst []float64
	m := &Constrained{Of: o, To: &Known{Values: []float32{0, 0.7}, Mask: []float32{0, 1}}, Report: func(at diffusion.Step, v []float64) {
		if len(v) != 50 || at.Index != len(worst) {
			t.Errorf("step %d: %d violations", at.Index, len(v))
		}
		w := 0.0
		for _, d := range v {
			w = max(w, d)
		}
		worst = append(worst, w)
	}}
	x := sampled(t, m, 50, 2, nil)
	distinct := map[float64]bool{}
	for i := 0; i < len(x); i += 2 {
		distinct[x[i]] = true
		if math.Abs(x[i+1]-y) > 1e-14 {
			t.Errorf("the known value of sample %d is %g", i/2, x[i+1])
		}
	}
	if len(distinct) != 50 {
		t.Errorf("%d different values of what is not known", len(distinct))
	}
	if len(worst) != 20 || !(worst[0] > 0.3 && worst[19] < worst[0]/2) {
		t.Errorf("violations %.3f", worst)
	}
}

// All samplers end within the constraint, as the last step leads to the estimate of the data; lms, which
// extrapolates there, too, is as far off as its step is short. Models of whole steps alone are none that jump is for.
func TestConstrainedSamplers(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	karras := new(sampler.KarrasGrid)
	karras.SetDefaults()
	grid, err := karras.Times(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range sampler.Samplers {
		// Of values of order 1, of which a step's coefficients are at most some tens.
		tol := 1e-13
		var to Constraint = &Mean{Value: 0.6}
		switch e.Name {
		case "jump":
			continue
		case "lms":
			tol = 0.002 // ε at the last steps' levels, of which that is the last, differs by order 1
		case "repaint":
			to = &Known{Values: []float32{0.5, 0}, Mask: []float32{1, 0}}
		}
		m := &Constrained{Of: &diffusion.Oracle{Of: mixture, Along: path, Predicts: diffusion.V}, To: to}
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		x, err := sampler.Sample(context.Background(), s, m, e.New(), grid, s.Normal(rng.Key{Seed: 2}, 0, 8, 2), sampler.Options{Key: rng.Key{Seed: 3}})
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		for i, v := range Violation(m.To, x) {
			if !(v <= tol) {
				t.Errorf("%s: sample %d is %g off", e.Name, i, v)
			}
		}
		s.Close()
	}
}
