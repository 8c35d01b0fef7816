package train

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/classify"
)

// NoisyAccuracy is the part of held-out samples whose class a classifier finds at a noise level.
type NoisyAccuracy struct {
	Time     float64 // θ/(π/2), θ = atan(σ/α): 0 is data, 1 noise
	Accuracy float64
}

// TrainClassifier trains a classifier of noisy samples on a run's data, for classifier guidance of
// models of these data on any path, and says how good it is on held-out data; nil where there are none.
func TrainClassifier(ctx context.Context, t *Trained, cfg classify.Config, progress func(done, total int)) (*classify.Classifier, []NoisyAccuracy, error) {
	if t.Exp == nil {
		return nil, nil, fmt.Errorf("%s was not trained here: a classifier needs a run, whose config names the data", t.Path)
	}
	ds, err := t.Exp.openData(ctx)
	if err != nil {
		return nil, nil, err
	}
	if ds.Train.Classes() < 2 {
		return nil, nil, t.Exp.places.Errorf("data", "has no classes to tell apart")
	}
	if p := confined(t.Model); p != nil {
		return nil, nil, fmt.Errorf("%s is a flow on %v: classifiers are of data with normal noise", t.Path, p)
	}
	k, err := classify.Train(ctx, t.Device, ds.Train, cfg, progress)
	if err != nil || ds.Heldout == nil {
		return k, nil, err
	}
	x, labels, err := takeSamples(ds.Heldout, 2000)
	if err != nil {
		return nil, nil, err
	}
	var found []NoisyAccuracy
	for i, at := range []float64{0, 0.25, 0.5, 0.75, 0.9} {
		found = append(found, NoisyAccuracy{at, k.Accuracy(x, labels, at, rng.Key{Seed: cfg.Seed, Stream: streamAccuracy, Step: uint64(i)})})
	}
	return k, found, nil
}

// streamAccuracy is that of the noise of held-out samples.
const streamAccuracy = 0x4e430100
