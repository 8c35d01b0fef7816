package optim

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor"
)

// Accumulator adds up the gradients of the parts of a batch, in memory of its
// own that outlives the scope's Reset between them. Of a loss that is a mean over
// samples, the sum with each part's share of the samples as its weight is the
// gradient of the whole batch, but for rounding.
type Accumulator struct {
	rows [][]*tensor.Param // the sum alone: the form that updates take
	some []bool            // whether a part had a gradient
	out  []*tensor.Tensor
	open bool // parts have been added since Sum
}

// NewAccumulator makes room for the gradients of params.
func NewAccumulator(params []*tensor.Param) *Accumulator {
	a := &Accumulator{some: make([]bool, len(params)), out: make([]*tensor.Tensor, len(params))}
	for _, p := range params {
		q := tensor.NewParam(p.Device(), p.DType(), p.Shape()...)
		q.Name, q.Frozen = p.Name, true
		a.rows = append(a.rows, []*tensor.Param{q})
	}
	return a
}

var (
	firstPart = tensor.NewUpdate("first part of a gradient", 1, 1, 1, func(_, in, sc []tensor.Expr) []tensor.Expr {
		return []tensor.Expr{in[0].Mul(sc[0])}
	})
	nextPart = tensor.NewUpdate("next part of a gradient", 1, 1, 1, func(state, in, sc []tensor.Expr) []tensor.Expr {
		return []tensor.Expr{in[0].MulAdd(sc[0], state[0])}
	})
)

// Add takes in weight times the gradients of a part; the first Add after Sum
// starts a new sum. grads are in the order of the parameters; nil counts as zero.
func (a *Accumulator) Add(s *tensor.Scope, grads []*tensor.Tensor, weight float64) {
	if len(grads) != len(a.rows) {
		panic(fmt.Sprintf("optim: %d gradients for %d parameters", len(grads), len(a.rows)))
	}
	if !a.open {
		clear(a.some)
		a.open = true
	}
	sc := [1]float64{weight}
	for i, g := range grads {
		switch {
		case g == nil:
		case a.some[i]:
			nextPart.Apply(s, sc[:], a.rows[i], g)
		default:
			firstPart.Apply(s, sc[:], a.rows[i], g)
			a.some[i] = true
		}
	}
}

// Sum is what has been added since the last Sum, as tensors of s: nil for
// parameters that no part had a gradient for. It is valid until the next Add.
func (a *Accumulator) Sum(s *tensor.Scope) []*tensor.Tensor {
	for i := range a.out {
		a.out[i] = nil
		if a.open && a.some[i] {
			a.out[i] = s.Param(a.rows[i][0])
		}
	}
	a.open = false
	return a.out
}
