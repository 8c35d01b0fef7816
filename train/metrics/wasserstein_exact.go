package metrics

import (
	"context"
	"math"

	"github.com/langevin-go/langevin/flow"
)

// Wasserstein is the 2-Wasserstein distance between two sets of equally many points:
// the root of the mean squared distance under the best pairing, found exactly. Its
// time grows with the cube of the number.
func Wasserstein(ctx context.Context, a, b Points) (float64, error) {
	if err := sameDimension(a, b); err != nil {
		return 0, err
	}
	n := a.Len()
	if b.Len() != n {
		return 0, inputError("2-Wasserstein distance: sets of %d and %d points, want equally many", n, b.Len())
	}
	cost := make([]float64, n*n)
	err := eachTile(ctx, n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j := range n {
				cost[i*n+j] = squaredDistance(a.row(i), b.row(j))
			}
		}
	})
	if err != nil {
		return 0, err
	}
	var best flow.Assigner
	sum := 0.0
	for i, j := range best.Solve(cost, n) {
		sum += cost[i*n+int(j)]
	}
	return math.Sqrt(sum / float64(n)), nil
}
