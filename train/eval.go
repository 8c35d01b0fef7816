package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/features"
	"github.com/langevin-go/langevin/train/metrics"
)

// EvalOptions say how a run is measured.
type EvalOptions struct {
	N          int                 // samples to draw
	Seed       uint64              // of samples and of the choice of sets
	Classifier *metrics.Classifier // of the same data; nil: that of Keep
	Keep       string              // where the classifier is kept for evaluations on the same data; "": in the run's folder
	Samples    *SampleFile         // to measure instead of drawing any; nil: draw N
	Metrics    []string            // names of those to measure; nil: the usual ones
	Features   string              // network of others whose features pictures are compared in, as [features.Open] names it; "": the classifier's
	Reference  string              // file of statistics that pictures are compared with instead of the training data; "": none
	Statistics string              // file to write such statistics of the training data to; "": none
	Progress   func(what string, done, total int)
	Warn       func(format string, args ...any)
}

// Evaluation is what Eval found: one of the reports is set.
type Evaluation struct {
	Images     *metrics.Report
	Points     *metrics.PointReport
	Classifier *metrics.Classifier // that pictures were judged by; nil: none
	Took       sampler.Count       // by each batch of samples that were drawn
}

// Eval draws samples from a run's model, or takes those that it is given, and compares them with the run's data.
func Eval(ctx context.Context, t *Trained, o EvalOptions) (*Evaluation, error) {
	if t.Exp == nil {
		return nil, fmt.Errorf("%s was not trained here: eval needs a run, whose config names the data to compare with", t.Path)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	in, err := t.evalInput(o)
	if err != nil {
		return nil, err
	}
	ds, err := t.Exp.openData(ctx)
	if err != nil {
		return nil, err
	}
	if !equalShape(ds.Train.Shape(), t.Shape) {
		return nil, fmt.Errorf("the data have shape %v now, the model was trained on %v", ds.Train.Shape(), t.Shape)
	}
	if ds.Heldout == nil {
		return nil, t.Exp.places.Errorf("data", "holds nothing out to compare with: set data.heldout")
	}
	s := o.Samples
	var took sampler.Count
	if s == nil {
		if s, err = t.drawForEval(ctx, ds, o, &took); err != nil {
			return nil, err
		}
	}
	var e *Evaluation
	if isImage(t.Shape) {
		e, err = t.evalImages(ctx, ds, s, o, in)
	} else {
		e, err = t.evalPoints(ctx, ds, s, o)
	}
	if err != nil {
		return nil, err
	}
	e.Took = took
	if in.Statistics != nil {
		return e, metrics.WriteStatistics(o.Statistics, in.Statistics)
	}
	return e, nil
}

// evalInput opens what options name: mistakes show before anything is sampled.
func (t *Trained) evalInput(o EvalOptions) (in metrics.Input, err error) {
	in.Metrics = o.Metrics
	if !isImage(t.Shape) {
		for name, value := range map[string]string{"--features": o.Features, "--reference": o.Reference, "--save-reference": o.Statistics} {
			if value != "" {
				return in, fmt.Errorf("%s is of pictures: samples of shape %v are compared in their own coordinates", name, t.Shape)
			}
		}
		all, _ := metrics.PointMetrics()
		return in, metrics.CheckMetrics(o.Metrics, all)
	}
	all, _ := metrics.ImageMetrics()
	if err := metrics.CheckMetrics(o.Metrics, all); err != nil {
		return in, err
	}
	if o.Statistics != "" {
		if err := CheckPlace(o.Statistics); err != nil {
			return in, err
		}
		in.Statistics = new(metrics.Statistics)
	}
	if o.Reference != "" {
		if in.Reference, err = metrics.ReadStatistics(o.Reference); err != nil {
			return in, err
		}
	}
	if o.Features != "" {
		net, err := features.Open(o.Features, t.Device)
		if err != nil {
			return in, err
		}
		if c := t.Shape[2]; c != 1 && c != 3 {
			return in, fmt.Errorf("--features: networks of pictures of 1 or 3 channels, these have %d", c)
		}
		in.Network = net
	}
	return in, in.Check()
}

// labelsOf are the classes of n samples of a source, of so many as there are in turn.
func labelsOf(src data.Source, n int) ([]int32, error) {
	x, labels := make([]float32, volume(src.Shape())), make([]int32, n)
	for i := range labels {
		at := i
		if l := src.Len(); l != data.Infinite {
			at %= l
		}
		label, err := data.Label(src, uint64(at), x)
		if err != nil {
			return nil, err
		}
		labels[i] = int32(label)
	}
	return labels, nil
}

// drawForEval draws samples of all classes in turn, or of the captions or vectors held out.
func (t *Trained) drawForEval(ctx context.Context, ds *Dataset, o EvalOptions, took *sampler.Count) (*SampleFile, error) {
	q, labels, err := t.heldRequest(ds, o.N, o.Seed)
	if err != nil {
		return nil, err
	}
	q.Count = took
	q.Progress = func(done, total int) { o.Progress("sampling", done, total) }
	x, err := t.Draw(ctx, q)
	if err != nil {
		return nil, err
	}
	return &SampleFile{N: q.N, X: x, Labels: labels}, nil
}

// heldRequest asks for n samples of all classes in turn, or of the captions or vectors held out, and says what classes these are of; nil: of none.
func (t *Trained) heldRequest(ds *Dataset, n int, seed uint64) (q Request, labels []int32, err error) {
	if err := t.CheckCount(n); err != nil {
		return q, nil, err
	}
	q = Request{N: n, Seed: seed}
	classes, err := t.AskedClasses()
	if err != nil {
		return q, nil, err
	}
	if classes > 0 {
		q.Labels = make([]int32, n)
		for i := range q.Labels {
			q.Labels[i] = int32(i % classes)
		}
	}
	if labels, err = t.evalPrompts(ds, &q); err != nil {
		return q, nil, err
	}
	if q.Vectors, err = t.firstVectors(ds.Heldout, q.N); err != nil {
		return q, nil, t.Exp.at("data", err)
	}
	if q.Vectors != nil && t.Classes > 0 && !t.TakesPrompts() { // a sample's own class goes with its vector
		if labels, err = labelsOf(ds.Heldout, q.N); err != nil {
			return q, nil, err
		}
		copy(q.Labels, labels)
	}
	return q, labels, nil
}

// evalPrompts asks for what the captions of the held-out samples say, in turn, where the
// model takes prompts. Then the classes asked for are those of these samples.
func (t *Trained) evalPrompts(ds *Dataset, q *Request) (labels []int32, err error) {
	if !t.TakesPrompts() {
		return q.Labels, nil
	}
	src, ok := data.CaptionsOf(ds.Heldout)
	if !ok {
		return nil, t.Exp.places.Errorf("data", "has no captions any more, and the model takes prompts")
	}
	x := make([]float32, volume(src.Shape()))
	labels = make([]int32, q.N)
	for i := range q.N {
		at := uint64(i)
		if src.Len() != data.Infinite {
			at %= uint64(src.Len())
		}
		label, err := src.Sample(at, x)
		if err != nil {
			return nil, err
		}
		labels[i] = int32(label)
		q.Prompts = append(q.Prompts, data.CaptionOf(src, q.Seed, at, uint64(i)))
	}
	if q.Labels != nil {
		copy(q.Labels, labels)
	}
	q.Negative = t.How.Negative
	if src.Classes() == 0 {
		labels = nil
	}
	return labels, nil
}

func (t *Trained) evalImages(ctx context.Context, ds *Dataset, s *SampleFile, o EvalOptions, in metrics.Input) (*Evaluation, error) {
	train, err := imagesOf(ds.Train)
	if err != nil {
		return nil, err
	}
	held, err := imagesOf(ds.Heldout)
	if err != nil {
		return nil, err
	}
	in.Train, in.Heldout, in.Classes = train, held, ds.Train.Classes()
	in.Generated = metrics.Images{Pixels: s.X, Labels: s.Labels, H: t.Shape[0], W: t.Shape[1], C: t.Shape[2]}
	in.Device, in.Seed, in.Classifier = t.Device, o.Seed, o.Classifier
	in.Progress = func(p metrics.Progress) { o.Progress(p.Stage, p.Done, p.Total) }
	keep := o.Keep
	if keep == "" && IsRun(t.Path) {
		keep = filepath.Join(t.Path, "classifier.safetensors")
	}
	if in.Classes > 1 && in.Classifier == nil && keep != "" && in.NeedsClassifier() {
		// It depends on the data alone.
		in.Classifier, err = metrics.CachedClassifier(ctx, t.Device, keep, train, in.Classes, in.Config,
			func(done, total int) { o.Progress("training the classifier", done, total) })
		switch {
		case err != nil && in.Classifier == nil:
			return nil, err
		case err != nil:
			o.Warn("the classifier will have to be trained again next time: %v", err)
		}
	}
	r, err := metrics.Evaluate(ctx, in)
	if err != nil {
		return nil, err
	}
	return &Evaluation{Images: &r, Classifier: in.Classifier}, nil
}

// imagesOf reads a whole source of pictures.
func imagesOf(src data.Source) (metrics.Images, error) {
	if src.Len() == data.Infinite {
		return metrics.Images{}, errors.New("cannot compare with endless pictures")
	}
	x, labels, err := takeSamples(src, src.Len())
	if err != nil {
		return metrics.Images{}, err
	}
	if src.Classes() == 0 {
		labels = nil
	}
	s := src.Shape()
	return metrics.Images{Pixels: x, Labels: labels, H: s[0], W: s[1], C: s[2]}, nil
}

func (t *Trained) evalPoints(ctx context.Context, ds *Dataset, s *SampleFile, o EvalOptions) (*Evaluation, error) {
	n := s.N
	train, _, err := takeSamples(ds.Train, n)
	if err != nil {
		return nil, err
	}
	held, _, err := takeSamples(ds.Heldout, n)
	if err != nil {
		return nil, err
	}
	generated, dim := s.X, 0
	for _, x := range []*[]float32{&train, &held, &generated} {
		if *x, dim, err = t.embedded(*x); err != nil {
			return nil, err
		}
	}
	r, err := metrics.EvaluatePoints(ctx, metrics.PointInput{
		Train: metrics.Points{X: train, D: dim}, Heldout: metrics.Points{X: held, D: dim}, Generated: metrics.Points{X: generated, D: dim}, Seed: o.Seed, Metrics: o.Metrics,
		Progress: func(p metrics.Progress) { o.Progress(p.Stage, p.Done, p.Total) },
	})
	if err != nil {
		return nil, err
	}
	return &Evaluation{Points: &r}, nil
}
