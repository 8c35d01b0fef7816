package metrics

import "context"

// PointInput is what EvaluatePoints compares.
type PointInput struct {
	Train, Heldout, Generated Points
	Metrics                   []string       // names of those to measure; nil: the usual of [PointMetrics]
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
	r := PointReport{N: in.Generated.Len(), NHeldout: in.Heldout.Len(), NTrain: in.Train.Len(), Dim: in.Train.D}
	want, err := chosen(in.Metrics, r.rows())
	if err != nil {
		return PointReport{}, err
	}
	r.begin(r.rows(), want, in.Seed)
	f, err := featureSets{in.Train, in.Heldout, in.Generated}.normalised("training points")
	if err != nil {
		return PointReport{}, err
	}
	size := min(r.N, r.NHeldout, r.NTrain, MaxAssignment)
	// Distances are of the coordinates themselves, the others of what is divided by one number.
	var plain, scaled *comparison
	if plain, err = newComparison(ctx, want.only(transports...), newReference(in.Train, nil, in.Seed), size, &r.Figures, nil); err != nil {
		return PointReport{}, err
	}
	if scaled, err = newComparison(ctx, want.without(transports...), newReference(f.train, nil, in.Seed), size, &r.Figures, nil); err != nil {
		return PointReport{}, err
	}
	for i, s := range []struct {
		plain, scaled Points
		to            column
		nearest       *Figure
	}{
		{in.Heldout, f.heldout, r.ofHeldout(), &r.MedianTrainDistanceHeldout},
		{in.Generated, f.generated, r.ofSamples(), &r.MedianTrainDistance},
	} {
		if err := plain.measure(ctx, s.plain, nil, s.to); err != nil {
			return PointReport{}, err
		}
		if err := scaled.measure(ctx, s.scaled, nil, s.to); err != nil {
			return PointReport{}, err
		}
		if want[TrainDistance] {
			d, err := MedianNearest(ctx, s.plain, in.Train)
			if err != nil {
				return PointReport{}, err
			}
			*s.nearest = Figure(d)
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
