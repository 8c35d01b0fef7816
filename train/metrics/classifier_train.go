package metrics

import (
	"context"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// ClassifierConfig says how a classifier is trained. The zero value of a field stands for its default.
type ClassifierConfig struct {
	Seed    uint64
	Updates int // number of updates; default 1000
	Batch   int // pictures an update; default 64
}

func (c ClassifierConfig) withDefaults() ClassifierConfig {
	if c.Updates == 0 {
		c.Updates = 1000
	}
	if c.Batch == 0 {
		c.Batch = 64
	}
	return c
}

func (c ClassifierConfig) check() error {
	if c.Updates < 1 || c.Batch < 1 {
		return inputError("classifier: %d updates of %d pictures, want at least 1 of each", c.Updates, c.Batch)
	}
	return nil
}

// The recipe. Averaging the weights over the last updates makes up for the small batch.
const (
	peakRate    = 2e-3
	weightDecay = 0.02
	dropout     = 0.2
	averageOver = 0.99
)

var recipe = augmentation{shift: 0.1, rotate: 0.2, zoom: 0.1, noise: 0.05}

// Streams of random numbers.
const (
	streamInit    = 0x434c0000
	streamOrder   = 0x434c0100
	streamAugment = 0x434c0200 // and the next
	streamDropout = 0x434c0300 // and on
)

// TrainClassifier trains a classifier on labelled pictures: AdamW with a cosine
// schedule, pictures shifted, rotated, zoomed and roughened by noise, dropout, an average of the
// weights. The result depends on the pictures, the config and the device's level
// alone, not on the number of threads. progress may be nil; done counts updates.
func TrainClassifier(ctx context.Context, dev backend.Device, train Images, classes int, cfg ClassifierConfig, progress func(done, total int)) (*Classifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := checkTraining(train, classes); err != nil {
		return nil, err
	}
	net := newClassifier(dev, train.H, train.W, train.C, classes)
	if err := net.init(rng.Key{Seed: cfg.Seed, Stream: streamInit}); err != nil {
		return nil, err
	}
	average := newClassifier(dev, train.H, train.W, train.C, classes)
	average.fingerprint = Fingerprint(train, classes, cfg)
	if err := net.fit(ctx, average, train, cfg, progress); err != nil {
		return nil, err
	}
	if err := average.calibrate(ctx, train); err != nil {
		return nil, err
	}
	return average, nil
}

func checkTraining(train Images, classes int) error {
	switch {
	case classes < 2:
		return inputError("classifier: %d classes, want at least 2", classes)
	case train.Labels == nil:
		return inputError("classifier: the training pictures have no labels")
	}
	return train.check("training pictures", classes)
}

// fit trains k and leaves the average of its weights in average.
func (k *Classifier) fit(ctx context.Context, average *Classifier, train Images, cfg ClassifierConfig, progress func(done, total int)) error {
	params := k.params()
	adam := optim.AdamConfig{}
	adam.SetDefaults()
	adam.WeightDecay = weightDecay
	opt := optim.NewAdamW(params, adam)
	ema, err := optim.NewEMA(params, average.params(), optim.EMAConfig{Decay: averageOver, WarmUp: true})
	if err != nil {
		return err
	}
	schedule := optim.Cosine{Decay: optim.Decay{WarmupConfig: optim.WarmupConfig{Warmup: cfg.Updates / 20}}}

	s := tensor.NewScope(k.dev, tensor.Recording)
	defer s.Close()
	draw := newDrawer(train.shrink(largestSide), cfg)
	for step := range cfg.Updates {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, labels := draw.next(step)
		s.SetDropout(rng.Key{Seed: cfg.Seed, Stream: streamDropout, Step: uint64(step)})
		_, logits := k.forward(s.Tensor(x, cfg.Batch, k.h, k.w, k.C), dropout)
		loss := s.Hold(logits.CrossEntropy(s.Ints(labels, cfg.Batch)))
		grads := s.Grad(loss, params)
		clip := optim.ClipScale(optim.GlobalNorm(s, grads), 1)
		opt.Step(s, grads, peakRate*schedule.Rate(step, cfg.Updates), clip)
		ema.Update(s)
		if l := loss.Item(); math.IsNaN(l) || math.IsInf(l, 0) {
			return fmt.Errorf("metrics: training the classifier diverged: loss %v at update %d", l, step+1)
		}
		s.Reset()
		if progress != nil {
			progress(step+1, cfg.Updates)
		}
	}
	return nil
}

// calibrate sets the scale of the features: the training split's get variance 1, averaged over dimensions.
func (k *Classifier) calibrate(ctx context.Context, train Images) error {
	k.scale = 1
	r, err := k.Read(ctx, train)
	if err != nil {
		return err
	}
	if v := NewGaussian(r.Features).totalVariance() / FeatureDim; v > 0 {
		k.scale = float32(1 / math.Sqrt(v))
	}
	return nil
}

// drawer gives batches: the pictures in a new random order in every pass, each bent anew.
type drawer struct {
	train  Images
	cfg    ClassifierConfig
	order  []int
	pass   int
	pixels []float32
	labels []int32
}

func newDrawer(train Images, cfg ClassifierConfig) *drawer {
	return &drawer{train: train, cfg: cfg, pass: -1,
		pixels: make([]float32, cfg.Batch*train.dim()), labels: make([]int32, cfg.Batch)}
}

func (d *drawer) next(step int) ([]float32, []int32) {
	n, size := d.train.Len(), d.train.dim()
	key := rng.Key{Seed: d.cfg.Seed, Stream: streamAugment}
	for b := range d.cfg.Batch {
		count := step*d.cfg.Batch + b
		if pass := count / n; pass != d.pass {
			d.pass = pass
			d.order = permutation(n, rng.Key{Seed: d.cfg.Seed, Stream: streamOrder, Step: uint64(pass)})
		}
		i := d.order[count%n]
		recipe.apply(d.pixels[b*size:(b+1)*size], d.train.Pixels[i*size:(i+1)*size], d.train.H, d.train.W, d.train.C, key, uint64(count))
		d.labels[b] = d.train.Labels[i]
	}
	return d.pixels, d.labels
}
