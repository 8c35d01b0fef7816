package sampler_test

import (
	"context"
	"fmt"
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

// someTimes are of CondOT and VP.
var someTimes = []float64{1, 0.9, 0.6, 0.3, 0.1, 0}

// quick is a sampler with fewer evaluations.
func quick(how sampler.Sampler) sampler.Sampler {
	switch v := how.(type) {
	case *sampler.AnnealedLangevin:
		v.Steps = 2
	case *sampler.RePaint:
		v.Resample = 2
	case *sampler.Dopri5:
		v.RTol, v.ATol = 0.1, 0.1
	}
	return how
}

// steady holds that f allocates nothing once it is warm.
func steady(t *testing.T, name string, f func()) {
	t.Helper()
	if n := testenv.Allocs(t, f); n != 0 {
		t.Errorf("%s: %g allocations a run", name, n)
	}
}

// A run of a plan allocates nothing once its shapes are known: no sampler, network or guidance does.
func TestPlanAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	path := diffusion.CondOT{}
	nets, scales, batches := networks(t), []float64{0, 2}, []int{1, 8}
	if testing.Short() {
		scales, batches = scales[1:], batches[:1]
	}
	for _, e := range sampler.Samplers {
		t.Run(e.Name, func(t *testing.T) {
			how := quick(e.New())
			for _, n := range nets {
				for _, scale := range scales {
					for _, batch := range batches {
						s := tensor.NewScope(cpu.Default(), tensor.Inference)
						p, err := sampler.NewPlan(s, n.model(path, diffusion.Velocity, scale), how, someTimes, sampler.Options{Cond: labelled(batch, 0)})
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

// Nor do the options, other paths, or guidance with a memory.
func TestPlanOptionsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	const batch = 8
	n := networks(t)[0]
	flow := func() diffusion.Model { return n.model(diffusion.CondOT{}, diffusion.Velocity, 0) }
	guided := func(rule guidance.Rule) diffusion.Model {
		return &guidance.CFG{Of: flow(), Strength: guidance.Strength{Scale: 2}, Classes: classes, Rule: rule, Rescale: 0.5}
	}
	table, err := diffusion.NewTable([]float64{0.1, 0.2, 0.3, 0.4, 0.5}, diffusion.InterpolateLinear)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model diffusion.Model
		how   string
		grid  []float64
		o     sampler.Options
	}{
		"clipped":          {flow(), "heun", someTimes, sampler.Options{Clip: sampler.Clip{Range: 1}}},
		"clipped by share": {flow(), "heun", someTimes, sampler.Options{Clip: sampler.Clip{Quantile: 0.9, Max: 2}}},
		"float64 state":    {flow(), "dpm_multistep", someTimes, sampler.Options{Float64: true}},
		"Brownian":         {flow(), "dpmpp_sde", someTimes, sampler.Options{Brownian: true}},
		"progress":         {flow(), "euler", someTimes, sampler.Options{Progress: func(i, n int, data *tensor.Tensor) {}, Count: new(sampler.Count)}},
		"given noise":      {flow(), "ddpm", someTimes, sampler.Options{Noise: func(s *tensor.Scope, i int) *tensor.Tensor { return s.Zeros(1, 1) }}},
		"VP":               {n.model(diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.Eps, 2), "ddim", someTimes, sampler.Options{}},
		"EDM":              {n.model(diffusion.EDM{SigmaMax: 80}, diffusion.Preconditioned{SigmaData: 1}, 2), "heun", []float64{80, 10, 1, 0}, sampler.Options{}},
		"table":            {n.model(table, diffusion.V, 2), "ddpm", []float64{5, 4, 3, 2, 1, 0}, sampler.Options{}},
		"another path":     {diffusion.Along(flow(), diffusion.VP{Beta0: 0.1, Beta1: 20}), "euler", someTimes, sampler.Options{}},
		"scaled":           {sampler.EpsScaling{Bias: 1.01}.Model(flow()), "euler", someTimes, sampler.Options{}},
		"rescaled":         {guided(nil), "euler", someTimes, sampler.Options{}},
		"APG":              {guided(&guidance.APG{Momentum: -0.5, Norm: 1}), "euler", someTimes, sampler.Options{}},
		"CFG-Zero*":        {guided(&guidance.ZeroStar{Zero: 0.2}), "euler", someTimes, sampler.Options{}},
		"cost":             {&guidance.Costed{Of: flow(), J: guidance.NearMean(1, 0.1), Strength: guidance.Strength{Scale: 1}}, "euler", someTimes, sampler.Options{}},
		"cost through":     {&guidance.Costed{Of: flow(), J: guidance.NearMean(1, 0.1), Through: true, Strength: guidance.Strength{Scale: 1}}, "euler", someTimes, sampler.Options{}},
		"constraint":       {&guidance.Constrained{Of: flow(), To: &guidance.Box{Min: -1, Max: 1}}, "euler", someTimes, sampler.Options{}},
		"inpainting":       {&guidance.Constrained{Of: flow(), To: &guidance.Known{Values: []float32{1, 0}, Mask: []float32{1, 0}}}, "euler", someTimes, sampler.Options{}},
		"autoguidance":     {&guidance.Auto{Of: flow(), Weaker: flow(), Strength: guidance.Strength{Scale: 2}}, "euler", someTimes, sampler.Options{}},
	} {
		how, err := sampler.New(sampler.Samplers, c.how)
		if err != nil {
			t.Fatal(err)
		}
		c.o.Cond = labelled(batch, 0)
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		p, err := sampler.NewPlan(s, c.model, how, c.grid, c.o)
		if err != nil {
			t.Fatal(name, err)
		}
		steady(t, name, func() {
			p.First += batch
			if _, err := p.Draw(context.Background(), batch, 2); err != nil {
				t.Fatal(name, err)
			}
		})
		p.Close()
		s.Close()
	}
}

// Nor do prompts, guided away from others.
func TestPromptsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	const batch, tokens, width = 4, 5, 8
	var o nn.DiTOptions
	o.SetDefaults()
	o.InChannels, o.Width, o.Depth, o.Heads, o.TextWidth, o.Prompt = 1, 16, 2, 2, width, "both"
	net, err := nn.NewDiT(nn.NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
	if err != nil {
		t.Fatal(err)
	}
	prompt := func(seed uint64) func(s *tensor.Scope) diffusion.Cond {
		return func(s *tensor.Scope) diffusion.Cond {
			key := rng.Key{Seed: seed}
			return diffusion.Cond{Text: s.Normal(key, 0, batch, tokens, width), Pooled: s.Normal(key, 100, batch, width), TextMask: s.Ones(batch, tokens)}
		}
	}
	negative := prompt(2)
	m := &guidance.CFG{Of: small{net: net}.model(diffusion.CondOT{}, diffusion.Velocity, 0), Strength: guidance.Strength{Scale: 2},
		Away: func(s *tensor.Scope, _ diffusion.Cond, _ int) diffusion.Cond { return negative(s) }}
	how, err := sampler.New(sampler.Samplers, "unipc")
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	p, err := sampler.NewPlan(s, m, how, someTimes, sampler.Options{Cond: prompt(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	steady(t, "prompts", func() {
		if _, err := p.Draw(context.Background(), batch, 8, 8, 1); err != nil {
			t.Fatal(err)
		}
	})
}
