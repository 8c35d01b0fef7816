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

var mixture = &diffusion.Mixture{
	Weights: []float64{0.5, 0.3, 0.2},
	Means:   [][]float64{{1, -0.5}, {-1.2, 0.3}, {0.2, 1.5}},
	Stds:    [][]float64{{0.4}, {0.5}, {0.3}},
	Classes: []int{0, 1, 1},
}

// counting counts evaluations and the largest batch.
type counting struct {
	diffusion.Model
	calls, batch int
}

func (c *counting) Eval(x *tensor.Tensor, at diffusion.Step, cond diffusion.Cond) diffusion.Pred {
	c.calls++
	c.batch = max(c.batch, x.Dim(0))
	return c.Model.Eval(x, at, cond)
}

func TestBothConventions(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	path := diffusion.CondOT{}
	x := s.Tensor([]float64{0.3, -0.2, 1, 0.5, -0.4, 0.8}, 3, 2)
	c := diffusion.Cond{Labels: s.Ints([]int32{0, 1, 0}, 3)}
	none := diffusion.Cond{Labels: s.Ints([]int32{2, 2, 2}, 3)}
	for _, at := range []diffusion.Step{{T: []float64{0.4}}, {T: []float64{0.2, 0.5, 0.9}}} {
		for _, k := range []diffusion.Kind{diffusion.Eps, diffusion.X0, diffusion.V, diffusion.Score, diffusion.Velocity} {
			o := &diffusion.Oracle{Of: mixture, Along: path, Predicts: k}
			cv, uv := o.Eval(x, at, c).Value.Float64s(), o.Eval(x, at, none).Value.Float64s()
			for _, w := range []float64{-1, -0.5, 0, 0.5, 6} {
				model := &counting{Model: o}
				scale := ScaleOfWeight(w)
				got := (&CFG{Of: model, Strength: Strength{Scale: scale}, Classes: 2}).Eval(x, at, c)
				for i, v := range got.Value.Float64s() {
					// Ho and Salimans 2022, eq. 6, and the scale form
					paper, ours := (1+w)*cv[i]-w*uv[i], uv[i]+scale*(cv[i]-uv[i])
					if math.Abs(v-paper) > 1e-13*(1+math.Abs(paper)) || math.Abs(v-ours) > 1e-13*(1+math.Abs(ours)) {
						t.Errorf("%v at w=%g: %g, want %g = %g", k, w, v, paper, ours)
					}
				}
				// One evaluation, of 2N samples only where both branches count.
				if want := map[bool]int{true: 3, false: 6}[w == 0 || w == -1]; model.calls != 1 || model.batch != want {
					t.Errorf("w=%g: %d evaluations of up to %d samples, want 1 of %d", w, model.calls, model.batch, want)
				}
				// The same whatever is predicted: affine combinations commute with conversions.
				x0 := got.As(diffusion.X0, x, path, at).Float64s()
				ref := (&CFG{Of: &diffusion.Oracle{Of: mixture, Along: path, Predicts: diffusion.X0}, Strength: Strength{Scale: scale}, Classes: 2}).Eval(x, at, c).Value.Float64s()
				for i := range x0 {
					if math.Abs(x0[i]-ref[i]) > 1e-11 {
						t.Errorf("%v at w=%g says x0=%g, guidance of x0 %g", k, w, x0[i], ref[i])
					}
				}
			}
		}
	}
}

func TestInterval(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	o := &counting{Model: &diffusion.Oracle{Of: mixture, Along: diffusion.EDM{SigmaMax: 80}, Predicts: diffusion.X0}}
	g := &CFG{Of: o, Strength: Strength{Scale: 3, From: 0.25, To: 0.5}, Classes: 2}
	x, c := s.Ones(1, 2), diffusion.Cond{Labels: s.Ints([]int32{1}, 1)}
	for at, want := range map[float64]int{79: 1, 41: 1, 40: 2, 30: 2, 20: 2, 19: 1, 0.1: 1} {
		o.batch = 0
		if g.Eval(x, diffusion.Step{T: []float64{at}}, c); o.batch != want {
			t.Errorf("at σ=%g, %g of the path: a batch of %d, want %d", at, at/80, o.batch, want)
		}
	}
}

// vectors is a model that gives 1 for samples whose vector counts, 0 for those whose vector is dropped.
type vectors struct{ diffusion.CondOT }

func (m vectors) Path() diffusion.GaussianPath { return m.CondOT }
func (vectors) Kind() diffusion.Kind           { return diffusion.Velocity }
func (vectors) Eval(x *tensor.Tensor, _ diffusion.Step, c diffusion.Cond) diffusion.Pred {
	v := c.Vector
	if c.Drop != nil {
		v = v.Mul(c.Drop.Scale(-1).AddScalar(1).Reshape(x.Dim(0), 1))
	}
	return diffusion.Pred{Value: v.Add(x.Scale(0)), LogVar: v, Kind: diffusion.Velocity}
}

func TestVectorConditions(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	for _, drop := range []*tensor.Tensor{nil, s.Tensor([]float64{0, 1}, 2)} {
		c := diffusion.Cond{Vector: s.Tensor([]float64{1, 2, 3, 4}, 2, 2), Drop: drop}
		p := (&CFG{Of: vectors{}, Strength: Strength{Scale: 3}}).Eval(s.Ones(2, 2), diffusion.Step{T: []float64{0.5}}, c)
		want := []float64{3, 6, 9, 12}
		if drop != nil {
			want = []float64{3, 6, 0, 0}
		}
		for i, v := range p.Value.Float64s() {
			if v != want[i] {
				t.Errorf("element %d is %g, want %g", i, v, want[i])
			}
			if lv := p.LogVar.Float64s()[i]; lv != want[i]/3 {
				t.Errorf("log-variance %d is %g, not the conditional branch's %g", i, lv, want[i]/3)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("guides without a condition")
		}
	}()
	(&CFG{Of: vectors{}, Strength: Strength{Scale: 3}}).Eval(s.Ones(2, 2), diffusion.Step{T: []float64{0.5}}, diffusion.Cond{})
}

// Guidance concentrates samples in their class.
func TestGuidedSamples(t *testing.T) {
	m := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{1}, {-1}}, Stds: [][]float64{{1}, {1}}}
	path := diffusion.CondOT{}
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(path, 40)
	if err != nil {
		t.Fatal(err)
	}
	right := func(scale float64) (share float64) {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		defer s.Close()
		const n = 1000
		h := new(sampler.Heun)
		h.SetDefaults()
		out, err := sampler.Sample(context.Background(), s, &CFG{Of: &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.Velocity}, Strength: Strength{Scale: scale}, Classes: 2},
			h, grid, s.Normal(rng.Key{Seed: 3}, 0, n, 1), sampler.Options{Cond: func(s *tensor.Scope) diffusion.Cond {
				return diffusion.Cond{Labels: s.Ints(make([]int32, n), n)}
			}})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Float64s() {
			if v > 0 {
				share += 1.0 / n
			}
		}
		return share
	}
	// Φ(0)=½ of the unconditional, Φ(1)=.841 of the conditional; five standard errors.
	if got := right(0); math.Abs(got-0.5) > 5*math.Sqrt(0.25/1000) {
		t.Errorf("unguided and unconditional: %.3f on the right", got)
	}
	if got := right(1); math.Abs(got-0.8413) > 5*math.Sqrt(0.8413*0.1587/1000) {
		t.Errorf("conditional: %.3f on the right", got)
	}
	if got := right(3); got < 0.95 {
		t.Errorf("guided: only %.3f on the right", got)
	}
}

// prompted is a model that gives each sample the sum of its prompt's unmasked vectors and its pooled one.
type prompted struct{ diffusion.CondOT }

func (m prompted) Path() diffusion.GaussianPath { return m.CondOT }
func (prompted) Kind() diffusion.Kind           { return diffusion.Velocity }
func (prompted) Eval(x *tensor.Tensor, _ diffusion.Step, c diffusion.Cond) diffusion.Pred {
	n, l := x.Dim(0), c.Text.Dim(1)
	text := c.Text
	if c.TextMask != nil {
		text = text.Mul(c.TextMask.Reshape(n, l, 1))
	}
	return diffusion.Pred{Value: text.Sum(1).Add(c.Pooled), Kind: diffusion.Velocity}
}

// Prompts are guided away from what Away gives, in one batch with their own.
func TestPromptConditions(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	c := diffusion.Cond{Text: s.Tensor([]float64{1, 2, 3, 4}, 2, 2, 1), Pooled: s.Tensor([]float64{10, 20}, 2, 1), TextMask: s.Tensor([]float64{1, 1, 1, 0}, 2, 2)}
	away := func(s *tensor.Scope, own diffusion.Cond, n int) diffusion.Cond {
		return diffusion.Cond{Text: s.Full(0.5, n, 2, 1), Pooled: s.Full(1, n, 1), TextMask: s.Full(1, n, 2)}
	}
	at, x := diffusion.Step{T: []float64{0.5}}, s.Ones(2, 1)
	// c is 13 and 23, what is guided away from 2.
	for scale, want := range map[float64][]float64{0: {2, 2}, 1: {13, 23}, 3: {35, 65}} {
		model := &counting{Model: prompted{}}
		got := (&CFG{Of: model, Strength: Strength{Scale: scale}, Away: away}).Eval(x, at, c).Value.Float64s()
		if got[0] != want[0] || got[1] != want[1] || model.calls != 1 {
			t.Errorf("scale %g: %v in %d calls, want %v in 1", scale, got, model.calls, want)
		}
	}
	c.TextMask = nil
	if got := (&CFG{Of: prompted{}, Strength: Strength{Scale: 2}, Away: away}).Eval(x, at, c).Value.Float64s(); got[0] != 2*13-2 || got[1] != 2*27-2 {
		t.Errorf("without a mask %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("guides away from no prompt, which it cannot know")
		}
	}()
	(&CFG{Of: prompted{}, Strength: Strength{Scale: 3}}).Eval(x, at, c)
}

// Samples at times of their own, as solvers have them that choose their steps, are guided each by its own: within an
// interval or not, by any rule, with further conditions and a memory of earlier steps.
func TestTimesOfTheirOwnAreGuidedEach(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	o := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	strength := Strength{Scale: 3, From: 0.3, To: 0.6, Over: &Cosine{}}
	with := []Weighted{{Class(1), 0.7}, {Class(0), -0.2}}
	momentum := &APG{Norm: 2, Momentum: -0.5, In: "x0"}
	weaker := &diffusion.Oracle{Of: &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{0, 0}, {0.3, 0}}, Stds: [][]float64{{1}, {0.8}}}, Along: diffusion.CondOT{}, Predicts: diffusion.Eps}
	for name, g := range map[string]diffusion.Model{
		"plain":         &CFG{Of: o, Strength: strength, Classes: 2},
		"rescaled":      &CFG{Of: o, Strength: strength, Classes: 2, Rescale: 0.7},
		"conditions":    &CFG{Of: o, Strength: strength, Classes: 2, With: with},
		"negative":      &CFG{Of: o, Strength: strength, Classes: 2, With: with, Away: Class(0)},
		"APG":           &CFG{Of: o, Strength: strength, Classes: 2, With: with, Rule: momentum},
		"CFG-Zero*":     &CFG{Of: o, Strength: strength, Classes: 2, With: with, Rule: &ZeroStar{Zero: 0.1, In: "velocity"}},
		"autoguidance":  &Auto{Of: o, Weaker: weaker, Strength: strength, Rule: momentum, Rescale: 0.3},
		"and CFG-Zero*": &Auto{Of: o, Weaker: weaker, Strength: strength, Rule: &ZeroStar{Zero: 0.1, In: "velocity"}},
	} {
		// Three samples that are within the interval at other steps each.
		times := [][]float64{{0.9, 0.5, 0.7}, {0.55, 0.2, 0.65}, {0.4, 0.5, 0.62}, {0.35, 0.1, 0.59}}
		x := []float64{0.3, -0.2, 1, 0.5, -0.4, 0.8}
		labels := []int32{0, 1, 0}
		together, _, end := diffusion.Begin(g)
		var all [][]float64
		for k, at := range times {
			all = append(all, together.Eval(s.Tensor(x, 3, 2), diffusion.Step{T: at, Index: k, Count: 20}, diffusion.Cond{Labels: s.Ints(labels, 3)}).Value.Float64s())
		}
		end()
		for i := range labels {
			alone, _, end := diffusion.Begin(g)
			for k, at := range times {
				got := alone.Eval(s.Tensor(x[2*i:2*i+2], 1, 2), diffusion.Step{T: at[i : i+1], Index: k, Count: 20}, diffusion.Cond{Labels: s.Ints(labels[i:i+1], 1)})
				near(t, name, all[k][2*i:2*i+2], got.Value.Float64s(), 1e-13)
			}
			end()
		}
	}
}
