package figure

import (
	"context"
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/train"
)

// way are states along trajectories.
type way struct {
	times  []float64
	states [][]float32 // of each time, (N,D)
}

// noise is whether a sampler adds noise of its own.
type noise uint8

const (
	mayAdd noise = iota
	mustAdd
	mustNot
)

// trajectories are those of n samples from the noise to the data by the scene's sampler.
func (s *Scene) trajectories(ctx context.Context, n int, added noise) (*way, error) {
	return s.trajectoriesBy(ctx, n, "", added)
}

// trajectoriesBy are those of a sampler by name.
func (s *Scene) trajectoriesBy(ctx context.Context, n int, kind string, added noise) (*way, error) {
	d := s.Drawer
	if kind != "" {
		v, err := train.Samplers.Lookup(kind)
		if err != nil {
			return nil, err
		}
		d.How.Sampler, d.Sampler = v, nil
	}
	if added == mustAdd {
		if built, err := d.How.Sampler.Build(train.SamplerArg{}); err != nil {
			return nil, err
		} else if r, ok := built.(sampler.Reversible); ok && r.Reversible() {
			return nil, fmt.Errorf("the sampler %s adds no noise: take one that does, such as euler_maruyama", d.How.Sampler.Kind)
		}
	}
	w := &way{}
	q := s.request(n)
	q.Still = added == mustNot
	q.Trace = func(p diffusion.Point, _ int, x []float32) {
		w.times, w.states = append(w.times, p.T), append(w.states, slices.Clone(x))
	}
	d.How.Batch = n // one batch, so that times come once
	if _, err := d.Draw(ctx, q); err != nil {
		return nil, err
	}
	return w, nil
}
