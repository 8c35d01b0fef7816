package sampler_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// classes of the networks below; the label of the null class.
const classes = 3

// small is a network with the shape of its samples.
type small struct {
	name  string
	net   nn.Model
	shape []int
}

// networks are one of each family, with random weights in every layer, zero-initialised ones included.
func networks(t testing.TB) []small {
	in := nn.NewInit(cpu.Default(), rng.Key{Seed: 1})
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var mo nn.ResidualMLPOptions
	mo.SetDefaults()
	mo.Dim, mo.Width, mo.Depth, mo.Classes = 2, 16, 2, classes
	mlp, err := nn.NewResidualMLP(in, mo)
	must(err)
	var uo nn.UNetOptions
	uo.SetDefaults()
	uo.InChannels, uo.Channels, uo.Layers, uo.Groups, uo.HeadDim, uo.Classes = 1, []int{8, 16}, 1, 4, 8, classes
	unet, err := nn.NewUNet(in, uo)
	must(err)
	var do nn.DiTOptions
	do.SetDefaults()
	do.InChannels, do.Width, do.Depth, do.Heads, do.Classes = 1, 16, 2, 2, classes
	dit, err := nn.NewDiT(in, do)
	must(err)
	all := []small{{"mlp", mlp, []int{2}}, {"unet", unet, []int{8, 8, 1}}, {"dit", dit, []int{4, 4, 1}}}
	for _, n := range all {
		for i, p := range nn.Params(n.net) {
			if p.Frozen {
				continue
			}
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			noise := s.Normal(rng.Key{Seed: 2, Stream: uint32(i)}, 0, p.Elems()).Float32s()
			s.Close()
			values := p.Float32s()
			for j := range values {
				values[j] += 0.1 * noise[j]
			}
			must(p.Set(values))
		}
	}
	return all
}

// model is a network as a model of a path, guided with a scale other than 0.
func (n small) model(path diffusion.GaussianPath, predicts diffusion.Kind, scale float64) diffusion.Model {
	var m diffusion.Model = &diffusion.NetModel{
		Net:   func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return n.net.Forward(x, t, nn.Cond(c)) },
		Along: path, Predicts: predicts,
	}
	if scale != 0 {
		m = &guidance.CFG{Of: m, Strength: guidance.Strength{Scale: scale}, Classes: classes}
	}
	return m
}

// labelled is the condition of sample i being of class (first+i) mod classes.
func labelled(n, first int) func(s *tensor.Scope) diffusion.Cond {
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32((first + i) % classes)
	}
	return func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Labels: s.Ints(labels, len(labels))} }
}

// steady counts what f allocates a run, on all goroutines: alone, as testing.AllocsPerRun
// has it, and with every worker of the device's pool. There, a kernel may find the free list of
// another thread empty once or twice; what allocates in every run does so in every round.
func steady(t *testing.T, name string, f func()) {
	t.Helper()
	const warm, rounds, runs = 5, 20, 3
	for range warm {
		f()
	}
	if n := testing.AllocsPerRun(runs, f); n != 0 {
		t.Errorf("%s: %g allocations a run on one thread", name, n)
	}
	least := uint64(math.MaxUint64)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			f()
		}
		runtime.ReadMemStats(&after)
		if least = min(least, (after.Mallocs-before.Mallocs)/runs); least == 0 {
			return
		}
	}
	t.Errorf("%s: %d allocations a run on %d threads", name, least, runtime.GOMAXPROCS(0))
}

// A run of a plan allocates nothing once its shapes are known: no sampler, network or guidance does.
func TestPlanAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	path := diffusion.CondOT{}
	grid := []float64{0.99, 0.9, 0.6, 0.3, 0.1, 0} // where alpha is 0, some samplers cannot start
	for _, e := range sampler.Samplers {
		t.Run(e.Name, func(t *testing.T) {
			how := e.New()
			switch v := how.(type) { // fewer evaluations
			case *sampler.AnnealedLangevin:
				v.Steps = 2
			case *sampler.RePaint:
				v.Resample = 2
			case *sampler.Dopri5:
				v.RTol, v.ATol = 0.1, 0.1
			}
			for _, n := range networks(t) {
				for _, scale := range []float64{0, 2} {
					for _, batch := range []int{1, 8} {
						s := tensor.NewScope(cpu.Default(), tensor.Inference)
						p, err := sampler.NewPlan(s, n.model(path, diffusion.Velocity, scale), how, grid, sampler.Options{Cond: labelled(batch, 0)})
						if err != nil {
							t.Fatal(err)
						}
						shape := append([]int{batch}, n.shape...)
						steady(t, fmt.Sprintf("%s, guidance %g, batch %d", n.name, scale, batch), func() {
							p.First += uint64(batch)
							if _, err := p.Draw(context.Background(), shape...); err != nil {
								t.Fatal(err)
							}
						})
						p.Close()
						s.Close()
					}
				}
			}
		})
	}
}
