package metrics

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Points are vectors of one dimension, row after row.
type Points struct {
	X []float32
	D int // dimension
}

// Len is the number of points.
func (p Points) Len() int {
	if p.D == 0 {
		return 0
	}
	return len(p.X) / p.D
}

func (p Points) row(i int) []float32 { return p.X[i*p.D : (i+1)*p.D : (i+1)*p.D] }

// pick is the points with the given indices.
func (p Points) pick(index []int) Points {
	q := Points{make([]float32, 0, len(index)*p.D), p.D}
	for _, i := range index {
		q.X = append(q.X, p.row(i)...)
	}
	return q
}

// scaled is the points times a number.
func (p Points) scaled(by float32) Points {
	q := Points{make([]float32, len(p.X)), p.D}
	for i, x := range p.X {
		q.X[i] = x * by
	}
	return q
}

func (p Points) check(what string) error {
	switch {
	case p.D < 1:
		return inputError("%s: points of %d dimensions, want at least 1", what, p.D)
	case len(p.X) == 0:
		return inputError("%s: no points", what)
	case len(p.X)%p.D != 0:
		return inputError("%s: %d values are no whole number of points of %d dimensions", what, len(p.X), p.D)
	}
	return p.finite(what)
}

// finite reports values that are not. Those beyond 1e15 count among them: their
// squares would leave float32 no room.
func (p Points) finite(what string) error {
	for i, x := range p.X {
		if !(math.Abs(float64(x)) <= 1e15) {
			return inputError("%s: sample %d has the value %v, want finite ones", what, i/p.D, x)
		}
	}
	return nil
}

// InputError is data that no figure can be computed from: too few, of
// different sizes, not finite, labels out of range.
type InputError struct{ Msg string }

func (e *InputError) Error() string { return "metrics: " + e.Msg }

func inputError(format string, args ...any) error { return &InputError{fmt.Sprintf(format, args...)} }

// permutation is a random order of 0…n−1 (Fisher and Yates).
func permutation(n int, key rng.Key) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := rng.Intn(key, 0, i, i+1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}
