package backendtest

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// lines visits the vectors along the last axis of a row-major array.
func (a *array) lines(f func(first, n int)) {
	n := a.shape[len(a.shape)-1]
	for i := 0; n > 0 && i < len(a.v); i += n {
		f(i, n)
	}
}

func softmaxForward(c *choices, d backend.Device, dt backend.DType) error {
	soft, ok := d.(backend.Softmax)
	if !ok {
		return nil
	}
	b := &bench{choices: c, d: d, dt: dt}
	shape := join(c.shape(3, 100), c.positive(2100))
	x, y := b.normal([]float64{1, 5, 30}[c.pick(3)], shape...), b.output(shape...)
	soft.SoftmaxForward(y.view, x.view)
	truth, bound := make([]float64, len(x.v)), make([]float64, len(x.v))
	x.lines(func(first, n int) {
		top, sum := math.Inf(-1), 0.0
		for _, v := range x.v[first : first+n] {
			top = math.Max(top, v)
		}
		for i := first; i < first+n; i++ {
			truth[i] = math.Exp(x.v[i] - top)
			sum += truth[i]
		}
		for i := first; i < first+n; i++ {
			truth[i] /= sum
			// Rounding x − max by u·|x − max| changes its exponential by as much, relatively.
			rel := sumBound(n, 1, dt) + 12*unit(dt) + 2*unit(dt)*math.Abs(x.v[i]-top)
			bound[i] = rel*truth[i] + 2*tiny(dt)
		}
	})
	b.check(fmt.Sprintf("softmax of %s", describe(x.view)), y, truth, bound)
	return b.finish()
}

func softmaxGrad(c *choices, d backend.Device, dt backend.DType) error {
	soft, ok := d.(backend.Softmax)
	if !ok {
		return nil
	}
	b := &bench{choices: c, d: d, dt: dt}
	shape := join(c.shape(3, 100), c.positive(2100))
	dy, y, dx := b.normal(1, shape...), b.normal(1, shape...), b.output(shape...)
	soft.SoftmaxGrad(dx.view, dy.view, y.view)
	truth, bound := make([]float64, len(y.v)), make([]float64, len(y.v))
	u := unit(dt)
	y.lines(func(first, n int) {
		dot, mag := 0.0, 0.0
		for i := first; i < first+n; i++ {
			dot += dy.v[i] * y.v[i]
			mag += math.Abs(dy.v[i] * y.v[i])
		}
		err := sumBound(n, mag, dt) + 2*u*mag
		for i := first; i < first+n; i++ {
			truth[i] = y.v[i] * (dy.v[i] - dot)
			bound[i] = math.Abs(y.v[i])*(err+4*u*(math.Abs(dy.v[i])+math.Abs(dot))) + 2*tiny(dt)
		}
	})
	b.check(fmt.Sprintf("softmax gradient, y %s", describe(y.view)), dx, truth, bound)
	return b.finish()
}
