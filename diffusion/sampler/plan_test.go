package sampler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// remembering is a guided model with a memory.
func (n small) remembering(path diffusion.GaussianPath) diffusion.Model {
	m := &guidance.CFG{Of: n.model(path, diffusion.Velocity, 0), Strength: guidance.Strength{Scale: 2}, Classes: classes,
		Rule: &guidance.APG{Momentum: -0.5, Norm: 1, In: "x0"}}
	return sampler.EpsScaling{Bias: 1.01}.Model(m) // which passes trajectories on
}

// Runs of a plan are those of Sample, also after one of another shape, of other samples, or one that was cancelled.
func TestPlanRunsLikeSample(t *testing.T) {
	n := networks(t)[0]
	m := n.remembering(diffusion.CondOT{})
	key := rng.Key{Seed: 7}
	for _, e := range sampler.Samplers {
		how := quick(e.New())
		for _, wide := range []bool{false, true} {
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			o := sampler.Options{Key: key, Float64: wide, Cond: labelled(3, 0)}
			x, err := sampler.Sample(context.Background(), s, m, how, someTimes, sampler.Start(s, m.Path(), someTimes[0], key, 0, 3, 2), o)
			if err != nil {
				t.Fatal(err)
			}
			want := x.Float32s()
			p, err := sampler.NewPlan(s, m, how, someTimes, o)
			if err != nil {
				t.Fatal(err)
			}
			draw := func(ctx context.Context, first uint64, count int) ([]float32, error) {
				p.First, p.Cond = first, labelled(count, int(first))
				x, err := p.Draw(ctx, count, 2)
				if err != nil {
					return nil, err
				}
				return x.Float32s(), nil
			}
			check := func(what string) {
				t.Helper()
				got, err := draw(context.Background(), 0, 3)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, float64 %t, %s: %v, %v, want %v", e.Name, wide, what, got, err, want)
				}
			}
			check("the first run")
			check("the second run")
			if got, err := draw(context.Background(), 1, 2); err != nil || !slices.Equal(got, want[2:]) {
				t.Errorf("%s, float64 %t: samples 1 and 2 are %v, %v, want %v", e.Name, wide, got, err, want[2:])
			}
			check("after another shape")
			cancelled, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := draw(cancelled, 0, 3); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: cancelled: %v", e.Name, err)
			}
			check("after one that was cancelled")
			x, err = p.Draw(context.Background(), 3, 2)
			p.Close()
			p.Close() // again
			if got := x.Float32s(); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: after Close the result is %v, %v, want %v", e.Name, got, err, want)
			}
			if _, err := p.Draw(context.Background(), 3, 2); err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("%s: a plan that is closed: %v", e.Name, err)
			}
			s.Close()
		}
	}
}

// A run that fails in the model leaves a plan that runs.
func TestPlanAfterFailure(t *testing.T) {
	n := networks(t)[0]
	broken := true
	m := &diffusion.NetModel{Along: diffusion.CondOT{}, Predicts: diffusion.Velocity,
		Net: func(x, tt *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			if broken && tt.Item() < 0.5 {
				panic(&diffusion.UndeterminedError{From: diffusion.Eps, To: diffusion.X0})
			}
			return n.model(diffusion.CondOT{}, diffusion.Velocity, 0).Eval(x, diffusion.Step{T: []float64{tt.Item()}}, c).Value
		}}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	heun, err := sampler.New(sampler.Samplers, "unipc")
	if err != nil {
		t.Fatal(err)
	}
	p, err := sampler.NewPlan(s, m, heun, someTimes, sampler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Draw(context.Background(), 2, 2); err == nil || !strings.Contains(err.Error(), "step") {
		t.Errorf("a model that fails: %v", err)
	}
	broken = false
	x, err := p.Draw(context.Background(), 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	got := x.Float32s()
	s.Reset()
	x, err = sampler.Sample(context.Background(), s, m, heun, someTimes, sampler.Start(s, m.Path(), someTimes[0], rng.Key{}, 0, 2, 2), sampler.Options{})
	if err != nil || !slices.Equal(x.Float32s(), got) {
		t.Errorf("after a failure %v, want %v, %v", got, x.Float32s(), err)
	}
}

// In sampling all samples are at one time, and networks are told so, with a t of one element, of
// which they compute one embedding (to the bit that of a time each: nn's TestSharedTimeEqualsATimeEach).
func TestNetworksSeeOneTime(t *testing.T) {
	n := networks(t)[0]
	asked := 0
	net := func(x, tt *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
		asked++
		if tt.Elems() != 1 {
			t.Errorf("%d times for %d samples", tt.Elems(), x.Dim(0))
		}
		return n.net.Forward(x, tt, nn.Cond(c))
	}
	of := &diffusion.NetModel{Net: net, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	strength := guidance.Strength{Scale: 2}
	heun, err := sampler.New(sampler.Samplers, "heun")
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	for _, m := range []diffusion.Model{
		of,
		&guidance.CFG{Of: of, Strength: strength, Classes: classes},
		&guidance.Auto{Of: of, Weaker: of, Strength: strength},
		&guidance.Costed{Of: of, J: guidance.NearMean(0, 1), Through: true, Strength: strength},
		diffusion.Along(of, diffusion.VP{Beta0: 0.1, Beta1: 20}),
		sampler.EpsScaling{Bias: 1.01}.Model(of),
	} {
		for _, wide := range []bool{false, true} {
			s.Reset()
			before := asked
			if _, err := sampler.Sample(context.Background(), s, m, heun, someTimes, s.Ones(4, 2), sampler.Options{Cond: labelled(4, 0), Float64: wide}); err != nil {
				t.Fatal(err)
			}
			if asked == before {
				t.Errorf("%T did not ask its network", m)
			}
		}
	}
}

// Goroutines with a scope and a plan each share a model, a sampler and a grid, and draw, to the
// bit, the samples that one of them draws alone.
func TestManyGoroutines(t *testing.T) {
	const workers, each, rounds = 8, 2, 3
	unipc, err := sampler.New(sampler.Samplers, "unipc")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks(t) {
		m := n.remembering(diffusion.CondOT{})
		worker := func(w int) (out [][]float32) {
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			defer s.Close()
			p, err := sampler.NewPlan(s, m, unipc, someTimes, sampler.Options{Key: rng.Key{Seed: 3}})
			if err != nil {
				t.Error(err)
				return nil
			}
			defer p.Close()
			shape := append([]int{each}, n.shape...)
			for round := range rounds {
				first := (round*workers + w) * each
				p.First, p.Cond = uint64(first), labelled(each, first)
				x, err := p.Draw(context.Background(), shape...)
				if err != nil {
					t.Error(err)
					return nil
				}
				out = append(out, x.Float32s())
			}
			return out
		}
		var together, alone [workers][][]float32
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() { together[w] = worker(w) })
		}
		all.Wait()
		for w := range workers {
			alone[w] = worker(w)
			for round := range rounds {
				if len(together[w]) == rounds && !slices.Equal(together[w][round], alone[w][round]) {
					t.Errorf("%s, goroutine %d, round %d: %v, alone %v", n.name, w, round, together[w][round], alone[w][round])
				}
			}
		}
	}
}
