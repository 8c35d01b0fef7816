package manifold

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Rotations is SO(3): rotation matrices of three rows of three numbers, with the metric
// ½·tr(VᵀW), in which the distance of two is the angle between them (as in FoldFlow, Bose et al. 2024).
// The base distribution is uniform (Haar's). The cut locus of R are the rotations half a turn away.
//
// A rotation is a matrix here because it is one matrix, and two unit quaternions: what a network makes of
// its nine numbers is a function of the rotation, without a symmetry that it would have to learn. Logarithms
// go by way of quaternions, which lose nothing near half a turn.
//
// Tangent vectors at R are R·Ω with Ω antisymmetric: Ω = [ω]×, the angular velocity in the body's axes.
type Rotations struct{}

func (Rotations) String() string { return "the rotations SO(3)" }

// Ambient is 9, Dim 3.
func (Rotations) Ambient() int { return 9 }
func (Rotations) Dim() int     { return 3 }

// Check wants orthonormal columns and determinant 1.
func (Rotations) Check(x []float64) error {
	if err := finite(x); err != nil {
		return err
	}
	r := matrix(x)
	product := r.transposed().times(r)
	for i, v := range product {
		want := 0.0
		if i%4 == 0 {
			want = 1
		}
		if math.Abs(v-want) > 2*Tolerance { // a length's square is off by twice what the length is
			return fmt.Errorf("it is no rotation matrix: the product of its columns %d and %d is %.6g, want %g", i/3, i%3, v, want)
		}
	}
	if d := r.det(); d < 0 {
		return fmt.Errorf("it is no rotation matrix but a reflection: its determinant is %.6g, want 1", d)
	}
	return nil
}

// Nearest is the rotation in X's polar decomposition, for X of positive determinant: the limit of
// X ← ½(X + X^−ᵀ), which doubles the right digits each time (Higham 1986).
func (Rotations) Nearest(x []float64) {
	r := matrix(x)
	for range 50 {
		next, change := r, 0.0
		inverse, det := r.cofactors(), r.det()
		for i := range next {
			next[i] = (r[i] + inverse[i]/det) / 2
			change += (next[i] - r[i]) * (next[i] - r[i])
		}
		r = next
		if !(change > 1e-20) { // the next one would be below 10⁻²⁰ itself
			break
		}
	}
	copy(x, r[:])
}

// Project is R·(the antisymmetric part of RᵀV).
func (Rotations) Project(x, v []float64) {
	r := matrix(x)
	r.times(cross(r.body(matrix(v)))).to(v)
}

// Exp is R·exp(Ω), by Rodrigues's formula.
func (m Rotations) Exp(y, x, v []float64) {
	r := matrix(x)
	r.times(turn(r.body(matrix(v)))).to(y)
	m.Nearest(y)
}

// Log turns by the angle of RᵀY about its axis. Of a half turn, the axis is one of two.
func (Rotations) Log(v, x, y []float64) {
	r := matrix(x)
	q := r.transposed().times(matrix(y)).quaternion()
	s := norm(q[1:])
	c := 2.0 // of the angle's limit at 0
	if s > 0 {
		c = 2 * math.Atan2(s, q[0]) / s
	}
	r.times(cross([3]float64{c * q[1], c * q[2], c * q[3]})).to(v)
}

// SquaredDistance is the square of the angle θ of XᵀY: |Y−X|² is 8·sin²(θ/2), and its trace 4·cos²(θ/2) − 1. The cosine's root
// loses half the digits at half a turn.
func (Rotations) SquaredDistance(x, y []float64) float64 {
	apart, trace := 0.0, 0.0
	for i, v := range x {
		d := y[i] - v
		apart, trace = apart+d*d, trace+y[i]*v
	}
	theta := 2 * math.Atan2(math.Sqrt(apart/8), math.Sqrt(max(0, (trace+1)/4)))
	return theta * theta
}

// Transport is, in the body's axes, half the geodesic's turn backwards: η(s) = exp(−½s[ω]×)·η
// solves η' + ½ω×η = 0, the Levi-Civita connection of a bi-invariant metric.
func (m Rotations) Transport(w, x, v []float64) {
	r := matrix(x)
	omega, eta := r.body(matrix(v)), r.body(matrix(w))
	there := r.times(turn(omega))
	back := turn([3]float64{-omega[0] / 2, -omega[1] / 2, -omega[2] / 2})
	there.times(cross(back.apply(eta))).to(w)
}

// Inner is ½·tr(VᵀW).
func (Rotations) Inner(v, w []float64) float64 { return dot(v, w) / 2 }

// Frame are turns about the body's axes.
func (Rotations) Frame(e, x []float64, i int) {
	var axis [3]float64
	axis[i] = 1 / math.Sqrt2 // [axis]× has the length √2 as nine numbers
	r := matrix(x)
	r.times(cross(axis)).to(e)
}

// Draw draws a uniform unit quaternion.
func (Rotations) Draw(r Random, x []float64) {
	var q [4]float64
	Sphere{3}.Draw(r, q[:])
	rotation(q).to(x)
}

// LogBase is −ln 8π², which is the volume: half that of a three-sphere of radius 2.
func (Rotations) LogBase([]float64) float64 { return -math.Log(8 * math.Pi * math.Pi) }

// Width is 9, and Embed gives x.
func (Rotations) Width() int                            { return 9 }
func (Rotations) Embed(x *tensor.Tensor) *tensor.Tensor { return x }

// Tangent is ½(V − R·Vᵀ·R).
func (Rotations) Tangent(x, v *tensor.Tensor) *tensor.Tensor {
	n := x.Dim(0)
	r, w := x.Reshape(n, 3, 3), v.Reshape(n, 3, 3)
	mirrored := r.MatMul(w.Transpose(1, 2)).MatMul(r)
	return w.Axpby(0.5, mirrored, -0.5).Reshape(n, 9)
}

// SquaredNorm is ½|V|².
func (Rotations) SquaredNorm(v *tensor.Tensor) *tensor.Tensor { return v.Square().Sum(1).Scale(0.5) }

// matrix3 is a matrix by rows.
type matrix3 [9]float64

func matrix(x []float64) (m matrix3) {
	copy(m[:], x)
	return m
}

func (m matrix3) to(x []float64) { copy(x, m[:]) }

func (m matrix3) transposed() matrix3 {
	return matrix3{m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]}
}

func (m matrix3) times(o matrix3) (p matrix3) {
	for i := range 3 {
		for j := range 3 {
			p[3*i+j] = m[3*i]*o[j] + m[3*i+1]*o[3+j] + m[3*i+2]*o[6+j]
		}
	}
	return p
}

func (m matrix3) apply(v [3]float64) (w [3]float64) {
	for i := range w {
		w[i] = m[3*i]*v[0] + m[3*i+1]*v[1] + m[3*i+2]*v[2]
	}
	return w
}

func (m matrix3) det() float64 {
	c := m.cofactors()
	return m[0]*c[0] + m[1]*c[1] + m[2]*c[2]
}

// cofactors is the determinant times the inverse's transpose.
func (m matrix3) cofactors() matrix3 {
	return matrix3{
		m[4]*m[8] - m[5]*m[7], m[5]*m[6] - m[3]*m[8], m[3]*m[7] - m[4]*m[6],
		m[2]*m[7] - m[1]*m[8], m[0]*m[8] - m[2]*m[6], m[1]*m[6] - m[0]*m[7],
		m[1]*m[5] - m[2]*m[4], m[2]*m[3] - m[0]*m[5], m[0]*m[4] - m[1]*m[3],
	}
}

// body is ω of the antisymmetric part of RᵀV, which is [ω]×.
func (m matrix3) body(v matrix3) [3]float64 {
	a := m.transposed().times(v)
	return [3]float64{(a[7] - a[5]) / 2, (a[2] - a[6]) / 2, (a[3] - a[1]) / 2}
}

// cross is [w]×, the matrix of v ↦ w×v.
func cross(w [3]float64) matrix3 {
	return matrix3{0, -w[2], w[1], w[2], 0, -w[0], -w[1], w[0], 0}
}

// turn is exp([w]×): 1 + sinc(θ)·[w]× + ½·sinc²(θ/2)·[w]×², θ = |w|.
func turn(w [3]float64) matrix3 {
	theta := norm(w[:])
	k := cross(w)
	k2 := k.times(k)
	half := sinc(theta / 2)
	a, b := sinc(theta), half*half/2
	out := matrix3{1, 0, 0, 0, 1, 0, 0, 0, 1}
	for i := range out {
		out[i] += a*k[i] + b*k2[i]
	}
	return out
}

// quaternion is the unit quaternion (real part first, not negative) of a rotation, from the largest of
// its numbers, so that nothing cancels (Shepperd 1978).
func (m matrix3) quaternion() (q [4]float64) {
	trace := m[0] + m[4] + m[8]
	squares := [4]float64{1 + trace, 1 + 2*m[0] - trace, 1 + 2*m[4] - trace, 1 + 2*m[8] - trace} // 4q²
	best := 0
	for i, s := range squares {
		if s > squares[best] {
			best = i
		}
	}
	x, y, z := m[7]-m[5], m[2]-m[6], m[3]-m[1]    // 4·real·(x, y, z)
	xy, xz, yz := m[1]+m[3], m[2]+m[6], m[5]+m[7] // 4xy, 4xz, 4yz
	rows := [4][4]float64{{squares[0], x, y, z}, {x, squares[1], xy, xz}, {y, xy, squares[2], yz}, {z, xz, yz, squares[3]}}
	q = rows[best] // 4·q_best·q
	l := norm(q[:])
	if q[0] < 0 {
		l = -l
	}
	for i := range q {
		q[i] /= l
	}
	return q
}

// rotation is the matrix of a unit quaternion, real part first.
func rotation(q [4]float64) matrix3 {
	w, x, y, z := q[0], q[1], q[2], q[3]
	return matrix3{
		1 - 2*(y*y+z*z), 2 * (x*y - w*z), 2 * (x*z + w*y),
		2 * (x*y + w*z), 1 - 2*(x*x+z*z), 2 * (y*z - w*x),
		2 * (x*z - w*y), 2 * (y*z + w*x), 1 - 2*(x*x+y*y),
	}
}
