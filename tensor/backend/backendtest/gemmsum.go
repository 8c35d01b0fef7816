package backendtest

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// gemmSum checks the sums of b's columns, and that the product beside them has
// the bits of Gemm.
func gemmSum(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	m, n, k := c.size(140), c.size(140), c.size(700)
	av, bv := b.normal(1, m, k), b.normal(1, k, n)
	product, alone, sums := b.outputIn(dense, m, n), b.outputIn(dense, m, n), b.output(n)
	d.GemmSum(product.view, sums.view, av.view, bv.view)
	d.Gemm(alone.view, av.view, bv.view, nil, 1, 0)
	what := fmt.Sprintf("gemm with sums, m %d n %d k %d, a %s, b %s, c %s", m, n, k, describe(av.view), describe(bv.view), describe(product.view))
	b.same(what, product, alone)

	truth, bound := make([]float64, n), make([]float64, n)
	for j := range n {
		mag := 0.0
		for i := range k {
			x := bv.get(i, j)
			truth[j] += x
			mag += math.Abs(x)
		}
		bound[j] = sumBound(k, mag, dt)
	}
	b.check("sums of "+what, sums, truth, bound)
	return b.finish()
}
