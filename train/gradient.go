package train

import (
	"context"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// key numbers the randomness of the step in hand.
func (t *Trainer) key() rng.Key { return rng.Key{Seed: t.exp.Seed, Step: uint64(t.step)} }

// gradient is the loss of the step's draw, and its gradient for the parameters that
// are trained. A batch that is computed in parts has been drawn whole: times,
// noise, couplings, dropped conditions and units are the same in any number of parts.
// Between parts, when ctx is cancelled, it gives up.
func (t *Trainer) gradient(ctx context.Context) (loss float64, grads []*tensor.Tensor, err error) {
	t.losses = t.losses[:0]
	if t.parts == nil {
		l := t.lossOf(t.scope, &t.draw)
		grads = t.scope.Grad(l, t.updated)
		t.hear(&t.draw)
		return l.Item(), grads, nil
	}
	n, k := t.draw.N, t.exp.Accumulate
	for i := range k {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		from, to := n*i/k, n*(i+1)/k
		t.draw.Part(&t.part, from, to)
		l := t.lossOf(t.scope, &t.part)
		share := float64(to-from) / float64(n)
		t.parts.Add(t.scope, t.scope.Grad(l, t.updated), share)
		t.hear(&t.part)
		loss += share * l.Item()
	}
	return loss, t.parts.Sum(t.scope), nil
}

// hear takes note of each sample's loss, where they are recorded or the objective learns from them.
func (t *Trainer) hear(d *diffusion.Draw) {
	if d.Wants || t.observer != nil {
		t.losses = d.AppendLosses(t.losses)
	}
}

// lossOf is the loss of a draw in the empty scope s.
func (t *Trainer) lossOf(s *tensor.Scope, d *diffusion.Draw) *tensor.Tensor {
	s.Reset()
	s.SetDropoutFrom(t.key().WithStream(streamDropout), d.First)
	l := t.job.Objective.Loss(s, t.model, d)
	t.saved = s.MemoryInUse()
	return l
}
