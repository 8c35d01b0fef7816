// Package manifold is the geometry that Riemannian flow matching needs (Chen and Lipman 2024):
// spheres, flat tori, rotations of space, Euclidean spaces, and products of these.
//
// Points and tangent vectors are rows of Ambient numbers, in float64 on the host: nothing of
// this is differentiated. What a network's output goes through is made of tensor operations.
package manifold

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Manifold is a complete Riemannian manifold whose points are rows of numbers. Implementations are
// immutable and safe for concurrent use; slices that a method writes to must not overlap
// its other arguments.
type Manifold interface {
	// String names the manifold, as in "the sphere S^2".
	String() string
	// Ambient is how many numbers a point has, and a tangent vector.
	Ambient() int
	// Dim is the dimension.
	Dim() int

	// Check says what is wrong with a point that is off the manifold by more than [Tolerance]; nil: nothing.
	Check(x []float64) error
	// Nearest moves x, which a step or rounding took off the manifold a little, back to it.
	Nearest(x []float64)
	// Project makes v tangent at x: its orthogonal projection.
	Project(x, v []float64)
	// Exp sets y to where the geodesic from x with velocity v is at time 1.
	Exp(y, x, v []float64)
	// Log sets v to the velocity at x of the shortest geodesic that is at y at time 1. Where there are
	// several, at the cut locus, it is that of one of them.
	Log(v, x, y []float64)
	// Transport carries w, tangent at x, along the geodesic of velocity v from x, and makes
	// it tangent at Exp(x, v): parallel transport. Transport(v, x, v) is the geodesic's velocity there.
	Transport(w, x, v []float64)
	// SquaredDistance is that along the shortest geodesic between x and y: the square of Log's length without
	// its direction, for which couplings ask of all pairs. It is right to 10⁻⁷.
	SquaredDistance(x, y []float64) float64
	// Inner is the metric ⟨v, w⟩ at any point.
	Inner(v, w []float64) float64
	// Frame sets e to vector i, from 0 to Dim−1, of a basis of the tangent space at x that is
	// orthonormal as rows of numbers. (The metric may be a multiple of that.)
	Frame(e, x []float64, i int)

	// Draw sets x to a sample of the base distribution, where flows start unless told
	// otherwise: uniform, or normal where there is no uniform one.
	Draw(r Random, x []float64)
	// LogBase is the logarithm of that distribution's density at x, by the manifold's volume.
	LogBase(x []float64) float64

	// Width is how many numbers of a point a network is given, Embed those of points x (N,Ambient):
	// (N,Width), a function on the manifold.
	Width() int
	Embed(x *tensor.Tensor) *tensor.Tensor
	// Tangent is Project of v at x, (N,Ambient).
	Tangent(x, v *tensor.Tensor) *tensor.Tensor
	// SquaredNorm is ⟨v, v⟩ of each row of v (N,Ambient): (N).
	SquaredNorm(v *tensor.Tensor) *tensor.Tensor
}

// Tolerance is how far data may be off a manifold, as from rounding to a few decimals; they are moved
// to it. Lengths and products of columns must be right to it.
const Tolerance = 1e-3

// Distance is the length of the shortest geodesic between x and y.
func Distance(m Manifold, x, y []float64) float64 {
	v := make([]float64, m.Ambient())
	m.Log(v, x, y)
	return math.Sqrt(m.Inner(v, v))
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// norm is |a|.
func norm(a []float64) float64 { return math.Sqrt(dot(a, a)) }

// addScaled is y += c·x.
func addScaled(y []float64, c float64, x []float64) {
	for i, v := range x {
		y[i] += c * v
	}
}

// sinc is sin(θ)/θ, to the last bit also at 0: below 10⁻⁴ the series' next term is 10⁻¹⁸.
func sinc(theta float64) float64 {
	if math.Abs(theta) < 1e-4 {
		return 1 - theta*theta/6
	}
	return math.Sin(theta) / theta
}

// finite says whether all numbers of a point are.
func finite(x []float64) error {
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("number %d of it is %g", i, v)
		}
	}
	return nil
}

// dotRows is the scalar product of rows, (N,1).
func dotRows(a, b *tensor.Tensor) *tensor.Tensor { return a.Mul(b).SumKeep(1) }
