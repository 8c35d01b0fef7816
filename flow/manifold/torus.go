package manifold

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Torus is the flat torus T^n: n angles in radians, of which any whole number of turns may be left out.
// Results are in [−π, π]. Networks are given cosines and sines. The base
// distribution is uniform.
type Torus struct{ N int }

func (m Torus) String() string { return fmt.Sprintf("the torus T^%d", m.N) }

// Ambient and Dim are n.
func (m Torus) Ambient() int { return m.N }
func (m Torus) Dim() int     { return m.N }

// Check wants angles within a turn of 0, which both usual ranges are and degrees are not.
func (m Torus) Check(x []float64) error {
	for i, v := range x {
		if !(math.Abs(v) <= 2*math.Pi+Tolerance) {
			return fmt.Errorf("angle %d of it is %g: want radians in [−2π, 2π]", i, v)
		}
	}
	return nil
}

// Nearest takes angles to [−π, π].
func (m Torus) Nearest(x []float64) {
	for i, v := range x {
		x[i] = Wrap(v)
	}
}

// Wrap is an angle less the whole turns in it, in [−π, π].
func Wrap(angle float64) float64 { return math.Remainder(angle, 2*math.Pi) }

// Project has nothing to do.
func (m Torus) Project(_, _ []float64) {}

// Exp is x+v, less whole turns.
func (m Torus) Exp(y, x, v []float64) {
	for i := range y {
		y[i] = Wrap(x[i] + v[i])
	}
}

// Log is the shorter way round in each angle. Half a turn apart, it is one of two.
func (m Torus) Log(v, x, y []float64) {
	for i := range v {
		v[i] = Wrap(y[i] - x[i])
	}
}

// SquaredDistance adds up the shorter ways' squares.
func (m Torus) SquaredDistance(x, y []float64) (sum float64) {
	for i, v := range x {
		d := Wrap(y[i] - v)
		sum += d * d
	}
	return sum
}

// Transport changes nothing: the torus is flat.
func (m Torus) Transport(_, _, _ []float64) {}

// Inner is v·w.
func (m Torus) Inner(v, w []float64) float64 { return dot(v, w) }

// Frame are the angles' directions.
func (m Torus) Frame(e, x []float64, i int) { Euclidean(m).Frame(e, x, i) }

// Draw draws angles uniform in (−π, π).
func (m Torus) Draw(r Random, x []float64) {
	for i := range x {
		x[i] = math.Pi * (2*r.Uniform() - 1)
	}
}

// LogBase is −n·ln 2π.
func (m Torus) LogBase([]float64) float64 { return -float64(m.N) * math.Log(2*math.Pi) }

// Width is 2n: all cosines, then all sines.
func (m Torus) Width() int { return 2 * m.N }

// Embed gives cosines and sines.
func (m Torus) Embed(x *tensor.Tensor) *tensor.Tensor { return tensor.Concat(1, x.Cos(), x.Sin()) }

// Tangent is v.
func (m Torus) Tangent(_, v *tensor.Tensor) *tensor.Tensor { return v }

// SquaredNorm is |v|².
func (m Torus) SquaredNorm(v *tensor.Tensor) *tensor.Tensor { return v.Square().Sum(1) }
