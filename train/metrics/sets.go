package metrics

import (
	"context"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
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

// reference is what both columns of a report are measured against: the training split, or statistics that stand for it.
type reference struct {
	gaussian Gaussian // of all of it
	points   Points   // at most MaxReference of it; none (D 0) where only the statistics are known
	all      Points   // all of it
	labels   []int32  // of all; nil: none
	manifold *Manifold
}

func newReference(train Points, labels []int32, seed uint64) *reference {
	r := &reference{gaussian: NewGaussian(train), points: train, all: train, labels: labels}
	if train.Len() > MaxReference {
		r.points = train.pick(mixed(train.Len(), labels, seed)[:MaxReference])
	}
	return r
}

// comparison measures sets of points against a reference.
type comparison struct {
	want      selection
	ref       *reference
	size      int // of sets
	transport int // of sets whose transport is measured
	kid       int // of the kernel distance's subsets
	scales    []float64
	seed      uint64
	dev       backend.Device
}

// newComparison prepares what both columns need, for sets of size, and says in a report what it is.
func newComparison(ctx context.Context, want selection, ref *reference, size int, f *Figures, dev backend.Device) (*comparison, error) {
	c := &comparison{want: want, ref: ref, size: size, seed: f.Seed, dev: dev}
	if c.dev == nil {
		c.dev = cpu.Default()
	}
	f.SetSize = size
	if want.any(frechets...) {
		ref.gaussian = ref.gaussian.factored()
	}
	var err error
	if want.any(manifolds...) {
		if ref.manifold, err = NewManifold(ctx, ref.points, Nearest); err != nil {
			return nil, err
		}
		f.Reference = ref.manifold.Len()
	}
	if want[KernelDistance] {
		c.kid = min(KIDSubsetSize, size, ref.points.Len())
		f.KIDSize = c.kid
	}
	if want.any(transports...) {
		c.transport = min(size, ref.all.Len(), MaxAssignment)
		f.TransportSize = c.transport
	}
	if want[MeanDiscrepancy] {
		h, err := MedianBandwidth(ref.all, c.seed)
		if err != nil {
			return nil, err
		}
		for _, b := range bandwidths {
			c.scales = append(c.scales, b*h)
		}
		f.Bandwidths = c.scales
	}
	if want[FrechetDistance] && ref.all.Len() > 0 {
		f.FrechetFloor = Figure(frechetOf(ref.gaussian, ref.all, windows(ref.all.Len(), min(size, ref.all.Len()), ref.labels, c.seed)))
	}
	return c, nil
}

// column is where the figures of one column go: the samples' or the held-out data's.
type column struct {
	frechet, frechetAll, kid, kidDeviation *Figure
	precision, recall, density, coverage   *Figure
	w2, sliced, energy, mmd                *Figure
	sets                                   *int
}

func (f *Figures) ofSamples() column {
	return column{&f.Frechet, &f.FrechetAll, &f.KID, &f.KIDDeviation, &f.Precision, &f.Recall, &f.Density, &f.Coverage, &f.W2, &f.SlicedW2, &f.EnergyDistance, &f.MMD, &f.Sets}
}

func (f *Figures) ofHeldout() column {
	return column{&f.FrechetHeldout, &f.FrechetAllHeldout, &f.KIDHeldout, &f.KIDDeviationHeldout, &f.PrecisionHeldout, &f.RecallHeldout, &f.DensityHeldout, &f.CoverageHeldout,
		&f.W2Heldout, &f.SlicedW2Heldout, &f.EnergyDistanceHeldout, &f.MMDHeldout, &f.SetsHeldout}
}

// measure fills one column with what is wanted of the points p: precision, density and kernel distance over all of them, the others over sets.
func (c *comparison) measure(ctx context.Context, p Points, labels []int32, to column) error {
	sets := windows(p.Len(), c.size, labels, c.seed)
	*to.sets = len(sets)
	c.frechet(p, sets, to)
	if c.want[KernelDistance] {
		mean, deviation, err := KID(ctx, c.dev, p, c.ref.points, KIDSubsets, c.kid, c.seed)
		if err != nil {
			return err
		}
		*to.kid, *to.kidDeviation = Figure(mean), Figure(deviation)
	}
	if err := c.shares(ctx, p, sets, to); err != nil {
		return err
	}
	return c.distances(ctx, p, labels, to)
}

func (c *comparison) frechet(p Points, sets [][]int, to column) {
	if c.want[FrechetDistance] {
		*to.frechet = Figure(frechetOf(c.ref.gaussian, p, sets))
	}
	switch {
	case !c.want[FrechetAll]:
	case c.want[FrechetDistance] && len(sets) == 1: // which is all of them
		*to.frechetAll = *to.frechet
	default:
		*to.frechetAll = Figure(Frechet(c.ref.gaussian, NewGaussian(p)))
	}
}

// shares finds precision and density of all points, recall and coverage of sets.
func (c *comparison) shares(ctx context.Context, p Points, sets [][]int, to column) error {
	if c.want.any(Precision, Density) {
		count, err := c.ref.manifold.balls(ctx, p)
		if err != nil {
			return err
		}
		if c.want[Precision] {
			*to.precision = Figure(share(count))
		}
		if c.want[Density] {
			*to.density = Figure(density(count, Nearest))
		}
	}
	var recall, coverage float64
	for _, set := range sets {
		q := p.pick(set)
		if c.want[Recall] {
			own, err := NewManifold(ctx, q, Nearest)
			if err != nil {
				return err
			}
			part, err := own.Share(ctx, c.ref.points)
			if err != nil {
				return err
			}
			recall += part
		}
		if c.want[Coverage] {
			part, err := c.ref.manifold.Coverage(ctx, q)
			if err != nil {
				return err
			}
			coverage += part
		}
	}
	if c.want[Recall] {
		*to.recall = Figure(recall / float64(len(sets)))
	}
	if c.want[Coverage] {
		*to.coverage = Figure(coverage / float64(len(sets)))
	}
	return nil
}

// distances are means over sets: the i-th of p against the i-th of the reference.
func (c *comparison) distances(ctx context.Context, p Points, labels []int32, to column) error {
	if c.transport == 0 {
		return nil
	}
	sets := windows(p.Len(), c.transport, labels, c.seed)
	data := windows(c.ref.all.Len(), c.transport, c.ref.labels, c.seed)
	for _, m := range []struct {
		name string
		to   *Figure
		of   func(a, b Points) (float64, error)
	}{
		{W2, to.w2, func(a, b Points) (float64, error) { return Wasserstein(ctx, a, b) }},
		{SlicedW2, to.sliced, func(a, b Points) (float64, error) { return SlicedWasserstein(ctx, a, b, Directions, c.seed) }},
		{EnergyDistance, to.energy, func(a, b Points) (float64, error) { return Energy(ctx, a, b) }},
		{MeanDiscrepancy, to.mmd, func(a, b Points) (float64, error) { return MMD(ctx, a, b, c.scales...) }},
	} {
		if !c.want[m.name] {
			continue
		}
		sum := 0.0
		for i, set := range sets {
			v, err := m.of(p.pick(set), c.ref.all.pick(data[i%len(data)]))
			if err != nil {
				return err
			}
			sum += v
		}
		*m.to = Figure(sum / float64(len(sets)))
	}
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
