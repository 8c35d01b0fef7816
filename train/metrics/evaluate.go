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
	"slices"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Progress tells how far an evaluation has come. Stages follow each other; Done counts to Total in each.
type Progress struct {
	Stage       string // "classifier", "features", "classifier of samples", "classifier of real ones", "training distance", "precision and recall", "distances"
	Done, Total int
}

// Network is a network of others, such as Inception, whose features pictures are compared in.
type Network interface {
	// Describe is the network's name, the SHA-256 of its weights and the number of its features.
	Describe() (name, hash string, dim int)
	// Features are those of pictures of any size; done counts pictures.
	Features(ctx context.Context, im Images, progress func(done int)) (Points, error)
}

// Input is what Evaluate compares.
type Input struct {
	Train, Heldout Images
	// Generated are measured as they would be shown, limited to [−1,1]. Their labels are the classes
	// asked for; nil for an unconditional model.
	Generated Images
	Classes   int      // number of classes of the labels; not used without labels of Train
	Metrics   []string // names of those to measure; nil: the usual of [ImageMetrics] that can be

	// Classifier gives accuracy and features. With nil one is trained on Train, if it is needed, unless
	// that has no labels or one class: then sets are compared in pixels, averaged down to at most 8×8.
	Classifier *Classifier
	Config     ClassifierConfig // of the one to be trained
	Network    Network          // whose features sets are compared in instead; nil: none
	Reference  *Statistics      // what sets are compared with instead of Train; nil: Train
	Statistics *Statistics      // is filled with what sets were compared with, to be kept; nil: not wanted

	Device   backend.Device // to train and compute on; nil: cpu.Default()
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
	if in.Device == nil {
		in.Device = cpu.Default()
	}
	r := Report{N: in.Generated.Len(), NHeldout: in.Heldout.Len(), NTrain: in.Train.Len()}
	want, err := in.selection(r.rows())
	if err != nil {
		return Report{}, err
	}
	r.begin(r.rows(), want, in.Seed)
	in.Generated = in.Generated.clamped()
	f, err := in.features(ctx, &r, want)
	if err != nil {
		return Report{}, err
	}
	if want[TrainOnSynthetic] {
		if err := in.synthetic(ctx, &r); err != nil {
			return Report{}, err
		}
	}
	if want[TrainDistance] {
		if err := in.distances(ctx, &r); err != nil {
			return Report{}, err
		}
	}
	return r, in.compare(ctx, f, &r, want)
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

// Check reports what a network, statistics and metrics do not allow together, as far as that shows without pictures.
func (in *Input) Check() error {
	if in.Reference != nil {
		name, hash, dim := "classifier", "", FeatureDim
		if in.Network != nil {
			name, hash, dim = in.Network.Describe()
		}
		if err := in.Reference.fits(name, hash, dim); err != nil {
			return err
		}
	}
	return in.withoutPoints(selection{}, in.Metrics)
}

// withoutPoints takes the metrics that need features of the reference from want if there are none; of named ones that is an error.
func (in *Input) withoutPoints(want selection, named []string) error {
	if in.Reference == nil || in.Reference.Points.Len() > Nearest {
		return nil
	}
	for _, n := range ofPoints {
		if slices.Contains(named, n) {
			return inputError("%s needs features of the reference, and %s has their mean and covariance only", n, in.Reference.Path)
		}
		delete(want, n)
	}
	return nil
}

// NeedsClassifier reports whether a classifier of the data would be trained if the input has none.
func (in *Input) NeedsClassifier() bool {
	want, err := chosen(in.Metrics, new(Report).rows())
	return err == nil && (want[ClassAccuracy] || in.Network == nil && in.compares(want))
}

// compares reports whether features are needed.
func (in *Input) compares(want selection) bool {
	return want.any(frechets...) || want.any(ofPoints...) || in.Statistics != nil
}

// labelled reports whether there is, or can be, a classifier of the data.
func (in *Input) labelled() bool {
	return in.Classifier != nil || in.Train.Labels != nil && in.Classes != 1
}

// selection are the metrics to be measured: of those that nobody named, the ones that can be.
func (in *Input) selection(rows []row) (selection, error) {
	want, err := chosen(in.Metrics, rows)
	if err != nil {
		return nil, err
	}
	if in.Metrics == nil && in.Network != nil {
		want[FrechetAll], want[KernelDistance] = true, true
	}
	if want[TrainOnSynthetic] && (!in.labelled() || in.Heldout.Labels == nil || in.Generated.Labels == nil) {
		return nil, inputError("%s needs pictures with labels, held-out and generated ones too", TrainOnSynthetic)
	}
	if in.Reference == nil && in.Statistics == nil {
		return want, nil
	}
	if in.Network == nil && !in.labelled() {
		return nil, inputError("statistics are of features, and pictures without labels are compared in pixels: a network of features is needed")
	}
	return want, in.withoutPoints(want, in.Metrics)
}

// features finds the features of what is compared, and the accuracies on the way.
func (in *Input) features(ctx context.Context, r *Report, want selection) (f featureSets, err error) {
	compares := in.compares(want)
	own := in.Network == nil && compares // by the classifier
	if in.labelled() && (own || want[ClassAccuracy]) {
		if f, err = in.classify(ctx, r, own, want[ClassAccuracy]); err != nil {
			return f, err
		}
	}
	switch {
	case !compares:
		return featureSets{}, nil
	case in.Network != nil:
		f, err = in.network(ctx, r)
	case in.labelled():
		r.Features, r.FeatureDim = "classifier", FeatureDim
	default:
		r.Features = "pixels"
		f, err = in.pixels()
		r.FeatureDim = f.train.D
	}
	if err == nil && in.Reference != nil {
		err = in.Reference.fits(r.Features, in.hash(r), f.generated.D)
		r.ReferenceFile = in.Reference.Path
	}
	return f, err
}

// hash names the weights that features are of.
func (in *Input) hash(r *Report) string {
	if r.Features == "classifier" {
		return in.Classifier.Fingerprint()
	}
	return r.FeatureHash
}

// classify runs the classifier, which is trained if there is none, for its features or the accuracies.
func (in *Input) classify(ctx context.Context, r *Report, features, accuracy bool) (f featureSets, err error) {
	if in.Classifier == nil {
		r.Trained = true
		in.Classifier, err = TrainClassifier(ctx, in.Device, in.Train, in.Classes, in.Config, func(done, total int) { in.report("classifier", done, total) })
		if err != nil {
			return f, err
		}
	}
	for i, s := range []struct {
		im       Images
		to       *Points
		accuracy *Figure
	}{{in.Train, &f.train, nil}, {in.Heldout, &f.heldout, &r.ClassAccuracyHeldout}, {in.Generated, &f.generated, &r.ClassAccuracy}} {
		if s.accuracy == nil && (!features || in.Reference != nil) {
			continue
		}
		read, err := in.Classifier.Read(ctx, s.im)
		if err != nil {
			return f, err
		}
		*s.to = read.Features
		if accuracy && s.accuracy != nil && s.im.Labels != nil {
			*s.accuracy = Figure(read.Accuracy(s.im.Labels))
		}
		if accuracy && i == 2 && s.im.Labels != nil {
			r.ClassAccuracyByClass = read.accuracyByClass(s.im.Labels)
		}
		if features {
			in.report("features", i+1, 3)
		}
	}
	return f, nil
}

// network runs the network of features.
func (in *Input) network(ctx context.Context, r *Report) (f featureSets, err error) {
	r.Features, r.FeatureHash, r.FeatureDim = in.Network.Describe()
	sets := []struct {
		im Images
		to *Points
	}{{in.Heldout, &f.heldout}, {in.Generated, &f.generated}, {in.Train, &f.train}}
	if in.Reference != nil {
		sets = sets[:2]
	}
	total, before := 0, 0
	for _, s := range sets {
		total += s.im.Len()
	}
	for _, s := range sets {
		*s.to, err = in.Network.Features(ctx, s.im, func(done int) { in.report("features", before+done, total) })
		if err != nil {
			return f, err
		}
		before += s.im.Len()
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
func (in *Input) compare(ctx context.Context, f featureSets, r *Report, want selection) error {
	r.SetSize = min(r.N, r.NHeldout)
	if f.generated.D == 0 || r.Features == "" {
		return nil
	}
	var ref *reference
	if in.Reference != nil {
		ref = in.Reference.reference()
	} else {
		ref = newReference(f.train, in.Train.Labels, in.Seed)
	}
	if in.Statistics != nil {
		n := ref.all.Len()
		if in.Reference != nil {
			n = in.Reference.N
		}
		*in.Statistics = Statistics{Gaussian: ref.gaussian, N: n, Points: ref.points, Network: r.Features, Hash: in.hash(r)}
	}
	c, err := newComparison(ctx, want, ref, r.SetSize, &r.Figures, in.Device)
	if err != nil {
		return err
	}
	for i, s := range []struct {
		p      Points
		labels []int32
		to     column
	}{{f.heldout, in.Heldout.Labels, r.ofHeldout()}, {f.generated, in.Generated.Labels, r.ofSamples()}} {
		if err := c.measure(ctx, s.p, s.labels, s.to); err != nil {
			return err
		}
		in.report("precision and recall", i+1, 2)
	}
	return nil
}
