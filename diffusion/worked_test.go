package diffusion

import (
	"math"
	"testing"
)

// A step of the SDE with ς=.5 on the straight path, .3 of the way to the data: score
// and state of a tutorial that rounds its factors (−.82, 1.27 and 1.261, −.528).
func TestWorkedSDEStep(t *testing.T) {
	p := CondOT{}.At(0.7)
	x, u, z := []float64{1.2, -0.5}, []float64{2.1, 1.3}, []float64{0.3, -0.8}
	toScore := Convert(DataVelocity, Score, p)
	const std, h = 0.5, 0.02
	for i, want := range []struct{ score, next float64 }{{-0.8142857143, 1.2611774886}, {1.2714285714, -0.5273899711}} {
		score := toScore.OnX*x[i] + toScore.OnValue*u[i]
		close(t, "score", score, want.score, 1e-9)
		next := x[i] + h*(u[i]+std*std/2*score) + std*math.Sqrt(h)*z[i]
		close(t, "next state", next, want.next, 1e-9)
	}
}

// Denoising score matching at α=.7, σ=.3 of data (4,2) with noise (.5,−1.2), for a network
// that says (−1.5,3.5): the loss summed over dimensions is .27778, where a tutorial prints .279.
func TestWorkedScoreMatching(t *testing.T) {
	p := Point{Alpha: 0.7, Sigma: 0.3}
	eps, says := []float64{0.5, -1.2}, []float64{-1.5, 3.5}
	_, onEps := Score.Of(p)
	loss := 0.0
	for i := range eps {
		loss += (says[i] - onEps*eps[i]) * (says[i] - onEps*eps[i])
	}
	close(t, "target", onEps*eps[0], -1.6666666667, 1e-10)
	close(t, "loss", loss, 0.2777777778, 1e-9)
}
