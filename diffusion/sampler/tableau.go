package sampler

import (
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Tableau is an explicit Runge–Kutta method as Butcher writes it.
type Tableau struct {
	A [][]float64 `yaml:"a" doc:"rows of the method's matrix below its diagonal: the first is empty, the next has one number, and so on"`
	B []float64   `yaml:"b" doc:"weights of the slopes; they sum to 1"`
	C []float64   `yaml:"c" doc:"where in the step each slope is taken, from 0 to 1: the sums of the rows"`
}

// maxStages bounds a tableau: the state and all slopes are one sum.
const maxStages = maxTerms - 1

// tableaus are the methods with names, in ascending order.
var tableaus = []struct {
	name string
	Tableau
}{
	{"midpoint", Tableau{[][]float64{{}, {1. / 2}}, []float64{0, 1}, []float64{0, 1. / 2}}},
	{"heun2", Tableau{[][]float64{{}, {1}}, []float64{1. / 2, 1. / 2}, []float64{0, 1}}},
	// Ralston 1962: the least bound of the error among those of order 2.
	{"ralston", Tableau{[][]float64{{}, {2. / 3}}, []float64{1. / 4, 3. / 4}, []float64{0, 2. / 3}}},
	{"heun3", Tableau{[][]float64{{}, {1. / 3}, {0, 2. / 3}}, []float64{1. / 4, 0, 3. / 4}, []float64{0, 1. / 3, 2. / 3}}},
	{"kutta3", Tableau{[][]float64{{}, {1. / 2}, {-1, 2}}, []float64{1. / 6, 2. / 3, 1. / 6}, []float64{0, 1. / 2, 1}}},
	{"rk4", Tableau{[][]float64{{}, {1. / 2}, {0, 1. / 2}, {0, 0, 1}}, []float64{1. / 6, 1. / 3, 1. / 3, 1. / 6}, []float64{0, 1. / 2, 1. / 2, 1}}},
	{"three_eighths", Tableau{[][]float64{{}, {1. / 3}, {-1. / 3, 1}, {1, -1, 1}}, []float64{1. / 8, 3. / 8, 3. / 8, 1. / 8}, []float64{0, 1. / 3, 2. / 3, 1}}},
}

// NamedTableau is a method by name.
func NamedTableau(name string) (Tableau, error) {
	for i := range tableaus {
		if tableaus[i].name == name {
			return tableaus[i].Tableau, nil
		}
	}
	var names []string
	for _, t := range tableaus {
		names = append(names, t.name)
	}
	return Tableau{}, fmt.Errorf("unknown method %q; valid are %v", name, names)
}

// tableauTolerance is the rounding of a method typed with fifteen digits.
const tableauTolerance = 1e-12

// empty reports that there is no method.
func (t *Tableau) empty() bool { return len(t.A) == 0 && len(t.B) == 0 && len(t.C) == 0 }

// Validate checks the shape and that the method is consistent: its weights sum to
// 1, and each slope is taken where its row leads. No method at all is valid.
func (t *Tableau) Validate() error {
	n := len(t.B)
	switch {
	case t.empty():
		return nil
	case n < 1 || n > maxStages:
		return invalid.Field("b", "must have 1 to %d weights, has %d", maxStages, n)
	case len(t.A) != n:
		return invalid.Field("a", "must have a row for each of the %d weights, has %d", n, len(t.A))
	case len(t.C) != n:
		return invalid.Field("c", "must have a number for each of the %d weights, has %d", n, len(t.C))
	}
	if s := total(t.B); !(math.Abs(s-1) <= tableauTolerance) {
		return invalid.Field("b", "must sum to 1, sums to %.15g: the method is not consistent", s)
	}
	for i, row := range t.A {
		if len(row) != i {
			return invalid.Field("a", "row %d must have %d numbers (the method is explicit), has %d", i, i, len(row))
		}
		if !(t.C[i] >= 0 && t.C[i] <= 1) {
			return invalid.Field("c", "number %d must be in [0, 1], is %g", i, t.C[i])
		}
		if s := total(row); !(math.Abs(s-t.C[i]) <= tableauTolerance) {
			return invalid.Field("c", "number %d is %g, row %d of a sums to %.15g: they must be equal", i, t.C[i], i, s)
		}
	}
	return nil
}

func total(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// Order is the order of convergence, as far as the conditions of order 4 go (Butcher
// 1963; Hairer, Nørsett and Wanner, table II.2.1): 4 says at least 4.
func (t *Tableau) Order() int {
	n := len(t.B)
	each := func(f func(i int) float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	dot := func(v []float64) (s float64) { // Σ b_i·v_i
		for i, b := range t.B {
			s += b * v[i]
		}
		return s
	}
	times := func(v []float64) []float64 { // A·v
		return each(func(i int) (s float64) {
			for j, a := range t.A[i] {
				s += a * v[j]
			}
			return s
		})
	}
	power := func(k int) []float64 { return each(func(i int) float64 { return math.Pow(t.C[i], float64(k)) }) }
	c := power(1)
	ac := times(c)
	conditions := [][][2]float64{ // by order: what it is, what it must be
		{{dot(power(0)), 1}},
		{{dot(c), 1. / 2}},
		{{dot(power(2)), 1. / 3}, {dot(ac), 1. / 6}},
		{{dot(power(3)), 1. / 4}, {dot(each(func(i int) float64 { return c[i] * ac[i] })), 1. / 8}, {dot(times(power(2))), 1. / 12}, {dot(times(ac)), 1. / 24}},
	}
	for order, of := range conditions {
		if slices.ContainsFunc(of, func(v [2]float64) bool { return !(math.Abs(v[0]-v[1]) <= tableauTolerance) }) {
			return order
		}
	}
	return len(conditions)
}
