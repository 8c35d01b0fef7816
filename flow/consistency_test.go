package flow

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// sines is a velocity with three parameters in the place of a network, in this project's time.
type sines struct{ theta *tensor.Tensor }

func (m sines) Path() diffusion.GaussianPath { return diffusion.CondOT{} }
func (m sines) Kind() diffusion.Kind         { return diffusion.Velocity }
func (m sines) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	t := x.Scope().TensorOf(func(i int) float64 { return 1 - at.At(i) }, x.Dim(0), 1)
	p := func(i int) *tensor.Tensor { return m.theta.Slice(0, i, i+1) }
	v := x.Scale(2).Sin().Mul(p(0)).Add(x.Mul(t).Mul(p(1))).Add(t.Square().Mul(p(2)))
	return diffusion.Pred{Value: v.Neg(), Kind: diffusion.Velocity}
}

// Losses and gradients of every number of segments, and with the lines' own ends, are PyTorch's.
func TestConsistencyLikePyTorch(t *testing.T) {
	g := golden.Open(t, "../internal/golden/testdata/flow/consistency.safetensors")
	var delta, alpha float64
	var cases map[string][2]float64
	g.JSON("delta", &delta)
	g.JSON("alpha", &alpha)
	g.JSON("cases", &cases)
	if len(cases) < 5 {
		t.Fatalf("cases %v", cases)
	}
	d := &diffusion.Draw{N: 40, Shape: []int{3}, X: narrowed(g.Floats("data")), Noise: narrowed(g.Floats("noise"))}
	for _, v := range g.Floats("t") {
		d.T = append(d.T, 1-v)
		d.Next = append(d.Next, max(0, 1-v-delta))
	}
	for name, c := range cases {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
		theta := s.Leaf(s.Tensor(g.Floats("theta"), 3))
		o := &Consistency{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}
		o.ConsistencyOptions = ConsistencyOptions{Segments: int(c[0]), Delta: delta, Alpha: alpha, Truth: 1 - c[1], Average: true}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		if err := o.Bind(diffusion.Bindings{Average: sines{s.Tensor(g.Floats("average"), 3)}}); err != nil {
			t.Fatal(err)
		}
		loss := o.Loss(s, sines{theta}, d)
		// Sums of 120 terms of a few roundings each.
		if want := g.Floats(name + "/loss")[0]; math.Abs(loss.Item()-want) > 1e-13*(1+want) {
			t.Errorf("%s: loss %.15g, want %.15g", name, loss.Item(), want)
		}
		grad, want := s.GradOf(loss, tensor.GradOptions{}, theta)[0].Float64s(), g.Floats(name+"/grad")
		for i := range want {
			if math.Abs(grad[i]-want[i]) > 1e-13*(1+math.Abs(want[i])) {
				t.Errorf("%s: gradient %v, want %v", name, grad, want)
			}
		}
		s.Close()
	}
}

// r is δ before t, or the data; without an average the network is compared with itself.
func TestConsistencyDraws(t *testing.T) {
	o := &Consistency{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}
	o.SetDefaults()
	o.Delta = 0.1
	b := &diffusion.Batch{N: 50, Shape: []int{1}, X: make([]float32, 50)}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 1}, b, &d)
	clamped := 0
	for i := range d.T {
		if d.Next[i] != max(0, d.T[i]-0.1) {
			t.Fatalf("from %g to %g", d.T[i], d.Next[i])
		}
		if d.Next[i] == 0 {
			clamped++
		}
	}
	if clamped == 0 || clamped == 50 {
		t.Errorf("%d of 50 lead to the data", clamped)
	}
	s := float64Scope(t)
	o.Average = true
	theta := []float64{0.7, -1.1, 0.4}
	own := o.Loss(s, sines{s.Tensor(theta, 3)}, &d).Item()
	o.average = sines{s.Tensor([]float64{1, 1, 1}, 3)}
	if o.Loss(s, sines{s.Tensor(theta, 3)}, &d).Item() == own {
		t.Error("the average does not matter")
	}
	o.Average = false
	if got := o.Loss(s, sines{s.Tensor(theta, 3)}, &d).Item(); got != own {
		t.Errorf("with the network itself %g, want %g", got, own)
	}
}

// What is learned of straight lines is a fixed point: where the velocity is that of all lines alike, the loss is 0.
func TestConsistencyOfOneLine(t *testing.T) {
	s := float64Scope(t)
	for _, segments := range []int{1, 2, 5} {
		o := &Consistency{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}
		o.SetDefaults()
		o.Segments, o.Alpha = segments, 1
		d := &diffusion.Draw{N: 4, Shape: []int{1}, X: []float32{1, 2, 3, 4}, Noise: []float32{3, 4, 5, 6}, T: []float64{0.0004, 0.3, 0.77, 1}, Next: []float64{0, 0.299, 0.769, 0.999}}
		if loss := o.Loss(s, still(2), d).Item(); loss > 1e-28 {
			t.Errorf("%d segments: loss %g", segments, loss)
		}
		if loss := o.Loss(s, still(2.5), d).Item(); loss < 1e-9 {
			t.Errorf("%d segments: of another velocity %g", segments, loss)
		}
	}
}

// still is one velocity everywhere.
type still float64

func (still) Path() diffusion.GaussianPath { return diffusion.CondOT{} }
func (still) Kind() diffusion.Kind         { return diffusion.Velocity }
func (m still) Eval(x *tensor.Tensor, _ diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Value: x.Scope().Full(float64(m), x.Shape()...), Kind: diffusion.Velocity}
}

func TestConsistencyRefuses(t *testing.T) {
	for _, bad := range []ConsistencyOptions{
		{Segments: 0, Delta: 0.1}, {Segments: 2000, Delta: 1e-4}, {Segments: 2, Delta: 0}, {Segments: 4, Delta: 0.3},
		{Segments: 1, Delta: math.NaN()}, {Segments: 1, Delta: 0.1, Alpha: -1}, {Segments: 1, Delta: 0.1, Truth: 1.1},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// No gradient goes through the other place, whether the average stands there or the network itself.
func TestConsistencyStopsTheGradient(t *testing.T) {
	theta := []float64{0.7, -1.1, 0.4}
	d := &diffusion.Draw{N: 2, Shape: []int{1}, X: []float32{1, -2}, Noise: []float32{0.3, 0.6}, T: []float64{0.6, 0.9}, Next: []float64{0.5, 0.8}}
	var grads [2][]float64
	for i, average := range []bool{false, true} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
		o := &Consistency{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}
		o.ConsistencyOptions = ConsistencyOptions{Segments: 1, Delta: 0.1, Alpha: 0.5, Average: average}
		o.average = sines{s.Tensor(theta, 3)} // the same numbers, as constants
		leaf := s.Leaf(s.Tensor(theta, 3))
		grads[i] = s.GradOf(o.Loss(s, sines{leaf}, d), tensor.GradOptions{}, leaf)[0].Float64s()
		s.Close()
	}
	if !slices.Equal(grads[0], grads[1]) {
		t.Errorf("gradients %v, want %v", grads[0], grads[1])
	}
}
