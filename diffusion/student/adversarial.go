package student

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Judge tells data from samples (Goodfellow et al. 2014).
type Judge interface {
	// Logits (N) are above 0 for what is taken for data, of samples x (N,…) as they are at their times.
	Logits(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor
}

// Judging makes a judge and its parameters, of which the first are as many as the student's, begin as these, and are of the same shapes.
type Judging func() (Judge, []*tensor.Param)

// telling is the judge's loss, the mean of −ln D(data) − ln(1 − D(made)), D = 1/(1+e^−logits).
func telling(j Judge, data, made *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	return j.Logits(made, at, c).Softplus().Mean().Add(j.Logits(data, at, c).Neg().Softplus().Mean())
}

// fooling is the student's, the mean of −ln D(made): that which does not vanish where the judge is sure.
func fooling(j Judge, made *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	return j.Logits(made, at, c).Neg().Softplus().Mean()
}

// alone is f of x, a scalar, and its gradient by x, both as constants: of what f is computed with besides, nothing gets a
// gradient. Outside of training there is none, nil.
func alone(s *tensor.Scope, x *tensor.Tensor, f func(*tensor.Tensor) *tensor.Tensor) (value, grad *tensor.Tensor) {
	if !s.Recording() {
		return f(x), nil
	}
	leaf := s.Leaf(x)
	y := f(leaf)
	return y.Detach(), s.GradOf(y, tensor.GradOptions{Retain: true}, leaf)[0].Detach()
}

// sloped is a scalar of a value whose gradient by x is grad, and that depends on nothing else. Without a gradient it is the value.
func sloped(value, x, grad *tensor.Tensor) *tensor.Tensor {
	if grad == nil {
		return value
	}
	inner := x.Mul(grad).Sum()
	return inner.Sub(inner.Detach()).Add(value)
}

// begin sets the parameters that begin as the student's.
func begin(own, weights []*tensor.Param) error {
	if len(own) < len(weights) {
		return fmt.Errorf("a second network has %d parameters, the student %d", len(own), len(weights))
	}
	for i, w := range weights {
		if err := own[i].Set(w.Float32s()); err != nil {
			return err
		}
	}
	return nil
}
