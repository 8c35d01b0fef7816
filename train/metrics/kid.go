package metrics

import (
	"context"
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

const (
	// KIDSubsets is the number of subsets that the kernel distance is the mean of, KIDSubsetSize the most points of each: torch-fidelity's.
	KIDSubsets    = 100
	KIDSubsetSize = 1000

	streamKID = 0x4b490000 // and the next: which points are in a subset
)

// KID is the kernel inception distance (Bińkowski et al. 2018, "Demystifying MMD GANs"): the squared
// maximum mean discrepancy, without bias, for the kernel (x·y/d+1)³ of d features, as its mean and standard deviation (divided
// by the number) over subsets of size points of each set, drawn without repetition by the seed. Its expectation does not
// depend on the sets' sizes or the subsets'. Products are taken in float32 on dev.
func KID(ctx context.Context, dev backend.Device, a, b Points, subsets, size int, seed uint64) (mean, deviation float64, err error) {
	if err := sameDimension(a, b); err != nil {
		return 0, 0, err
	}
	if subsets < 1 || size < 2 || size > min(a.Len(), b.Len()) {
		return 0, 0, inputError("kernel distance: %d subsets of %d from sets of %d and %d points, want at least one of at least 2, and no more than there are points", subsets, size, a.Len(), b.Len())
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	k := kernelSum{s: s, out: make([]float32, size*size)}
	values := make([]float64, subsets)
	for i := range values {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		draw := func(p Points, which uint32) Points {
			return p.pick(permutation(p.Len(), rng.Key{Seed: seed, Stream: streamKID + which, Step: uint64(i)})[:size])
		}
		values[i] = k.discrepancy(draw(a, 0), draw(b, 1))
	}
	mean, deviation = spread(values)
	return mean, deviation, nil
}

// spread is the mean of numbers and the root of their mean squared difference from it.
func spread(values []float64) (mean, deviation float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / n
	}
	return mean, math.Sqrt(deviation)
}

// kernelSum adds up the cubic kernel over pairs.
type kernelSum struct {
	s   *tensor.Scope
	out []float32
}

// discrepancy is the squared MMD of two sets of one size n: means over pairs of different points of each, less twice the mean over pairs between them.
func (k *kernelSum) discrepancy(x, y Points) float64 {
	n := float64(x.Len())
	return (k.sum(x, x, true)+k.sum(y, y, true))/(n*(n-1)) - 2*k.sum(x, y, false)/(n*n)
}

func (k *kernelSum) sum(x, y Points, others bool) float64 {
	n, d := x.Len(), float64(x.D)
	k.s.Tensor(x.X, n, x.D).MatMul(k.s.Tensor(y.X, n, y.D).T()).CopyTo(k.out)
	k.s.Reset()
	total := 0.0
	for i := range n {
		row, part := k.out[i*n:(i+1)*n], 0.0
		for j, v := range row {
			if others && i == j {
				continue
			}
			c := float64(v)/d + 1
			part += c * c * c
		}
		total += part
	}
	return total
}
