package cpu

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// SoftmaxForward is softmax along the last axis; see backend.Softmax.
func (d *Device) SoftmaxForward(y, x *backend.View) {
	last := x.Rank - 1
	eachPoint(x.Shape[:last], func(idx []int) {
		xo, yo := viewAt(x, idx), viewAt(y, idx)
		top, sum := math.Inf(-1), 0.0
		for j := range x.Shape[last] {
			top = math.Max(top, loadAt(x, xo+j*x.Stride[last]))
		}
		for j := range x.Shape[last] {
			sum += math.Exp(loadAt(x, xo+j*x.Stride[last]) - top)
		}
		for j := range x.Shape[last] {
			storeAt(y, yo+j*y.Stride[last], math.Exp(loadAt(x, xo+j*x.Stride[last])-top)/sum)
		}
	})
}

// SoftmaxGrad is the gradient of SoftmaxForward; see backend.Softmax.
func (d *Device) SoftmaxGrad(dx, dy, y *backend.View) {
	last := y.Rank - 1
	eachPoint(y.Shape[:last], func(idx []int) {
		xo, go_, yo := viewAt(dx, idx), viewAt(dy, idx), viewAt(y, idx)
		dot := 0.0
		for j := range y.Shape[last] {
			dot += loadAt(dy, go_+j*dy.Stride[last]) * loadAt(y, yo+j*y.Stride[last])
		}
		for j := range y.Shape[last] {
			v := loadAt(y, yo+j*y.Stride[last])
			storeAt(dx, xo+j*dx.Stride[last], v*(loadAt(dy, go_+j*dy.Stride[last])-dot))
		}
	})
}
