package metrics

import (
	"context"
	"math"
	"slices"

	"github.com/langevin-go/langevin/tensor/rng"
)

// streamProjection are the random numbers of projections.
const streamProjection = 0x53570000

// wasserstein1D is W₂² between two sets of numbers, both sorted here: the integral of
// (F⁻¹(u)−G⁻¹(u))² over u in [0,1], piece by piece.
func wasserstein1D(a, b []float64) float64 {
	slices.Sort(a)
	slices.Sort(b)
	n, m := len(a), len(b)
	sum := 0.0
	// u runs over the jumps of both quantile functions, in units of 1/(n·m).
	for i, j, u := 0, 0, 0; i < n && j < m; {
		end := min((i+1)*m, (j+1)*n)
		d := a[i] - b[j]
		sum += d * d * float64(end-u)
		if end == (i+1)*m {
			i++
		}
		if end == (j+1)*n {
			j++
		}
		u = end
	}
	return sum / (float64(n) * float64(m))
}

// SlicedWasserstein is the sliced 2-Wasserstein distance (Rabin et al. 2011,
// Bonneel et al. 2015): the root of the mean of W₂² between the projections of
// both sets on directions. In the plane these are evenly spaced angles, in one
// dimension the axis, else uniform on the sphere, drawn from the seed. The sets
// may have different sizes. On the plane it is between 0 and W₂/√2.
func SlicedWasserstein(ctx context.Context, a, b Points, directions int, seed uint64) (float64, error) {
	if err := sameDimension(a, b); err != nil {
		return 0, err
	}
	if directions < 1 {
		return 0, inputError("%d directions, want at least 1", directions)
	}
	if a.D == 1 {
		directions = 1
	}
	w2 := make([]float64, directions)
	err := eachTile(ctx, directions, func(lo, hi int) {
		pa, pb := make([]float64, a.Len()), make([]float64, b.Len())
		for l := lo; l < hi; l++ {
			u := direction(a.D, l, directions, seed)
			a.project(pa, u)
			b.project(pb, u)
			w2[l] = wasserstein1D(pa, pb)
		}
	})
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, w := range w2 {
		sum += w
	}
	return math.Sqrt(sum / float64(directions)), nil
}

// direction is unit vector l of n.
func direction(d, l, n int, seed uint64) []float64 {
	switch d {
	case 1:
		return []float64{1}
	case 2: // opposite directions give the same: half a turn is enough
		sin, cos := math.Sincos(math.Pi * float64(l) / float64(n))
		return []float64{cos, sin}
	}
	z := make([]float32, d)
	rng.Normal(z, rng.Key{Seed: seed, Stream: streamProjection}, uint64(l))
	u, norm := make([]float64, d), 0.0
	for i, x := range z {
		u[i] = float64(x)
		norm += u[i] * u[i]
	}
	for i := range u {
		u[i] /= math.Sqrt(norm)
	}
	return u
}

func (p Points) project(out, u []float64) {
	for i := range out {
		sum := 0.0
		for j, x := range p.row(i) {
			sum += float64(x) * u[j]
		}
		out[i] = sum
	}
}
