package flow

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// wrong is a velocity that has nothing to do with the data: θ·sin(2x + t).
type wrong struct {
	diffusion.GaussianPath
	theta *tensor.Param
}

func (m wrong) Path() diffusion.GaussianPath { return m.GaussianPath }
func (wrong) Kind() diffusion.Kind           { return diffusion.Velocity }
func (m wrong) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	s := x.Scope()
	v := x.Scale(2).Add(s.Tensor(at.T, len(at.T), 1)).Sin().Mul(s.Param(m.theta).Reshape(1, 1))
	return diffusion.Pred{Value: v, Kind: diffusion.Velocity}
}

// Conditional flow matching is flow matching: its loss, on each sample's own velocity, differs from that on the marginal velocity,
// which is known of a mixture, by a number that no parameter changes, and has the same gradient (Lipman et al. 2023, theorem 2).
func TestConditionalFlowMatchingIsFlowMatching(t *testing.T) {
	const n = 1 << 14
	data := &diffusion.Mixture{Weights: []float64{0.4, 0.6}, Means: [][]float64{{1, -0.5}, {-0.8, 0.4}}, Stds: [][]float64{{0.3}, {0.5, 0.2}}}
	s := steps64(t, tensor.Recording)
	x0, _ := data.Sample(rng.Key{Seed: 1}, n)
	batch := &diffusion.Batch{N: n, Shape: []int{2}, X: make([]float32, 2*n)}
	for i, v := range x0 {
		batch.X[i] = float32(v)
	}
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}, diffusion.CondOT{SigmaMin: 0.1}} {
		objective := &CFM{Regression: diffusion.Regression{Path: path, Times: &diffusion.Uniform{From: 0.05, To: 0.95}}}
		var d diffusion.Draw
		objective.Draw(rng.Key{Seed: 2}, batch, &d)
		m := wrong{path, tensor.NewParam(s.Device(), tensor.Float64, 1)}
		// Of each sample: both losses, and their derivatives by θ, 2·(u−target)·∂u/∂θ with ∂u/∂θ = u/θ.
		each := func(theta float64) (cfm, fm, slopes, marginal []float64) {
			s.Reset()
			m.theta.Set([]float32{float32(theta)})
			at := diffusion.Step{T: d.T}
			x := diffusion.Noised(d.Data(s), d.Eps(s), path, at)
			u := m.Eval(x, at, diffusion.Cond{}).Value
			off := u.Sub(diffusion.Target(diffusion.Velocity, d.Data(s), d.Eps(s), path, at))
			from := u.Sub((&diffusion.Oracle{Of: data, Along: path, Predicts: diffusion.Velocity}).Eval(x, at, diffusion.Cond{}).Value)
			cfm, fm = off.Square().Mean(1).Float64s(), from.Square().Mean(1).Float64s()
			slopes, marginal = off.Mul(u).Mean(1).Scale(2/theta).Float64s(), from.Mul(u).Mean(1).Scale(2/theta).Float64s()

			loss := objective.Loss(s, m, &d)
			mean, slope := 0.0, 0.0
			for i := range n {
				mean += cfm[i] / n
				slope += slopes[i] / n
			}
			if got := loss.Item(); math.Abs(got-mean) > 1e-12*mean {
				t.Fatalf("%T: the loss is %g, by its formula %g", path, got, mean)
			}
			if got := s.Grad(loss, []*tensor.Param{m.theta})[0].Item(); math.Abs(got-slope) > 1e-11 {
				t.Fatalf("%T: the slope is %g, by its formula %g", path, got, slope)
			}
			return cfm, fm, slopes, marginal
		}
		cfm1, fm1, slopes, marginal := each(0.5)
		cfm2, fm2, _, _ := each(2)
		differ := func(what string, of func(i int) (difference, effect float64)) {
			var sum, sum2, effect float64
			for i := range n {
				v, e := of(i)
				sum += v / n
				sum2 += v * v / n
				effect += e / n
			}
			if err := math.Sqrt((sum2 - sum*sum) / n); !(math.Abs(sum) <= 4*err) || math.Abs(effect) < 10*err {
				t.Errorf("%T: %s of both losses differ by %.3g ± %.2g, themselves are %.3g", path, what, sum, err, effect)
			}
		}
		differ("changes", func(i int) (float64, float64) { return (cfm1[i] - fm1[i]) - (cfm2[i] - fm2[i]), cfm1[i] - cfm2[i] })
		differ("slopes", func(i int) (float64, float64) { return slopes[i] - marginal[i], slopes[i] })
	}
}
