package schedule

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"path/filepath"
	"slices"
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
	if err := json.Unmarshal(quoteInfinities([]byte(raw)), &generic); err != nil {
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
	return diffusion.Point{T: t, Alpha: p.alpha, Sigma: p.sigma, DAlpha: -1, DSigma: 1} // a velocity is CondOT's
}
func (p point) HalfLogSNR(float64) float64 { return math.Log(p.alpha / p.sigma) }
func (p point) Time(float64) float64       { return 0 }
func (p point) End() float64               { return 1 }

// how says in which way a golden run is made.
type how struct {
	dtype    tensor.DType
	variance string  // what the second half of the network's outputs is
	jitter   *jitter // nil: none
	states   bool    // compare every state with the recording
}

// run samples as the plan says from the golden noise, with the exact denoiser,
// in float64, asked at the α and σ that diffusers had, and gives the last state as
// diffusers has it.
func (g *goldenFile) run(key string, plan *Plan, h how) []float64 {
	g.t.Helper()
	alphas, sigmas, timesteps := g.floats(key+"/model_alpha"), g.floats(key+"/model_sigma"), g.floats(key+"/timesteps")
	recorded := g.floats(key + "/trajectory")
	size := len(g.noise)
	path := plan.Path
	if h.jitter != nil {
		path = h.jitter.path(path)
	}
	p := *plan
	p.Path = path
	call := 0
	outC := g.dim
	if h.variance != "" {
		outC *= 2
	}
	exact := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer exact.Close()
	network := func(in, t *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor {
		if call >= len(alphas) {
			g.t.Fatalf("case %s: more than %d model calls", key, len(alphas))
		}
		if got := t.Float64s()[0]; math.Abs(got-timesteps[call]) > 1e-9*(1+math.Abs(timesteps[call])) && h.states {
			g.t.Errorf("case %s, call %d: the network is given time %.12g, want %.12g", key, call, got, timesteps[call])
		}
		values := in.Float64s()
		if h.states {
			scaled := slices.Clone(values)
			if inSigma(plan) { // diffusers' own state is x/α
				for i := range scaled {
					scaled[i] /= alphas[call]
				}
			}
			if d := relative(scaled, recorded[call*size:(call+1)*size]); !(d <= 1e-9) {
				g.t.Errorf("case %s: the state at call %d is off by %.2g", key, call, d)
			}
		}
		if h.jitter != nil { // the sampler's own state is disturbed, not just what the network sees of it
			h.jitter.shake(values)
			h.jitter.cancel(values, call, alphas[call])
			overwrite(in, values)
		}
		exact.Reset()
		x := exact.Tensor(values, in.Shape()...)
		o := diffusion.Oracle{Of: g.mixture, Along: point{alphas[call], sigmas[call]}, Predicts: p.Predicts}
		call++
		out := o.Eval(x, diffusion.Step{T: []float64{0}}, diffusion.Cond{}).Value
		switch h.variance {
		case "learned":
			out = tensor.Concat(-1, out, x.Sin().AddScalar(1.5).Scale(0.01))
		case "learned_range":
			out = tensor.Concat(-1, out, x.Sin())
		}
		values = out.Float64s()
		h.jitter.shake(values)
		return in.Scope().Tensor(values, out.Shape()...)
	}
	m, err := p.Model(network, g.dim, outC)
	if err != nil {
		g.t.Fatal(err)
	}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, h.dtype)
	defer s.Close()
	n := len(g.noise) / g.dim
	x := s.Tensor(g.noise, n, g.dim).Scale(p.InitScale)
	out, err := sampler.Sample(context.Background(), s, m, p.Sampler, p.Grid, x, sampler.Options{
		Clip: p.Clip,
		Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
			return s.Tensor(g.noises[i*size:(i+1)*size], n, g.dim)
		},
	})
	if err != nil {
		g.t.Fatalf("case %s: %v", key, err)
	}
	if call != len(alphas) {
		g.t.Errorf("case %s: %d model calls, want %d", key, call, len(alphas))
	}
	last := out.Float64s()
	if inSigma(plan) {
		alpha := path.At(p.Grid[len(p.Grid)-1]).Alpha
		for i := range last {
			last[i] /= alpha
		}
	}
	return last
}

// overwrite changes a dense float64 tensor in place.
func overwrite(x *tensor.Tensor, values []float64) {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint64(b, math.Float64bits(v))
	}
	v := x.View()
	x.Scope().Device().Upload(v.Mem, 8*v.Off, b)
}

// inSigma reports whether diffusers' state is x/α.
func inSigma(p *Plan) bool {
	if _, flow := p.Path.(diffusion.CondOT); flow {
		return false
	}
	if _, edm := p.Predicts.(diffusion.Preconditioned); edm { // and what the network sees is times c_in
		return true
	}
	switch p.Sampler.(type) {
	case *sampler.Euler, *sampler.Heun, *sampler.LMS, *sampler.DPM2, *sampler.EulerAncestral, *sampler.DPM2Ancestral, *sampler.DPMppSDE:
		return true
	}
	return false
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
	case *LMS:
		if order, ok := c.Options["order"]; ok {
			s.Order = int(order)
		}
	case interface{ setMu(mu float64) }:
		if mu, ok := c.Options["mu"]; ok {
			s.setMu(mu)
		}
	}
	p, err := sched.Plan(c.Steps)
	if err != nil {
		g.t.Fatalf("case %s: %v", key, err)
	}
	return p, variance
}

func (s *FlowMatchEuler) setMu(mu float64) { s.Mu = &mu }
func (s *solver) setMu(mu float64)         { s.Mu = &mu }

var classes = func() (names []string) {
	for _, make := range registry {
		names = append(names, make().Class())
	}
	return names
}()

// each calls f for every recorded case of every class. Left out are the cases
// with churn: there diffusers' Euler adds noise after the network has seen the
// state, so that the network is asked at one noise level about another. Karras
// et al. 2022 (algorithm 2), and the sampler here, add it before.
func each(t *testing.T, f func(t *testing.T, g *goldenFile, key string, c goldenCase)) {
	for _, class := range classes {
		t.Run(class, func(t *testing.T) {
			g := openGolden(t, class)
			run := 0
			for _, key := range slices.Sorted(maps.Keys(g.cases)) {
				if c := g.cases[key]; c.Options["s_churn"] == 0 {
					run++
					f(t, g, key, c)
				}
			}
			if run < 10 {
				t.Errorf("only %d cases", run)
			}
		})
	}
}

// TestGolden compares every state, the times that the network is given, and the
// tables with diffusers' in float64.
func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, g *goldenFile, key string, c goldenCase) {
		plan, variance := g.plan(key)
		got := g.run(key, plan, how{dtype: tensor.Float64, variance: variance, states: true})
		want := g.floats(key + "/trajectory")
		if d := relative(got, want[len(want)-len(got):]); !(d <= 1e-9) {
			t.Errorf("case %s (%d steps, %s): the last state is off by %.2g", key, c.Steps, c.Config, d)
		}
		if table, ok := plan.Path.(*diffusion.Table); ok {
			for i, want := range g.floats(c.Table) {
				if got := table.AlphaBar(i + 1); math.Abs(got-want) > 1e-12*want+1e-18 {
					t.Fatalf("case %s: ā of entry %d is %.15g, want %.15g", key, i, got, want)
				}
			}
		}
	})
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
