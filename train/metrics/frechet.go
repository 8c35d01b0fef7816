package metrics

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Gaussian is the mean and covariance of a set of points, in float64.
type Gaussian struct {
	Mean []float64
	Cov  *mat.SymDense

	factor *mat.Dense // F with F·Fᵀ = Cov; nil: to be found
}

// NewGaussian is the sample mean and the unbiased sample covariance (divided by
// n−1, as in the reference implementation of Heusel et al. 2017) of at least one
// point; the covariance of a single point is 0.
func NewGaussian(p Points) Gaussian {
	n, d := p.Len(), p.D
	g := Gaussian{Mean: make([]float64, d), Cov: mat.NewSymDense(d, nil)}
	for i := range n {
		for j, x := range p.row(i) {
			g.Mean[j] += float64(x)
		}
	}
	for j := range g.Mean {
		g.Mean[j] /= float64(n)
	}
	if n < 2 {
		return g
	}
	// In blocks of centred rows, so that no copy of all points is made.
	const block = 1024
	centred := make([]float64, min(n, block)*d)
	for at := 0; at < n; at += block {
		rows := min(block, n-at)
		for i := range rows {
			for j, x := range p.row(at + i) {
				centred[i*d+j] = float64(x) - g.Mean[j]
			}
		}
		g.Cov.SymRankK(g.Cov, 1/float64(n-1), mat.NewDense(rows, d, centred[:rows*d]).T())
	}
	if n <= d && n <= block { // the centred points are a factor of few columns
		var f mat.Dense
		f.Scale(1/math.Sqrt(float64(n-1)), mat.NewDense(n, d, centred).T())
		g.factor = &f
	}
	return g
}

func (g Gaussian) totalVariance() float64 { return mat.Trace(g.Cov) }

// factored is the Gaussian with a factor of its covariance, which is found once for many distances.
func (g Gaussian) factored() Gaussian {
	if g.factor == nil {
		g.factor = factorOf(g.Cov)
	}
	return g
}

// factorOf is F with F·Fᵀ = Σ, by Cholesky's decomposition with pivots: as many columns as Σ has rank, within rounding. What
// is left out has diagonal elements of at most d·ε times Σ's largest.
func factorOf(cov *mat.SymDense) *mat.Dense {
	var c mat.PivotedCholesky
	c.Factorize(cov, -1)
	d, rank := cov.SymmetricDim(), c.Rank()
	u, place := c.RawU(), c.ColumnPivots(nil)
	f := mat.NewDense(d, max(rank, 1), nil)
	for j, p := range place {
		for i := range min(j+1, rank) {
			f.Set(p, i, u.At(i, j))
		}
	}
	return f
}

// Frechet is the squared Fréchet distance (2-Wasserstein, Bures) between two
// Gaussians of one dimension, the FID of Heusel et al. 2017, eq. (6):
//
//	d² = |μ₁−μ₂|² + Tr(Σ₁ + Σ₂ − 2·(Σ₁^½·Σ₂·Σ₁^½)^½)
//
// The last trace is the nuclear norm of Σ₁^½·Σ₂^½, the sum of its singular
// values, and that of F₁ᵀ·F₂ for any factors with F·Fᵀ = Σ, which differ from the roots by rotations.
// That needs no square root of a product, which for covariances of low rank loses half of the digits or turns
// complex; and factors of few points are small.
func Frechet(a, b Gaussian) float64 {
	d2 := 0.0
	for i, m := range a.Mean {
		d2 += (m - b.Mean[i]) * (m - b.Mean[i])
	}
	var product mat.Dense
	product.Mul(a.factored().factor.T(), b.factored().factor)
	return d2 + max(0, a.totalVariance()+b.totalVariance()-2*nuclearNorm(&product))
}

func nuclearNorm(m *mat.Dense) float64 {
	var svd mat.SVD
	if !svd.Factorize(m, mat.SVDNone) {
		panic("metrics: the singular values of a finite matrix did not converge")
	}
	sum := 0.0
	for _, s := range svd.Values(nil) {
		sum += s
	}
	return sum
}
