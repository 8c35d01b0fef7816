package metrics

import (
	"context"
	"math"
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
	pair, err := assign(ctx, n, cost)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i, j := range pair {
		sum += cost[i*n+j]
	}
	return math.Sqrt(sum / float64(n)), nil
}

// assign pairs row i with column pair[i] of an n×n matrix at the least total
// cost: shortest augmenting paths over reduced costs cost − u − v ≥ 0, one row
// after another (Kuhn 1955; Jonker and Volgenant 1987, without their initial reductions).
func assign(ctx context.Context, n int, cost []float64) (pair []int, err error) {
	u, v := make([]float64, n), make([]float64, n+1)
	row := make([]int, n+1) // of each column; column n holds the row that is being placed
	for j := range row {
		row[j] = -1
	}
	from, done, dist := make([]int, n), make([]bool, n+1), make([]float64, n)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row[n] = i
		for j := range n {
			dist[j], done[j] = math.Inf(1), false
		}
		j := n
		for row[j] >= 0 { // grow the tree by the nearest column until that is free
			done[j] = true
			r, step, next := row[j], math.Inf(1), -1
			for k, c := range cost[r*n : (r+1)*n] {
				if done[k] {
					continue
				}
				if d := c - u[r] - v[k]; d < dist[k] {
					dist[k], from[k] = d, j
				}
				if dist[k] < step {
					step, next = dist[k], k
				}
			}
			for k := range n + 1 {
				if k < n && !done[k] {
					dist[k] -= step
				} else if k == n || done[k] {
					u[row[k]] += step
					v[k] -= step
				}
			}
			j = next
		}
		for j != n { // shift the rows along the path
			row[j] = row[from[j]]
			j = from[j]
		}
		done[n] = false
	}
	pair = make([]int, n)
	for j, i := range row[:n] {
		pair[i] = j
	}
	return pair, nil
}
