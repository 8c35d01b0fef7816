package guidance

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The worked example of docs/conventions.md: modes ±3, conditional N(3,1), at x=1 with scale 7.
func TestWorkedNumbers(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{3}, {-3}}, Stds: [][]float64{{1}, {1}}}
	o := &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: diffusion.Score}
	for scale, want := range map[float64]float64{0: 1.98516, 1: 2, 7: 2.08901} {
		g := &CFG{Of: o, Strength: Strength{Scale: scale}, Classes: 2}
		got := g.Eval(s.Ones(1, 1), diffusion.Step{T: []float64{0}}, diffusion.Cond{Labels: s.Ints([]int32{0}, 1)}).Value.Item()
		// The score is (3−x)·p(+) + (−3−x)·p(−) with p(−)/p(+) = e^{−6}.
		p := 1 / (1 + math.Exp(-6))
		exact := (1-scale)*(2*p-4*(1-p)) + scale*2
		if math.Abs(got-exact) > 1e-13 || math.Abs(got-want) > 6e-6 {
			t.Errorf("scale %g: %.7f, want %.7f, printed %.5f", scale, got, exact, want)
		}
	}
}

// three is a point, condition and time for tests of identities.
func three(s *tensor.Scope) (*tensor.Tensor, diffusion.Step, diffusion.Cond) {
	return s.Tensor([]float64{0.3, -0.2, 1, 0.5, -0.4, 0.8}, 3, 2), diffusion.Step{T: []float64{0.4}, Index: 5, Count: 10},
		diffusion.Cond{Labels: s.Ints([]int32{0, 1, 0}, 3)}
}

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol) {
			t.Errorf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

func TestIdentities(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, at, c := three(s)
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	cond, null := o.Eval(x, at, c).Value.Float64s(), o.Eval(x, at, Null(s, c, 2, 3)).Value.Float64s()
	cfg := func(scale float64, r Rule, phi float64) []float64 {
		return (&CFG{Of: o, Strength: Strength{Scale: scale}, Classes: 2, Rule: r, Rescale: phi}).Eval(x, at, c).Value.Float64s()
	}
	near(t, "scale 1", cfg(1, nil, 0), cond, 0)
	near(t, "scale 0", cfg(0, nil, 0), null, 0)
	near(t, "scale 1, rescaled", cfg(1, nil, 0.7), cond, 0)
	near(t, "APG, scale 1", cfg(1, &APG{In: "x0"}, 0), cond, 1e-14)
	near(t, "CFG-Zero*, scale 1", cfg(1, &ZeroStar{}, 0), cond, 1e-14)
	for _, scale := range []float64{0, 0.5, 3, 9} {
		near(t, "APG without projection", cfg(scale, &APG{Eta: 1, In: "x0"}, 0), cfg(scale, nil, 0), 1e-13)
		twin := *o
		near(t, "autoguidance by itself", (&Auto{Of: o, Weaker: &twin, Strength: Strength{Scale: scale}}).Eval(x, at, c).Value.Float64s(), cond, 1e-14)
		near(t, "away from the sample's own condition", (&CFG{Of: o, Strength: Strength{Scale: scale}, Classes: 2,
			Away: func(_ *tensor.Scope, c diffusion.Cond, _ int) diffusion.Cond { return c }}).Eval(x, at, c).Value.Float64s(), cond, 1e-14)
	}
}

// A difference across the prediction is left alone by APG's projection, one along it is removed.
func TestAPGProjects(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	c, scale := s.Tensor([]float64{3, 4}, 1, 2), s.Full(3, 1, 1)
	a := &APG{}
	near(t, "across", a.Guide(c, s.Tensor([]float64{3 - 4, 4 + 3}, 1, 2), scale, diffusion.Step{}).Float64s(), []float64{3 + 2*4, 4 - 2*3}, 1e-14)
	near(t, "along", a.Guide(c, s.Tensor([]float64{1.5, 2}, 1, 2), scale, diffusion.Step{}).Float64s(), []float64{3, 4}, 1e-14)
	a.Norm = 1 // the difference across has norm 5
	near(t, "limited", a.Guide(c, s.Tensor([]float64{-1, 7}, 1, 2), scale, diffusion.Step{}).Float64s(), []float64{3 + 2*.8, 4 - 2*.6}, 1e-14)
}

func TestSeveralConditions(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m := &diffusion.Mixture{Weights: []float64{0.4, 0.3, 0.3}, Means: [][]float64{{1, -0.5}, {-1.2, 0.3}, {0.2, 1.5}}, Stds: [][]float64{{0.4}, {0.5}, {0.3}}}
	o := &diffusion.Oracle{Of: m, Along: diffusion.CondOT{}, Predicts: diffusion.Eps}
	x, at, c := three(s)
	of := func(label int32) []float64 {
		return o.Eval(x, at, diffusion.Cond{Labels: s.Ints([]int32{label, label, label}, 3)}).Value.Float64s()
	}
	own, one, two, null := o.Eval(x, at, c).Value.Float64s(), of(1), of(2), of(3)
	for _, away := range []Condition{nil, Class(2)} {
		counted := &counting{Model: o}
		g := &CFG{Of: counted, Strength: Strength{Scale: 1.5}, Classes: 3, Away: away, With: []Weighted{{Class(1), 2}, {Class(2), -0.7}}}
		got := g.Eval(x, at, c).Value.Float64s()
		from, branches := null, 4
		if away != nil {
			from, branches = two, 5
		}
		want := make([]float64, len(own))
		for i := range want {
			composed := own[i] + 2*(one[i]-null[i]) - 0.7*(two[i]-null[i])
			want[i] = from[i] + 1.5*(composed-from[i])
		}
		near(t, "composed", got, want, 1e-13)
		if counted.calls != 1 || counted.batch != 3*branches {
			t.Errorf("%d evaluations of %d samples, want 1 of %d", counted.calls, counted.batch, 3*branches)
		}
	}
	// Scale 1 with the null condition as one's own is Liu et al.'s formula: ∅ + Σ w_i·(c_i − ∅).
	got := (&CFG{Of: o, Strength: Strength{Scale: 1}, Classes: 3, With: []Weighted{{Class(1), 2}, {Class(2), 3}}}).Eval(x, at, Null(s, c, 3, 3)).Value.Float64s()
	for i := range null {
		want := null[i] + 2*(one[i]-null[i]) + 3*(two[i]-null[i])
		near(t, "without a condition of its own", got[i:i+1], []float64{want}, 1e-13)
	}
}

func TestNegativeConditionIsItsFormula(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, at, c := three(s)
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Score}
	cond := o.Eval(x, at, c).Value.Float64s()
	away := o.Eval(x, at, diffusion.Cond{Labels: s.Ints([]int32{1, 1, 1}, 3)}).Value.Float64s()
	got := (&CFG{Of: o, Strength: Strength{Scale: 4}, Classes: 2, Away: Class(1)}).Eval(x, at, c).Value.Float64s()
	for i := range cond {
		near(t, "negative", got[i:i+1], []float64{away[i] + 4*(cond[i]-away[i])}, 1e-13)
	}
	near(t, "a sample of the negative class itself", got[2:4], cond[2:4], 1e-13)
}

func TestAutoguidance(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, at, c := three(s)
	wide := *mixture
	wide.Stds = [][]float64{{0.8}, {1}, {0.6}}
	path := diffusion.CondOT{}
	own := &diffusion.Oracle{Of: mixture, Along: path, Predicts: diffusion.Velocity}
	weak := &diffusion.Oracle{Of: &wide, Along: path, Predicts: diffusion.X0} // predicts something else
	g, err := NewAuto(own, weak, Strength{Scale: 2.5})
	if err != nil {
		t.Fatal(err)
	}
	a := own.Eval(x, at, c).Value.Float64s()
	b := weak.Eval(x, at, c).As(diffusion.Velocity, x, path, at).Float64s()
	got := g.Eval(x, at, c).Value.Float64s()
	for i := range a {
		near(t, "autoguidance", got[i:i+1], []float64{b[i] + 2.5*(a[i]-b[i])}, 1e-13)
	}
	if _, err := NewAuto(own, &diffusion.Oracle{Of: &wide, Along: diffusion.Trig{}, Predicts: diffusion.X0}, Strength{Scale: 2}); err == nil {
		t.Error("takes a weaker model of another path")
	}
}

func TestStrength(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 80}
	levels := Strength{Scale: 3, SigmaFrom: 0.3, SigmaTo: 5}
	for sigma, want := range map[float64]float64{79: 1, 5.1: 1, 5: 3, 1: 3, 0.3: 3, 0.29: 1} {
		if got := levels.at(path, path.At(sigma)); got != want {
			t.Errorf("σ=%g: scale %g, want %g", sigma, got, want)
		}
	}
	flow := diffusion.CondOT{}
	for _, c := range []struct {
		over    Schedule
		at      float64
		factor  float64
		oneMean bool
	}{
		{Constant{}, 0.3, 1, true},
		{&Linear{}, 0.25, 1.5, true}, {&Linear{Falls: true}, 0.25, 0.5, true},
		{&Cosine{}, 1. / 3, 1.5, true}, {&Cosine{Falls: true}, 1. / 3, 0.5, true},
		{&Points{Factors: []float64{2, 0, 1}}, 0.25, 1, false}, {&Points{Factors: []float64{2, 0, 1}}, 1, 1, false}, {&Points{Factors: []float64{4}}, 0.7, 4, false},
		{ByFunction(func(p diffusion.Point) float64 { return p.Alpha }), 0.25, 0.75, false},
		{&Linear{Clock: Clock{By: "noise"}}, 0.25, 1.5, true}, // on CondOT the same
	} {
		g := Strength{Scale: 5, Over: c.over}
		if got, want := g.at(flow, flow.At(c.at)), 1+4*c.factor; math.Abs(got-want) > 1e-14 {
			t.Errorf("%T at %g: scale %g, want %g", c.over, c.at, got, want)
		}
		mean, n := 0.0, 1000
		for i := range n {
			mean += c.over.Factor(flow, flow.At((float64(i)+0.5)/float64(n))) / float64(n)
		}
		// The midpoint rule is exact of a line and, over half a period, of the cosine.
		if c.oneMean && math.Abs(mean-1) > 1e-12 {
			t.Errorf("%T: mean %g over the path, want 1", c.over, mean)
		}
	}
	if got := (&Clock{By: "noise"}).place(path, path.At(1)); got != 0.5 {
		t.Errorf("σ=α is place %g of the levels, want ½", got)
	}
	for _, bad := range []interface{ Validate() error }{
		&Clock{By: "x"}, &Points{Clock: Clock{By: "time"}}, &Points{Clock: Clock{By: "time"}, Factors: []float64{math.NaN()}},
		&APG{Eta: math.NaN()}, &APG{Norm: -1}, &APG{Momentum: 1}, &ZeroStar{Zero: 1}, &ZeroStar{Zero: -0.1},
	} {
		if bad.Validate() == nil {
			t.Errorf("takes %+v", bad)
		}
	}
}

// Samples at times of their own are each guided as at that time alone.
func TestTimesOfTheirOwn(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, _, c := three(s)
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	g := &CFG{Of: o, Strength: Strength{Scale: 4, Over: &Linear{}, To: 0.6}, Classes: 2, Rule: &APG{Eta: 0.5, In: "x0"}, Rescale: 0.5}
	times := []float64{0.2, 0.5, 0.9} // the last is outside
	all := g.Eval(x, diffusion.Step{T: times}, c).Value.Float64s()
	for i, at := range times {
		one := diffusion.Cond{Labels: c.Labels.Slice(0, i, i+1)}
		near(t, "alone", all[2*i:2*i+2], g.Eval(x.Slice(0, i, i+1), diffusion.Step{T: []float64{at}}, one).Value.Float64s(), 1e-13)
	}
}

// The first steps of CFG-Zero* do not move.
func TestZeroSteps(t *testing.T) {
	for name, path := range map[string]diffusion.GaussianPath{"condot": diffusion.CondOT{}, "trig": diffusion.Trig{}} {
		for _, k := range []diffusion.Kind{diffusion.Velocity, diffusion.V, diffusion.X0} {
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
			o := &diffusion.Oracle{Of: mixture, Along: path, Predicts: k}
			g := &CFG{Of: o, Strength: Strength{Scale: 2}, Classes: 2, Rule: &ZeroStar{Zero: 0.1}, Rescale: 0.5}
			x, _, c := three(s)
			for i, still := range []bool{true, true, true, false} { // ⌈.1·25⌉ = 3
				at := diffusion.Step{T: []float64{0.95}, Index: i, Count: 25}
				for _, v := range g.Eval(x, at, c).As(diffusion.Velocity, x, path, at).Float64s() {
					if (math.Abs(v) < 1e-14) != still {
						t.Errorf("%s, %v: velocity %g in step %d", name, k, v, i)
					}
				}
			}
			s.Close()
		}
	}
}

// every is guidance of every sort at once.
func every(o diffusion.Model) map[string]diffusion.Model {
	s := Strength{Scale: 3, Over: &Cosine{}, From: 0.05, To: 0.9}
	wide := *mixture
	wide.Stds = [][]float64{{0.8}, {1}, {0.6}}
	auto := &Auto{Of: o, Weaker: &diffusion.Oracle{Of: &wide, Along: o.Path(), Predicts: diffusion.X0}, Strength: Strength{Scale: 1.5}}
	return map[string]diffusion.Model{
		"rescale":     &CFG{Of: o, Strength: s, Classes: 2, Rescale: 0.7},
		"apg":         &CFG{Of: o, Strength: s, Classes: 2, Rule: &APG{Norm: 1, Momentum: -0.5, In: "x0"}},
		"zerostar":    &CFG{Of: o, Strength: s, Classes: 2, Rule: &ZeroStar{Zero: 0.04}},
		"auto":        &CFG{Of: auto, Strength: s, Classes: 2, Rule: &APG{Eta: 0.5, Momentum: 0.3, In: "x0"}, Rescale: 0.5},
		"auto apg":    &Auto{Of: o, Weaker: auto.Weaker, Strength: s, Rule: &APG{Momentum: -0.75, In: "x0"}},
		"classified":  &Classified{Of: o, By: bayes{mixture, o.Path()}, Strength: Strength{Scale: 2, To: 0.9}, Blind: true, Classes: 2},
		"cost":        &CFG{Of: &Costed{Of: o, J: towards(0.3, 0.5), Through: true, Strength: Strength{Scale: 1}}, Strength: s, Classes: 2},
		"cheap cost":  &Costed{Of: &CFG{Of: o, Strength: s, Classes: 2, Rule: &APG{Momentum: -0.5}}, J: towards(0.3, 0.5), Strength: Strength{Scale: 1, Over: &Linear{}}},
		"constrained": &Constrained{Of: &CFG{Of: o, Strength: s, Classes: 2}, To: All{&Mean{Value: 0.25}, &Box{Min: -1, Max: 1}}},
		"compose":     &CFG{Of: o, Strength: s, Classes: 2, Away: Class(1), With: []Weighted{{Class(0), 0.5}}},
	}
}

// A sample does not depend on those beside it, nor a trajectory on those before;
// memory does not grow, and all of it is given back.
func TestTrajectories(t *testing.T) {
	for _, how := range []sampler.Sampler{&sampler.Heun{Integration: sampler.Integration{Variable: "time"}}, &sampler.DDIM{Eta: 0.5}} {
		for name, m := range every(&diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}) {
			grid, err := (&sampler.UniformGrid{Shift: 1}).Times(m.Path(), 12)
			if err != nil {
				t.Fatal(err)
			}
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			run := func(from, n int) []float32 {
				s.Reset()
				labels := make([]int32, n)
				for i := range labels {
					labels[i] = int32((from + i) % 2)
				}
				x, err := sampler.Sample(context.Background(), s, m, how, grid, s.Normal(rng.Key{Seed: 1}, uint64(from), n, 2), sampler.Options{
					First: uint64(from), Cond: func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Labels: s.Ints(labels, n)} }})
				if err != nil {
					t.Fatal(err)
				}
				return x.Float32s()
			}
			all := run(0, 7)
			held := s.MemoryHeld()
			if again := run(0, 7); !slices.Equal(again, all) {
				t.Errorf("%s: a second trajectory is another", name)
			}
			if s.MemoryHeld() != held {
				t.Errorf("%s: %d bytes after one trajectory, %d after two", name, held, s.MemoryHeld())
			}
			for i := range 7 {
				if one := run(i, 1); !slices.Equal(one, all[2*i:2*i+2]) {
					t.Errorf("%s: sample %d is %v alone, %v in the batch", name, i, one, all[2*i:2*i+2])
				}
			}
			s.Close()
		}
	}
}

// Momentum outside of a trajectory is refused; without, none is needed.
func TestMomentumNeedsATrajectory(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, at, c := three(s)
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	g := &CFG{Of: o, Strength: Strength{Scale: 2}, Classes: 2, Rule: &APG{Momentum: 0.5}}
	defer func() {
		if recover() == nil {
			t.Error("takes momentum along without a trajectory")
		}
	}()
	g.Eval(x, at, c)
}
