package metrics

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Distances between all pairs of two sets take time n·m·d. They run in tiles:
// rowTile points of one set, whose work a goroutine takes at a time, against
// columns of the other that stay in the cache meanwhile. A result belongs to
// one row, so it does not depend on the number of goroutines.
const (
	rowTile     = 16
	columnBytes = 1 << 17
)

// eachTile runs f for tiles of rows lo…hi−1 of n on all processors. f is
// called by many goroutines at once. It stops early, with ctx's error, when ctx is done.
func eachTile(ctx context.Context, n int, f func(lo, hi int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+rowTile-1)/rowTile) {
		wg.Go(func() {
			for ctx.Err() == nil {
				lo := int(next.Add(rowTile)) - rowTile
				if lo >= n {
					return
				}
				f(lo, min(lo+rowTile, n))
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// columnTiles runs f for ranges of p's points that fit in the cache together.
func (p Points) columnTiles(f func(lo, hi int)) {
	step := max(16, columnBytes/(4*p.D))
	for lo := 0; lo < p.Len(); lo += step {
		f(lo, min(lo+step, p.Len()))
	}
}

// squaredDistance is |x−y|² in float64.
func squaredDistance(x, y []float32) float64 {
	var s0, s1, s2, s3 float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		d0, d1 := float64(x[i])-float64(y[i]), float64(x[i+1])-float64(y[i+1])
		d2, d3 := float64(x[i+2])-float64(y[i+2]), float64(x[i+3])-float64(y[i+3])
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(x); i++ {
		d := float64(x[i]) - float64(y[i])
		s0 += d * d
	}
	return (s0 + s1) + (s2 + s3)
}

// nearSquaredDistance is |x−y|² where that is below limit; elsewhere it may stop
// at a partial sum that is not.
func nearSquaredDistance(x, y []float32, limit float64) float64 {
	const part = 64
	sum := 0.0
	for len(x) > part {
		if sum += squaredDistance(x[:part], y); sum >= limit {
			return sum
		}
		x, y = x[part:], y[part:]
	}
	return sum + squaredDistance(x, y)
}

// nearestSquared is the squared distance of each point of a to the nearest of b.
func nearestSquared(ctx context.Context, a, b Points) ([]float64, error) {
	best := make([]float64, a.Len())
	for i := range best {
		best[i] = math.Inf(1)
	}
	err := eachTile(ctx, a.Len(), func(lo, hi int) {
		b.columnTiles(func(from, to int) {
			for i := lo; i < hi; i++ {
				x, d := a.row(i), best[i]
				for j := from; j < to; j++ {
					d = min(d, nearSquaredDistance(x, b.row(j), d))
				}
				best[i] = d
			}
		})
	})
	return best, err
}

// kthSquared is the squared distance of each point to its k-th nearest other point; p has more than k points.
func kthSquared(ctx context.Context, p Points, k int) ([]float64, error) {
	n := p.Len()
	near := make([]float64, n*k) // of each point, ascending
	for i := range near {
		near[i] = math.Inf(1)
	}
	err := eachTile(ctx, n, func(lo, hi int) {
		p.columnTiles(func(from, to int) {
			for i := lo; i < hi; i++ {
				x, list := p.row(i), near[i*k:(i+1)*k]
				for j := from; j < to; j++ {
					if j == i {
						continue
					}
					if d := nearSquaredDistance(x, p.row(j), list[k-1]); d < list[k-1] {
						insert(list, d)
					}
				}
			}
		})
	})
	radii := make([]float64, n)
	for i := range radii {
		radii[i] = near[i*k+k-1]
	}
	return radii, err
}

// insert puts d in its place in an ascending list and drops the last.
func insert(list []float64, d float64) {
	at := len(list) - 1
	for ; at > 0 && list[at-1] > d; at-- {
		list[at] = list[at-1]
	}
	list[at] = d
}

// pairSum adds f(|x−y|²) over all x of a and y of b.
func pairSum(ctx context.Context, a, b Points, f func(d2 float64) float64) (float64, error) {
	rows := make([]float64, a.Len())
	err := eachTile(ctx, a.Len(), func(lo, hi int) {
		b.columnTiles(func(from, to int) {
			for i := lo; i < hi; i++ {
				x := a.row(i)
				for j := from; j < to; j++ {
					rows[i] += f(squaredDistance(x, b.row(j)))
				}
			}
		})
	})
	total := 0.0
	for _, r := range rows {
		total += r
	}
	return total, err
}

// MedianNearest is the median Euclidean distance of the points of a to the nearest
// point of b. Between samples and training pictures it shows copying: it is 0
// where half of the samples are copies.
func MedianNearest(ctx context.Context, a, b Points) (float64, error) {
	if err := sameDimension(a, b); err != nil {
		return 0, err
	}
	d2, err := nearestSquared(ctx, a, b)
	if err != nil {
		return 0, err
	}
	for i, d := range d2 {
		d2[i] = math.Sqrt(d)
	}
	return median(d2), nil
}

// median is the middle of v, or the mean of the two in the middle. It reorders v.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// sameDimension checks two sets that are to be compared.
func sameDimension(a, b Points) error {
	if err := a.check("first set"); err != nil {
		return err
	}
	if err := b.check("second set"); err != nil {
		return err
	}
	if a.D != b.D {
		return inputError("points of %d and of %d dimensions cannot be compared", a.D, b.D)
	}
	return nil
}
