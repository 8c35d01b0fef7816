package metrics

import "context"

// PointInput is what EvaluatePoints compares.
type PointInput struct {
	Train, Heldout, Generated Points
	Seed                      uint64         // of the choice of sets and directions
	Progress                  func(Progress) // may be nil
}

const (
	// MaxAssignment is the largest number of points whose exact transport is computed: its cost is cubic.
	MaxAssignment = 1000
	// Directions is the number of directions of the sliced distance.
	Directions = 128
)

// bandwidths are those of MMD, in medians of the distances between training points.
// The median alone would not see the shape of a mode among many.
var bandwidths = []float64{1. / 16, 1. / 8, 1. / 4, 1. / 2, 1}

// EvaluatePoints measures generated points of few dimensions against the
// training points. All distances are of sets of one size, at most MaxAssignment: the i-th set of
// samples, or of held-out points, against the i-th of training points.
func EvaluatePoints(ctx context.Context, in PointInput) (PointReport, error) {
	if err := in.check(); err != nil {
		return PointReport{}, err
	}
	r := PointReport{N: in.Generated.Len(), NHeldout: in.Heldout.Len(), NTrain: in.Train.Len(), Dim: in.Train.D, Nearest: Nearest, Seed: in.Seed}
	r.SetSize = min(r.N, r.NHeldout, r.NTrain, MaxAssignment)
	h, err := MedianBandwidth(in.Train, in.Seed)
	if err != nil {
		return PointReport{}, err
	}
	for _, b := range bandwidths {
		r.Bandwidths = append(r.Bandwidths, b*h)
	}
	f, err := featureSets{in.Train, in.Heldout, in.Generated}.normalised("training points")
	if err != nil {
		return PointReport{}, err
	}
	ref, err := newReference(ctx, f.train, nil, in.Seed)
	if err != nil {
		return PointReport{}, err
	}
	r.Reference = ref.manifold.Len()
	for i, c := range []pointColumn{
		{column{f.heldout, nil, &r.FrechetHeldout, &r.PrecisionHeldout, &r.RecallHeldout, &r.DensityHeldout, &r.CoverageHeldout, &r.SetsHeldout},
			in.Heldout, &r.W2Heldout, &r.SlicedW2Heldout, &r.EnergyDistanceHeldout, &r.MMDHeldout, &r.MedianTrainDistanceHeldout},
		{column{f.generated, nil, &r.Frechet, &r.Precision, &r.Recall, &r.Density, &r.Coverage, &r.Sets},
			in.Generated, &r.W2, &r.SlicedW2, &r.EnergyDistance, &r.MMD, &r.MedianTrainDistance},
	} {
		if err := c.column.measure(ctx, ref, r.SetSize, in.Seed); err != nil {
			return PointReport{}, err
		}
		if err := c.measure(ctx, in, r.SetSize, r.Bandwidths); err != nil {
			return PointReport{}, err
		}
		if in.Progress != nil {
			in.Progress(Progress{"distances", i + 1, 2})
		}
	}
	return r, nil
}

func (in *PointInput) check() error {
	for _, s := range []struct {
		what string
		p    Points
	}{{"training points", in.Train}, {"held-out points", in.Heldout}, {"generated points", in.Generated}} {
		if err := s.p.check(s.what); err != nil {
			return err
		}
		if s.p.D != in.Train.D {
			return inputError("%s have %d dimensions, the training points %d", s.what, s.p.D, in.Train.D)
		}
		if n := s.p.Len(); n <= Nearest {
			return inputError("%s: %d points, want at least %d", s.what, n, Nearest+1)
		}
	}
	return nil
}

// pointColumn is one column of a PointReport.
type pointColumn struct {
	column
	p                                Points
	w2, sliced, energy, mmd, nearest *Figure
}

func (c *pointColumn) measure(ctx context.Context, in PointInput, m int, bandwidths []float64) error {
	nearest, err := MedianNearest(ctx, c.p, in.Train)
	if err != nil {
		return err
	}
	*c.nearest = Figure(nearest)
	sets := windows(c.p.Len(), m, nil, in.Seed)
	data := windows(in.Train.Len(), m, nil, in.Seed)
	var sum [4]float64
	for i, set := range sets {
		p, q := c.p.pick(set), in.Train.pick(data[i%len(data)])
		for k, f := range [4]func() (float64, error){
			func() (float64, error) { return Wasserstein(ctx, p, q) },
			func() (float64, error) { return SlicedWasserstein(ctx, p, q, Directions, in.Seed) },
			func() (float64, error) { return Energy(ctx, p, q) },
			func() (float64, error) { return MMD(ctx, p, q, bandwidths...) },
		} {
			v, err := f()
			if err != nil {
				return err
			}
			sum[k] += v
		}
	}
	for k, f := range [4]*Figure{c.w2, c.sliced, c.energy, c.mmd} {
		*f = Figure(sum[k] / float64(len(sets)))
	}
	return nil
}
