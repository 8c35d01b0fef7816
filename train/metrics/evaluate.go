// Package metrics measures how good samples of a model are, always beside
// held-out data that is scored as if it were samples.
//
// What the figures can be compared with decides how they are computed. An
// average over single samples (class accuracy, precision, density, median distance) has the
// same expectation for any number of samples, so it is taken over all. A
// figure of a set (Fréchet distance, recall, coverage, Wasserstein distance) depends on the set's size: the
// Fréchet distance of a small set is too large, its recall too small. So both
// sides are cut into sets of one size, that of the smaller side; the figure is the mean
// over as few sets as hold every sample, each with nearly the class proportions of the whole. The reference, the training split,
// is the same for both. Ratios between the two columns then compare distributions, not counts.
//
// Everything is deterministic: a function of its arguments, bit for bit, for any number of threads.
package metrics

import (
	"context"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Progress tells how far an evaluation has come. Stages follow each other; Done counts to Total in each.
type Progress struct {
	Stage       string // "classifier", "features", "training distance", "precision and recall", "distances"
	Done, Total int
}

// Input is what Evaluate compares.
type Input struct {
	Train, Heldout Images
	// Generated are measured as they would be shown, limited to [−1,1]. Their labels are the classes
	// asked for; nil for an unconditional model.
	Generated Images
	Classes   int // number of classes of the labels; not used without labels of Train

	// Classifier gives accuracy and features. With nil one is trained on Train, unless
	// that has no labels or one class: then sets are compared in pixels, averaged down to at most 8×8.
	Classifier *Classifier
	Config     ClassifierConfig // of the one to be trained

	Device   backend.Device // to train on; nil: cpu.Default()
	Seed     uint64         // of the choice of sets
	Progress func(Progress) // may be nil
}

func (in *Input) report(stage string, done, total int) {
	if in.Progress != nil {
		in.Progress(Progress{stage, done, total})
	}
}

// pixelSide is the largest side of pictures whose pixels serve as features.
const pixelSide = 8

// Evaluate measures generated pictures against the training split. Data that do
// not fit are an *InputError.
func Evaluate(ctx context.Context, in Input) (Report, error) {
	if err := in.check(); err != nil {
		return Report{}, err
	}
	in.Generated = in.Generated.clamped()
	r := Report{N: in.Generated.Len(), NHeldout: in.Heldout.Len(), NTrain: in.Train.Len(), Nearest: Nearest, Seed: in.Seed,
		ClassAccuracy: Figure(math.NaN()), ClassAccuracyHeldout: Figure(math.NaN())}
	f, err := in.features(ctx, &r)
	if err != nil {
		return Report{}, err
	}
	if err := in.distances(ctx, &r); err != nil {
		return Report{}, err
	}
	return r, in.compare(ctx, f, &r)
}

func (in *Input) check() error {
	classes := in.Classes
	if k := in.Classifier; k != nil {
		if err := in.Train.same("training pictures", Images{H: k.H, W: k.W, C: k.C}, "those of the classifier"); err != nil {
			return err
		}
		if classes != 0 && classes != k.Classes {
			return inputError("a classifier of %d classes for data of %d", k.Classes, classes)
		}
		classes = k.Classes
	} else if in.Train.Labels == nil {
		classes = 0
	}
	for _, s := range []struct {
		what string
		im   Images
	}{{"training pictures", in.Train}, {"held-out pictures", in.Heldout}, {"generated pictures", in.Generated}} {
		if err := s.im.check(s.what, classes); err != nil {
			return err
		}
		if err := s.im.same(s.what, in.Train, "the training pictures"); err != nil {
			return err
		}
		if n := s.im.Len(); n <= Nearest {
			return inputError("%s: %d pictures, want at least %d", s.what, n, Nearest+1)
		}
	}
	return nil
}

// features finds the features, and the accuracies on the way.
func (in *Input) features(ctx context.Context, r *Report) (f featureSets, err error) {
	if in.Classifier == nil && (in.Train.Labels == nil || in.Classes == 1) {
		r.Features = "pixels"
		f, err = in.pixels()
		r.FeatureDim = f.train.D
		return f, err
	}
	r.Features, r.FeatureDim = "classifier", FeatureDim
	if in.Classifier == nil {
		dev := in.Device
		if dev == nil {
			dev = cpu.Default()
		}
		r.Trained = true
		in.Classifier, err = TrainClassifier(ctx, dev, in.Train, in.Classes, in.Config, func(done, total int) { in.report("classifier", done, total) })
		if err != nil {
			return f, err
		}
	}
	for i, s := range []struct {
		im       Images
		to       *Points
		accuracy *Figure
	}{{in.Train, &f.train, nil}, {in.Heldout, &f.heldout, &r.ClassAccuracyHeldout}, {in.Generated, &f.generated, &r.ClassAccuracy}} {
		read, err := in.Classifier.Read(ctx, s.im)
		if err != nil {
			return f, err
		}
		*s.to = read.Features
		if s.accuracy != nil && s.im.Labels != nil {
			*s.accuracy = Figure(read.Accuracy(s.im.Labels))
		}
		if i == 2 && s.im.Labels != nil {
			r.ClassAccuracyByClass = read.accuracyByClass(s.im.Labels)
		}
		in.report("features", i+1, 3)
	}
	return f, nil
}

// pixels are the features of pictures without labels.
func (in *Input) pixels() (featureSets, error) {
	f := featureSets{in.Train.shrink(pixelSide).points(), in.Heldout.shrink(pixelSide).points(), in.Generated.shrink(pixelSide).points()}
	return f.normalised("training pictures")
}

// distances finds the median distances to the training pictures.
func (in *Input) distances(ctx context.Context, r *Report) error {
	for i, s := range []struct {
		im Images
		to *Figure
	}{{in.Heldout, &r.MedianTrainDistanceHeldout}, {in.Generated, &r.MedianTrainDistance}} {
		d, err := MedianNearest(ctx, s.im.points(), in.Train.points())
		if err != nil {
			return err
		}
		*s.to = Figure(d)
		in.report("training distance", i+1, 2)
	}
	return nil
}

// compare finds the figures of sets in feature space.
func (in *Input) compare(ctx context.Context, f featureSets, r *Report) error {
	r.SetSize = min(r.N, r.NHeldout)
	ref, err := newReference(ctx, f.train, in.Train.Labels, in.Seed)
	if err != nil {
		return err
	}
	r.Reference = ref.manifold.Len()
	r.FrechetFloor = Figure(frechetOf(ref.gaussian, f.train, windows(r.NTrain, min(r.SetSize, r.NTrain), in.Train.Labels, in.Seed)))
	for i, s := range []column{
		{f.heldout, in.Heldout.Labels, &r.FrechetHeldout, &r.PrecisionHeldout, &r.RecallHeldout, &r.DensityHeldout, &r.CoverageHeldout, &r.SetsHeldout},
		{f.generated, in.Generated.Labels, &r.Frechet, &r.Precision, &r.Recall, &r.Density, &r.Coverage, &r.Sets},
	} {
		if err := s.measure(ctx, ref, r.SetSize, in.Seed); err != nil {
			return err
		}
		in.report("precision and recall", i+1, 2)
	}
	return nil
}
