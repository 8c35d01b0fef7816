package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
)

// Every objective, weighting and distribution of times trains, and what it trained can
// be opened, sampled and described.
func TestObjectives(t *testing.T) {
	for _, objective := range []string{
		"{kind: edm, sigma_data: 0.7}",
		"{kind: dsm, sde: ve, sigma_max: 5}",
		"{kind: dsm, sde: vp, weighting: likelihood}",
		"{kind: dsm, sde: subvp, predict: score}",
		"{kind: dsm, sde: cosine}",
		"{kind: dsm, sde: cosine, predict: v, weighting: snr_plus_one}",
		"{kind: ddpm, steps: 50, predict: v, zero_terminal_snr: true, weighting: p2}",
		"{kind: flow, times: {kind: mode, scale: -0.5}, weighting: soft_min_snr}",
		"{kind: flow, times: cosmap, weighting: sigmoid, shift: 3}",
		"{kind: edm, uncertainty: true}",
		"{kind: ddpm, schedule: own, betas: [0.01, 0.1, 0.3, 0.5, 0.7], interpolate: log, weighting: {kind: points, log_snr: [-2, 3], weights: [1, 0.5]}}",
		"{kind: ddpm, schedule: sigmoid, steps: 50}",
		"{kind: ddpm, schedule: laplace, steps: 50, predict: v}",
		"{kind: ddpm, schedule: exp, steps: 50, weighting: {kind: points, of: x0, log_snr: [0], weights: [1]}}",
		"{kind: flow, shift_tokens: 1024}",
		"{kind: dsm, sde: ve, sigma_max: 5, times: {kind: levels, count: 5}}",
		"{kind: sm, sde: ve, sigma_min: 0.1, sigma_max: 2}",
		"{kind: sm, estimator: exact, predict: score, times: {kind: uniform, from: 0.1}}",
		"{kind: ddpm, steps: 50, loss: hybrid, variance: learned_range}",
		"{kind: ddpm, steps: 50, loss: vlb, variance: large, times: {kind: by_loss, bins: 3, history: 2}}",
		"{kind: ddpm, steps: 8, loss: vlb, times: by_loss}",
		"{kind: flow, times: {kind: by_loss, bins: 3, history: 2}}",
		"{kind: mean_flow}",
		"{kind: mean_flow, path: trig, improved: true, guidance: 2, guidance_mix: 0.5, power: 0}",
		"{kind: mean_flow, coupling: {kind: ot, replace: true}}",
		"{kind: shortcut, steps: 8, ratio: 0.5}",
		"{kind: shortcut, steps: 8, ratio: 0.5, coupling: ot}",
		"{kind: flow_map}",
		"{kind: consistency_flow, segments: 3, truth: 0.2, average: true}",
		"{kind: flow, times: u_shaped, offset_noise: 0.1, input_perturbation: 0.1}",
	} {
		run := trained(t, strings.Replace(moonsYAML, "{kind: flow, times: logit_normal, stratified: true}", objective, 1))
		m, err := Open(string(run), func(format string, args ...any) { t.Errorf(format, args...) })
		if err != nil {
			t.Fatalf("%s: %v", objective, err)
		}
		if objective := m.Exp.Objective.Kind; objective == "mean_flow" || objective == "shortcut" || objective == "flow_map" {
			if err := m.Choose(Choice{Sampler: "jump"}); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(objective, "zero_terminal_snr") { // σ/α, in which the default integrates, is infinite at the end
			if err := m.Choose(Choice{Sampler: "ddim"}); err != nil {
				t.Fatal(err)
			}
		}
		x, err := m.Draw(context.Background(), Request{N: 5, Labels: []int32{0, 1, 0, 1, 0}})
		if err != nil {
			t.Fatalf("%s: %v", objective, err)
		}
		for _, v := range x {
			if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 1e3 {
				t.Fatalf("%s: samples %v", objective, x)
			}
		}
		for _, f := range m.Facts() {
			if f[0] == "noise" && strings.Contains(f[1], "diffusion.") {
				t.Errorf("%s: the path is described as %s", objective, f[1])
			}
		}
	}
}

func TestObjectivesRefuse(t *testing.T) {
	for objective, want := range map[string][]string{
		"{kind: ddpm, zero_terminal_snr: true}":                                                {"zero_terminal_snr", "v or x0", "eps"},
		"{kind: dsm, beta_min: 3, beta_max: 2}":                                                {"beta_max", "beta_min", "2"},
		"{kind: dsm, sde: ve, sigma_min: 3, sigma_max: 2}":                                     {"sigma_max", "sigma_min", "2"},
		"{kind: flow, times: {kind: mode, scale: 2}}":                                          {"scale", "1.75", "2"},
		"{kind: flow, offset_noise: -1}":                                                       {"offset_noise", "-1"},
		"{kind: ddpm, schedule: own}":                                                          {"betas", "own"},
		"{kind: ddpm, betas: [0.1, 0.2]}":                                                      {"betas", "own"},
		"{kind: ddpm, schedule: own, betas: [0.1, 0.2], steps: 3}":                             {"betas", "2", "steps"},
		"{kind: ddpm, schedule: own, betas: [0.1, 1]}":                                         {"betas", "v or x0"},
		"{kind: ddpm, schedule: own, betas: [0.1, 1, 0.2]}":                                    {"betas", "beta 1 of 3"},
		"{kind: flow, shift: 2, shift_tokens: 64}":                                             {"shift_tokens", "shift"},
		"{kind: flow, weighting: {kind: points, log_snr: [1, 0], weights: [1, 1]}}":            {"log_snr", "rise"},
		"{kind: flow, weighting: {kind: points, log_snr: [1], weights: [1, 1]}}":               {"weights", "1", "2"},
		"{kind: flow, weighting: {kind: points, log_snr: [1], weights: [0]}}":                  {"weights", "0"},
		"{kind: ddpm, loss: hybrid}":                                                           {"loss", "learned_range"},
		"{kind: ddpm, variance: large}":                                                        {"variance", "vlb"},
		"{kind: ddpm, bound_weight: 3}":                                                        {"bound_weight", "simple"},
		"{kind: ddpm, loss: vlb, predict: v, zero_terminal_snr: true}":                         {"zero_terminal_snr", "simple"},
		"{kind: sm, estimator: exact, probes: 3}":                                              {"probes", "exact"},
		"{kind: sm, input_perturbation: 0.1}":                                                  {"input_perturbation"},
		"{kind: flow, shift: 2, times: by_loss}":                                               {"shift", "by_loss"},
		"{kind: flow, times: {kind: levels, sigma_min: 2}}":                                    {"sigma_max", "2"},
		"{kind: shortcut, steps: 12}":                                                          {"steps", "power of two", "12"},
		"{kind: mean_flow, guidance_mix: 0.5}":                                                 {"guidance_mix", "guidance"},
		"{kind: mean_flow, guidance_from: 1}":                                                  {"guidance_from"},
		"{kind: shortcut, coupling: ot, pairs: nowhere}":                                       {"objective.coupling", "coupled already"},
		"{kind: mean_flow, ratio: 0}":                                                          {"ratio", "0"},
		"{kind: flow_map, ratio: 2}":                                                           {"ratio", "2"},
		"{kind: consistency_flow, segments: 4, delta: 0.3}":                                    {"delta", "0.25", "0.3"},
		"{kind: consistency_flow, times: by_loss}":                                             {"times", "losses"},
		"{kind: flow, shift: 0}":                                                               {"shift", "0"},
		"{kind: edm, sigma_data: 0}":                                                           {"sigma_data", "0"},
		"{kind: flow, weighting: {kind: p2, k: 0}}":                                            {"k", "positive"},
		"{kind: ddpm, predict: v, zero_terminal_snr: true, weighting: {kind: even}, steps: 1}": {"steps"},
	} {
		file := strings.Replace(moonsYAML, "{kind: flow, times: logit_normal, stratified: true}", objective, 1)
		err := mistaken(t, file)
		if err == nil {
			t.Errorf("%s: no error", objective)
			continue
		}
		for _, w := range append(want, "experiment.yaml:") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %q", objective, w, err)
			}
		}
	}
}

// mistaken is the error of loading an experiment and setting it up.
func mistaken(t *testing.T, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "experiment.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	exp, err := LoadExperiment(file, nil)
	if err != nil {
		return err
	}
	return trainIn(context.Background(), exp, Options{Dir: filepath.Join(t.TempDir(), "run")})
}

// A table of one's own has the variances that it says, and between two entries the noise level that it says.
func TestTableOfOnesOwn(t *testing.T) {
	betas := []float64{0.01, 0.1, 0.3, 0.5}
	for how, between := range map[string]func(a, b float64) float64{
		"linear": func(a, b float64) float64 { return (a + b) / 2 }, "log": func(a, b float64) float64 { return math.Sqrt(a * b) },
	} {
		m := opened(t, trained(t, moonsYAML, "steps=1", "objective={kind: ddpm, schedule: own, betas: [0.01, 0.1, 0.3, 0.5], interpolate: "+how+"}"))
		path, left := m.Model.Path(), 1.0
		if path.End() != 4 {
			t.Fatalf("%g entries", path.End())
		}
		for i, b := range betas {
			left *= 1 - b
			if a := path.At(float64(i + 1)).Alpha; math.Abs(a*a-left) > 1e-15 {
				t.Errorf("after entry %d, α² is %g, want %g", i, a*a, left)
			}
		}
		if got, want := path.At(2.5).NoiseLevel(), between(path.At(2).NoiseLevel(), path.At(3).NoiseLevel()); math.Abs(got/want-1) > 1e-14 {
			t.Errorf("%s: between entries the noise level is %g, want %g", how, got, want)
		}
		// The network is told the place in the table of its own, as a fraction.
		if got := m.Model.(*diffusion.NetModel).TimeInput(path.At(3)); got != 0.5 {
			t.Errorf("the third of four entries is told as %g", got)
		}
	}
}
