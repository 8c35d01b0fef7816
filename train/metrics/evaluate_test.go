package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

// evaluate scores generated digits with the shared classifier.
func evaluate(t *testing.T, generated Images) Report {
	t.Helper()
	d := digits()
	r, err := Evaluate(background, Input{Train: d[0], Heldout: d[1], Generated: generated, Classes: 10,
		Classifier: must[*Classifier](t)(digitClassifier())})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edit is a deep copy of pictures, changed.
func (im Images) edit(f func(im *Images)) Images {
	im.Pixels, im.Labels = slices.Clone(im.Pixels), slices.Clone(im.Labels)
	f(&im)
	return im
}

func addNoise(std float32) func(im *Images) {
	return func(im *Images) {
		z := make([]float32, len(im.Pixels))
		rng.Normal(z, rng.Key{Seed: 12}, 0)
		for i := range z {
			im.Pixels[i] += std * z[i]
		}
	}
}

// Held-out digits as samples give the same figures in both columns, bit for bit.
func TestHeldoutAsSamples(t *testing.T) {
	r := evaluate(t, digits()[1])
	t.Logf("\n%v", r)
	pairs := 0
	for _, row := range r.rows() {
		if slices.Contains(r.Metrics, row.metric) {
			pairs++
			if *row.heldout != *row.samples {
				t.Errorf("%s: %v of samples, %v of held-out", row.title, *row.samples, *row.heldout)
			}
		}
	}
	if pairs != 7 {
		t.Errorf("%d pairs compared, want 7", pairs)
	}
	for name, f := range map[string]Figure{"class accuracy": r.ClassAccuracy, "precision": r.Precision, "recall": r.Recall} {
		if f < 0.8 || f > 1 {
			t.Errorf("%s of real digits: %g", name, f)
		}
	}
	// Unseen digits differ from training digits by more than sets of 360 of these do, but not by much.
	if r.FrechetFloor <= 0 || r.FrechetFloor >= r.FrechetHeldout || r.FrechetFloor < r.FrechetHeldout/2 {
		t.Errorf("Fréchet distance of training digits %g, of held-out %g", r.FrechetFloor, r.FrechetHeldout)
	}
	if r.SetSize != 360 || r.Sets != 1 || r.Reference != 1437 || r.FeatureDim != FeatureDim || r.Features != "classifier" {
		t.Errorf("sets %d of %d, reference %d, features %s %d", r.Sets, r.SetSize, r.Reference, r.Features, r.FeatureDim)
	}
	if len(r.ClassAccuracyByClass) != 10 {
		t.Errorf("accuracy of %d classes", len(r.ClassAccuracyByClass))
	}
}

// Each fault of a model shows in the figure that is meant to show it.
func TestFaultsShow(t *testing.T) {
	d := digits()
	train, heldout := d[0], d[1]
	first := func(im Images, n int) Images {
		im.Pixels, im.Labels = im.Pixels[:n*im.dim()], im.Labels[:n]
		return im
	}

	copies := evaluate(t, first(train, 1000))
	if copies.MedianTrainDistance != 0 || copies.MedianTrainDistanceHeldout < 1 {
		t.Errorf("copies of training pictures: median distance %g, held-out's %g", copies.MedianTrainDistance, copies.MedianTrainDistanceHeldout)
	}
	if copies.Sets != 3 || copies.SetsHeldout != 1 {
		t.Errorf("1,000 samples in %d sets, 360 held-out in %d", copies.Sets, copies.SetsHeldout)
	}

	nearly := evaluate(t, first(train, 1000).edit(addNoise(0.02)))
	if nearly.MedianTrainDistance > 0.1*nearly.MedianTrainDistanceHeldout {
		t.Errorf("near copies: median distance %g, held-out's %g", nearly.MedianTrainDistance, nearly.MedianTrainDistanceHeldout)
	}

	// One picture a class, over and over, a little rough.
	collapsed := evaluate(t, heldout.edit(func(im *Images) {
		one := map[int32]int{}
		for i, l := range im.Labels {
			if _, ok := one[l]; !ok {
				one[l] = i
			}
			copy(im.points().row(i), heldout.points().row(one[l]))
		}
		addNoise(0.02)(im)
	}))
	if collapsed.Recall > 0.3*collapsed.RecallHeldout || collapsed.Coverage > 0.3*collapsed.CoverageHeldout {
		t.Errorf("collapsed: recall %g of %g, coverage %g of %g", collapsed.Recall, collapsed.RecallHeldout, collapsed.Coverage, collapsed.CoverageHeldout)
	}
	if collapsed.Frechet < 2*collapsed.FrechetHeldout || collapsed.ClassAccuracy < 0.85 {
		t.Errorf("collapsed: Fréchet distance %g, held-out's %g; accuracy %g", collapsed.Frechet, collapsed.FrechetHeldout, collapsed.ClassAccuracy)
	}

	// More noise, ever worse in every figure of fidelity.
	last := evaluate(t, heldout)
	for _, std := range []float32{0.3, 0.6, 1.2} {
		r := evaluate(t, heldout.edit(addNoise(std)))
		if r.Precision >= last.Precision || r.Density >= last.Density || r.Frechet <= last.Frechet ||
			r.ClassAccuracy > last.ClassAccuracy || r.MedianTrainDistance <= last.MedianTrainDistance {
			t.Errorf("noise %g: %+v is not worse than %+v", std, r, last)
		}
		last = r
	}
	if last.Precision > 0.5 {
		t.Errorf("mostly noise: precision %g", last.Precision)
	}

	// The right pictures under the wrong labels: only accuracy sees it.
	swapped := evaluate(t, heldout.edit(func(im *Images) {
		for i := range im.Labels {
			im.Labels[i] = (im.Labels[i] + 1) % 10
		}
	}))
	if swapped.ClassAccuracy > 0.02 || swapped.Precision != swapped.PrecisionHeldout {
		t.Errorf("wrong labels: accuracy %g, precision %g of %g", swapped.ClassAccuracy, swapped.Precision, swapped.PrecisionHeldout)
	}
	for c, a := range swapped.ClassAccuracyByClass {
		if a > 0.1 {
			t.Errorf("wrong labels: accuracy %g of class %d", a, c)
		}
	}

	// Values beyond white and black are shown as these.
	bright := evaluate(t, heldout.edit(func(im *Images) {
		for i, x := range im.Pixels {
			if x == 1 || x == -1 {
				im.Pixels[i] *= 1.5
			}
		}
	}))
	if bright.Frechet != bright.FrechetHeldout || bright.MedianTrainDistance != bright.MedianTrainDistanceHeldout {
		t.Errorf("values out of range change the figures: %+v", bright)
	}

	// A class that is never asked for costs recall; no label at all leaves accuracy open.
	without := evaluate(t, heldout.edit(func(im *Images) {
		var keep []int
		for i, l := range im.Labels {
			if l < 5 {
				keep = append(keep, i)
			}
		}
		im.Pixels = im.points().pick(keep).X
		im.Labels = nil
	}))
	if without.Recall > 0.7*without.RecallHeldout || !math.IsNaN(float64(without.ClassAccuracy)) {
		t.Errorf("half of the classes: recall %g of %g, accuracy %g", without.Recall, without.RecallHeldout, without.ClassAccuracy)
	}
}

// noisePictures are pictures of independent normal pixels, without labels.
func noisePictures(n int, seed uint64) Images {
	return Images{Pixels: normal(n, 16, 0, 0.3, seed).X, H: 4, W: 4, C: 1}
}

// Samples of the data's own distribution score as held-out data do, whatever their number. Computed from
// all 2,000 samples at once, the Fréchet distance would be a fifth of held-out's.
func TestUnequalNumbersCompareFairly(t *testing.T) {
	train, heldout := noisePictures(1500, 1), noisePictures(150, 2)
	for _, n := range []int{60, 150, 2000} {
		r, err := Evaluate(background, Input{Train: train, Heldout: heldout, Generated: noisePictures(n, 3)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Features != "pixels" || r.FeatureDim != 16 || r.SetSize != min(n, 150) {
			t.Errorf("%d: features %s %d, sets of %d", n, r.Features, r.FeatureDim, r.SetSize)
		}
		if n == 2000 {
			all := Frechet(NewGaussian(train.points()), NewGaussian(noisePictures(n, 3).points()))
			one := Frechet(NewGaussian(train.points()), NewGaussian(heldout.points()))
			if all > one/3 {
				t.Errorf("Fréchet distance of all: %g, of held-out: %g; the test shows nothing", all, one)
			}
		}
		for name, ratio := range map[string]Figure{
			"Fréchet distance": r.Frechet / r.FrechetHeldout,
			"precision":        r.Precision / r.PrecisionHeldout,
			"recall":           r.Recall / r.RecallHeldout,
			"coverage":         r.Coverage / r.CoverageHeldout,
			"density":          r.Density / r.DensityHeldout,
			"median distance":  r.MedianTrainDistance / r.MedianTrainDistanceHeldout,
		} {
			// Sets of 60 scatter by some 10 %.
			if ratio < 0.7 || ratio > 1.4 {
				t.Errorf("%d samples: %s is %.2f times held-out's", n, name, ratio)
			}
		}
	}
}

// Labels of one class can train no classifier: they are as good as none.
func TestOneClass(t *testing.T) {
	one := func(n int, seed uint64) Images {
		im := noisePictures(n, seed)
		im.Labels = make([]int32, n)
		return im
	}
	r := must[Report](t)(Evaluate(background, Input{Train: one(50, 1), Heldout: one(20, 2), Generated: one(20, 3), Classes: 1}))
	if r.Features != "pixels" || !math.IsNaN(float64(r.ClassAccuracy)) {
		t.Errorf("features %s, accuracy %g", r.Features, r.ClassAccuracy)
	}
}

func TestEvaluationIsDeterministic(t *testing.T) {
	in := Input{Train: stripes(60, 8, 8, 1), Heldout: stripes(20, 8, 8, 1).edit(addNoise(0.1)), Generated: stripes(50, 8, 8, 1).edit(addNoise(0.2)),
		Classes: 2, Config: ClassifierConfig{Updates: 20, Batch: 16}, Seed: 5}
	var stages []string
	in.Progress = func(p Progress) {
		if p.Done == p.Total {
			stages = append(stages, p.Stage)
		}
	}
	a := must[Report](t)(Evaluate(background, in))
	if want := []string{"classifier", "features", "training distance", "precision and recall"}; !slices.Equal(stages, want) {
		t.Errorf("stages %q, want %q", stages, want)
	}
	b := must[Report](t)(Evaluate(background, in))
	if !sameReport(t, a, b) || !a.Trained {
		t.Errorf("two evaluations differ: %+v and %+v", a, b)
	}
	in.Seed = 6
	if c := must[Report](t)(Evaluate(background, in)); c.Frechet == a.Frechet || c.Precision != a.Precision {
		t.Error("the seed should change the choice of sets and nothing else")
	}
}

// sameReport compares all that reports say, figures that were not measured too.
func sameReport(t *testing.T, a, b any) bool {
	t.Helper()
	return bytes.Equal(must[[]byte](t)(json.Marshal(a)), must[[]byte](t)(json.Marshal(b)))
}

func TestReportJSON(t *testing.T) {
	r := Report{N: 3, ClassAccuracy: 0.5, ClassAccuracyByClass: []Figure{1, Figure(math.NaN())}}
	r.Recall, r.Metrics = Figure(math.NaN()), []string{ClassAccuracy, Recall}
	text := must[[]byte](t)(json.Marshal(r))
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"class_accuracy", "frechet", "precision", "recall", "median_train_distance"} {
		for _, k := range []string{k, k + "_heldout"} {
			if _, ok := keys[k]; !ok {
				t.Errorf("no key %s in %s", k, text)
			}
		}
	}
	if keys["recall"] != nil || keys["class_accuracy"] != 0.5 {
		t.Errorf("recall %v, accuracy %v in %s", keys["recall"], keys["class_accuracy"], text)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(float64(back.Recall)) || fmt.Sprint(back) != fmt.Sprint(r) {
		t.Errorf("read back: %v", back)
	}
	if s := r.String(); !strings.Contains(s, "0.5000") || !strings.Contains(s, "–") {
		t.Errorf("table:\n%s", s)
	}
}

func TestEvaluateRefusesBadInput(t *testing.T) {
	ok := Input{Train: stripes(20, 8, 8, 1), Heldout: stripes(8, 8, 8, 1), Generated: stripes(8, 8, 8, 1), Classes: 2, Config: ClassifierConfig{Updates: 2}}
	for name, f := range map[string]func(in *Input){
		"other size": func(in *Input) { in.Generated = stripes(8, 8, 9, 1) },
		"too few":    func(in *Input) { in.Heldout = stripes(3, 8, 8, 1) },
		"none":       func(in *Input) { in.Generated.Pixels = nil },
		"label":      func(in *Input) { in.Generated = in.Generated.edit(func(im *Images) { im.Labels[2] = 2 }) },
		"NaN": func(in *Input) {
			in.Generated = in.Generated.edit(func(im *Images) { im.Pixels[2] = float32(math.NaN()) })
		},
		"no classes":       func(in *Input) { in.Classes = 0 },
		"other classifier": func(in *Input) { in.Classifier = newClassifierForTest(t, 8, 8, 3) },
		"other labels":     func(in *Input) { in.Classifier = newClassifierForTest(t, 8, 9, 2) },
		"all equal": func(in *Input) {
			in.Train = in.Train.edit(func(im *Images) { clear(im.Pixels); im.Labels = nil })
			in.Heldout.Labels, in.Generated.Labels = nil, nil
		},
	} {
		in := ok
		f(&in)
		var e *InputError
		if _, err := Evaluate(background, in); !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *InputError", name, err)
		}
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := Evaluate(ctx, ok); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func newClassifierForTest(t *testing.T, h, w, classes int) *Classifier {
	return newClassifier(must[*Classifier](t)(digitClassifier()).dev, h, w, 1, classes)
}
