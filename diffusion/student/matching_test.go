package student

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// scaled is a generator of data a·z from noise z at the path's end, as a model that predicts the data.
type scaled struct {
	path diffusion.GaussianPath
	a    *tensor.Param
}

func (g scaled) Path() diffusion.GaussianPath { return g.path }
func (g scaled) Kind() diffusion.Kind         { return diffusion.X0 }
func (g scaled) Eval(x *tensor.Tensor, _ diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Kind: diffusion.X0, Value: x.Mul(x.Scope().Param(g.a).Reshape(1, 1))}
}

// With the exact critic of what the generator makes, N(0, a²), and a teacher of N(0, s²), the gradient widens a generator that is too
// narrow, narrows one that is too wide, and is 0 where it is right: exactly, as both estimates are the same then.
func TestMatchingLeadsToTheTeachersWidth(t *testing.T) {
	path, std := diffusion.CondOT{}, 0.7
	for _, width := range []float64{0.3, 0.7, 1.4} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
		defer s.Close()
		a := tensor.NewParam(cpu.Default(), tensor.Float64, 1)
		if err := a.Set64([]float64{width}); err != nil {
			t.Fatal(err)
		}
		o := &Matching{Base: Base{Regression: diffusion.Regression{Path: path, Times: &diffusion.Uniform{From: 0.02, To: 0.98}}}, Steps: []float64{1}, Every: 1,
			Twin: func() (diffusion.Model, []*tensor.Param) { return exactGaussian{path, width, -1}, nil }}
		o.critic.Model, o.learned = o.Twin()
		if err := o.Bind(diffusion.Bindings{Teacher: exactGaussian{path, std, -1}}); err != nil {
			t.Fatal(err)
		}
		var d diffusion.Draw
		const n = 2000
		o.Draw(rng.Key{Seed: 5}, &diffusion.Batch{N: n, Shape: []int{2}, X: make([]float32, 2*n)}, &d)
		g := s.Grad(o.Loss(s, scaled{path, a}, &d), []*tensor.Param{a})[0].Float64s()[0]
		switch {
		case width == std && math.Abs(g) > 1e-12:
			t.Errorf("at the right width the gradient is %g", g)
		case width < std && !(g < -0.01), width > std && !(g > 0.01):
			t.Errorf("at width %g of %g the gradient is %g", width, std, g)
		}
	}
}

// Times, noise and starts have nothing to do with each other: of a thousand, correlations, also of the sizes of noise, which numbers that one
// key makes share, are below five of their standard deviations.
func TestMatchingDrawsAreIndependent(t *testing.T) {
	const n, size = 1000, 4
	o := &Matching{Base: Base{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}, Steps: []float64{1, 0.5}, Every: 3}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 5}, &diffusion.Batch{N: n, Shape: []int{size}, X: make([]float32, n*size)}, &d)
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	steps := make([]float64, n)
	for i := range steps {
		steps[i] = float64(d.Extra[2*i])
	}
	drawn := map[string][]float64{"times": d.T, "critic's times": d.Next, "steps": steps}
	for of, z := range map[string][]float64{"start": d.Eps(s).Float64s(), "noise": o.noise(s, &d, streamOn).Float64s(),
		"critic's noise": o.noise(s, &d, streamCritic).Float64s(), "noise anew": o.noise(s, &d, streamAnew).Float64s(), "the next": o.noise(s, &d, streamAnew+1).Float64s()} {
		for k := range size {
			one, square := make([]float64, n), make([]float64, n)
			for i := range n {
				one[i], square[i] = z[i*size+k], z[i*size+k]*z[i*size+k]
			}
			drawn[fmt.Sprint(of, k)], drawn[fmt.Sprint(of, k, " squared")] = one, square
		}
	}
	for a, x := range drawn {
		for b, y := range drawn {
			if r := correlation(x, y); a < b && a+" squared" != b && math.Abs(r) > 5/math.Sqrt(n) {
				t.Errorf("%s and %s have a correlation of %.2f", a, b, r)
			}
		}
	}
}

func correlation(x, y []float64) float64 {
	var sx, sy, xx, yy, xy float64
	n := float64(len(x))
	for i := range x {
		sx, sy, xx, yy, xy = sx+x[i]/n, sy+y[i]/n, xx+x[i]*x[i]/n, yy+y[i]*y[i]/n, xy+x[i]*y[i]/n
	}
	return (xy - sx*sy) / math.Sqrt((xx-sx*sx)*(yy-sy*sy))
}

// The generator's turn comes each Every-th step, the critic's each.
func TestMatchingTurns(t *testing.T) {
	o := &Matching{Base: Base{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}, Steps: []float64{1, 0.5}, Every: 3,
		Twin: func() (diffusion.Model, []*tensor.Param) { return nil, nil }}
	var d diffusion.Draw
	for step, want := range []float32{1, 0, 0, 1, 0, 0, 1} {
		o.Draw(rng.Key{Seed: 5, Step: uint64(step)}, &diffusion.Batch{N: 50, Shape: []int{1}, X: make([]float32, 50)}, &d)
		for i := range d.N {
			if d.Extra[2*i+1] != want {
				t.Fatalf("step %d is %g, want %g", step, d.Extra[2*i+1], want)
			}
		}
	}
}
