package train

import (
	"context"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/record"
)

// Validation says when the loss on held-out data is taken, and what follows from it.
type Validation struct {
	Every    int64   `yaml:"every" doc:"training steps between losses on the held-out data, with the averaged weights and the same noise and times each time; 0: none" range:"[0,inf)"`
	Samples  int     `yaml:"samples" doc:"held-out samples it is taken on, the first ones" range:"[1,inf)"`
	Patience int     `yaml:"patience" doc:"losses in a row that are no new best before training stops; 0: it goes on" range:"[0,inf)"`
	MinDelta float64 `yaml:"min_delta" doc:"how much lower than the best so far a loss must be to be a new best" range:"[0,inf)"`
}

// SetDefaults takes no losses.
func (v *Validation) SetDefaults() { v.Samples = 1024 }

// validator takes the loss on held-out data, in memory and with random numbers
// of its own: training goes on as if it had not been.
type validator struct {
	scope  *tensor.Scope
	n      int
	batch  diffusion.Batch
	labels []int32
	draw   diffusion.Draw
}

// standing is how validation stands; it is part of a checkpoint.
type standing struct {
	Step  int64       `json:"step"`      // of the last loss
	Best  float64Bits `json:"best"`      // the lowest loss so far
	At    int64       `json:"best_step"` // its step; 0: there is none yet
	Stale int         `json:"stale"`     // losses since
}

// openValidation makes the validator, if losses are to be taken.
func (t *Trainer) openValidation() error {
	v := t.exp.Validation
	if v.Every == 0 {
		if v.Patience > 0 {
			return t.exp.places.Errorf("validation.patience", "is %d, and no losses are taken: set validation.every", v.Patience)
		}
		if t.exp.Checkpoint.Best {
			return t.exp.places.Errorf("checkpoint.best", "has nothing to go by: set validation.every")
		}
		return nil
	}
	src := t.data.Heldout
	if src == nil {
		return t.exp.places.Errorf("validation.every", "is %d, but the data hold nothing out: set data.heldout", v.Every)
	}
	n := v.Samples
	if src.Len() != data.Infinite {
		n = min(n, src.Len())
	}
	at := min(n, (t.exp.Batch+t.exp.Accumulate-1)/t.exp.Accumulate) // no more memory than a part of a training batch
	if t.prompts != nil {
		if _, ok := data.CaptionsOf(src); !ok {
			return t.exp.places.Errorf("validation.every", "is %d, but the data held out have no captions", v.Every)
		}
	}
	t.valid = &validator{scope: tensor.NewScope(t.dev, tensor.Inference), n: n, labels: make([]int32, at),
		batch: diffusion.Batch{Shape: src.Shape(), X: make([]float32, at*volume(src.Shape()))}}
	if t.source != nil {
		t.valid.batch.Source = make([]float32, len(t.valid.batch.X))
	}
	t.prompts.room(&t.valid.batch, at)
	t.vectorRoom(&t.valid.batch, at)
	if t.valid.batch.Vector != nil && data.VectorSize(src) != t.about().Vector {
		return t.exp.places.Errorf("validation.every", "is %d, but the data held out have vectors of %d numbers, not %d", v.Every, data.VectorSize(src), t.about().Vector)
	}
	return nil
}

// validationDue reports whether a loss on held-out data belongs to the present step and has not been taken.
func (t *Trainer) validationDue() bool {
	every := t.exp.Validation.Every
	return t.step > 0 && every > 0 && t.stands.Step < t.step && (t.step%every == 0 || t.step == t.exp.Steps)
}

// validate takes the loss on held-out data and keeps the weights if it is the best.
func (t *Trainer) validate(ctx context.Context) error {
	t.settle()
	loss, err := t.valid.loss(ctx, t)
	if err != nil {
		return err
	}
	s, opt := &t.stands, t.exp.Validation
	best := finite(loss) && (s.At == 0 || loss < float64(s.Best)-opt.MinDelta)
	if best {
		s.Best, s.At, s.Stale = float64Bits(loss), t.step, 0
	} else {
		s.Stale++
	}
	s.Step = t.step
	shown := math.NaN() // no loss so far has been finite
	if s.At > 0 {
		shown = float64(s.Best)
	}
	values := []record.Value{record.V("valid/loss", loss), record.V("valid/best", shown)}
	if err := t.metrics.Write(t.step, values...); err != nil {
		return unwritten(err)
	}
	if err := t.events.Scalars(t.step, values...); err != nil {
		return unwritten(err)
	}
	if best && t.exp.Checkpoint.Best {
		return t.saveTo(t.dir.Best())
	}
	return nil
}

// stale reports whether validation has given up on the run.
func (t *Trainer) stale() bool {
	p := t.exp.Validation.Patience
	return p > 0 && t.stands.Stale >= p
}

// loss is the mean loss on the held-out samples. Draws are numbered from the last
// step that there could be, which no training reaches.
func (v *validator) loss(ctx context.Context, t *Trainer) (float64, error) {
	size, sum := volume(v.batch.Shape), 0.0
	most := len(v.labels)
	var captioned data.Captioned
	if t.prompts != nil {
		captioned, _ = data.CaptionsOf(t.data.Heldout)
	}
	for from := 0; from < v.n; from += most {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(most, v.n-from)
		b := v.batch
		b.N, b.X = n, v.batch.X[:n*size]
		for i := range n {
			label, err := t.data.Heldout.Sample(uint64(from+i), b.X[i*size:(i+1)*size])
			if err != nil {
				return 0, fmt.Errorf("validation: %w", err)
			}
			v.labels[i] = int32(label)
		}
		if captioned != nil {
			t.prompts.part(&b, n)
			for i := range n {
				t.prompts.put(b.Tokens, b.TextMask, i, data.CaptionOf(captioned, t.exp.Seed, uint64(from+i), 0))
			}
		}
		if t.classes() > 0 {
			b.Labels = v.labels[:n]
		}
		if src, ok := data.VectorsOf(t.data.Heldout); ok && b.Vector != nil {
			b.Vector = b.Vector[:n*src.VectorSize()]
			vectorsFrom(src, from, b.Vector)
		}
		if b.Source != nil {
			b.Source = b.Source[:n*size]
			if err := startFrom(t.source.forSampling(), t.exp.Seed, uint64(from), b.Source); err != nil {
				return 0, fmt.Errorf("validation: %w", err)
			}
		}
		if t.job.Objective.Draw(rng.Key{Seed: t.exp.Seed, Step: math.MaxUint64 - uint64(from)}, &b, &v.draw); v.draw.Err != nil {
			return 0, fmt.Errorf("validation: %w", v.draw.Err)
		}
		v.scope.Reset()
		sum += t.job.Objective.Loss(v.scope, t.avgMod, &v.draw).Item() * float64(n)
	}
	return sum / float64(v.n), nil
}
