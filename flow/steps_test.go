package flow

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// gaussianFlow knows the flow of data N(0, std²) on CondOT: x(t) = φ(t)·z with
// φ² = (1−t)²·std² + t², so that u(x,t,j) = x·(1 − φ(t−j)/φ(t))/j.
type gaussianFlow struct {
	std     float64
	byClass bool // classes 0, 1, … and no class have 1, 2, … times the velocity
}

func (gaussianFlow) Path() diffusion.GaussianPath { return diffusion.CondOT{} }
func (gaussianFlow) Kind() diffusion.Kind         { return diffusion.Velocity }
func (g gaussianFlow) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	s := x.Scope()
	t := s.TensorOf(func(i int) float64 { return at.At(i) }, x.Dim(0))
	jump := s.TensorOf(func(i int) float64 {
		if !at.Jump {
			return 0
		}
		return at.At(i) - at.To(i)
	}, x.Dim(0))
	return diffusion.Pred{Value: g.Field(x, t, jump, c), Kind: diffusion.Velocity}
}

var (
	phi = tensor.NewPointwise("phi", 1, 1, func(in, sc []tensor.Expr) tensor.Expr {
		t, std := in[0], sc[0]
		return t.Neg().AddConst(1).Mul(std).Square().Add(t.Square()).Sqrt()
	})
	phiRate = tensor.NewPointwise("phi rate", 1, 1, func(in, sc []tensor.Expr) tensor.Expr { // φ'/φ
		t, std := in[0], sc[0]
		rest := t.Neg().AddConst(1)
		return t.Sub(rest.Mul(std.Square())).Div(rest.Mul(std).Square().Add(t.Square()))
	})
)

func (g gaussianFlow) Field(x, t, jump *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
	std := []float64{g.std}
	moves := x.Scope().Full(0).Less(jump)
	safe := moves.Where(jump, x.Scope().Full(1))
	step := phi.Apply(std, t.Sub(safe)).Div(phi.Apply(std, t)).Neg().AddScalar(1).Div(safe)
	u := each(moves.Where(step, phiRate.Apply(std, t)), x).Mul(x)
	if g.byClass {
		u = u.Mul(each(x.Scope().Tensor([]float64{1, 2, 3}, 3, 1).Gather(c.Labels).Reshape(x.Dim(0)), u))
	}
	return u
}

func steps64(t *testing.T, mode tensor.Mode) *tensor.Scope {
	s := tensor.NewScopeOf(cpu.Default(), mode, tensor.Float64)
	t.Cleanup(s.Close)
	return s
}

func gaussianBatch(std float64, n int) *diffusion.Batch {
	b := &diffusion.Batch{N: n, Shape: []int{3}, X: make([]float32, 3*n)}
	rng.Normal(b.X, rng.Key{Seed: 9}, 0)
	for i := range b.X {
		b.X[i] *= float32(std)
	}
	for i := range n {
		b.Labels = append(b.Labels, int32(i%2))
	}
	return b
}

// worst is the largest difference, relative to 1 + the values.
func worst(a, b *tensor.Tensor) (d float64) {
	y := b.Float64s()
	for i, v := range a.Float64s() {
		d = max(d, math.Abs(v-y[i])/(1+math.Abs(y[i])))
	}
	return d
}

// The true mean velocities satisfy each objective's condition, where the velocity of the sample at
// hand is replaced by that of the flow, its mean: up to rounding, which 1/j of the shortest step here, about
// 1/200, multiplies twice in derivatives.
func TestTrueStepsSatisfyTheConditions(t *testing.T) {
	const n, tol = 200, 1e-10
	s := steps64(t, tensor.Recording)
	g := gaussianFlow{std: 0.4}
	r := diffusion.Regression{Path: diffusion.CondOT{}, Times: &diffusion.Uniform{From: 0.05, To: 1}}
	marginal := func(m moment) moment {
		m.velocity = g.Field(m.x, m.t, s.Zeros(m.t.Dim(0)), m.cond)
		return m
	}
	var d diffusion.Draw
	for _, improved := range []bool{false, true} {
		o := &MeanFlow{Base: student.Base{Regression: r}, MeanFlowOptions: MeanFlowOptions{MeanFlowLoss{Ratio: 0.5, Power: 1, Offset: 0.01, Improved: improved}, MeanFlowGuidance{Guidance: 1, To: 1}}}
		s.Reset()
		o.Draw(rng.Key{Seed: 1}, gaussianBatch(g.std, n), &d)
		for i := range d.N { // no shorter ones
			if d.Next[i] < d.T[i] {
				d.Next[i] = min(d.Next[i], d.T[i]-0.005)
			}
		}
		now := marginal(momentOf(s, &o.Regression, &d))
		if got := worst(o.target(s, g, now, &d), g.Field(now.x, now.t, now.jump, now.cond)); !(got <= tol) {
			t.Errorf("improved %v: the target of a mean flow is off by %.3g", improved, got)
		}
	}

	f := &FlowMap{Regression: r, FlowMapOptions: FlowMapOptions{Ratio: 0.5}}
	s.Reset()
	f.Draw(rng.Key{Seed: 2}, gaussianBatch(g.std, n), &d)
	for i := range jumping(&d) {
		d.Next[i] = min(d.Next[i], d.T[i]-0.005)
	}
	now := momentOf(s, &f.Regression, &d).head(jumping(&d))
	for i, e := range f.lagrangian(s, g, now).Float64s() {
		if !(math.Sqrt(e) <= tol) {
			t.Errorf("from %g to %g: the flow map's condition is off by %.3g", d.T[i], d.Next[i], math.Sqrt(e))
		}
	}

	// Two steps lead where one does; those whose halves are too small for the model are made of
	// Euler's, here 1/8 long, which they need not equal.
	c := &Shortcut{Regression: r, ShortcutOptions: ShortcutOptions{Steps: 8, Ratio: 1}}
	if err := c.Bind(diffusion.Bindings{Average: g}); err != nil {
		t.Fatal(err)
	}
	s.Reset()
	c.Draw(rng.Key{Seed: 3}, gaussianBatch(g.std, n), &d)
	now = momentOf(s, &c.Regression, &d)
	halves, whole := c.halves(s, now, &d), g.Field(now.x, now.t, now.jump, now.cond)
	exact := 0
	for i := range n {
		off := worst(halves.Slice(0, i, i+1), whole.Slice(0, i, i+1))
		if d.T[i]-d.Next[i] > 0.2 {
			exact++
			if !(off <= 1e-12) {
				t.Errorf("a step from %g to %g: two halves are off by %.3g", d.T[i], d.Next[i], off)
			}
		} else if off == 0 || off > 0.2 {
			t.Errorf("a step from %g to %g by Euler's is off by %.3g", d.T[i], d.Next[i], off)
		}
	}
	if exact < n/2 {
		t.Errorf("%d steps only are made of the model's own", exact)
	}
}

// A model that is wrong by a little has a loss, and of that the gradient that the formulas say.
func TestStepLosses(t *testing.T) {
	const n = 64
	s := steps64(t, tensor.Recording)
	r := diffusion.Regression{Path: diffusion.CondOT{}, Times: &diffusion.Uniform{From: 0.05, To: 1}}
	var d diffusion.Draw
	m := gaussianFlow{std: 0.7}
	for _, p := range []float64{0, 0.5, 1} {
		o := &MeanFlow{Base: student.Base{Regression: r}, MeanFlowOptions: MeanFlowOptions{MeanFlowLoss{Ratio: 0.25, Power: p, Offset: 0.02}, MeanFlowGuidance{Guidance: 1, To: 1}}}
		s.Reset()
		o.Draw(rng.Key{Seed: 4}, gaussianBatch(0.4, n), &d)
		now := momentOf(s, &o.Regression, &d)
		u, target := m.Field(now.x, now.t, now.jump, now.cond).Float64s(), o.target(s, m, now, &d).Float64s()
		want := 0.0
		for i := range n {
			e := 0.0
			for k := range 3 {
				e += (u[3*i+k] - target[3*i+k]) * (u[3*i+k] - target[3*i+k])
			}
			want += e / math.Pow(e+0.02, p) / n
		}
		if got := o.Loss(s, m, &d).Item(); math.Abs(got-want) > 1e-12*want {
			t.Errorf("p=%g: the loss of a mean flow is %.15g, want %.15g", p, got, want)
		}
	}
	c := &Shortcut{Regression: r, ShortcutOptions: ShortcutOptions{Steps: 16, Ratio: 0.25}}
	if err := c.Bind(diffusion.Bindings{Average: gaussianFlow{std: 0.3}}); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []float64{0, 0.5} {
		c.Limit = limit
		s.Reset()
		c.Draw(rng.Key{Seed: 4}, gaussianBatch(0.4, n), &d)
		now := momentOf(s, &c.Regression, &d)
		k := jumping(&d)
		if k != n/4 {
			t.Fatalf("%d of %d make steps", k, n)
		}
		halves, v, u := c.halves(s, now.head(k), &d).Float64s(), now.velocity.Float64s(), m.Field(now.x, now.t, now.jump, now.cond).Float64s()
		want := 0.0
		for i := range u {
			target := v[i]
			if i < 3*k {
				if target = halves[i]; limit > 0 && math.Abs(target) > limit {
					t.Errorf("a target of %g", target)
				}
			}
			want += (u[i] - target) * (u[i] - target) / float64(len(u))
		}
		if got := c.Loss(s, m, &d).Item(); math.Abs(got-want) > 1e-12*want {
			t.Errorf("limit %g: the loss of shortcuts is %.15g, want %.15g", limit, got, want)
		}
	}
	f := &FlowMap{Regression: r, FlowMapOptions: FlowMapOptions{Ratio: 0.5}}
	s.Reset()
	f.Draw(rng.Key{Seed: 4}, gaussianBatch(0.4, n), &d)
	now := momentOf(s, &f.Regression, &d)
	k := jumping(&d)
	want := 0.0
	for _, e := range f.lagrangian(s, m, now.head(k)).Float64s() {
		want += e / (3 * n)
	}
	u, v := m.Field(now.x, now.t, now.jump, now.cond).Float64s(), now.velocity.Float64s()
	for i := 3 * k; i < 3*n; i++ {
		want += (u[i] - v[i]) * (u[i] - v[i]) / (3 * n)
	}
	if got := f.Loss(s, m, &d).Item(); math.Abs(got-want) > 1e-12*want {
		t.Errorf("the loss of a flow map is %.15g, want %.15g", got, want)
	}
}

// The guided velocity is w·v + k·u(c) + (1−w−k)·u(null), where there is a condition and guidance.
func TestMeanFlowGuidance(t *testing.T) {
	const n = 40
	s := steps64(t, tensor.Inference)
	m := gaussianFlow{std: 0.4, byClass: true}
	o := &MeanFlow{Null: 2, MeanFlowOptions: MeanFlowOptions{MeanFlowLoss{Ratio: 0.25, Power: 1, Offset: 0.01}, MeanFlowGuidance{Guidance: 1.5, Mix: 0.3, From: 0.2, To: 0.8}},
		Base: student.Base{Regression: diffusion.Regression{Path: diffusion.CondOT{}, Times: &diffusion.Uniform{From: 0.05, To: 1}, Dropout: diffusion.Dropout{P: 0.3, Classes: 2}}}}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 4}, gaussianBatch(0.4, n), &d)
	now := momentOf(s, &o.Regression, &d)
	base := gaussianFlow{std: 0.4}.Field(now.x, now.t, s.Zeros(n), diffusion.Cond{}).Float64s()
	v, got := now.velocity.Float64s(), o.guided(s, m, now, &d).Float64s()
	var kinds [3]int
	for i := range got {
		k := i / 3
		want := 1.5*v[i] + 0.3*base[i]*float64(1+d.Labels[k]) - 0.8*base[i]*3
		switch {
		case d.Labels[k] == 2:
			kinds[0]++
			want = v[i]
		case d.T[k] < 0.2 || d.T[k] > 0.8:
			kinds[1]++
			want = v[i]
		default:
			kinds[2]++
		}
		if math.Abs(got[i]-want) > 1e-12*(1+math.Abs(want)) {
			t.Errorf("sample %d of class %d at %g: %g, want %g", k, d.Labels[k], d.T[k], got[i], want)
		}
	}
	if slices.Contains(kinds[:], 0) {
		t.Errorf("kinds of samples: %v", kinds)
	}
}

// With a coupling the draw of steps has the plan's pairs, each data sample with the noise that the coupling gives it alone, and the steps that it has without.
func TestStepsAreCoupled(t *testing.T) {
	const n = 60
	r := diffusion.Regression{Path: diffusion.CondOT{}, Times: &diffusion.Uniform{To: 1}}
	var want diffusion.Draw
	(&CFM{Regression: r, Coupling: &OT{Replace: true}}).Draw(rng.Key{Seed: 1}, gaussianBatch(1, n), &want)
	for name, of := range map[string]func(c Coupling) diffusion.Objective{
		"mean flow": func(c Coupling) diffusion.Objective {
			return &MeanFlow{Base: student.Base{Regression: r}, MeanFlowOptions: MeanFlowOptions{MeanFlowLoss: MeanFlowLoss{Ratio: 0.5}}, Coupling: c}
		},
		"shortcut": func(c Coupling) diffusion.Objective {
			return &Shortcut{Regression: r, ShortcutOptions: ShortcutOptions{Steps: 8, Ratio: 0.5}, Coupling: c}
		},
		"flow map": func(c Coupling) diffusion.Objective {
			return &FlowMap{Regression: r, FlowMapOptions: FlowMapOptions{Ratio: 0.5}, Coupling: c}
		},
	} {
		var d, alone diffusion.Draw
		of(&OT{Replace: true}).Draw(rng.Key{Seed: 1}, gaussianBatch(1, n), &d)
		of(nil).Draw(rng.Key{Seed: 1}, gaussianBatch(1, n), &alone)
		if !slices.Equal(d.X, want.X) || !slices.Equal(d.HostNoise(), want.HostNoise()) || slices.Equal(d.Noise, alone.HostNoise()) {
			t.Errorf("%s: pairs are not the plan's", name)
		}
		if !slices.Equal(d.T, alone.T) || !slices.Equal(d.Next, alone.Next) {
			t.Errorf("%s: steps are others with a coupling", name)
		}
		short := of(&Sinkhorn{Reg: 1e-6, Iterations: 1, Tolerance: 1e-12})
		if short.Draw(rng.Key{Seed: 1}, gaussianBatch(1, n), &d); d.Err == nil {
			t.Errorf("%s: nothing is said of a plan that was not found", name)
		}
	}
}

// Which steps are drawn.
func TestStepDraws(t *testing.T) {
	const n = 400
	r := diffusion.Regression{Path: diffusion.Trig{}, Times: &diffusion.LogitNormal{Mean: -0.4, Std: 1}}
	var d diffusion.Draw
	end := r.Path.End()
	mean := &MeanFlow{Base: student.Base{Regression: r}, MeanFlowOptions: MeanFlowOptions{MeanFlowLoss: MeanFlowLoss{Ratio: 0.25}}}
	mean.Draw(rng.Key{Seed: 1}, gaussianBatch(1, n), &d)
	for i := range n {
		if jumps := i < n/4; jumps != (d.Next[i] < d.T[i]) || d.Next[i] < 0 || d.T[i] > end {
			t.Fatalf("sample %d goes from %g to %g", i, d.T[i], d.Next[i])
		}
	}
	if k := jumping(&d); k != n/4 {
		t.Errorf("%d samples make steps, want %d", k, n/4)
	}
	var part diffusion.Draw
	d.Part(&part, n/4-3, n/4+5)
	if k := jumping(&part); k != 3 || part.Next[0] != d.Next[n/4-3] {
		t.Errorf("%d samples of a part make steps, want 3", k)
	}

	short := &Shortcut{Regression: r, ShortcutOptions: ShortcutOptions{Steps: 8, Ratio: 1}}
	short.Draw(rng.Key{Seed: 1}, gaussianBatch(1, n), &d)
	count := map[string]int{}
	for i := range n {
		size := (d.T[i] - d.Next[i]) / end
		steps := math.Round(1 / size)
		at := d.T[i] / end * steps
		if math.Abs(1/size-steps) > 1e-9 || math.Abs(at-math.Round(at)) > 1e-9 || d.Next[i] < 0 {
			t.Fatalf("a step from %g to %g", d.T[i], d.Next[i])
		}
		count[fmt.Sprint(steps)]++
	}
	for _, k := range []string{"1", "2", "4", "8"} {
		// Binomial of 1/4: 5 standard deviations.
		if c := count[k]; math.Abs(float64(c)-n/4) > 5*math.Sqrt(n*0.25*0.75) || len(count) != 4 {
			t.Errorf("numbers of steps of each size: %v", count)
		}
	}
}
