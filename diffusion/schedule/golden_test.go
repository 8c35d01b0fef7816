package schedule

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// goldenFile is what internal/golden recorded of one of diffusers' schedulers.
type goldenFile struct {
	*safetensors.File
	t       *testing.T
	cases   map[string]goldenCase
	mixture *diffusion.Mixture
	noise   []float64
	noises  []float64
	dim     int
}

type goldenCase struct {
	Config  json.RawMessage    `json:"config"`
	Steps   int                `json:"steps"`
	Options map[string]float64 `json:"options"`
	Table   string             `json:"table"`
}

func openGolden(t *testing.T, class string) *goldenFile {
	t.Helper()
	f, err := safetensors.Open(filepath.Join("..", "..", "internal", "golden", "testdata", "schedulers", class+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	g := &goldenFile{File: f, t: t}
	raw := f.Metadata()["cases"]
	var generic map[string]struct {
		Config  json.RawMessage `json:"config"`
		Steps   int             `json:"steps"`
		Options map[string]any  `json:"options"`
		Table   string          `json:"table"`
	}
	if err := json.Unmarshal([]byte(raw), &generic); err != nil {
		t.Fatal(err)
	}
	g.cases = map[string]goldenCase{}
	for k, c := range generic {
		options := map[string]float64{}
		for name, v := range c.Options {
			switch v := v.(type) {
			case float64:
				options[name] = v
			case bool:
				if v {
					options[name] = 1
				}
			}
		}
		g.cases[k] = goldenCase{c.Config, c.Steps, options, c.Table}
	}
	means := g.floats("mixture/means")
	stds := g.floats("mixture/stds")
	k := len(stds)
	g.dim = len(means) / k
	g.mixture = &diffusion.Mixture{Weights: g.floats("mixture/weights")}
	for i := range k {
		g.mixture.Means = append(g.mixture.Means, means[i*g.dim:(i+1)*g.dim])
		g.mixture.Stds = append(g.mixture.Stds, stds[i:i+1])
	}
	if err := g.mixture.Check(); err != nil {
		t.Fatal(err)
	}
	g.noise, g.noises = g.floats("noise"), g.floats("noises")
	return g
}

func (g *goldenFile) floats(name string) []float64 {
	g.t.Helper()
	x, err := g.Tensor(name)
	if err != nil {
		g.t.Fatal(err)
	}
	v, err := x.Float64s()
	if err != nil {
		f, err2 := x.Float32s()
		if err2 != nil {
			g.t.Fatal(err)
		}
		for _, y := range f {
			v = append(v, float64(y))
		}
	}
	return v
}

// point is a path of a single point: the oracle is asked at recorded α and σ.
type point struct{ alpha, sigma float64 }

func (p point) At(t float64) diffusion.Point {
	return diffusion.Point{T: t, Alpha: p.alpha, Sigma: p.sigma}
}
func (p point) HalfLogSNR(float64) float64 { return math.Log(p.alpha / p.sigma) }
func (p point) Time(float64) float64       { return 0 }
func (p point) End() float64               { return 1 }

// run samples as the plan says from the golden noise, with the exact denoiser
// asked at the α and σ that diffusers had, and gives all states (steps+1, N·dim)
// as diffusers has them.
func (g *goldenFile) run(key string, plan *Plan, dtype tensor.DType, variance string) []float64 {
	g.t.Helper()
	alphas, sigmas, timesteps := g.floats(key+"/model_alpha"), g.floats(key+"/model_sigma"), g.floats(key+"/timesteps")
	call := 0
	outC := g.dim
	if variance != "" {
		outC *= 2
	}
	network := func(x, t *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor {
		if call >= len(alphas) {
			g.t.Fatalf("case %s: more than %d model calls", key, len(alphas))
		}
		if got := t.Float64s()[0]; math.Abs(got-timesteps[call]) > 1e-9*(1+math.Abs(timesteps[call])) && dtype == tensor.Float64 {
			g.t.Errorf("case %s, call %d: the network is given time %.12g, want %.12g", key, call, got, timesteps[call])
		}
		o := diffusion.Oracle{Of: g.mixture, Along: point{alphas[call], sigmas[call]}, Predicts: plan.Predicts}
		if plan.Predicts == diffusion.Velocity {
			o.Along = atCondOT{point{alphas[call], sigmas[call]}}
		}
		call++
		out := o.Eval(x, diffusion.Step{T: []float64{0}}, diffusion.Cond{}).Value
		switch variance {
		case "learned":
			out = tensor.Concat(-1, out, x.Sin().AddScalar(1.5).Scale(0.01))
		case "learned_range":
			out = tensor.Concat(-1, out, x.Sin())
		}
		return out
	}
	m, err := plan.Model(network, g.dim, outC)
	if err != nil {
		g.t.Fatal(err)
	}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, dtype)
	defer s.Close()
	n := len(g.noise) / g.dim
	x := s.Tensor(g.noise, n, g.dim).Scale(plan.InitScale)
	states := g.asDiffusers(plan, plan.Grid[0], x.Float64s())
	out, err := sampler.Sample(context.Background(), s, m, plan.Sampler, plan.Grid, x, sampler.Options{
		Clip: plan.Clip,
		Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
			return s.Tensor(g.noises[i*len(g.noise):(i+1)*len(g.noise)], n, g.dim)
		},
	})
	if err != nil {
		g.t.Fatalf("case %s: %v", key, err)
	}
	if call != len(alphas) {
		g.t.Errorf("case %s: %d model calls, want %d", key, call, len(alphas))
	}
	return append(states, g.asDiffusers(plan, plan.Grid[len(plan.Grid)-1], out.Float64s())...)
}

type atCondOT struct{ point }

func (p atCondOT) At(t float64) diffusion.Point {
	return diffusion.Point{T: t, Alpha: p.alpha, Sigma: p.sigma, DAlpha: -1, DSigma: 1}
}

// asDiffusers brings a state to diffusers' scale: x/α for schedulers in σ.
func (g *goldenFile) asDiffusers(plan *Plan, t float64, x []float64) []float64 {
	switch plan.Sampler.(type) {
	case *sampler.Euler, *sampler.Heun:
		a := plan.Path.At(t).Alpha
		if _, flow := plan.Path.(diffusion.CondOT); flow {
			a = 1
		}
		for i := range x {
			x[i] /= a
		}
	}
	return x
}

// plan reads a case's config and options as a user's program would.
func (g *goldenFile) plan(key string) (*Plan, string) {
	g.t.Helper()
	c := g.cases[key]
	sched, err := Decode(c.Config)
	if err != nil {
		g.t.Fatalf("case %s: %v", key, err)
	}
	variance := ""
	switch s := sched.(type) {
	case *DDIM:
		s.Eta, s.UseClippedModelOutput = c.Options["eta"], c.Options["use_clipped_model_output"] == 1
	case *DDPM:
		if s.VarianceType == "learned" || s.VarianceType == "learned_range" {
			variance = s.VarianceType
		}
	case *FlowMatchEuler:
		if mu, ok := c.Options["mu"]; ok {
			s.Mu = &mu
		}
	}
	p, err := sched.Plan(c.Steps)
	if err != nil {
		g.t.Fatalf("case %s: %v", key, err)
	}
	return p, variance
}

// TestGolden compares first and last states, every time that the network is given, and the tables.
func TestGolden(t *testing.T) {
	for _, class := range []string{"DDPMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"} {
		t.Run(class, func(t *testing.T) {
			g := openGolden(t, class)
			for key, c := range g.cases {
				if c.Options["s_churn"] > 0 {
					continue
				}
				plan, variance := g.plan(key)
				got := g.run(key, plan, tensor.Float64, variance)
				want := g.floats(key + "/trajectory")
				n := len(g.noise)
				first, last := relative(got[:n], want[:n]), relative(got[n:], want[len(want)-n:])
				if !(first <= 1e-9 && last <= 1e-9) {
					t.Errorf("case %s (%d steps, %s): first state off by %.2g, last by %.2g", key, c.Steps, c.Config, first, last)
				}
				f32 := g.floats(key + "/final_float32")
				got32 := g.run(key, plan, tensor.Float32, variance)
				t.Logf("case %s: %.2g; stock f32 vs f64 %.2g ours f32 vs f64 %.2g", key, last, relative(f32, got[n:]), relative(got32[n:], got[n:]))
			}
		})
	}
}

// relative is the largest difference over the largest magnitude.
func relative(got, want []float64) float64 {
	d, scale := 0.0, 0.0
	for i := range want {
		d = max(d, math.Abs(got[i]-want[i]))
		if math.IsNaN(got[i]) {
			return math.NaN()
		}
		scale = max(scale, math.Abs(want[i]))
	}
	return d / scale
}
