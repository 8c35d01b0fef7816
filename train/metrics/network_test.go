package metrics

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// halves is a network whose features are the means of a picture's halves, times a number.
type halves struct {
	by  float32
	ran *int // pictures that went through it
}

func (n halves) Describe() (name, hash string, dim int) { return "halves", "0123456789", 2 }

func (n halves) Features(_ context.Context, im Images, progress func(done int)) (Points, error) {
	p := Points{D: 2}
	for i := range im.Len() {
		row, sum := im.points().row(i), [2]float32{}
		for k, x := range row {
			sum[2*k/len(row)] += x
		}
		p.X = append(p.X, n.by*sum[0], n.by*sum[1])
		progress(i + 1)
	}
	*n.ran += im.Len()
	return p, nil
}

func networkInput(by float32) (Input, *int) {
	ran := new(int)
	return Input{Train: noisePictures(200, 1), Heldout: noisePictures(40, 2), Generated: noisePictures(100, 3), Network: halves{by, ran}}, ran
}

// In a network's features distances are as the network has them: no scale is taken out, and everything is compared in them.
func TestEvaluateInFeaturesOfANetwork(t *testing.T) {
	in, ran := networkInput(1)
	var last Progress
	in.Progress = func(p Progress) {
		if p.Stage == "features" {
			last = p
		}
	}
	r := must[Report](t)(Evaluate(background, in))
	if r.Features != "halves" || r.FeatureHash != "0123456789" || r.FeatureDim != 2 || *ran != 340 || last != (Progress{"features", 340, 340}) {
		t.Errorf("features %s %s %d, %d pictures, %+v", r.Features, r.FeatureHash, r.FeatureDim, *ran, last)
	}
	if want := []string{ClassAccuracy, FrechetDistance, FrechetAll, KernelDistance, Precision, Recall, Density, Coverage, TrainDistance}; !slices.Equal(r.Metrics, want) {
		t.Errorf("measures %q, want %q", r.Metrics, want)
	}
	net := halves{1, new(int)}
	f := func(im Images) Points { return must[Points](t)(net.Features(background, im, func(int) {})) }
	all := Frechet(NewGaussian(f(in.Train)), NewGaussian(f(in.Generated.clamped())))
	near(t, "of all samples", float64(r.FrechetAll), all, 1e-12)
	near(t, "of all held-out ones, which are one set", float64(r.FrechetAllHeldout), float64(r.FrechetHeldout), 0)
	if r.SetSize != 40 || r.Sets != 3 || r.Frechet <= r.FrechetAll || r.KIDSize != 40 || r.KIDDeviation <= 0 {
		t.Errorf("sets of %d, %d: Fréchet distance %g, of all %g; KID of %d ± %g", r.SetSize, r.Sets, r.Frechet, r.FrechetAll, r.KIDSize, r.KIDDeviation)
	}
	in, _ = networkInput(2)
	twice := must[Report](t)(Evaluate(background, in))
	near(t, "twice the features", float64(twice.Frechet), 4*float64(r.Frechet), 1e-5*float64(twice.Frechet))
	if twice.Precision != r.Precision || twice.MedianTrainDistance != r.MedianTrainDistance {
		t.Errorf("twice the features: precision %g, was %g", twice.Precision, r.Precision)
	}
	if s := r.String(); !strings.Contains(s, "features: halves (2, weights 01234567)") || !strings.Contains(s, "kernel distance (KID)") || strings.Contains(s, "2-Wasserstein") {
		t.Errorf("table:\n%s", s)
	}
}

// Statistics stand for the training pictures: the same figures, without their going through the network.
func TestReferenceStatistics(t *testing.T) {
	in, _ := networkInput(1)
	in.Statistics = new(Statistics)
	all, _ := ImageMetrics()
	in.Metrics = slices.DeleteFunc(all, func(n string) bool { return n == TrainOnSynthetic })
	want := must[Report](t)(Evaluate(background, in))
	path := filepath.Join(t.TempDir(), "s.npz")
	if s := in.Statistics; s.N != 200 || s.Points.Len() != 200 || s.Network != "halves" || s.Hash != "0123456789" {
		t.Errorf("statistics of %d, %d features, of %s %s", s.N, s.Points.Len(), s.Network, s.Hash)
	}
	if err := WriteStatistics(path, in.Statistics); err != nil {
		t.Fatal(err)
	}
	second, ran := networkInput(1)
	second.Metrics = in.Metrics
	second.Reference = must[*Statistics](t)(ReadStatistics(path))
	got := must[Report](t)(Evaluate(background, second))
	if *ran != 140 || got.ReferenceFile != path {
		t.Errorf("%d pictures went through the network, want 140; reference %s", *ran, got.ReferenceFile)
	}
	for i, row := range got.rows() {
		old := want.rows()[i]
		if row.metric == ClassAccuracy || row.metric == TrainOnSynthetic { // of pictures without labels
			continue
		}
		// A covariance from a file has another factor than one of points: that is rounding.
		near(t, row.title, float64(*row.samples), float64(*old.samples), 1e-12)
		near(t, row.title+", held-out", float64(*row.heldout), float64(*old.heldout), 1e-12)
	}

	// Of mean and covariance alone, what needs no features.
	second.Reference.Points, second.Metrics = Points{}, nil
	r := must[Report](t)(Evaluate(background, second))
	if wanted := []string{ClassAccuracy, FrechetDistance, FrechetAll, TrainDistance}; !slices.Equal(r.Metrics, wanted) || r.Frechet != got.Frechet || !math.IsNaN(float64(r.FrechetFloor)) {
		t.Errorf("measures %q, Fréchet distance %g, was %g", r.Metrics, r.Frechet, got.Frechet)
	}
	second.Metrics = []string{KernelDistance}
	if _, err := Evaluate(background, second); err == nil || !strings.Contains(err.Error(), "kid needs features of the reference, and "+path) {
		t.Errorf("got %v", err)
	}
	if err := second.Check(); err == nil {
		t.Error("what cannot be measured passes the check")
	}
	for what, change := range map[string]func(s *Statistics){
		"of features of inception, not of halves": func(s *Statistics) { s.Network = "inception" },
		"other weights (abc, not 01234567)":       func(s *Statistics) { s.Hash = "abc" },
		"of 3 features, and halves has 2":         func(s *Statistics) { s.Gaussian = NewGaussian(normal(9, 3, 0, 1, 1)) },
	} {
		bad, _ := networkInput(1)
		bad.Reference = must[*Statistics](t)(ReadStatistics(path))
		change(bad.Reference)
		var e *InputError
		if _, err := Evaluate(background, bad); !errors.As(err, &e) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
		if err := bad.Check(); !errors.As(err, &e) {
			t.Errorf("%q passes the check: %v", what, err)
		}
	}
	pixels := Input{Train: in.Train, Heldout: in.Heldout, Generated: in.Generated, Statistics: new(Statistics)}
	if _, err := Evaluate(background, pixels); err == nil || !strings.Contains(err.Error(), "a network of features is needed") {
		t.Errorf("statistics of pixels: %v", err)
	}
}

// What is named is measured, and nothing else: no classifier is trained for a distance between pixels.
func TestMetricsAreChosen(t *testing.T) {
	in := Input{Train: stripes(60, 8, 8, 1), Heldout: stripes(20, 8, 8, 1).edit(addNoise(0.1)), Generated: stripes(50, 8, 8, 1).edit(addNoise(0.2)), Classes: 2, Config: ClassifierConfig{Updates: 5, Batch: 8}}
	in.Metrics = []string{TrainDistance}
	if in.NeedsClassifier() {
		t.Error("a distance between pixels needs a classifier")
	}
	r := must[Report](t)(Evaluate(background, in))
	if r.Trained || r.Features != "" || math.IsNaN(float64(r.MedianTrainDistance)) || !math.IsNaN(float64(r.Frechet)) {
		t.Errorf("trained: %v, features %q, distance %g, Fréchet distance %g", r.Trained, r.Features, r.MedianTrainDistance, r.Frechet)
	}
	if n := strings.Count(r.String(), "\n"); n != 3 {
		t.Errorf("%d lines:\n%v", n, r)
	}
	// Each alone gives what all together give.
	all, _ := ImageMetrics()
	in.Metrics = all
	together := must[Report](t)(Evaluate(background, in))
	for _, name := range all {
		in.Metrics = []string{name}
		alone := must[Report](t)(Evaluate(background, in))
		for i, row := range alone.rows() {
			want := *together.rows()[i].samples
			if row.metric != name {
				want = Figure(math.NaN())
			}
			near := *row.samples == want || math.IsNaN(float64(*row.samples)) && math.IsNaN(float64(want))
			if !near {
				t.Errorf("%s alone: %s is %v, want %v", name, row.title, *row.samples, want)
			}
		}
	}
	for _, bad := range [][]string{{"fid"}, {FrechetDistance, ""}} {
		in.Metrics = bad
		if _, err := Evaluate(background, in); err == nil || !strings.Contains(err.Error(), "want some of class_accuracy, train_on_synthetic, frechet") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := EvaluatePoints(background, PointInput{Train: normal(9, 2, 0, 1, 1), Heldout: normal(9, 2, 0, 1, 2), Generated: normal(9, 2, 0, 1, 3), Metrics: []string{ClassAccuracy}}); err == nil {
		t.Error("points have no class accuracy")
	}
	p := must[PointReport](t)(EvaluatePoints(background, PointInput{Train: normal(90, 2, 0, 1, 1), Heldout: normal(90, 2, 0, 1, 2), Generated: normal(90, 2, 0, 1, 3), Metrics: []string{KernelDistance, W2}}))
	if !slices.Equal(p.Metrics, []string{W2, KernelDistance}) || p.W2 <= 0 || p.KIDDeviation < 0 || !math.IsNaN(float64(p.Precision)) {
		t.Errorf("points: %+v", p)
	}
}

// Samples under wrong labels, or of one kind, train no classifier of use; good ones train one as real ones do.
func TestTrainOnSynthetic(t *testing.T) {
	measure := func(generated Images) Report {
		return must[Report](t)(Evaluate(background, Input{Train: stripes(120, 8, 8, 1), Heldout: stripes(60, 8, 8, 1).edit(addNoise(0.1)), Generated: generated, Classes: 2,
			Config: ClassifierConfig{Updates: 60, Batch: 16}, Metrics: []string{TrainOnSynthetic}}))
	}
	good := measure(stripes(80, 8, 8, 1).edit(addNoise(0.3)))
	if good.TrainOnSynthetic < 0.9 || good.TrainOnSyntheticHeldout < 0.9 {
		t.Errorf("good samples train a classifier of %g, real ones one of %g", good.TrainOnSynthetic, good.TrainOnSyntheticHeldout)
	}
	wrong := measure(stripes(80, 8, 8, 1).edit(func(im *Images) {
		for i := range im.Labels {
			im.Labels[i] = 1 - im.Labels[i]
		}
	}))
	if wrong.TrainOnSynthetic > 0.1 || wrong.TrainOnSyntheticHeldout != good.TrainOnSyntheticHeldout {
		t.Errorf("wrong labels train a classifier of %g; real ones one of %g, before %g", wrong.TrainOnSynthetic, wrong.TrainOnSyntheticHeldout, good.TrainOnSyntheticHeldout)
	}
	unlabelled := Input{Train: stripes(20, 8, 8, 1), Heldout: stripes(8, 8, 8, 1), Generated: stripes(8, 8, 8, 1), Classes: 2, Metrics: []string{TrainOnSynthetic}}
	unlabelled.Generated.Labels = nil
	var e *InputError
	if _, err := Evaluate(background, unlabelled); !errors.As(err, &e) || !strings.Contains(err.Error(), "labels") {
		t.Errorf("without labels: %v", err)
	}
}
