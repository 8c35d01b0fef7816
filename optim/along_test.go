package optim

import (
	"fmt"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// TestStepAlong holds that an average moved in the sweep of the update has the
// bits of one that is moved afterwards, and so have the weights and moments:
// also beside parameters without gradient, frozen ones, rules that cannot do
// it, and parameters in no group.
func TestStepAlong(t *testing.T) {
	sizes := []int{3, 1, 40, 17, 64, 5000}
	rules := map[string]func(ps []*tensor.Param) Optimizer{
		"adamw": func(ps []*tensor.Param) Optimizer {
			return NewAdamW(ps, AdamConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1})
		},
		"adam": func(ps []*tensor.Param) Optimizer {
			return NewAdam(ps, AdamConfig{Beta1: 0.8, Beta2: 0.999, Eps: 1e-6, WeightDecay: 0.1})
		},
		"groups": func(ps []*tensor.Param) Optimizer {
			first, second := ps[1:4], []*tensor.Param{ps[5], ps[0]}
			g, err := NewGroups(ps,
				Group{Params: first, Rule: NewSGD(first, SGDConfig{Momentum: 0.9}), LR: 0.5},
				Group{Params: second, Rule: NewAdamW(second, AdamConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}), LR: 2})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			run := func(along bool) []float32 {
				random := uint64(0)
				draw := func(n int) []float32 {
					x := make([]float32, n)
					rng.Normal(x, rng.Key{Seed: 3}, random)
					random++
					return x
				}
				var ps, avg []*tensor.Param
				for i, n := range sizes {
					p, a := tensor.NewParam(cpu.Default(), tensor.Float32, n), tensor.NewParam(cpu.Default(), tensor.Float32, n)
					p.Name = fmt.Sprint("p", i)
					if err := p.Set(draw(n)); err != nil {
						t.Fatal(err)
					}
					ps, avg = append(ps, p), append(avg, a)
				}
				ps[3].Frozen = true
				o := rule(ps)
				e, err := NewEMA(ps, avg, EMAConfig{Decay: 0.9, WarmUp: true})
				if err != nil {
					t.Fatal(err)
				}
				for i, a := range avg { // from elsewhere, so that all move
					if err := a.Set(draw(sizes[i])); err != nil {
						t.Fatal(err)
					}
				}
				if f, ok := o.(followed); along && (!ok || !f.of(ps)) {
					t.Fatal("the rule moves no average along")
				}
				s := tensor.NewScope(cpu.Default(), tensor.Recording)
				defer s.Close()
				for step := range 4 {
					s.Reset()
					grads := make([]*tensor.Tensor, len(ps))
					for i, n := range sizes {
						if g := draw(n); i != 2 || step%2 == 1 {
							grads[i] = s.Tensor(g, n)
						}
					}
					if along {
						e.Step(o, s, grads, 0.01, 0.7)
					} else {
						o.Step(s, grads, 0.01, 0.7)
						e.Update(s)
					}
				}
				if o.Steps() != 4 || e.Steps() != 4 {
					t.Errorf("%d and %d steps counted, want 4", o.Steps(), e.Steps())
				}
				var all []float32
				for _, p := range slices.Concat(ps, o.State(), e.State()) {
					all = append(all, p.Float32s()...)
				}
				return all
			}
			if want, got := run(false), run(true); !slices.Equal(got, want) {
				t.Error("weights, moments or averages differ from those of two sweeps")
			}
		})
	}
}
