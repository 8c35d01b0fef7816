package train

import (
	"context"

	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

// openSource opens what a flow starts from; nil where that is normal noise.
func (l *Loaded) openSource(ctx context.Context, job *Job, shape []int) (*Dataset, error) {
	if job.Source == nil {
		return nil, nil
	}
	d, err := job.Source(DataArg{Ctx: ctx, Dir: ".", Seed: sourceSeed(l.Seed)})
	if err != nil {
		return nil, l.at("objective.source", err)
	}
	if got := d.Train.Shape(); !equalShape(got, shape) {
		return nil, l.places.Errorf("objective.source", "has samples of shape %v, the data have %v: a flow needs both alike", got, shape)
	}
	return d, nil
}

// sourceSeed sets the draws of a source apart from those of the data.
func sourceSeed(seed uint64) uint64 { return rng.Bits(rng.Key{Seed: seed, Stream: streamSource}, 0, 0) }

// forSampling is the part of a source that samples start from: what is held out, if anything is.
func (d *Dataset) forSampling() data.Source {
	switch {
	case d == nil:
		return nil
	case d.Heldout != nil:
		return d.Heldout
	}
	return d.Train
}

// startFrom writes samples first… of a source, in an order that the seed chooses, to x. An
// endless source is read from a place that the seed chooses.
func startFrom(src data.Source, seed, first uint64, x []float32) error {
	order := data.NewOrder(src.Len(), seed)
	if src.Len() == data.Infinite {
		first += rng.Bits(rng.Key{Seed: seed, Stream: streamStart}, 0, 0) >> 16 // so that it does not wrap around
	}
	size := volume(src.Shape())
	for i := range len(x) / size {
		index, _ := order.At(first + uint64(i))
		if _, err := src.Sample(index, x[i*size:(i+1)*size]); err != nil {
			return err
		}
	}
	return nil
}

// openPairs opens what is trained on in place of the data. Starts and samples are read in one order.
func (t *Trainer) openPairs(ctx context.Context) (err error) {
	if t.job.Pairs == nil {
		return nil
	}
	exp, at := t.exp, "objective.pairs"
	if t.pairs, err = t.job.Pairs(DataArg{Ctx: ctx, Dir: ".", Seed: exp.Seed}); err != nil {
		return exp.at(at, err)
	}
	r := t.pairs.Recipe
	switch {
	case exp.Validation.Every > 0:
		return exp.places.Errorf("validation.every", "is %d, but pairs hold nothing out", exp.Validation.Every)
	case exp.Flip:
		return exp.places.Errorf("flip", "has no place with pairs: a mirrored sample is not where its start leads")
	case !equalShape(r.Shape, t.data.Train.Shape()):
		return exp.places.Errorf(at, "are of shape %v, the data have %v", r.Shape, t.data.Train.Shape())
	case t.about().Vector > 0 && r.Vector != t.about().Vector:
		return exp.places.Errorf(at, "keep vectors of %d numbers (0: none), and the network is conditioned on %d: set conditional: false", r.Vector, t.about().Vector)
	case t.prompts != nil && !r.Prompts:
		return exp.places.Errorf(at, "keep no prompts, and the network takes them: set text: null")
	case t.classes() > 0 && r.Classes != t.classes():
		return exp.places.Errorf(at, "are of %d classes, the network is conditioned on %d", r.Classes, t.classes())
	}
	opt := data.Options{Seed: exp.Seed}
	if t.loader, err = data.NewLoader(t.pairs.Samples, opt); err != nil {
		return exp.at(at, err)
	}
	t.starts, err = data.NewLoader(t.pairs.Noise, opt)
	return exp.at(at, err)
}
