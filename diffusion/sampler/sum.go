package sampler

import "github.com/langevin-go/langevin/tensor"

// maxTerms is the largest number of tensors in a sum.
const maxTerms = 14

// sums[n] is Σ c_i·x_i of n tensors with run-time coefficients, in one pass over memory.
var sums = func() (ops [maxTerms + 1]*tensor.Pointwise) {
	for n := 1; n <= maxTerms; n++ {
		ops[n] = tensor.NewPointwise("weighted sum", n, n, func(in, c []tensor.Expr) tensor.Expr {
			y := c[0].Mul(in[0])
			for i := 1; i < n; i++ {
				y = y.Add(c[i].Mul(in[i]))
			}
			return y
		})
	}
	return ops
}()

// sum collects the terms of a weighted sum.
type sum struct {
	n int
	c [maxTerms]float64
	x [maxTerms]*tensor.Tensor
}

// add adds the term c·x. One whose coefficient is 0 is left out, unless it is the first.
func (s *sum) add(c float64, x *tensor.Tensor) {
	if c == 0 && s.n > 0 {
		return
	}
	s.c[s.n], s.x[s.n] = c, x
	s.n++
}

// total is the sum, and starts a new one.
func (s *sum) total() *tensor.Tensor {
	n := s.n
	s.n = 0
	return sums[n].Apply(s.c[:n], s.x[:n]...)
}
