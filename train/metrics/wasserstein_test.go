package metrics

import (
	"math"
	"slices"
	"testing"
)

func TestWassersteinAgainstGolden(t *testing.T) {
	g := readGolden(t)
	x, y := g.x(), g.y()
	n := min(x.Len(), y.Len())
	got := must[float64](t)(Wasserstein(background, Points{x.X[:n*3], 3}, Points{y.X[:n*3], 3}))
	near(t, "W₂", got, g.Distances.W2, 1e4*eps)
}

// On a line the best pairing is that of the sorted points.
func TestWassersteinOnALine(t *testing.T) {
	for _, n := range []int{1, 2, 7, 100} {
		a, b := normal(n, 1, 0, 1, 1), normal(n, 1, 2, 3, 2)
		want := must[float64](t)(SlicedWasserstein(background, a, b, 1, 0))
		near(t, "W₂", must[float64](t)(Wasserstein(background, a, b)), want, 1e4*eps)
	}
}

// Moving a set moves it by exactly that; turning the order of points changes nothing.
func TestWassersteinOfTranslation(t *testing.T) {
	p := normal(150, 2, 0, 1, 3)
	q := Points{slices.Clone(p.X), 2}
	slices.Reverse(q.X) // reverses points and swaps their coordinates
	for i := range q.Len() {
		r := q.row(i)
		r[0], r[1] = r[1]+3, r[0]-4
	}
	near(t, "translated", must[float64](t)(Wasserstein(background, p, q)), 5, 1e-6) // float32 rounds by 2⁻²²
}

// Of all pairings of few points, none is better.
func TestWassersteinAgainstAllPairings(t *testing.T) {
	for seed := range uint64(30) {
		const n = 6
		a, b := normal(n, 2, 0, 1, seed), normal(n, 2, 0.5, 1, seed+100)
		for i, x := range a.X { // many ties
			a.X[i], b.X[i] = float32(math.Round(float64(x))), float32(math.Round(float64(b.X[i])))
		}
		best := math.Inf(1)
		var try func(i int, used uint, sum float64)
		try = func(i int, used uint, sum float64) {
			if i == n {
				best = min(best, sum)
				return
			}
			for j := range n {
				if used>>j&1 == 0 {
					try(i+1, used|1<<j, sum+squaredDistance(a.row(i), b.row(j)))
				}
			}
		}
		try(0, 0, 0)
		near(t, "W₂", must[float64](t)(Wasserstein(background, a, b)), math.Sqrt(best/n), 4*eps)
	}
}

func BenchmarkWasserstein1000(b *testing.B) {
	p, q := normal(1000, 2, 0, 1, 1), normal(1000, 2, 0, 1, 2)
	for b.Loop() {
		if _, err := Wasserstein(background, p, q); err != nil {
			b.Fatal(err)
		}
	}
}
