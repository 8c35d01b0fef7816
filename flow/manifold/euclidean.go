package manifold

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Euclidean is R^n, whose geodesics are straight lines. Its base distribution is N(0, I).
type Euclidean struct{ N int }

func (m Euclidean) String() string { return fmt.Sprintf("Euclidean space R^%d", m.N) }

// Ambient and Dim are n.
func (m Euclidean) Ambient() int { return m.N }
func (m Euclidean) Dim() int     { return m.N }

// Check wants finite numbers.
func (m Euclidean) Check(x []float64) error { return finite(x) }

// Nearest and Project have nothing to do: all of R^n is the space.
func (m Euclidean) Nearest([]float64)      {}
func (m Euclidean) Project(_, _ []float64) {}

// Exp is x+v, Log y−x.
func (m Euclidean) Exp(y, x, v []float64) {
	copy(y, x)
	addScaled(y, 1, v)
}

// Log is y−x.
func (m Euclidean) Log(v, x, y []float64) {
	copy(v, y)
	addScaled(v, -1, x)
}

// SquaredDistance is |y−x|².
func (m Euclidean) SquaredDistance(x, y []float64) (sum float64) {
	for i, v := range x {
		sum += (y[i] - v) * (y[i] - v)
	}
	return sum
}

// Transport changes nothing.
func (m Euclidean) Transport(_, _, _ []float64) {}

// Inner is v·w.
func (m Euclidean) Inner(v, w []float64) float64 { return dot(v, w) }

// Frame are the coordinates' directions.
func (m Euclidean) Frame(e, _ []float64, i int) {
	clear(e)
	e[i] = 1
}

// Draw draws N(0, I).
func (m Euclidean) Draw(r Random, x []float64) {
	for i := range x {
		x[i] = r.Normal()
	}
}

// LogBase is ln N(x; 0, I).
func (m Euclidean) LogBase(x []float64) float64 {
	return -dot(x, x)/2 - float64(m.N)/2*math.Log(2*math.Pi)
}

// Width is n, and Embed gives x.
func (m Euclidean) Width() int                            { return m.N }
func (m Euclidean) Embed(x *tensor.Tensor) *tensor.Tensor { return x }

// Tangent is v.
func (m Euclidean) Tangent(_, v *tensor.Tensor) *tensor.Tensor { return v }

// SquaredNorm is |v|².
func (m Euclidean) SquaredNorm(v *tensor.Tensor) *tensor.Tensor { return v.Square().Sum(1) }
