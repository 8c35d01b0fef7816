package metrics

import (
	"context"
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Energy is the energy distance between two sets of points (Székely and Rizzo
// 2013, eq. (5), all pairs counted, so that it is never negative and 0 only for equal sets):
//
//	2·mean|x−y| − mean|x−x′| − mean|y−y′|
func Energy(ctx context.Context, a, b Points) (float64, error) {
	if err := sameDimension(a, b); err != nil {
		return 0, err
	}
	var mean [3]float64
	for i, pair := range [3][2]Points{{a, b}, {a, a}, {b, b}} {
		sum, err := pairSum(ctx, pair[0], pair[1], math.Sqrt)
		if err != nil {
			return 0, err
		}
		mean[i] = sum / (float64(pair[0].Len()) * float64(pair[1].Len()))
	}
	return max(0, 2*mean[0]-mean[1]-mean[2]), nil
}

// MMD is the squared maximum mean discrepancy, without bias (Gretton et al.
// 2012, eq. (3)), for the mean of Gaussian kernels exp(−|x−y|²/2h²) over the bandwidths:
//
//	mean over x≠x′ of k(x,x′) + mean over y≠y′ of k(y,y′) − 2·mean k(x,y)
//
// Being without bias it is negative half of the time for sets of one distribution. Both have at least 2 points.
func MMD(ctx context.Context, a, b Points, bandwidths ...float64) (float64, error) {
	if err := sameDimension(a, b); err != nil {
		return 0, err
	}
	if a.Len() < 2 || b.Len() < 2 {
		return 0, inputError("mmd: sets of %d and %d points, want at least 2", a.Len(), b.Len())
	}
	if len(bandwidths) == 0 {
		return 0, inputError("mmd: no bandwidth")
	}
	for _, h := range bandwidths {
		if !(h > 0) {
			return 0, inputError("mmd: bandwidth %g, want a positive one", h)
		}
	}
	kernel := func(d2 float64) float64 {
		sum := 0.0
		for _, h := range bandwidths {
			sum += math.Exp(-d2 / (2 * h * h))
		}
		return sum / float64(len(bandwidths))
	}
	n, m := float64(a.Len()), float64(b.Len())
	aa, err := pairSum(ctx, a, a, kernel)
	if err != nil {
		return 0, err
	}
	bb, err := pairSum(ctx, b, b, kernel)
	if err != nil {
		return 0, err
	}
	ab, err := pairSum(ctx, a, b, kernel)
	if err != nil {
		return 0, err
	}
	return (aa-n)/(n*(n-1)) + (bb-m)/(m*(m-1)) - 2*ab/(n*m), nil // k(x,x) = 1 taken off
}

// streamBandwidth are the random numbers that choose points for the bandwidth.
const streamBandwidth = 0x4d4d0000

// MedianBandwidth is the usual bandwidth for MMD: the median distance between points of p, of at
// most 1,000 of them, chosen by the seed (Gretton et al. 2012, section 8). It is 1 where that is 0.
func MedianBandwidth(p Points, seed uint64) (float64, error) {
	if err := p.check("bandwidth"); err != nil {
		return 0, err
	}
	const most = 1000
	if p.Len() > most {
		p = p.pick(permutation(p.Len(), rng.Key{Seed: seed, Stream: streamBandwidth})[:most])
	}
	var d []float64
	for i := range p.Len() {
		for j := range i {
			d = append(d, math.Sqrt(squaredDistance(p.row(i), p.row(j))))
		}
	}
	if len(d) == 0 {
		return 1, nil
	}
	if h := median(d); h > 0 {
		return h, nil
	}
	return 1, nil
}
