package metrics

import (
	"context"
	"math"
)

// Nearest is the k of manifolds, as in Kynkäänniemi et al. 2019.
const Nearest = 3

// MaxReference is the largest number of training samples that a manifold is made
// of, since its cost is quadratic. Of more, that many are chosen by the seed, evenly over classes.
const MaxReference = 10000

// featureSets are the three sets in the features they are compared in.
type featureSets struct{ train, heldout, generated Points }

// normalised divides the features by one number, such that the training set's have variance 1
// on average over the dimensions.
func (f featureSets) normalised(what string) (featureSets, error) {
	v := NewGaussian(f.train).totalVariance() / float64(f.train.D)
	if v <= 0 {
		return f, inputError("%s: all are equal", what)
	}
	by := float32(1 / math.Sqrt(v))
	return featureSets{f.train.scaled(by), f.heldout.scaled(by), f.generated.scaled(by)}, nil
}

// reference is the training split that both columns of a report are measured against.
type reference struct {
	gaussian Gaussian  // of all of it
	manifold *Manifold // of at most MaxReference
}

func newReference(ctx context.Context, train Points, labels []int32, seed uint64) (*reference, error) {
	r := &reference{gaussian: NewGaussian(train)}
	if train.Len() > MaxReference {
		train = train.pick(mixed(train.Len(), labels, seed)[:MaxReference])
	}
	var err error
	r.manifold, err = NewManifold(ctx, train, Nearest)
	return r, err
}

// column is one column of a report: samples or held-out data, and where their figures go.
type column struct {
	f                                             Points
	labels                                        []int32
	frechet, precision, recall, density, coverage *Figure
	sets                                          *int
}

// measure fills one column: precision and density over all samples, the others over sets of m.
func (c *column) measure(ctx context.Context, ref *reference, m int, seed uint64) error {
	count, err := ref.manifold.balls(ctx, c.f)
	if err != nil {
		return err
	}
	*c.precision, *c.density = Figure(share(count)), Figure(density(count, ref.manifold.K))
	sets := windows(c.f.Len(), m, c.labels, seed)
	*c.sets = len(sets)
	*c.frechet = Figure(frechetOf(ref.gaussian, c.f, sets))
	var recall, coverage float64
	for _, set := range sets {
		p := c.f.pick(set)
		own, err := NewManifold(ctx, p, ref.manifold.K)
		if err != nil {
			return err
		}
		part, err := own.Share(ctx, ref.manifold.Points)
		if err != nil {
			return err
		}
		recall += part
		if part, err = ref.manifold.Coverage(ctx, p); err != nil {
			return err
		}
		coverage += part
	}
	n := float64(len(sets))
	*c.recall, *c.coverage = Figure(recall/n), Figure(coverage/n)
	return nil
}

// frechetOf is the mean Fréchet distance of sets of p to data.
func frechetOf(data Gaussian, p Points, sets [][]int) float64 {
	sum := 0.0
	for _, set := range sets {
		sum += Frechet(data, NewGaussian(p.pick(set)))
	}
	return sum / float64(len(sets))
}
