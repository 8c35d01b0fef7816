package optim

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// PowerEMA is the power-function profile of Karras et al. 2024 ("Analyzing and
// improving the training dynamics of diffusion models", section 3.1): weights at time τ of t
// count as τ^γ.
type PowerEMA struct {
	SigmaRel float64 `yaml:"sigma_rel" doc:"the average's width (standard deviation of the times that it averages) as a part of the training so far; 0.05 to 0.10 in the paper"`
}

// SetDefaults sets a width of the paper.
func (c *PowerEMA) SetDefaults() { c.SigmaRel = 0.1 }

// Validate reports values that no run can use.
func (c *PowerEMA) Validate() error {
	if !(c.SigmaRel > 0 && c.SigmaRel <= maxSigmaRel) {
		return invalid.Field("sigma_rel", "must be above 0 and at most %.3f, that of the plain mean, is %g", maxSigmaRel, c.SigmaRel)
	}
	return nil
}

// maxSigmaRel is the width for γ = 0, the plain mean of all weights: √(1/12).
var maxSigmaRel = GammaToSigmaRel(0)

// DecayAt is (1 − 1/t)^(γ+1) at update t counted from 1 (eq. 127 there): 0 at the first.
func (c PowerEMA) DecayAt(t int) float64 {
	return math.Pow(1-1/float64(t+1), SigmaRelToGamma(c.SigmaRel)+1)
}

// GammaToSigmaRel is the width of the profile τ^γ, √((γ+1)/((γ+2)²(γ+3))).
func GammaToSigmaRel(gamma float64) float64 {
	return math.Sqrt((gamma + 1) / ((gamma + 2) * (gamma + 2) * (gamma + 3)))
}

// SigmaRelToGamma is the exponent whose profile has that width, at least 0: the
// inverse of GammaToSigmaRel, which falls steadily.
func SigmaRelToGamma(sigmaRel float64) float64 {
	// (γ+2)²(γ+3) = (γ+1)/σ², by Newton's method from above: the left side less the
	// right one is convex there, so that every step stays above the root.
	q := 1 / (sigmaRel * sigmaRel)
	g := math.Sqrt(q) + 1
	for range 60 {
		f := (g+2)*(g+2)*(g+3) - q*(g+1)
		df := 2*(g+2)*(g+3) + (g+2)*(g+2) - q
		next := g - f/df
		if math.Abs(next-g) <= 1e-15*math.Abs(g) {
			break
		}
		g = next
	}
	return max(0, g)
}

// Snapshot says what a stored average is: the profile of width SigmaRel after so many updates.
type Snapshot struct {
	Step     int
	SigmaRel float64
}

// PostHoc gives the weights, adding up to 1, with which snapshots sum to the average that comes
// nearest to the one wanted, in least squares over the profiles (Karras et al. 2024,
// section 3.2 and algorithm 3). Two widths stored some dozens of times in a training give any width
// between them and around them; a snapshot of after the wanted step takes no part.
func PostHoc(stored []Snapshot, want Snapshot) ([]float64, error) {
	n := 0
	for _, s := range stored {
		if s.Step < 1 || !(s.SigmaRel > 0 && s.SigmaRel <= maxSigmaRel) {
			return nil, fmt.Errorf("optim: a snapshot of width %g after %d updates is impossible", s.SigmaRel, s.Step)
		}
		if s.Step <= want.Step {
			n++
		}
	}
	if n == 0 || want.Step < 1 {
		return nil, fmt.Errorf("optim: no snapshot of up to update %d", want.Step)
	}
	if !(want.SigmaRel > 0 && want.SigmaRel <= maxSigmaRel) {
		return nil, fmt.Errorf("optim: a width of %g is impossible: want above 0 and at most %.3f", want.SigmaRel, maxSigmaRel)
	}
	a := make([][]float64, 0, n) // the equations, right side last
	var places []int
	for i, s := range stored {
		if s.Step > want.Step {
			continue
		}
		var row []float64
		for _, u := range stored {
			if u.Step <= want.Step {
				row = append(row, profileProduct(s, u))
			}
		}
		a = append(a, append(row, profileProduct(s, want)))
		places = append(places, i)
	}
	x, err := solve(a)
	if err != nil {
		return nil, err
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	out := make([]float64, len(stored))
	for k, i := range places {
		out[i] = x[k] / sum
	}
	return out, nil
}

// profileProduct is ∫p_a(τ)p_b(τ)dτ of p(τ) = (γ+1)τ^γ/t^(γ+1) on [0,t], which is
// (γa+1)(γb+1)·(ta/tb)^e / ((γa+γb+1)·max(ta,tb)), e = γb if ta < tb, −γa otherwise.
func profileProduct(a, b Snapshot) float64 {
	ga, gb := SigmaRelToGamma(a.SigmaRel), SigmaRelToGamma(b.SigmaRel)
	ta, tb := float64(a.Step), float64(b.Step)
	e := -ga
	if ta < tb {
		e = gb
	}
	return (ga + 1) * (gb + 1) * math.Pow(ta/tb, e) / ((ga + gb + 1) * max(ta, tb))
}

// solve is Gaussian elimination with pivots by column, on rows of coefficients with the right side last.
func solve(a [][]float64) ([]float64, error) {
	n := len(a)
	for c := range n {
		best := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[best][c]) {
				best = r
			}
		}
		a[c], a[best] = a[best], a[c]
		if a[c][c] == 0 {
			return nil, fmt.Errorf("optim: two of the snapshots are the same average")
		}
		for r := c + 1; r < n; r++ {
			f := a[r][c] / a[c][c]
			for k := c; k <= n; k++ {
				a[r][k] -= f * a[c][k]
			}
		}
	}
	x := make([]float64, n)
	for r := n - 1; r >= 0; r-- {
		x[r] = a[r][n]
		for k := r + 1; k < n; k++ {
			x[r] -= a[r][k] * x[k]
		}
		x[r] /= a[r][r]
	}
	return x, nil
}
