package metrics

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

// imagesOf reads a whole source.
func imagesOf(s data.Source) Images {
	shape := s.Shape()
	im := Images{H: shape[0], W: shape[1], C: shape[2]}
	x := make([]float32, im.dim())
	for i := range s.Len() {
		l, err := s.Sample(uint64(i), x)
		if err != nil {
			panic(err)
		}
		im.Pixels = append(im.Pixels, x...)
		im.Labels = append(im.Labels, int32(l))
	}
	return im
}

var digits = sync.OnceValue(func() (parts [2]Images) {
	train, heldout := data.Digits()
	return [2]Images{imagesOf(train), imagesOf(heldout)}
})

// digitClassifier is trained once for all tests, with the default config.
var digitClassifier = sync.OnceValues(func() (*Classifier, error) {
	return TrainClassifier(background, cpu.Default(), digits()[0], 10, ClassifierConfig{}, nil)
})

// TestClassifierOnHeldoutDigits is the requirement: at least 97 % of the 360 digits that training
// never saw. With the default recipe six seeds gave 98.9 to 99.7 %.
func TestClassifierOnHeldoutDigits(t *testing.T) {
	start := time.Now()
	k := must[*Classifier](t)(digitClassifier())
	heldout := digits()[1]
	r := must[Reading](t)(k.Read(background, heldout))
	accuracy := r.Accuracy(heldout.Labels)
	t.Logf("accuracy %.4f on %d held-out digits after %v", accuracy, heldout.Len(), time.Since(start).Round(time.Millisecond))
	if accuracy < 0.98 {
		t.Errorf("accuracy %.4f, want at least 0.98", accuracy)
	}
	// The features of the training split have variance 1 on average over dimensions.
	train := must[Reading](t)(k.Read(background, digits()[0]))
	near(t, "variance of features", NewGaussian(train.Features).totalVariance()/FeatureDim, 1, 1e-5)
	if v := NewGaussian(r.Features).totalVariance() / FeatureDim; v < 0.5 || v > 1.5 {
		t.Errorf("variance %g of held-out features", v)
	}
}

// short trains for a few updates only.
func short(threads int, seed uint64) (*Classifier, error) {
	dev, err := cpu.New(cpu.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	return TrainClassifier(background, dev, digits()[0], 10, ClassifierConfig{Seed: seed, Updates: 25, Batch: 32}, nil)
}

func weights(k *Classifier) (w []float32) {
	for _, p := range k.params() {
		w = append(w, p.Float32s()...)
	}
	return append(w, k.scale)
}

func TestClassifierForAnyNumberOfThreads(t *testing.T) {
	one := weights(must[*Classifier](t)(short(1, 3)))
	if !slices.Equal(one, weights(must[*Classifier](t)(short(3, 3)))) {
		t.Error("three threads train another classifier than one")
	}
	if slices.Equal(one, weights(must[*Classifier](t)(short(1, 4)))) {
		t.Error("another seed trains the same classifier")
	}
}

// What a picture gives does not depend on the batch around it, nor on the order of pictures.
func TestReadingOfAPictureAlone(t *testing.T) {
	k := must[*Classifier](t)(short(2, 3))
	im := digits()[1]
	all := must[Reading](t)(k.Read(background, im))
	for _, i := range []int{0, 17, readBatch, im.Len() - 1} {
		one := im
		one.Pixels = im.Pixels[i*64 : (i+1)*64]
		r := must[Reading](t)(k.Read(background, one))
		if !slices.Equal(r.Logits.X, all.Logits.row(i)) || !slices.Equal(r.Features.X, all.Features.row(i)) {
			t.Errorf("picture %d alone reads differently", i)
		}
	}
}

func TestReading(t *testing.T) {
	r := Reading{Logits: Points{[]float32{1, 3, 2, 5, 5, 0, -1, -2, -1.5}, 3}}
	if p := r.Predicted(); !slices.Equal(p, []int32{1, 0, 0}) {
		t.Errorf("predicted %v", p)
	}
	near(t, "accuracy", r.Accuracy([]int32{1, 1, 0}), 2.0/3, eps)
	by := r.accuracyByClass([]int32{1, 1, 0})
	if by[0] != 1 || by[1] != 0.5 || !math.IsNaN(float64(by[2])) {
		t.Errorf("by class: %v", by)
	}
}

// stripes are pictures of two classes: stripes across or down, of random phase.
func stripes(n, h, w, c int) Images {
	im := Images{Pixels: make([]float32, n*h*w*c), Labels: make([]int32, n), H: h, W: w, C: c}
	for i := range n {
		im.Labels[i] = int32(i % 2)
		phase := 6 * rng.Float64(rng.Key{Seed: 8}, uint64(i), 0)
		for y := range h {
			for x := range w {
				along := y
				if i%2 == 1 {
					along = x
				}
				v := float32(math.Sin(phase + 2*math.Pi*float64(along)/6))
				for k := range c {
					im.Pixels[((i*h+y)*w+x)*c+k] = v
				}
			}
		}
	}
	return im
}

// Any size works: odd, not square, with colours, smaller than the pooling, larger than the network takes.
func TestClassifierOfOtherSizes(t *testing.T) {
	for _, s := range [][3]int{{7, 9, 3}, {3, 8, 1}, {32, 32, 3}, {50, 41, 1}} {
		im := stripes(40, s[0], s[1], s[2])
		k, err := TrainClassifier(background, cpu.Default(), im, 2, ClassifierConfig{Updates: 30, Batch: 16}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := must[Reading](t)(k.Read(background, im))
		if a := r.Accuracy(im.Labels); a < 0.95 {
			t.Errorf("%v: accuracy %g on stripes", s, a)
		}
	}
}

func TestClassifierRefusesBadInput(t *testing.T) {
	good := stripes(10, 8, 8, 1)
	change := func(f func(im *Images)) Images {
		im := good
		im.Pixels, im.Labels = slices.Clone(im.Pixels), slices.Clone(im.Labels)
		f(&im)
		return im
	}
	for name, c := range map[string]struct {
		im      Images
		classes int
		cfg     ClassifierConfig
	}{
		"one class":       {good, 1, ClassifierConfig{}},
		"label too large": {change(func(im *Images) { im.Labels[3] = 2 }), 2, ClassifierConfig{}},
		"negative label":  {change(func(im *Images) { im.Labels[3] = -1 }), 2, ClassifierConfig{}},
		"labels missing":  {change(func(im *Images) { im.Labels = im.Labels[:9] }), 2, ClassifierConfig{}},
		"no labels":       {change(func(im *Images) { im.Labels = nil }), 2, ClassifierConfig{}},
		"no pictures":     {change(func(im *Images) { im.Pixels = nil }), 2, ClassifierConfig{}},
		"no height":       {change(func(im *Images) { im.H = 0 }), 2, ClassifierConfig{}},
		"ragged":          {change(func(im *Images) { im.Pixels = im.Pixels[1:] }), 2, ClassifierConfig{}},
		"NaN":             {change(func(im *Images) { im.Pixels[70] = float32(math.NaN()) }), 2, ClassifierConfig{}},
		"updates below 0": {good, 2, ClassifierConfig{Updates: -1}},
	} {
		var e *InputError
		if _, err := TrainClassifier(background, cpu.Default(), c.im, c.classes, c.cfg, nil); !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *InputError", name, err)
		}
	}
	ctx, cancel := context.WithCancel(background)
	updates := 0
	_, err := TrainClassifier(ctx, cpu.Default(), good, 2, ClassifierConfig{}, func(done, _ int) {
		if updates = done; done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || updates != 3 {
		t.Errorf("cancelled at 3 updates: %v after %d", err, updates)
	}
	k := must[*Classifier](t)(short(1, 3))
	var e *InputError
	if _, err := k.Read(background, stripes(2, 9, 8, 1)); !errors.As(err, &e) {
		t.Errorf("pictures of another size: %v", err)
	}
}

func TestAugmentation(t *testing.T) {
	im := stripes(2, 9, 7, 2)
	src, dst := im.points().row(1), make([]float32, im.dim())
	// Nothing asked for: the same picture.
	augmentation{}.apply(dst, src, 9, 7, 2, rng.Key{Seed: 1}, 0)
	if !slices.Equal(dst, src) {
		t.Error("the identity changes the picture")
	}
	// Convex combinations of pixels stay within their range; they move, differently each time.
	a := augmentation{shift: 0.1, rotate: 0.2, zoom: 0.1}
	var last []float32
	for i := range uint64(20) {
		a.apply(dst, src, 9, 7, 2, rng.Key{Seed: 1}, i)
		if slices.Max(dst) > slices.Max(src)+1e-6 || slices.Min(dst) < slices.Min(src)-1e-6 {
			t.Error("a bent picture leaves the range of its pixels")
		}
		if slices.Equal(dst, src) || slices.Equal(dst, last) {
			t.Error("the picture is not bent anew")
		}
		last = slices.Clone(dst)
	}
	// Noise alone: of 2,000 pixels' noise the deviation is within 1/√(2·2000) of 0.1, four times.
	var sum float64
	for i := range uint64(16) {
		augmentation{noise: 0.1}.apply(dst, src, 9, 7, 2, rng.Key{Seed: 2}, i)
		for j := range dst {
			sum += float64(dst[j]-src[j]) * float64(dst[j]-src[j])
		}
	}
	near(t, "noise", math.Sqrt(sum/float64(16*len(dst))), 0.1, 4*0.1/math.Sqrt(2*16*float64(len(dst))))
}

// A quarter turn of a square picture maps pixel (y,x) to (side−1−x, y) or its inverse: a rotation by
// exactly 90° needs an amplitude that the random number scales, so the geometry is
// checked with the angle that the draw gives.
func TestAugmentationTurnsAboutTheMiddle(t *testing.T) {
	const side = 8
	key := rng.Key{Seed: 4}
	u := 2*rng.Float64(key, 0, 0) - 1
	src, dst := make([]float32, side*side), make([]float32, side*side)
	rng.Normal(src, key, 99)
	augmentation{rotate: math.Pi / 2 / u}.apply(dst, src, side, side, 1, key, 0)
	for y := range side {
		for x := range side {
			// Positions come out within some ulp of whole numbers, values within that times their differences.
			near(t, "turned", float64(dst[y*side+x]), float64(src[x*side+side-1-y]), 1e-5)
		}
	}
}

func TestShrink(t *testing.T) {
	im := Images{Pixels: []float32{
		1, 2, 3,
		4, 5, 6,
		7, 8, 9}, H: 3, W: 3, C: 1}
	s := im.shrink(2)
	if want := []float32{3, 4.5, 7.5, 9}; s.H != 2 || s.W != 2 || !slices.Equal(s.Pixels, want) {
		t.Errorf("3×3 shrinks to %v (%d×%d), want %v", s.Pixels, s.H, s.W, want)
	}
	if s := im.shrink(3); !slices.Equal(s.Pixels, im.Pixels) {
		t.Error("a picture that is small enough shrinks")
	}
	two := Images{Pixels: []float32{1, 10, 3, 30}, H: 1, W: 2, C: 2}
	if s := two.shrink(1); !slices.Equal(s.Pixels, []float32{2, 20}) {
		t.Errorf("channels mix: %v", s.Pixels)
	}
}
