package sampler

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
)

// φ_k against mpmath 1.3.0 with 60 digits, on both sides of where the series begins.
func TestPhi(t *testing.T) {
	for _, c := range []struct {
		k       int
		z, want float64
	}{
		{1, -9, 0.111097398910657036}, {1, -1, 0.632120558828557678}, {1, -0.9375, 0.648953998211414407}, {1, 0, 1}, {1, 1e-6, 1.00000050000016667}, {1, 8, 372.494748380216034},
		{2, -9, 0.0987669556765936627}, {2, -1.5, 0.321391182288191035}, {2, -1e-6, 0.499999833333375}, {2, 0, 0.5}, {2, 0.5, 0.594885082800512587}, {2, 2.5, 1.38919903371255575},
		{3, -9, 0.0445814493692673708}, {3, -0.125, 0.161585876687153733}, {3, 1e-6, 0.166666708333341667}, {3, 0.9375, 0.214371087474295844}, {3, 1, 0.218281828459045235}, {3, 8, 5.74210544344087554},
		{4, -9, 0.0135650241441554773}, {4, -1.5, 0.0317294143503071267}, {4, -0.9375, 0.0349287180225323224}, {4, 0, 0.0416666666666666667}, {4, 1, 0.0516151617923785687}, {4, 8, 0.696929847096776109},
		{5, -9, 0.00312240472472346548}, {5, -1, 0.0071205588285576784}, {5, -0.125, 0.00816277464450558988}, {5, 0.5, 0.00908066240410069916}, {5, 2.5, 0.0135754048242702347}, {5, 8, 0.0819078975537636803},
	} {
		// From |z|=1 on each step of the recursion loses at most a factor of five.
		if got := phi(c.k, c.z); !(math.Abs(got/c.want-1) <= math.Pow(5, float64(c.k-1))*0x1p-51) {
			t.Errorf("φ_%d(%g) is %.17g, want %.17g", c.k, c.z, got, c.want)
		}
	}
}

// Weights are exact for every polynomial that the nodes determine, with any moments.
func TestQuadrature(t *testing.T) {
	nodes := row{0, -0.7, -1.9, 0.6, -2.5}
	var moment row
	for k := range moment {
		moment[k] = math.Pow(0.6, float64(k+1)) / float64(k+1) // of ∫_0^.6
	}
	for n := 1; n <= maxNodes; n++ {
		w := quadrature(nodes, n, moment)
		for degree := range n {
			got := 0.0
			for j := range n {
				got += w[j] * math.Pow(nodes[j], float64(degree))
			}
			if math.Abs(got-moment[degree]) > 1e-14 { // some hundred roundings of numbers up to 2.5⁴·w
				t.Errorf("%d nodes: ∫u^%d is %.16g, want %.16g", n, degree, got, moment[degree])
			}
		}
	}
	// Adams and Bashforth's weights for equal steps: (55, −59, 37, −9)/24.
	equal := row{0, -1, -2, -3}
	for k := range moment {
		moment[k] = 1 / float64(k+1)
	}
	for j, want := range []float64{55, -59, 37, -9} {
		if got := 24 * quadrature(equal, 4, moment)[j]; math.Abs(got-want) > 1e-12 {
			t.Errorf("Adams and Bashforth's weight %d is %.15g/24, want %g/24", j, got, want)
		}
	}
}

// The moments are the integrals that they stand for, and the first the step of order one.
func TestLeap(t *testing.T) {
	s, e := levelPoint(2), levelPoint(1.5)
	h := lambda(e) - lambda(s)
	for _, f := range []form{inData, inNoise} {
		l := f.leap(s, e)
		lead, z, keep := e.Alpha, -h, e.Sigma/s.Sigma
		if f == inNoise {
			lead, z, keep = -e.Sigma, h, e.Alpha/s.Alpha
		}
		// Gauss and Legendre's five points are off by (5!)⁴/(11·(10!)³)·f⁽¹⁰⁾, f = e^{z(1−u)}·u^k
		// with |z|=.29: less than 1e-11 of the whole.
		x := []float64{0.0469100770306680, 0.2307653449471585, 0.5, 0.7692346550528415, 0.9530899229693320}
		w := []float64{0.1184634425280945, 0.2393143352496832, 0.2844444444444444, 0.2393143352496832, 0.1184634425280945}
		for k := range maxNodes {
			want := 0.0
			for i := range x {
				want += lead * h * w[i] * math.Exp(z*(1-x[i])) * math.Pow(h*x[i], float64(k))
			}
			if math.Abs(l.moment[k]-want) > 1e-9*math.Abs(want) {
				t.Errorf("form %v: moment %d is %.12g, want %.12g", f, k, l.moment[k], want)
			}
		}
		if l.keep != keep || l.h != h {
			t.Errorf("form %v: %+v", f, l)
		}
		k, w0 := f.first(s, e)
		if math.Abs(k-l.keep) > 1e-15 || math.Abs(w0-l.moment[0]) > 1e-14 {
			t.Errorf("form %v: the first order has %g, %g, the integral %g, %g", f, k, w0, l.keep, l.moment[0])
		}
	}
}

// levelPoint is variance preserving at a noise level.
func levelPoint(level float64) diffusion.Point {
	a := 1 / math.Sqrt(1+level*level)
	return diffusion.Point{T: level, Alpha: a, Sigma: level * a}
}
