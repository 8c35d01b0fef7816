package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
)

// Multistep solvers put a polynomial through what the model said at a few points
// and integrate it exactly. They differ in what is interpolated (data or
// noise), in which variable, against which weight, and in which moments they round.

// maxNodes is the largest number of points.
const maxNodes = 5

type row [maxNodes]float64

// quadrature gives weights w_j with Σ w_j·m(x_j) = ∫ P, P being the polynomial through
// the values at n nodes and moment[k] the integral of u^k.
func quadrature(nodes row, n int, moment row) (w row) {
	for j := range n {
		// coefficients of Lagrange's polynomial Π_{i≠j} (u−x_i)/(x_j−x_i)
		c, degree := row{1}, 0
		for i := range n {
			if i == j {
				continue
			}
			d := nodes[j] - nodes[i]
			degree++
			for k := degree; k >= 0; k-- {
				below := 0.0
				if k > 0 {
					below = c[k-1]
				}
				c[k] = (below - nodes[i]*c[k]) / d
			}
		}
		for k := range n {
			w[j] += c[k] * moment[k]
		}
	}
	return w
}

// form says of which estimate an exponential integrator is linear.
type form bool

const (
	inData  form = true  // DPM-Solver++: x/σ = ∫ e^λ·x̂0 dλ
	inNoise form = false // DPM-Solver, DEIS: x/α = −∫ e^{−λ}·ε̂ dλ
)

// leap is a step of an exponential integrator from s to t, over h = λ_t−λ_s:
//
//	data:  x_t = (σ_t/σ_s)·x_s + α_t·∫_0^h e^{τ−h}·x̂0(λ_s+τ) dτ   (Lu et al. 2022b, eq. 9)
//	noise: x_t = (α_t/α_s)·x_s − σ_t·∫_0^h e^{h−τ}·ε̂(λ_s+τ) dτ    (Lu et al. 2022a, eq. 3.4)
type leap struct {
	h, keep float64
	moment  row // of τ^k, the factors before the integral included
}

func (f form) leap(s, t diffusion.Point) (l leap) {
	l.h = lambda(t) - lambda(s)
	z, lead := -l.h, t.Alpha
	l.keep = t.Sigma / s.Sigma
	if f == inNoise {
		z, lead, l.keep = l.h, -t.Sigma, t.Alpha/s.Alpha
	}
	// ∫_0^h e^{z(1−τ/h)} τ^k dτ = h^{k+1}·k!·φ_{k+1}(z)
	scale := lead * l.h
	for k := range l.moment {
		l.moment[k] = scale * phi(k+1, z)
		scale *= l.h * float64(k+1)
	}
	return l
}

// first is the step of order one, DDIM's: x' = α'·x̂0 + σ'·ε̂ with the other estimate
// made from this one and x. It is exact where σ'=0, and in data where α=0.
func (f form) first(s, t diffusion.Point) (keep, weight float64) {
	if f == inData {
		keep = t.Sigma / s.Sigma
		return keep, t.Alpha - s.Alpha*keep
	}
	keep = t.Alpha / s.Alpha
	return keep, t.Sigma - s.Sigma*keep
}

// phi is φ_k(z) = ∫_0^1 e^{(1−u)z}·u^{k−1}/(k−1)! du = Σ_j z^j/(j+k)!, k≥1.
func phi(k int, z float64) float64 {
	if math.Abs(z) < 1 {
		term := 1.0
		for j := 2; j <= k; j++ {
			term /= float64(j)
		}
		sum := term
		for j := 1; math.Abs(term) > 0x1p-60*math.Abs(sum); j++ {
			term *= z / float64(j+k)
			sum += term
		}
		return sum
	}
	p, factorial := math.Expm1(z)/z, 1.0
	for j := 2; j <= k; j++ {
		p = (p - 1/factorial) / z // φ_j = (φ_{j−1} − 1/(j−1)!)/z
		factorial *= float64(j)
	}
	return p
}
