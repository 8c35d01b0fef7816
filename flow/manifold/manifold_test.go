package manifold

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// all are the manifolds that the tests go through.
var all = []Manifold{
	Euclidean{3}, Torus{1}, Torus{3}, Sphere{1}, Sphere{2}, Sphere{6}, Rotations{},
	Product{Sphere{2}, Torus{2}, Rotations{}, Euclidean{1}}, Product{Product{Torus{1}}, Sphere{3}},
}

// rounding bounds the error of a result of order 1 to π in these formulas: it is a sum of at most 9
// products of numbers that have themselves come out of at most 4 such sums, each term rounded by 2⁻⁵³ of at
// most π. 9·5·π·2⁻⁵³ = 1.6e-14.
const rounding = 1.6e-14

// bend is how much longer than its angle the way from a tangent vector to a point may make errors: a
// logarithm's direction is known to rounding divided by the sine of its length, near the cut locus.
func bend(m Manifold, v []float64) float64 {
	switch m := m.(type) {
	case Sphere, Rotations:
		theta := math.Sqrt(m.Inner(v, v))
		if _, ok := m.(Rotations); ok {
			theta /= 2 // the angle of the quaternions
		}
		return 1 + math.Pi/max(sinc(theta), 1e-300)
	case Product:
		worst := 1.0
		for _, p := range m {
			worst, v = max(worst, bend(p, v[:p.Ambient()])), v[p.Ambient():]
		}
		return worst
	}
	return 1
}

func point(m Manifold, i uint64) []float64 {
	r := NewStream(rng.Key{Seed: 3}, i)
	x := make([]float64, m.Ambient())
	m.Draw(&r, x)
	return x
}

// tangent is a tangent vector at x with parts of N(0, size²) in the frame's directions.
func tangent(m Manifold, x []float64, i uint64, size float64) []float64 {
	r := NewStream(rng.Key{Seed: 4}, i)
	v, e := make([]float64, m.Ambient()), make([]float64, m.Ambient())
	for k := range m.Dim() {
		m.Frame(e, x, k)
		addScaled(v, size*r.Normal(), e)
	}
	return v
}

// apart is |a−b|.
func apart(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

func each(t *testing.T, f func(t *testing.T, m Manifold)) {
	for _, m := range all {
		t.Run(m.String(), func(t *testing.T) { f(t, m) })
	}
}

func TestExpUndoesLog(t *testing.T) {
	each(t, func(t *testing.T, m Manifold) {
		v, z := make([]float64, m.Ambient()), make([]float64, m.Ambient())
		for i := range uint64(200) {
			x, y := point(m, 2*i), point(m, 2*i+1)
			if err := m.Check(x); err != nil {
				t.Fatal(err)
			}
			m.Log(v, x, y)
			m.Exp(z, x, v)
			// Distances, since π and −π are one angle.
			if d := Distance(m, z, y); d > 3*rounding {
				t.Fatalf("exp(log) is %g away: %v, %v", d, x, y)
			}
			if a, b := Distance(m, x, y), Distance(m, y, x); math.Abs(a-b) > 2*rounding {
				t.Fatalf("distances %g and %g there and back", a, b)
			}
		}
	})
}

func TestLogUndoesExp(t *testing.T) {
	each(t, func(t *testing.T, m Manifold) {
		y, w := make([]float64, m.Ambient()), make([]float64, m.Ambient())
		for i := range uint64(200) {
			x := point(m, i)
			v := tangent(m, x, i, 0.4)
			if math.Sqrt(m.Inner(v, v)) > 3 {
				continue // not the shortest geodesic, perhaps
			}
			m.Exp(y, x, v)
			m.Log(w, x, y)
			if d := apart(v, w); d > 3*rounding*bend(m, v) {
				t.Fatalf("log(exp) is %g away from %v at %v, want below %g", d, v, x, 3*rounding*bend(m, v))
			}
		}
	})
}

// Near the cut locus, and at it, the logarithm has the right length and leads to the point, though
// its direction is hardly determined any more.
func TestCutLocus(t *testing.T) {
	for _, m := range []Manifold{Sphere{1}, Sphere{2}, Sphere{6}, Rotations{}, Torus{1}} {
		for k := 1; k <= 17; k++ {
			off := math.Pow(10, -float64(k))
			if k == 17 {
				off = 0
			}
			for i := range uint64(20) {
				x := point(m, i)
				v := tangent(m, x, i, 1)
				scale := (math.Pi - off) / math.Sqrt(m.Inner(v, v))
				for j := range v {
					v[j] *= scale
				}
				y, w := make([]float64, m.Ambient()), make([]float64, m.Ambient())
				m.Exp(y, x, v)
				m.Log(w, x, y)
				if l := math.Sqrt(m.Inner(w, w)); math.Abs(l-(math.Pi-off)) > 2*rounding {
					t.Fatalf("%v, %g from the cut locus: length %.17g, want %.17g", m, off, l, math.Pi-off)
				}
				m.Exp(v, x, w)
				if d := Distance(m, v, y); d > 3*rounding {
					t.Fatalf("%v, %g from the cut locus: exp(log) is %g away", m, off, d)
				}
			}
		}
	}
	for n := 1; n < 5; n++ { // the very antipode
		x := point(Sphere{n}, 9)
		y, v := make([]float64, n+1), make([]float64, n+1)
		for i := range y {
			y[i] = -x[i]
		}
		Sphere{n}.Log(v, x, y)
		if math.Abs(norm(v)-math.Pi) > rounding || math.Abs(dot(v, x)) > 4*rounding {
			t.Errorf("to the antipode on S^%d: %v", n, v)
		}
	}
	half, v := []float64{1, 0, 0, 0, -1, 0, 0, 0, -1}, make([]float64, 9)
	Rotations{}.Log(v, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, half)
	if l := math.Sqrt(Rotations{}.Inner(v, v)); math.Abs(l-math.Pi) > rounding {
		t.Errorf("half a turn is %g", l)
	}
}

// What a geodesic's points say of it: the speed is the same everywhere, and Transport of its
// velocity is its derivative. Central differences with step h are off by h²/6 times the third derivative, which is
// at most the cube of the speed in each part, and by rounding/h.
func TestGeodesics(t *testing.T) {
	const h = 1e-5
	each(t, func(t *testing.T, m Manifold) {
		n := m.Ambient()
		at := func(x, v []float64, s float64) []float64 {
			y, sv := make([]float64, n), make([]float64, n)
			addScaled(sv, s, v)
			m.Exp(y, x, sv)
			return y
		}
		for i := range uint64(50) {
			x := point(m, i)
			v := tangent(m, x, i, 1)
			speed := math.Sqrt(m.Inner(v, v))
			tolerance := h*h*speed*speed*speed + 6*rounding/h
			for _, s := range []float64{0, 0.3, 1, 1.7} {
				y := at(x, v, s)
				before, after := make([]float64, n), make([]float64, n)
				m.Log(before, y, at(x, v, s-h))
				m.Log(after, y, at(x, v, s+h))
				rate := make([]float64, n)
				addScaled(rate, 1/(2*h), after)
				addScaled(rate, -1/(2*h), before)
				velocity, sv := append([]float64(nil), v...), make([]float64, n)
				addScaled(sv, s, v)
				m.Transport(velocity, x, sv)
				if d := apart(rate, velocity); d > tolerance {
					t.Fatalf("velocity at %g is %v, differences say %v: %g > %g", s, velocity, rate, d, tolerance)
				}
				if l := math.Sqrt(m.Inner(velocity, velocity)); math.Abs(l-speed) > 8*rounding*(1+speed) {
					t.Fatalf("speed %g at %g, %g at 0", l, s, speed)
				}
			}
		}
	})
}

// Transport is an isometry onto the tangent space there, and along the way the transported vector
// changes in no direction of the tangent space: D_s w = 0, by central differences (h² times a third
// derivative of at most |w|·speed³, and rounding/h).
func TestTransportIsParallel(t *testing.T) {
	const h = 1e-5
	each(t, func(t *testing.T, m Manifold) {
		n := m.Ambient()
		for i := range uint64(50) {
			x := point(m, i)
			v, w := tangent(m, x, i, 1), tangent(m, x, i+1000, 1)
			speed, length := math.Sqrt(m.Inner(v, v)), math.Sqrt(m.Inner(w, w))
			at := func(s float64) (y, moved []float64) {
				y, sv := make([]float64, n), make([]float64, n)
				addScaled(sv, s, v)
				m.Exp(y, x, sv)
				moved = append([]float64(nil), w...)
				m.Transport(moved, x, sv)
				return y, moved
			}
			for _, s := range []float64{0, 0.4, 1.5} {
				y, moved := at(s)
				if l := math.Sqrt(m.Inner(moved, moved)); math.Abs(l-length) > 8*rounding*(1+length) {
					t.Fatalf("length %g at %g, %g at 0", l, s, length)
				}
				flat := append([]float64(nil), moved...)
				if m.Project(y, flat); apart(flat, moved) > 8*rounding*(1+length) {
					t.Fatalf("not tangent at %g: %v", s, moved)
				}
				_, after := at(s + h)
				_, before := at(s - h)
				rate := make([]float64, n)
				addScaled(rate, 1/(2*h), after)
				addScaled(rate, -1/(2*h), before)
				m.Project(y, rate)
				if l := norm(rate); l > h*h*length*speed*speed*speed*2+6*rounding*(1+length)/h {
					t.Fatalf("at %g the transported vector changes by %g within the tangent space", s, l)
				}
			}
		}
	})
}

// Round an octant of the sphere a vector turns by the octant's area, π/2 (Gauss and Bonnet).
func TestHolonomy(t *testing.T) {
	m := Sphere{2}
	corners := [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 0, 0}}
	w, v := []float64{0, 1, 0}, make([]float64, 3)
	for i := range 3 {
		m.Log(v, corners[i], corners[i+1])
		m.Transport(w, corners[i], v)
	}
	if apart(w, []float64{0, 0, 1}) > 3*rounding {
		t.Errorf("(0, 1, 0) has become %v, want (0, 0, 1)", w)
	}
}

// Frames are orthonormal bases of what Project projects to.
func TestFrames(t *testing.T) {
	each(t, func(t *testing.T, m Manifold) {
		n := m.Ambient()
		for i := range uint64(50) {
			x := point(m, i)
			if s, ok := m.(Sphere); ok && i < 2 { // the poles of the reflection
				x = make([]float64, s.N+1)
				x[0] = 1 - 2*float64(i)
			}
			frame := make([][]float64, m.Dim())
			for k := range frame {
				frame[k] = make([]float64, n)
				m.Frame(frame[k], x, k)
				for j := range k + 1 {
					want := 0.0
					if j == k {
						want = 1
					}
					if got := dot(frame[j], frame[k]); math.Abs(got-want) > rounding {
						t.Fatalf("vectors %d and %d at %v: product %g", j, k, x, got)
					}
				}
			}
			v := make([]float64, n)
			r := NewStream(rng.Key{Seed: 7}, i)
			for k := range v {
				v[k] = r.Normal()
			}
			sum := make([]float64, n)
			for _, e := range frame {
				addScaled(sum, dot(e, v), e)
			}
			if m.Project(x, v); apart(sum, v) > 4*rounding {
				t.Fatalf("projection %v, by the frame %v", v, sum)
			}
		}
	})
}

// The device's projection, norm and embedding are the host's, in float64.
func TestDeviceIsHost(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	const rows = 7
	each(t, func(t *testing.T, m Manifold) {
		n := m.Ambient()
		var x, v, want, norms []float64
		for i := range uint64(rows) {
			p := point(m, i)
			w := make([]float64, n)
			r := NewStream(rng.Key{Seed: 8}, i)
			for k := range w {
				w[k] = r.Normal()
			}
			x, v = append(x, p...), append(v, w...)
			norms = append(norms, m.Inner(w, w))
			m.Project(p, w)
			want = append(want, w...)
		}
		xt, vt := s.Tensor(x, rows, n), s.Tensor(v, rows, n)
		if got := m.Tangent(xt, vt).Float64s(); apart(got, want) > 8*rounding {
			t.Errorf("projections %v, want %v", got, want)
		}
		if got := m.SquaredNorm(vt).Float64s(); len(got) != rows || apart(got, norms) > 100*rounding {
			t.Errorf("norms %v, want %v", got, norms)
		}
		if shape := m.Embed(xt).Shape(); len(shape) != 2 || shape[0] != rows || shape[1] != m.Width() {
			t.Errorf("embedded: %v, want %d numbers", shape, m.Width())
		}
	})
	// Whole turns do not change what networks see.
	a := Torus{2}.Embed(s.Tensor([]float64{0.3, -2}, 1, 2)).Float64s()
	b := Torus{2}.Embed(s.Tensor([]float64{0.3 + 2*math.Pi, -2 - 4*math.Pi}, 1, 2)).Float64s()
	if want := []float64{math.Cos(0.3), math.Cos(-2), math.Sin(0.3), math.Sin(-2)}; apart(a, want) > rounding || apart(b, want) > rounding {
		t.Errorf("%v, %v, want %v", a, b, want)
	}
}

// volume integrates 1 over an isotropic manifold in normal coordinates about a point: ∫ area(S^{d−1})·r^{d−1}·J(r)·dr
// up to the cut locus at π. J(r) is the determinant of Exp's derivative in orthonormal frames, by central differences.
func volume(m Manifold) float64 {
	const steps, h = 400, 1e-5
	n, d := m.Ambient(), m.Dim()
	x := point(m, 1)
	unit := func(at []float64, i int) []float64 { // orthonormal by the metric
		e := make([]float64, n)
		m.Frame(e, at, i)
		l := math.Sqrt(m.Inner(e, e))
		for k := range e {
			e[k] /= l
		}
		return e
	}
	sum := 0.0
	for i := range steps {
		r := math.Pi * (float64(i) + 0.5) / steps
		v := make([]float64, n)
		addScaled(v, r, unit(x, 0))
		y := make([]float64, n)
		m.Exp(y, x, v)
		jacobian := make([][]float64, d)
		for a := range d {
			ends := [2][]float64{}
			for k, sign := range []float64{-1, 1} {
				w, z := append([]float64(nil), v...), make([]float64, n)
				addScaled(w, sign*h, unit(x, a))
				m.Exp(z, x, w)
				ends[k] = make([]float64, n)
				m.Log(ends[k], y, z)
			}
			jacobian[a] = make([]float64, d)
			for b := range d {
				e := unit(y, b)
				jacobian[a][b] = (m.Inner(ends[1], e) - m.Inner(ends[0], e)) / (2 * h)
			}
		}
		half := float64(d) / 2
		gamma := math.Gamma(half)
		sum += 2 * math.Pow(math.Pi, half) / gamma * math.Pow(r, float64(d-1)) * math.Abs(determinant(jacobian)) * math.Pi / steps
	}
	return sum
}

func determinant(a [][]float64) float64 {
	det := 1.0
	for i := range a {
		p := i
		for k := i; k < len(a); k++ {
			if math.Abs(a[k][i]) > math.Abs(a[p][i]) {
				p = k
			}
		}
		if a[p][i] == 0 {
			return 0
		}
		if p != i {
			a[p], a[i], det = a[i], a[p], -det
		}
		det *= a[i][i]
		for k := i + 1; k < len(a); k++ {
			f := a[k][i] / a[i][i]
			for j := i; j < len(a); j++ {
				a[k][j] -= f * a[i][j]
			}
		}
	}
	return det
}

// The base density of compact manifolds is one over the volume that their metric and geodesics make. The midpoint
// rule's error is (π/400)²/24·∫|f”| < 1e-5 of the volume, that of differences 1e-10/6·(…) and 1e-14/1e-5.
func TestBaseDensityIsTheVolumes(t *testing.T) {
	for _, m := range []Manifold{Sphere{1}, Sphere{2}, Sphere{3}, Sphere{4}, Rotations{}, Torus{1}} {
		if got, want := math.Log(volume(m)), -m.LogBase(point(m, 0)); math.Abs(got-want) > 1e-4 {
			t.Errorf("%v: the logarithm of the volume is %.6f, that of the density %.6f", m, got, -want)
		}
	}
	closed := []struct {
		m    Manifold
		want float64
	}{
		{Sphere{1}, -math.Log(2 * math.Pi)}, {Sphere{2}, -math.Log(4 * math.Pi)}, {Sphere{3}, -math.Log(2 * math.Pi * math.Pi)},
		{Torus{3}, -3 * math.Log(2*math.Pi)}, {Rotations{}, -math.Log(8 * math.Pi * math.Pi)},
		{Product{Sphere{2}, Torus{1}}, -math.Log(4*math.Pi) - math.Log(2*math.Pi)},
	}
	for _, c := range closed {
		if got := c.m.LogBase(point(c.m, 0)); math.Abs(got-c.want) > rounding {
			t.Errorf("%v: %g, want %g", c.m, got, c.want)
		}
	}
	if got, want := (Euclidean{2}).LogBase([]float64{1, 2}), -2.5-math.Log(2*math.Pi); math.Abs(got-want) > rounding {
		t.Errorf("normal: %g, want %g", got, want)
	}
}

// Draws are on the manifold and have the uniform distribution's moments: means 0, and squares of 1/(n+1) on
// spheres, 1/3 for a rotation's numbers, π²/3 for angles, 1 for normal ones; products of two different ones 0.
// Five standard errors; of products, variances are below the squares' fourth powers.
func TestDraws(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		m      Manifold
		square float64
	}{{Sphere{1}, 1. / 2}, {Sphere{2}, 1. / 3}, {Sphere{4}, 1. / 5}, {Rotations{}, 1. / 3}, {Torus{2}, math.Pi * math.Pi / 3}, {Euclidean{2}, 1}} {
		d := c.m.Ambient()
		mean, products := make([]float64, d), make([]float64, d*d)
		for i := range uint64(n) {
			x := point(c.m, i)
			if err := c.m.Check(x); err != nil {
				t.Fatal(err)
			}
			for a := range d {
				mean[a] += x[a] / n
				for b := range d {
					products[a*d+b] += x[a] * x[b] / n
				}
			}
		}
		for a := range d {
			if math.Abs(mean[a]) > 5*math.Sqrt(c.square/n) {
				t.Errorf("%v: mean %v", c.m, mean)
			}
			for b := range d {
				want := 0.0
				if a == b {
					want = c.square
				}
				// E[x⁴] ≤ 3·E[x²]² for all of these.
				if math.Abs(products[a*d+b]-want) > 5*c.square*math.Sqrt(3./n) {
					t.Errorf("%v: product of %d and %d is %g, want %g", c.m, a, b, products[a*d+b], want)
				}
			}
		}
	}
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		m    Manifold
		x    []float64
		want string
	}{
		{Sphere{2}, []float64{1, 1, 0}, "its length is 1.41421: want 1"},
		{Sphere{2}, []float64{math.NaN(), 1, 0}, "length is NaN"},
		{Torus{2}, []float64{0, 170}, "angle 1 of it is 170: want radians"},
		{Torus{1}, []float64{math.NaN()}, "NaN"},
		{Rotations{}, []float64{2, 0, 0, 0, 1, 0, 0, 0, 1}, "columns 0 and 0 is 4, want 1"},
		{Rotations{}, []float64{1, 0, 0, 0, 1, 0, 0, 0, -1}, "determinant is -1"},
		{Rotations{}, []float64{1, 0, 0, 0, 1, 0, 0, 0, math.NaN()}, "number 8 of it is NaN"},
		{Euclidean{1}, []float64{math.Inf(1)}, "number 0 of it is +Inf"},
		{Product{Torus{1}, Sphere{1}}, []float64{1, 2, 0}, "part 1, in the sphere S^1: its length is 2"},
	} {
		if err := c.m.Check(c.x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v of %v: %v, want %q", c.m, c.x, err, c.want)
		}
	}
	for _, m := range all { // rounded to three decimals, points are fine, and moved to where they belong
		x := point(m, 5)
		for i := range x {
			x[i] = math.Round(x[i]*1e4) / 1e4
		}
		if err := m.Check(x); err != nil {
			t.Errorf("%v, rounded: %v", m, err)
		}
		y := append([]float64(nil), x...)
		m.Nearest(y)
		if d := apart(x, y); d > 1e-3 {
			t.Errorf("%v: %g away from a point that is nearly there", m, d)
		}
	}
	if x := []float64{0, 0}; true {
		if (Sphere{1}).Nearest(x); x[0] != 1 || x[1] != 0 {
			t.Error("of the centre:", x)
		}
	}
	if got := fmt.Sprint(Product{Sphere{2}, Euclidean{3}}); got != "the sphere S^2 × Euclidean space R^3" {
		t.Error(got)
	}
}

// It is the square of the distance. Near the cut locus half the digits of rotations are lost, as is said.
func TestSquaredDistance(t *testing.T) {
	each(t, func(t *testing.T, m Manifold) {
		y := make([]float64, m.Ambient())
		for i := range uint64(40) {
			x := point(m, 2*i)
			v := tangent(m, x, i, math.Pow(10, -float64(i%6)))
			m.Exp(y, x, v)
			d := Distance(m, x, y)
			if got := m.SquaredDistance(x, y); math.Abs(got-d*d) > 1e-7*(1+d) {
				t.Errorf("%v and %v: %.12g, the distance is %.12g", x, y, got, d)
			}
		}
		if d := m.SquaredDistance(y, y); d > 1e-15 {
			t.Errorf("%v is %g from itself", y, d)
		}
	})
}

func TestSquaredDistanceOfHalfTurns(t *testing.T) {
	for _, m := range []Manifold{Rotations{}, Sphere{2}} {
		x, e, y := point(m, 1), make([]float64, m.Ambient()), make([]float64, m.Ambient())
		m.Frame(e, x, 0)
		scale := math.Pi / math.Sqrt(m.Inner(e, e))
		for i := range e {
			e[i] *= scale
		}
		m.Exp(y, x, e)
		if got := m.SquaredDistance(x, y); math.Abs(got-math.Pi*math.Pi) > 2*math.Pi*1e-7 {
			t.Errorf("%v: %g, want π²", m, got)
		}
	}
}
