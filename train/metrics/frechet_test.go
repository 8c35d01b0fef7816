package metrics

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/langevin-go/langevin/tensor/rng"
)

const eps = 0x1p-52

func gaussian(mean, cov []float64) Gaussian {
	return Gaussian{Mean: mean, Cov: mat.NewSymDense(len(mean), cov)}
}

// A false eigenvalue of a singular covariance, at most some 4·d·ε·λmax, adds its root to
// the nuclear norm, times that of the other covariance's largest: d of them
// add at most this, relative to √(λmax₁·λmax₂) ≤ (Tr₁+Tr₂)/2.
func rankTolerance(d int, a, b Gaussian) float64 {
	return float64(d) * math.Sqrt(4*float64(d)*eps) * (a.totalVariance() + b.totalVariance())
}

func TestFrechetAgainstSciPy(t *testing.T) {
	for _, c := range readGolden(t).Frechet {
		a, b := gaussian(c.Mean1, c.Cov1), gaussian(c.Mean2, c.Cov2)
		tol := rankTolerance(len(c.Mean1), a, b)
		if c.Name[:4] == "full" {
			// Roots of eigenvalues are off by ε·λmax/(2√λmin): the condition numbers are below 1e4.
			tol = 1e4 * eps * (a.totalVariance() + b.totalVariance())
		}
		near(t, c.Name, Frechet(a, b), c.Value, tol)
		near(t, c.Name+", swapped", Frechet(b, a), c.Value, tol)
	}
}

// Diagonal covariances commute: d² = |μ₁−μ₂|² + Σ(σ₁−σ₂)².
func TestFrechetOfCommutingCovariances(t *testing.T) {
	const d = 12
	s1, s2 := make([]float64, d), make([]float64, d)
	c1, c2 := make([]float64, d*d), make([]float64, d*d)
	m1, m2 := make([]float64, d), make([]float64, d)
	want := 0.0
	for i := range d {
		u := func(j int) float64 { return rng.Float64(rng.Key{Seed: 5}, uint64(i), j) }
		s1[i], s2[i], m1[i], m2[i] = 3*u(0), 3*u(1), u(2), u(3)
		if i%4 == 3 { // no variance along this axis
			s1[i] = 0
		}
		c1[i*d+i], c2[i*d+i] = s1[i]*s1[i], s2[i]*s2[i]
		want += (m1[i]-m2[i])*(m1[i]-m2[i]) + (s1[i]-s2[i])*(s1[i]-s2[i])
	}
	// Eigenvectors of a diagonal matrix are exact, and so are its zeros.
	near(t, "diagonal", Frechet(gaussian(m1, c1), gaussian(m2, c2)), want, 100*d*eps*want)
}

// Any map T, symmetric and positive definite, is the optimal transport between N(0,Σ) and
// N(0,TΣT), so that (Σ^½·TΣT·Σ^½)^½ = Σ^½·T·Σ^½ and d² = Tr(Σ + TΣT − 2ΣT),
// whatever Σ's rank (Brenier; Takatsu 2011).
func TestFrechetOfNonCommutingCovariances(t *testing.T) {
	for _, c := range []struct{ d, rank int }{{3, 3}, {20, 20}, {64, 64}, {20, 5}, {64, 10}, {64, 0}} {
		z := func(stream uint32, cols int) *mat.Dense {
			v := make([]float32, c.d*max(cols, 1))
			rng.Normal(v, rng.Key{Seed: 3, Stream: stream}, uint64(c.d))
			m := mat.NewDense(c.d, max(cols, 1), nil)
			for i := range v {
				if cols > 0 {
					m.Set(i/cols, i%cols, float64(v[i]))
				}
			}
			return m
		}
		var sigma, tr mat.SymDense
		sigma.SymOuterK(1, z(1, c.rank))
		tr.SymOuterK(1/float64(c.d), z(2, c.d))
		for i := range c.d {
			tr.SetSym(i, i, tr.At(i, i)+0.5)
		}
		var st, tst mat.Dense
		st.Mul(&sigma, &tr)
		tst.Mul(&tr, &st)
		second := mat.NewSymDense(c.d, nil)
		for i := range c.d {
			for j := range i + 1 {
				second.SetSym(i, j, (tst.At(i, j)+tst.At(j, i))/2)
			}
		}
		a := Gaussian{Mean: make([]float64, c.d), Cov: &sigma}
		b := Gaussian{Mean: make([]float64, c.d), Cov: second}
		want := a.totalVariance() + b.totalVariance() - 2*mat.Trace(&st)
		tol := rankTolerance(c.d, a, b)
		near(t, "transported", Frechet(a, b), want, tol)
		near(t, "itself", Frechet(b, b), 0, tol)
		if c.rank > 0 && want < 1e3*tol {
			t.Errorf("d=%d rank %d: distance %g says nothing at tolerance %g", c.d, c.rank, want, tol)
		}
	}
}

func TestGaussian(t *testing.T) {
	p := Points{[]float32{1, 10, 2, 14, 3, 12}, 2}
	g := NewGaussian(p)
	// Means 2 and 12; deviations (−1,−2), (0,2), (1,0) over n−1 = 2.
	want := []float64{1, 1, 1, 4}
	for i, w := range want {
		near(t, "covariance", g.Cov.At(i/2, i%2), w, 8*eps)
	}
	near(t, "mean", g.Mean[0], 2, 0)
	near(t, "mean", g.Mean[1], 12, 0)
	if v := NewGaussian(Points{[]float32{5, 6}, 2}).totalVariance(); v != 0 {
		t.Errorf("one point has variance %g", v)
	}
}

// More rows than a block, far from the origin: the two-pass form must not lose the variance.
func TestGaussianFarFromOrigin(t *testing.T) {
	const n = 5000
	p := Points{make([]float32, n), 1}
	for i := range p.X {
		p.X[i] = 1<<20 + float32(i%2) // variance ¼·n/(n−1)
	}
	near(t, "variance", NewGaussian(p).totalVariance(), 0.25*n/(n-1), n*eps)
}

// Of fewer points than dimensions the factor is the points; a covariance alone must give the same.
func TestFrechetOfFewPoints(t *testing.T) {
	for _, n := range [][2]int{{5, 9}, {30, 9}, {5, 80}, {40, 41}} {
		a, b := NewGaussian(normal(n[0], 40, 0, 1, 1)), NewGaussian(normal(n[1], 40, 0.2, 1.5, 2))
		bare := func(g Gaussian) Gaussian { return Gaussian{Mean: g.Mean, Cov: g.Cov} }
		want := Frechet(a, b)
		tol := rankTolerance(40, a, b)
		near(t, "covariances", Frechet(bare(a), bare(b)), want, tol)
		near(t, "one covariance", Frechet(a, bare(b)), want, tol)
		near(t, "swapped", Frechet(b, a), want, tol)
		if want < 1e3*tol {
			t.Errorf("%v: the distance %g says nothing at tolerance %g", n, want, tol)
		}
	}
}
