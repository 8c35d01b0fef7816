// Package optim holds optimisers, learning-rate schedules, gradient clipping
// and moving averages of weights. Each update rule is a few scalar expressions
// that run in one pass over memory on any device.
package optim

import (
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/tensor"
)

// Optimizer changes parameters by their gradients.
type Optimizer interface {
	// Step updates the parameters in place. grads are in the order of the
	// parameters that the optimiser was made for; nil entries are left alone.
	// Every gradient is multiplied by scale first (the coefficient of clipping; 1: none).
	Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64)
	// State is everything to be saved, by name: the same names at every call.
	State() []*tensor.Param
	// Steps counts updates made; SetSteps restores the count.
	Steps() int
	SetSteps(n int)
}

// base is what all optimisers share: parameters, moments, a count.
type base struct {
	params []*tensor.Param
	states [][]*tensor.Param // per parameter, in the rule's order; the parameter itself is first
	along  [][]*tensor.Param // the same, and then an average of the parameter
	steps  int
}

func newBase(params []*tensor.Param, moments ...string) base {
	b := base{params: params}
	for _, p := range params {
		row := []*tensor.Param{p}
		for _, m := range moments {
			q := tensor.NewParam(p.Device(), p.DType(), p.Shape()...)
			q.Name, q.Frozen = m+"."+p.Name, true
			row = append(row, q)
		}
		b.states = append(b.states, row)
	}
	return b
}

func (b *base) State() []*tensor.Param {
	var all []*tensor.Param
	for _, row := range b.states {
		all = append(all, row[1:]...)
	}
	return all
}

func (b *base) Steps() int     { return b.steps }
func (b *base) SetSteps(n int) { b.steps = n }

func (b *base) check(grads []*tensor.Tensor) {
	if len(grads) != len(b.params) {
		panic(fmt.Sprintf("optim: %d gradients for %d parameters", len(grads), len(b.params)))
	}
}

func (b *base) apply(u *tensor.Update, s *tensor.Scope, grads []*tensor.Tensor, scalars []float64) {
	b.check(grads)
	for i, g := range grads {
		if g != nil && !b.params[i].Frozen {
			u.Apply(s, scalars, b.states[i], g)
		}
	}
}

func (b *base) of(params []*tensor.Param) bool { return slices.Equal(b.params, params) }

// applyAlong is apply of an update that has an average as its last state. The
// averages of parameters without a gradient move by themselves.
func (b *base) applyAlong(u *tensor.Update, s *tensor.Scope, grads []*tensor.Tensor, scalars []float64, averages [][]*tensor.Param, rest float64) {
	b.check(grads)
	if len(b.along) == 0 || b.along[0][len(b.along[0])-1] != averages[0][0] {
		b.along = nil
		for i, row := range b.states {
			b.along = append(b.along, append(slices.Clone(row), averages[i][0]))
		}
	}
	for i, g := range grads {
		if g != nil && !b.params[i].Frozen {
			u.Apply(s, scalars, b.along[i], g)
		} else {
			move(s, averages[i], b.params[i], rest)
		}
	}
}

// GlobalNorm is the Euclidean norm of all gradients together. It waits for the device.
func GlobalNorm(s *tensor.Scope, grads []*tensor.Tensor) float64 {
	var total *tensor.Tensor
	s.NoGrad(func() {
		for _, g := range grads {
			if g == nil {
				continue
			}
			if part := sumSquares(g); total == nil {
				total = part
			} else {
				total = total.Add(part)
			}
		}
		if total != nil {
			total = total.Sqrt()
		}
	})
	if total == nil {
		return 0
	}
	return total.Item()
}

var squares = tensor.NewPointwiseSum(tensor.NewPointwise("square", 1, 0,
	func(in, _ []tensor.Expr) tensor.Expr { return in[0].Square() }))

func sumSquares(g *tensor.Tensor) *tensor.Tensor { return squares.Sum(nil, nil, g).Reshape() }

// ClipScale is the factor that brings a global norm down to at most limit: 1
// where it is below already, or where limit is 0. (torch's clip_grad_norm_, its
// 1e-6 included.)
func ClipScale(norm, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}
