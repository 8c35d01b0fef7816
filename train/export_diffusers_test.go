package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exportYAML is a small transformer on pictures whose weights leave zero quickly.
const exportYAML = `
name: export
steps: 8
batch: 8
data: digits
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}
objective: {kind: flow}
optim: {lr: 3e-2, schedule: {kind: constant}}
ema: null
sample: {steps: 4, every: 0}
checkpoint: {every: 100}
`

// smallUNetOverrides make its network a U-Net.
var smallUNetOverrides = []string{"model={kind: unet, channels: [8, 8], layers: 1, groups: 4, head_dim: 8}"}

// trainedIn is trained in a folder that outlasts the test it is asked in.
func trainedIn(t *testing.T, home, text string, overrides ...string) RunDir {
	t.Helper()
	dir, err := os.MkdirTemp(home, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := trainIn(context.Background(), experiment(t, text, overrides...), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	return RunDir(dir)
}

// untrained has made a single step.
func untrained(t *testing.T, text string, overrides ...string) RunDir {
	t.Helper()
	return trained(t, text, append([]string{"steps=1", "optim.schedule={kind: constant}"}, overrides...)...)
}

// drawn are samples of a few classes, from noise that follows from the seed.
func drawn(t *testing.T, m *Trained) []float32 {
	t.Helper()
	q := Request{N: 3, Seed: 5}
	if m.Classes > 0 {
		q.Labels = []int32{0, 1, 0}
		if m.Classes > 9 {
			q.Labels = []int32{7, 0, 9}
		}
	}
	x, err := m.Draw(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func farthest(a, b []float32) (worst float64) {
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

// Runs of every kind that has a scheduler: the folder, opened again, draws the run's samples from the same noise.
func TestExportForDiffusers(t *testing.T) {
	home, runs := t.TempDir(), map[string]RunDir{} // cases share those of the same config
	for name, c := range map[string]struct {
		overrides []string
		how       Choice
		want      Exported
	}{
		"flow": {nil, Choice{}, Exported{"LangevinPipeline", "DiTTransformer2DModel", "FlowMatchHeunDiscreteScheduler", 4, 1, 10}},
		"shifted flow": {[]string{"sample.sampler=euler", "sample.grid={kind: uniform, shift: 3}", "sample.guidance=2"}, Choice{Steps: 5},
			Exported{"LangevinPipeline", "DiTTransformer2DModel", "FlowMatchEulerDiscreteScheduler", 5, 2, 10}},
		"no classes": {[]string{"conditional=false"}, Choice{Sampler: "euler"}, Exported{"LangevinPipeline", "DiTTransformer2DModel", "FlowMatchEulerDiscreteScheduler", 4, 1, 0}},
		"v": {[]string{"objective={kind: ddpm, steps: 50, predict: v}", "model.time_scale=50"}, Choice{Sampler: "ddim", Steps: 5, Overrides: []string{"sampler.eta=0.5", "clip.range=1"}},
			Exported{"LangevinPipeline", "DiTTransformer2DModel", "DDIMScheduler", 5, 1, 10}},
		"ddpm, unet": {append([]string{"objective={kind: ddpm}", "sample.sampler=ddpm"}, smallUNetOverrides...), Choice{Steps: 8, Overrides: []string{"clip.range=1"}},
			Exported{"LangevinPipeline", "UNet2DModel", "DDPMScheduler", 8, 1, 10}},
		"ddpm, plain unet": {append([]string{"objective={kind: ddpm, predict: v}", "conditional=false"}, smallUNetOverrides...), Choice{Sampler: "ddpm", Steps: 8},
			Exported{"DDPMPipeline", "UNet2DModel", "DDPMScheduler", 8, 1, 0}},
		"ddim, plain unet": {append([]string{"objective={kind: ddpm, predict: v}", "conditional=false"}, smallUNetOverrides...), Choice{Sampler: "ddim", Steps: 8},
			Exported{"DDIMPipeline", "UNet2DModel", "DDIMScheduler", 8, 1, 0}},
		"ddim with noise": {append([]string{"objective={kind: ddpm, predict: v}", "conditional=false"}, smallUNetOverrides...), Choice{Sampler: "ddim", Steps: 8, Overrides: []string{"sampler.eta=1"}},
			Exported{"LangevinPipeline", "UNet2DModel", "DDIMScheduler", 8, 1, 0}},
		"learned variance": {[]string{"objective={kind: ddpm, loss: hybrid, variance: learned_range, levels: 17, schedule: squaredcos_cap_v2}", "sample.clip.range=1"},
			Choice{Sampler: "ddpm", Steps: 5, Overrides: []string{"sampler={kind: ddpm, variance: learned, final_noise: true}"}},
			Exported{"LangevinPipeline", "DiTTransformer2DModel", "DDPMScheduler", 5, 1, 10}},
		"dpm":              {[]string{"objective={kind: ddpm, predict: v}"}, Choice{Sampler: "dpm_multistep", Steps: 6}, Exported{"LangevinPipeline", "DiTTransformer2DModel", "DPMSolverMultistepScheduler", 6, 1, 10}},
		"euler on a table": {[]string{"objective={kind: ddpm, predict: v}"}, Choice{Sampler: "euler", Steps: 5}, Exported{"LangevinPipeline", "DiTTransformer2DModel", "EulerDiscreteScheduler", 5, 1, 10}},
		"edm": {[]string{"objective={kind: edm, sigma_data: 0.75}", "model.time_scale=1"}, Choice{Sampler: "dpm_multistep", Steps: 6},
			Exported{"LangevinPipeline", "DiTTransformer2DModel", "EDMDPMSolverMultistepScheduler", 6, 1, 10}},
	} {
		if testing.Short() && strings.Contains(name, "unet") { // which train for longest
			continue
		}
		t.Run(name, func(t *testing.T) {
			key := strings.Join(c.overrides, "\n")
			if runs[key] == "" {
				runs[key] = trainedIn(t, home, exportYAML, c.overrides...)
			}
			run := runs[key]
			out := filepath.Join(t.TempDir(), "out")
			got, err := ExportDiffusers(string(run), false, out, c.how, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			if *got != c.want {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
			if trust := strings.Contains(got.LoadingCode(out), "trust_remote_code=True"); trust != (got.Pipeline == "LangevinPipeline") {
				t.Errorf("code to load it with:\n%s", got.LoadingCode(out))
			}
			own, back := opened(t, run), opened(t, RunDir(out))
			if err := own.Choose(c.how); err != nil {
				t.Fatal(err)
			}
			choice := Choice{}
			if got.Pipeline != "LangevinPipeline" {
				choice.Steps = got.Steps
			}
			if err := back.Choose(choice); err != nil {
				t.Fatal(err)
			}
			a, b := drawn(t, own), drawn(t, back)
			// The network is told the same times, rounded to float32 before or after they are multiplied: an angle of up to 1000 is off
			// by 1000·2⁻²⁴ = 6e-5 in one of many features. Where it predicts ε, the first steps take that times σ/α, unless they are clipped. In
			// place of either a bound of 1e-3 of the samples, which a step more is far above.
			size := 1.0
			for _, v := range a {
				size = max(size, math.Abs(float64(v)))
			}
			if d := farthest(a, b); !(d <= 1e-3*size) {
				t.Errorf("the folder's samples differ by %g of %g", d, size)
			} else {
				t.Logf("differ by %g of %g", d, size)
			}
			more := c.how
			if more.Steps = got.Steps - 1; c.how.Sampler == "ddim" {
				more.Steps = got.Steps / 2
			}
			if err := own.Choose(more); err != nil {
				t.Fatal(err)
			}
			if d := farthest(drawn(t, own), b); !(d > 1e-3*size) {
				t.Errorf("nor do those of %d steps: %g", more.Steps, d)
			}
		})
	}
}

// What diffusers has no equivalent of is refused by name, and nothing is written.
func TestExportForDiffusersRefuses(t *testing.T) {
	dir := t.TempDir()
	flow := untrained(t, exportYAML)
	table := untrained(t, exportYAML, "objective={kind: ddpm, steps: 50, predict: v}")
	edm := untrained(t, exportYAML, "objective={kind: edm}")
	for name, c := range map[string]struct {
		run  RunDir
		how  Choice
		want []string
	}{
		"sampler":         {flow, Choice{Sampler: "ddim"}, []string{"sampler is ddim", "want one of euler, heun"}},
		"grid":            {flow, Choice{Overrides: []string{"grid=logsnr"}}, []string{"grid", "take the grid uniform"}},
		"time scale":      {table, Choice{Sampler: "ddim", Steps: 5}, []string{"time_scale", "train with time_scale: 50"}},
		"edm's scale":     {edm, Choice{Sampler: "euler"}, []string{"time_scale", "train with time_scale: 1"}},
		"edm's sampler":   {edm, Choice{}, []string{"sampler is heun", "dpm_multistep, euler"}},
		"rule":            {flow, Choice{Overrides: []string{"guidance_rule=apg"}}, []string{"guidance_rule has no equivalent", "guidance_rule=cfg"}},
		"interval":        {flow, Choice{Overrides: []string{"guidance_from=0.1"}}, []string{"guidance_from=0"}},
		"upper end":       {flow, Choice{Overrides: []string{"guidance_to=0.9"}}, []string{"guidance_to=1"}},
		"levels":          {flow, Choice{Overrides: []string{"guidance_sigma_from=0.1"}}, []string{"guidance_sigma_from=0"}},
		"upper level":     {flow, Choice{Overrides: []string{"guidance_sigma_to=9"}}, []string{"guidance_sigma_to=0"}},
		"over time":       {flow, Choice{Overrides: []string{"guidance_schedule=linear"}}, []string{"guidance_schedule=constant"}},
		"rescale":         {flow, Choice{Overrides: []string{"guidance_rescale=0.7"}}, []string{"guidance_rescale=0"}},
		"negative":        {flow, Choice{Overrides: []string{"guidance_negative=3"}}, []string{"guidance_negative=null"}},
		"with":            {flow, Choice{Overrides: []string{"guidance_with=[{class: 1}]"}}, []string{"guidance_with=[]"}},
		"autoguidance":    {flow, Choice{Overrides: []string{"autoguidance={model: x}"}}, []string{"autoguidance=null"}},
		"brownian":        {flow, Choice{Overrides: []string{"brownian=true"}}, []string{"brownian=false"}},
		"float64":         {flow, Choice{Overrides: []string{"float64_state=true"}}, []string{"float64_state=false"}},
		"exposure":        {flow, Choice{Overrides: []string{"eps_scaling={bias: 1.01}"}}, []string{"eps_scaling"}},
		"classifier":      {flow, Choice{Overrides: []string{"classifier_guidance={file: x}"}}, []string{"classifier_guidance=null"}},
		"cost":            {flow, Choice{Overrides: []string{"cost={of: {kind: mean, value: 0}}"}}, []string{"cost=null"}},
		"constraints":     {flow, Choice{Overrides: []string{"constraints=[{kind: box}]"}}, []string{"constraints=[]"}},
		"network":         {untrained(t, exportYAML, "model.mlp_ratio=2"), Choice{}, []string{"mlp_ratio 2", "want 4"}},
		"points":          {untrained(t, moonsYAML), Choice{}, []string{"data have shape [2]", "images"}},
		"path":            {untrained(t, exportYAML, "objective.interpolant=trig"), Choice{}, []string{"objective has a path", "condot"}},
		"steps at once":   {untrained(t, exportYAML, "objective={kind: mean_flow, times: uniform}", "model.time_scale=16", "sample.sampler=jump"), Choice{}, []string{"objective is mean_flow"}},
		"two heads":       {untrained(t, exportYAML, "objective={kind: flow, interpolant: {kind: condot, latent: bridge}, learn_denoiser: true}"), Choice{Sampler: "euler"}, []string{"objective is flow"}},
		"captions":        {untrained(t, exportYAML, "data={kind: digits, captions: true}", "conditional=false", "text={encoder: {width: 16, depth: 1, heads: 2, length: 12}, tokenizer: {kind: learned, size: 600}}"), Choice{}, []string{"text conditions"}},
		"other numbers":   {untrained(t, exportYAML, "model.time_scale=12.5"), Choice{}, []string{"time_scale", "whole number"}},
		"a start of data": {untrained(t, exportYAML, "objective.source=digits"), Choice{}, []string{"objective.source"}},
	} {
		out := filepath.Join(dir, "out")
		_, err := ExportDiffusers(string(c.run), false, out, c.how, t.Logf)
		wantError(t, err, append(c.want, string(c.run)+": cannot be a pipeline of diffusers: ")...)
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s: something was written: %v", name, entries)
		}
	}
}

// The moving average is what is exported, unless the weights themselves are asked for; a folder that is there is left alone.
func TestExportForDiffusersTakesTheAverage(t *testing.T) {
	run := trained(t, exportYAML, "ema={decay: 0.9}")
	dir := t.TempDir()
	weights := func(raw bool, name string) []byte {
		out := filepath.Join(dir, name)
		if _, err := ExportDiffusers(string(run), raw, out, Choice{}, t.Logf); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(out, "transformer/diffusion_pytorch_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if string(weights(false, "a")) == string(weights(true, "b")) {
		t.Error("the average is the weights")
	}
	before := everyFile(t, dir)
	_, err := ExportDiffusers(string(run), true, filepath.Join(dir, "a"), Choice{}, t.Logf)
	wantError(t, err, filepath.Join(dir, "a"), "new or empty")
	if after := everyFile(t, dir); len(after) != len(before) {
		t.Errorf("files were %v, and are %v", before, after)
	}
	bare := filepath.Join(dir, "bare.safetensors")
	if err := Export(string(run), false, bare, t.Logf); err != nil {
		t.Fatal(err)
	}
	_, err = ExportDiffusers(bare, true, filepath.Join(dir, "c"), Choice{}, t.Logf)
	wantError(t, err, bare, "only an average")
	if _, err := ExportDiffusers(bare, false, filepath.Join(dir, "c"), Choice{}, t.Logf); err != nil {
		t.Error(err)
	}
	if _, err := ExportDiffusers(filepath.Join(dir, "a"), false, filepath.Join(dir, "d"), Choice{}, t.Logf); err == nil {
		t.Error("a folder of diffusers is exported")
	}
}
