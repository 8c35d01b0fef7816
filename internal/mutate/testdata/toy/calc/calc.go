// Package calc has derivatives for mutate's tests, in every form of function.
package calc

type number interface{ ~float32 | ~float64 }

type product struct{}

// vjp is that of 3x + xy. The receiver and a parameter have no names.
func (product) vjp(_ string, x, y, g float64) (dx, dy float64) {
	dx = g * y
	dx += 3 * g
	dy = g * x
	return dx, dy
}

// sumGrad is generic, variadic, and without a test.
func sumGrad[T number](to []T, gs ...T) {
	for i, g := range gs {
		to[i] += g
	}
}

// half is an expression in a variable.
var half = apply(func(x float64) float64 { return x / 2 })

func apply(f func(float64) float64) func(float64) float64 { return f }
