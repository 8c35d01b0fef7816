package student

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// jumping is the exact transition of data N(0, s²) on EDM's path, in which time is the noise level: from n to m the flow leads x to
// x·√((s²+m²)/(s²+n²)), of which g is what is left when m/n of x is taken off. Times wide, it is wrong by that factor.
func jumping(std, wide float64) *Transition {
	path := diffusion.EDM{SigmaMax: 80}
	return &Transition{Least: 0.002, Of: &diffusion.NetModel{Along: path, Predicts: diffusion.X0, Jumps: true, Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
		n := t.Float64s()
		m := append([]float64(nil), n...)
		if c.Jump != nil {
			for i, j := range c.Jump.Float64s() {
				m[i] -= j
			}
		}
		factor := x.Scope().TensorOf(func(i int) float64 {
			if m[i] >= n[i] { // no jump: the estimate of the data, the limit
				return wide * std * std / (std*std + n[i]*n[i])
			}
			r := m[i] / n[i]
			return wide * (math.Sqrt((std*std+m[i]*m[i])/(std*std+n[i]*n[i])) - r) / (1 - r)
		}, len(n), 1)
		return x.Mul(factor)
	}}}
}

// The exact transition is consistent to what the teacher's steps of Heun's method are off, and its denoising loss is the variance of the
// data's posterior: s²n²/(s²+n²), in EDM's weights 1. A wrong one has a loss.
func TestExactTransitionHasNoLoss(t *testing.T) {
	const std, n = 0.5, 4000
	path := diffusion.EDM{SigmaMax: 80}
	soft := map[float64]float64{}
	for _, wide := range []float64{1, 1.1} {
		for _, denoise := range []float64{0, 1} {
			o := &Trajectory{Base: Base{Regression: diffusion.Regression{Path: path}}, Bounds: Bounds{Min: 0.002, Max: 80}, Count: 60, Rho: 7, Reach: 3, SigmaData: std, Denoise: denoise, Decay: 0.5}
			if err := o.Bind(diffusion.Bindings{Teacher: exactGaussian{path, std, -1}, Target: func(float64) (diffusion.Model, error) { return jumping(std, wide), nil }}); err != nil {
				t.Fatal(err)
			}
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
			b := &diffusion.Batch{N: n, Shape: []int{1}, X: make([]float32, n)}
			rng.Normal(b.X, rng.Key{Seed: 9}, 0)
			for i := range b.X {
				b.X[i] *= std
			}
			var d diffusion.Draw
			o.Draw(rng.Key{Seed: 2}, b, &d)
			loss := o.Loss(s, jumping(std, wide), &d).Item()
			switch {
			case denoise == 0:
				soft[wide] = loss
			case wide == 1:
				// The mean of n squares of normal numbers, times about 1: five standard deviations.
				if got := loss - soft[1]; math.Abs(got-1) > 5*math.Sqrt(2.0/n) {
					t.Errorf("the denoising loss is %.4f, want 1", got)
				}
			}
			s.Close()
		}
	}
	// Heun's error over a step of 1/60 of Karras's levels is some 10⁻³ of the state.
	if !(soft[1] < 1e-5) || !(soft[1.1] > 100*soft[1]) {
		t.Errorf("the loss of the exact transition is %.3g, of one that is a tenth too wide %.3g", soft[1], soft[1.1])
	}
}

// Draws are of levels t > u ≥ s, at most reach steps apart from t to u, all of which come up.
func TestTrajectoryDraws(t *testing.T) {
	o := &Trajectory{Base: Base{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}, Bounds: Bounds{Min: 0.01, Max: 50}, Count: 8, Rho: 7, Reach: 2}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 2}, &diffusion.Batch{N: 3000, Shape: []int{1}, X: make([]float32, 3000)}, &d)
	seen := map[[3]int]bool{}
	for i := range d.N {
		at, u, s := int(d.Extra[3*i]), int(d.Extra[3*i+1]), -1
		for k, level := range o.levels {
			if o.timeOf(level) == d.Next[i] {
				s = k
			}
		}
		if d.T[i] != o.timeOf(o.levels[at]) || s < 0 || s > u || u >= at || at-u > o.Reach {
			t.Fatalf("from level %d by way of %d to %d", at, u, s)
		}
		seen[[3]int{at, u, s}] = true
	}
	want := 0
	for at := 1; at < 8; at++ {
		for s := range at {
			want += min(at-s, o.Reach)
		}
	}
	if len(seen) != want {
		t.Errorf("%d ways come up, want %d", len(seen), want)
	}
}

// Terms are balanced by the norms of their gradients, also where the second has to grow, and then count their weights: f = Σx² at (2, −1) has a
// gradient of √20, g = Σy/100 one of √2/100, so that the whole is 5 + ½·√20/(√2/100)·0.02 and its gradient by y half as long as that by x.
func TestBalanced(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	var p [2]*tensor.Param
	var x, leaf [2]*tensor.Tensor
	for i, v := range [][]float64{{2, -1}, {1, 1}} {
		p[i] = tensor.NewParam(cpu.Default(), tensor.Float64, 2)
		if err := p[i].Set64(v); err != nil {
			t.Fatal(err)
		}
		x[i] = s.Param(p[i]).Scale(1)
		leaf[i] = s.Leaf(x[i])
	}
	o := &Trajectory{Balance: true}
	loss := o.sum(s, []term{{x[0], leaf[0], leaf[0].Square().Sum(), 1}, {x[1], leaf[1], leaf[1].Sum().Scale(0.01), 0.5}}, true)
	ratio := math.Sqrt(20) / (math.Sqrt2 / 100) / 2
	if got, want := loss.Item(), 5+ratio*0.02; math.Abs(got-want) > 1e-12*want {
		t.Errorf("the loss is %g, want %g", got, want)
	}
	grads := s.Grad(loss, p[:])
	for i, want := range []float64{4, -2, ratio / 100, ratio / 100} {
		if got := grads[i/2].Float64s()[i%2]; math.Abs(got-want) > 1e-12*ratio {
			t.Errorf("gradient %d is %g, want %g", i, got, want)
		}
	}
}

// The network is told of no noise below the least: a jump to the data is one to that level.
func TestTransitionToTheData(t *testing.T) {
	var told []float64
	m := &Transition{Least: 0.25, Of: &diffusion.NetModel{Along: diffusion.EDM{SigmaMax: 80}, Predicts: diffusion.X0, Jumps: true, Net: func(x, _ *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
		told = c.Jump.Float64s()
		return x
	}}}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	m.Eval(s.Zeros(3, 1), diffusion.Step{T: []float64{2, 2, 1}, Next: []float64{0, 0.25, 0.5}, Jump: true}, diffusion.Cond{})
	for i, want := range []float64{1.75, 1.75, 0.5} {
		if told[i] != want {
			t.Errorf("jump %d is %g, want %g", i, told[i], want)
		}
	}
}
