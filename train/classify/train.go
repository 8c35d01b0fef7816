package classify

import (
	"context"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

// Config says how a classifier is trained.
type Config struct {
	Seed    uint64
	Updates int
	Batch   int
	Width   int
	Rate    float64 // peak learning rate
}

// SetDefaults suits the digits.
func (c *Config) SetDefaults() { *c = Config{Updates: 2000, Batch: 128, Width: 64, Rate: 2e-3} }

// Streams of random numbers.
const (
	streamInit = 0x4e430000 + iota
	streamNoise
	streamTime
	streamDropout
)

// Train trains on labelled samples at all noise levels, angles uniform: AdamW with a cosine
// schedule, and an average of the weights. progress may be nil.
func Train(ctx context.Context, dev backend.Device, src data.Source, cfg Config, progress func(done, total int)) (*Classifier, error) {
	shape, classes := src.Shape(), src.Classes()
	if classes < 2 {
		return nil, fmt.Errorf("a classifier needs data in at least 2 classes; these have %d", classes)
	}
	if err := checkSizes(shape, classes, cfg.Width); err != nil {
		return nil, err
	}
	if cfg.Updates < 1 || cfg.Batch < 1 || !(cfg.Rate > 0) {
		return nil, fmt.Errorf("%d updates of %d samples at the rate %g: want at least 1 of each and a positive rate", cfg.Updates, cfg.Batch, cfg.Rate)
	}
	key := rng.Key{Seed: cfg.Seed, Stream: streamInit}
	k, err := newClassifier(nn.NewInit(dev, key), shape, classes, cfg.Width)
	if err != nil {
		return nil, err
	}
	average, err := newClassifier(nn.NewBlankInit(dev), shape, classes, cfg.Width)
	if err != nil {
		return nil, err
	}
	loader, err := data.NewLoader(src, data.Options{Seed: cfg.Seed})
	if err != nil {
		return nil, err
	}
	return average, k.fit(ctx, average, loader, cfg, progress)
}

// fit trains k and leaves the average of its weights in average.
func (k *Classifier) fit(ctx context.Context, average *Classifier, loader *data.Loader, cfg Config, progress func(done, total int)) error {
	params := nn.Params(k.net)
	adam := optim.AdamConfig{}
	adam.SetDefaults()
	adam.WeightDecay = 0.02
	opt := optim.NewAdamW(params, adam)
	ema, err := optim.NewEMA(params, nn.Params(average.net), optim.EMAConfig{Decay: 0.995, WarmUp: true})
	if err != nil {
		return err
	}
	rate := optim.Cosine{Decay: optim.Decay{WarmupConfig: optim.WarmupConfig{Warmup: cfg.Updates / 20}}}
	s := tensor.NewScope(k.dev, tensor.Recording)
	defer s.Close()
	n := cfg.Batch
	x, labels, at := make([]float32, n*volume(k.Shape)), make([]int32, n), diffusion.Step{T: make([]float64, n)}
	shape := append([]int{n}, k.Shape...)
	for step := range cfg.Updates {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := loader.Batch(uint64(step*n), x, labels); err != nil {
			return err
		}
		key := rng.Key{Seed: cfg.Seed, Step: uint64(step)}
		for i := range at.T { // stratified
			at.T[i] = (float64(i) + rng.Float64(key.WithStream(streamTime), uint64(i), 0)) / float64(n)
		}
		s.SetDropout(key.WithStream(streamDropout))
		noisy := diffusion.Noised(s.Tensor(x, shape...), s.Normal(key.WithStream(streamNoise), 0, shape...), diffusion.Trig{}, at)
		loss := s.Hold(k.On(diffusion.Trig{}).logits(noisy, at).CrossEntropy(s.Ints(labels, n)))
		grads := s.Grad(loss, params)
		opt.Step(s, grads, cfg.Rate*rate.Rate(step, cfg.Updates), optim.ClipScale(optim.GlobalNorm(s, grads), 1))
		ema.Update(s)
		if l := loss.Item(); math.IsNaN(l) || math.IsInf(l, 0) {
			return fmt.Errorf("training the classifier diverged: loss %v at update %d", l, step+1)
		}
		s.Reset()
		if progress != nil {
			progress(step+1, cfg.Updates)
		}
	}
	for _, p := range nn.Params(average.net) {
		p.Frozen = true
	}
	return nil
}
