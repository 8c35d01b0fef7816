package metrics

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Gaussian is the mean and covariance of a set of points, in float64.
type Gaussian struct {
	Mean []float64
	Cov  *mat.SymDense
}

// NewGaussian is the sample mean and the unbiased sample covariance (divided by
// n−1, as in the reference implementation of Heusel et al. 2017) of at least one
// point; the covariance of a single point is 0.
func NewGaussian(p Points) Gaussian {
	n, d := p.Len(), p.D
	g := Gaussian{make([]float64, d), mat.NewSymDense(d, nil)}
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
	return g
}

func (g Gaussian) totalVariance() float64 { return mat.Trace(g.Cov) }

// Frechet is the squared Fréchet distance (2-Wasserstein, Bures) between two
// Gaussians of one dimension, the FID of Heusel et al. 2017, eq. (6):
//
//	d² = |μ₁−μ₂|² + Tr(Σ₁ + Σ₂ − 2·(Σ₁^½·Σ₂·Σ₁^½)^½)
//
// The last trace is the nuclear norm of Σ₁^½·Σ₂^½: the sum of its singular
// values. That needs no square root of a product, which for covariances of low
// rank loses half of the digits or turns complex.
func Frechet(a, b Gaussian) float64 {
	d2 := 0.0
	for i, m := range a.Mean {
		d2 += (m - b.Mean[i]) * (m - b.Mean[i])
	}
	var product mat.Dense
	product.Mul(root(a.Cov).T(), root(b.Cov))
	return d2 + max(0, a.totalVariance()+b.totalVariance()-2*nuclearNorm(&product))
}

// root is F = V·Λ^½ with F·Fᵀ = Σ, from the eigendecomposition Σ = V·Λ·Vᵀ. The symmetric
// root is F·Vᵀ; the rotation by V does not change singular values. Eigenvalues
// below the rounding error of the decomposition, negative ones among them, count as 0.
func root(cov *mat.SymDense) *mat.Dense {
	var e mat.EigenSym
	if !e.Factorize(cov, true) {
		panic("metrics: the eigendecomposition of a finite covariance did not converge")
	}
	lambda := e.Values(nil)
	d := len(lambda)
	const eps = 0x1p-52
	floor := float64(d) * eps * lambda[d-1]
	var f mat.Dense
	e.VectorsTo(&f)
	for j, l := range lambda {
		scale := 0.0
		if l > floor {
			scale = math.Sqrt(l)
		}
		for i := range d {
			f.Set(i, j, f.At(i, j)*scale)
		}
	}
	return &f
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
