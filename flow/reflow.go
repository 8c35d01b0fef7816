package flow

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Reflow is the regression of rectified flow on pairs that belong together (Liu et al. 2023), with
// squared errors or pseudo-Huber losses of each sample (Lee et al. 2024, "Improving the training of
// rectified flows"). The batch's Source holds the starts.
type Reflow struct {
	diffusion.Regression
	Huber float64 // c/√D; 0: squared errors
}

// pseudoHuber is √(e+c²) − c of a sum of squares.
var pseudoHuber = tensor.NewPointwise("sample pseudo-huber", 1, 1, func(in, sc []tensor.Expr) tensor.Expr {
	return in[0].Add(sc[0].Square()).Sqrt().Sub(sc[0])
})

// Loss is a scalar.
func (r *Reflow) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if r.Huber == 0 {
		return r.Regression.Loss(s, m, d)
	}
	at := diffusion.Step{T: d.T}
	data, eps := d.Data(s), d.Eps(s)
	x := diffusion.Noised(data, eps, r.Path, at)
	pred := m.Eval(x, at, d.Cond(s))
	errs := perSample(pred.Value.Sub(diffusion.Target(pred.Kind, data, eps, r.Path, at)).Square())
	if r.Weighting != nil { // of squared errors
		errs = errs.Mul(s.TensorOf(func(i int) float64 {
			return diffusion.EffectiveWeight(r.Weighting, pred.Kind, r.Path.At(d.T[i]))
		}, d.N))
	}
	c := r.Huber * math.Sqrt(float64(len(d.X)/d.N))
	losses := pseudoHuber.Apply([]float64{c}, errs)
	if d.Wants {
		d.Keep(losses)
	}
	return losses.Mean()
}
