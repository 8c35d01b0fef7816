package metrics

import (
	"testing"
)

func TestManifoldAgainstGolden(t *testing.T) {
	g := readGolden(t)
	x := must[*Manifold](t)(NewManifold(background, g.x(), 3))
	y := must[*Manifold](t)(NewManifold(background, g.y(), 3))
	f := must[float64](t)
	// Ratios of counts: exact but for the last division.
	const tol = 2 * eps
	near(t, "precision", f(x.Share(background, g.y())), g.Manifold["precision"], tol)
	near(t, "recall", f(y.Share(background, g.x())), g.Manifold["recall"], tol)
	near(t, "density", f(x.Density(background, g.y())), g.Manifold["density"], tol)
	near(t, "coverage", f(x.Coverage(background, g.y())), g.Manifold["coverage"], tol)
}

// On a line by hand, k = 1: balls [0,2], [0,2] around 0 and 1 (radius 1), around 4 radius 3.
func TestManifoldByHand(t *testing.T) {
	m := must[*Manifold](t)(NewManifold(background, Points{[]float32{0, 1, 4}, 1}, 1))
	q := Points{[]float32{-1, -1.25, 0.5, 2, 7, 7.5}, 1}
	f := must[float64](t)
	// −1 lies on the border of the first, 0.5 in two, 2 in two (border of the second), 7 on the border of the third.
	near(t, "share", f(m.Share(background, q)), 4.0/6, eps)
	near(t, "density", f(m.Density(background, q)), 6.0/6, eps)
	near(t, "coverage", f(m.Coverage(background, Points{[]float32{5}, 1})), 1.0/3, eps)
}

// Precision and recall must tell apart what the Fréchet distance cannot: samples
// that miss modes from samples off the data.
func TestManifoldReactsToWhatItShould(t *testing.T) {
	modes := func(n int, kept int, std float32, seed uint64) Points {
		p := normal(n, 2, 0, std, seed)
		for i := range n {
			p.row(i)[0] += float32(10 * (i % kept))
		}
		return p
	}
	data := modes(400, 4, 1, 1)
	m := must[*Manifold](t)(NewManifold(background, data, 3))
	measure := func(p Points) (precision, recall, density, coverage float64) {
		f := must[float64](t)
		own := must[*Manifold](t)(NewManifold(background, p, 3))
		return f(m.Share(background, p)), f(own.Share(background, data)), f(m.Density(background, p)), f(m.Coverage(background, p))
	}
	same := func(name string, precision, recall, density, coverage float64, lo, hi [4]float64) {
		t.Helper()
		for i, v := range [4]float64{precision, recall, density, coverage} {
			if v < lo[i] || v > hi[i] {
				t.Errorf("%s: %s %.3f, want %g to %g", name, [...]string{"precision", "recall", "density", "coverage"}[i], v, lo[i], hi[i])
			}
		}
	}
	p, r, d, c := measure(modes(400, 4, 1, 2))
	same("another draw", p, r, d, c, [4]float64{0.9, 0.9, 0.85, 0.85}, [4]float64{1, 1, 1.15, 1})
	p, r, d, c = measure(modes(400, 1, 1, 2)) // one mode of four
	same("collapsed to a mode", p, r, d, c, [4]float64{0.9, 0.2, 0.85, 0.2}, [4]float64{1, 0.27, 1.3, 0.27})
	p, r, d, c = measure(modes(400, 4, 0.02, 2)) // one point a mode
	same("collapsed to points", p, r, d, c, [4]float64{1, 0, 0, 0}, [4]float64{1, 0.05, 99, 0.1})
	p, r, d, c = measure(modes(400, 4, 4, 2)) // much wider than the data
	same("noisy", p, r, d, c, [4]float64{0, 0.9, 0, 0}, [4]float64{0.6, 1, 0.5, 0.85})
}
