package manifold

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Sphere is the unit sphere S^n: unit vectors of n+1 numbers, with the metric of the space around.
// The base distribution is uniform. The cut locus of x is −x.
type Sphere struct{ N int }

func (m Sphere) String() string { return fmt.Sprintf("the sphere S^%d", m.N) }

// Ambient is n+1, Dim n.
func (m Sphere) Ambient() int { return m.N + 1 }
func (m Sphere) Dim() int     { return m.N }

// Check wants length 1.
func (m Sphere) Check(x []float64) error {
	if l := norm(x); !(math.Abs(l-1) <= Tolerance) {
		return fmt.Errorf("its length is %.6g: want 1", l)
	}
	return nil
}

// Nearest is x/|x|; of 0, the first coordinate's direction.
func (m Sphere) Nearest(x []float64) {
	l := norm(x)
	if l == 0 {
		x[0], l = 1, 1
	}
	for i := range x {
		x[i] /= l
	}
}

// Project is v − x(x·v).
func (m Sphere) Project(x, v []float64) { addScaled(v, -dot(x, v), x) }

// Exp is cos|v|·x + sin|v|·v/|v|.
func (m Sphere) Exp(y, x, v []float64) {
	theta := norm(v)
	cos, s := math.Cos(theta), sinc(theta)
	for i := range y {
		y[i] = cos*x[i] + s*v[i]
	}
	m.Nearest(y)
}

// Log has the length of the angle between x and y and the direction of y's part that is tangent
// at x. The angle is 2·atan(|y−x|/|y+x|), and the direction comes from the shorter of y−x and y+x, in
// which little cancels: both are exact to rounding at 0 and at π, too. To the very antipode it goes by way of
// the frame's first vector.
func (m Sphere) Log(v, x, y []float64) {
	minus, plus := ends(x, y)
	theta, sign := 2*math.Atan2(math.Sqrt(minus), math.Sqrt(plus)), -1.0
	if plus < minus {
		sign = 1
	}
	for i := range v {
		v[i] = y[i] + sign*x[i]
	}
	m.Project(x, v)
	l := norm(v)
	switch {
	case l > 0:
	case plus < minus:
		m.Frame(v, x, 0)
		l = 1
	default: // y is x
		return
	}
	for i := range v {
		v[i] *= theta / l
	}
}

// ends are |y−x|² and |y+x|².
func ends(x, y []float64) (minus, plus float64) {
	for i := range x {
		d, s := y[i]-x[i], y[i]+x[i]
		minus, plus = minus+d*d, plus+s*s
	}
	return minus, plus
}

// SquaredDistance is the angle's square.
func (m Sphere) SquaredDistance(x, y []float64) float64 {
	minus, plus := ends(x, y)
	theta := 2 * math.Atan2(math.Sqrt(minus), math.Sqrt(plus))
	return theta * theta
}

// Transport turns what of w is along v with the geodesic; the rest stays: with u = v/|v|,
// w − (u·w)·((1−cos|v|)·u + sin|v|·x).
func (m Sphere) Transport(w, x, v []float64) {
	theta := norm(v)
	if theta == 0 {
		return
	}
	along := dot(v, w) / theta
	half := math.Sin(theta / 2)
	onV, onX := -along*2*half*half/theta, -along*math.Sin(theta)
	for i := range w {
		w[i] += onV*v[i] + onX*x[i]
	}
}

// Inner is v·w.
func (m Sphere) Inner(v, w []float64) float64 { return dot(v, w) }

// Frame are the coordinates' directions but the first, mirrored by the reflection that takes the first to
// ±x (Householder): e_j − u·u_j/(1+|x_0|) with u = x ± (1, 0, …).
func (m Sphere) Frame(e, x []float64, i int) {
	j := i + 1
	c := -x[j] / (1 + math.Abs(x[0]))
	for k := range e {
		e[k] = c * x[k]
	}
	e[0] += c * math.Copysign(1, x[0])
	e[j]++
}

// Draw draws a uniform direction.
func (m Sphere) Draw(r Random, x []float64) {
	for {
		for i := range x {
			x[i] = r.Normal()
		}
		if norm(x) > 1e-100 {
			break
		}
	}
	m.Nearest(x)
}

// LogBase is −ln of the area, 2·π^{(n+1)/2}/Γ((n+1)/2).
func (m Sphere) LogBase([]float64) float64 {
	half := float64(m.N+1) / 2
	gamma, _ := math.Lgamma(half)
	return gamma - math.Ln2 - half*math.Log(math.Pi)
}

// Width is n+1, and Embed gives x.
func (m Sphere) Width() int                            { return m.N + 1 }
func (m Sphere) Embed(x *tensor.Tensor) *tensor.Tensor { return x }

// Tangent is v − x(x·v).
func (m Sphere) Tangent(x, v *tensor.Tensor) *tensor.Tensor { return v.Sub(x.Mul(dotRows(x, v))) }

// SquaredNorm is |v|².
func (m Sphere) SquaredNorm(v *tensor.Tensor) *tensor.Tensor { return v.Square().Sum(1) }
