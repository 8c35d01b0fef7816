package metrics

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// golden is testdata/golden.json: see golden.py beside it.
type golden struct {
	Frechet []struct {
		Name                     string
		Mean1, Cov1, Mean2, Cov2 []float64
		Value                    float64
	}
	X, Y      []float32
	Manifold  map[string]float64
	Distances struct {
		W2, Energy, MMD float64
		W21D            float64 `json:"w2_1d"`
		Sliced2D        float64 `json:"sliced_2d"`
		Energy1D        float64 `json:"energy_1d"`
		Bandwidths      []float64
	}
	Theirs struct {
		KIDSubsets [][2][]int `json:"kid_subsets"`
		KID        []float64  `json:"kid"`
		KIDMean    float64    `json:"kid_mean"`
		KIDStd     float64    `json:"kid_std"`
		KIDAll     float64    `json:"kid_all"`
		FID        float64    `json:"fid"`
	}
}

func readGolden(t testing.TB) (g golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g golden) x() Points { return Points{g.X, 3} }
func (g golden) y() Points { return Points{g.Y, 3} }

// columns keeps the first d coordinates.
func (p Points) columns(d int) Points {
	q := Points{D: d}
	for i := range p.Len() {
		q.X = append(q.X, p.row(i)[:d]...)
	}
	return q
}

// near fails where got is further from want than tol.
func near(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s: %.17g, want %.17g within %g", what, got, want, tol)
	}
}
