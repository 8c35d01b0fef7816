package sampler

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// TestGoldenStochastic compares samplers that diffusers lacks with their formulas as
// internal/golden/samplers_sde.py writes them, in float64 from the same noises: 1e-9 of
// the largest value. float32 has, over at most 100 steps each of some ten roundings of
// numbers up to 20·(start's 3), 2⁻²⁴·60·√1000, and no sampler here makes errors grow.
func TestGoldenStochastic(t *testing.T) {
	f, err := safetensors.Open(filepath.Join("..", "..", "internal", "golden", "testdata", "samplers", "stochastic.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	floats := func(name string) []float64 {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := x.Float64s(); err == nil {
			return v
		}
		narrow, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float64, len(narrow))
		for i, y := range narrow {
			v[i] = float64(y)
		}
		return v
	}
	var cases []string
	if err := json.Unmarshal([]byte(f.Metadata()["cases"]), &cases); err != nil || len(cases) < 40 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	m := &diffusion.Mixture{Weights: floats("mixture/weights")}
	means, stds := floats("mixture/means"), floats("mixture/stds")
	dim := len(means) / len(stds)
	for i, s := range stds {
		m.Means, m.Stds = append(m.Means, means[i*dim:(i+1)*dim]), append(m.Stds, []float64{s})
	}
	start, noises := floats("start"), floats("noises")
	size := len(start)
	for _, name := range cases {
		family, variant, _ := strings.Cut(name, "/")
		path, how := goldenSampler(t, family, variant == "options")
		grid := floats(name + "/grid")
		if family == "annealed_langevin" {
			grid = append(grid, 0)
		}
		if edm, ok := path.(diffusion.EDM); ok {
			edm.SigmaMax = grid[0]
			path = edm
		}
		o := &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.X0}
		if path.At(grid[0]).Alpha == 0 {
			o.Predicts = diffusion.Velocity
		}
		want := floats(name + "/out")
		for _, c := range []struct {
			dtype tensor.DType
			bound float64
		}{{tensor.Float64, 1e-9}, {tensor.Float32, 0x1p-24 * 60 * math.Sqrt(1000)}} {
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, c.dtype)
			x := s.Tensor(start, size/dim, dim)
			if family != "euler_maruyama_vp" {
				x = x.Scale(path.At(grid[0]).Sigma)
			}
			out, err := Sample(context.Background(), s, o, how, grid, x, Options{Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
				return s.Tensor(noises[i*size:(i+1)*size], size/dim, dim)
			}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			scale := 0.0
			for _, v := range want {
				scale = max(scale, math.Abs(v))
			}
			if d := largestGap(out.Float64s(), want) / max(scale, 1); !(d <= c.bound) {
				t.Errorf("%s in %v is off by %.2g of the largest value", name, c.dtype, d)
			}
			s.Close()
		}
	}
}

// goldenSampler is a recorded family's path and sampler, some with other options.
func goldenSampler(t *testing.T, family string, options bool) (diffusion.GaussianPath, Sampler) {
	a := Ancestral{Eta: 1, Noise: 1}
	ratio := 0.5
	if options {
		a, ratio = Ancestral{Eta: 0.6, Noise: 1.05}, 0.3
	}
	multi := func(set func(m *DPMMultistepSDE)) Sampler {
		return sdeMultistep(func(m *DPMMultistepSDE) { m.Eta, m.Noise = a.Eta, a.Noise; set(m) })
	}
	edm, vp := diffusion.EDM{}, diffusion.VP{Beta0: 0.1, Beta1: 20}
	switch family {
	case "euler_ancestral":
		return edm, &EulerAncestral{Ancestral: a, Form: "path"}
	case "euler_ancestral_rf":
		return diffusion.CondOT{}, &EulerAncestral{Ancestral: a, Form: "path"}
	case "dpm2_ancestral":
		return edm, &DPM2Ancestral{a}
	case "dpmpp_sde":
		return edm, &DPMppSDE{Ancestral: a, Ratio: ratio}
	case "dpmpp_2m_sde":
		return edm, multi(func(*DPMMultistepSDE) {})
	case "dpmpp_2m_sde_heun":
		return edm, multi(func(m *DPMMultistepSDE) { m.Solver = "heun" })
	case "dpmpp_3m_sde":
		return edm, multi(func(m *DPMMultistepSDE) { m.Order, m.Solver, m.Third = 3, "heun", ThirdPublished })
	case "restart":
		// the ends of both intervals are levels of the grid
		return edm, &Restart{Intervals: []RestartInterval{{Min: karrasLevel(9), Max: 0.5, Times: 2, Steps: 3}, {Min: karrasLevel(5), Max: 4, Times: 3, Steps: 2}}, Noise: 1.003}
	case "annealed_langevin":
		return edm, &AnnealedLangevin{Epsilon: 2e-5, Steps: 6, Denoise: true}
	case "pc_ve":
		return edm, &PredictorCorrector{Predictor: PredictReverseDiffusion, Corrector: CorrectLangevin, SNR: 0.16, Steps: 2, Denoise: true}
	case "pc_vp":
		return vp, &PredictorCorrector{Predictor: PredictReverseDiffusion, Corrector: CorrectLangevin, SNR: 0.1, Steps: 1, Denoise: true}
	case "euler_maruyama_vp":
		return vp, &EulerMaruyama{Shape: NoiseReverse, Scale: 1, Measure: "std"}
	case "interpolant":
		return diffusion.CondOT{}, &EulerMaruyama{Shape: NoiseProportional, Scale: 0.5, Measure: "epsilon"}
	}
	t.Fatalf("no sampler for the recorded %s", family)
	return nil, nil
}

// karrasLevel is just above level i of the recorded grid of 12.
func karrasLevel(i int) float64 { return Karras(0.02, 20, 7, float64(i)/11) * (1 + 1e-9) }
