package metrics

import (
	"context"
	"math"
)

// Manifold estimates where a distribution has mass from points of it: the union
// of balls around them, each as wide as the distance to the k-th nearest other point
// (Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models").
type Manifold struct {
	Points
	K       int
	radius2 []float64
}

// NewManifold makes a manifold of more than k points. The paper's k is 3.
func NewManifold(ctx context.Context, p Points, k int) (*Manifold, error) {
	if err := p.check("manifold"); err != nil {
		return nil, err
	}
	if k < 1 || p.Len() <= k {
		return nil, inputError("manifold: the distance to the %d-th nearest other of %d points; want k from 1 to the number of points less 1", k, p.Len())
	}
	r, err := kthSquared(ctx, p, k)
	if err != nil {
		return nil, err
	}
	return &Manifold{p, k, r}, nil
}

// balls is the number of m's balls that each point lies in, border included.
func (m *Manifold) balls(ctx context.Context, p Points) ([]int, error) {
	count := make([]int, p.Len())
	err := eachTile(ctx, p.Len(), func(lo, hi int) {
		m.columnTiles(func(from, to int) {
			for i := lo; i < hi; i++ {
				x := p.row(i)
				for j := from; j < to; j++ {
					r := m.radius2[j]
					// The limit is beyond r, so that a point on the border is measured to the end.
					if nearSquaredDistance(x, m.row(j), math.Nextafter(r, math.Inf(1))) <= r {
						count[i]++
					}
				}
			}
		})
	})
	return count, err
}

// Share is the part of points that lie on the manifold: eq. (2) of the paper.
// Of samples on the data's manifold it is precision, of data on the samples' recall.
func (m *Manifold) Share(ctx context.Context, p Points) (float64, error) {
	count, err := m.ballsOf(ctx, p)
	if err != nil {
		return 0, err
	}
	return share(count), nil
}

// Density is the mean number of balls that a point lies in, divided by k (Naeem et al.
// 2020, "Reliable fidelity and diversity metrics for generative models", eq. (4)): where
// precision counts a sample near one outlier of the data in full, this does not. It can exceed 1.
func (m *Manifold) Density(ctx context.Context, p Points) (float64, error) {
	count, err := m.ballsOf(ctx, p)
	if err != nil {
		return 0, err
	}
	return density(count, m.K), nil
}

// Coverage is the part of m's balls that hold at least one of the points (Naeem et al. 2020, eq. (5)).
func (m *Manifold) Coverage(ctx context.Context, p Points) (float64, error) {
	if err := sameDimension(m.Points, p); err != nil {
		return 0, err
	}
	d2, err := nearestSquared(ctx, m.Points, p)
	if err != nil {
		return 0, err
	}
	held := 0
	for j, d := range d2 {
		if d <= m.radius2[j] {
			held++
		}
	}
	return float64(held) / float64(len(d2)), nil
}

func (m *Manifold) ballsOf(ctx context.Context, p Points) ([]int, error) {
	if err := sameDimension(m.Points, p); err != nil {
		return nil, err
	}
	return m.balls(ctx, p)
}

func share(count []int) float64 {
	in := 0
	for _, c := range count {
		if c > 0 {
			in++
		}
	}
	return float64(in) / float64(len(count))
}

func density(count []int, k int) float64 {
	sum := 0
	for _, c := range count {
		sum += c
	}
	return float64(sum) / float64(k*len(count))
}
