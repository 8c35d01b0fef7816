package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/train/config"
)

const pipelines = "../internal/golden/testdata/pipelines"

// bare builds a trainer that writes nothing.
func bare(t *testing.T, text string, overrides ...string) *Trainer {
	t.Helper()
	tr, err := New(context.Background(), experiment(t, text, overrides...), Options{Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// theirs is the network of a golden folder.
func theirs(t *testing.T, dev backend.Device, name string) nn.Model {
	t.Helper()
	f, err := interop.Open(filepath.Join(pipelines, name))
	if err != nil {
		t.Fatal(err)
	}
	net, err := f.Load(dev)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// sameWeights compares parameters by name.
func sameWeights(t *testing.T, got, want []*tensor.Param) {
	t.Helper()
	byName := make(map[string]*tensor.Param)
	for _, p := range want {
		byName[p.Name] = p
	}
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d parameters, want %d", len(got), len(want))
	}
	for _, p := range got {
		if w := byName[p.Name]; w == nil || !slices.Equal(p.Float32s(), w.Float32s()) {
			t.Errorf("%s is not the same", p.Name)
		}
	}
}

// eval is a network's answer at one time, of images made up here.
func eval(t *testing.T, dev backend.Device, net nn.Model, time float64, labels []int32) []float32 {
	t.Helper()
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	x := make([]float32, 2*64)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) / 3))
	}
	var c nn.Cond
	if labels != nil {
		c.Labels = s.Ints(labels, len(labels))
	}
	return slices.Clone(net.Forward(s.Tensor(x, 2, 8, 8, 1), s.Tensor([]float64{time, time}, 2), c).Float32s())
}

// A diffusers folder as the model: its weights and architecture, its times counted in thousandths.
func TestModelFromDiffusers(t *testing.T) {
	for _, c := range []struct {
		name, objective string
		labels          []int32
	}{
		{"unet-ddpm", "ddpm", nil}, {"dit-ddim", "flow", []int32{3, 10}}, {"unet-ddim-eta", "flow", []int32{3, 9}},
	} {
		text := "data: digits\nbatch: 4\nconditional: true\nmodel: {kind: diffusers, path: " + filepath.Join(pipelines, c.name) + "}\nobjective: " + c.objective + "\n"
		if c.labels == nil {
			text = strings.Replace(text, "conditional: true", "conditional: false", 1)
		}
		tr := bare(t, text)
		want := theirs(t, tr.dev, c.name)
		sameWeights(t, tr.params, nn.Params(want))
		// The times 0.375 and 375 are the same to the network, but for the rounding of a product.
		got, ref := eval(t, tr.dev, tr.net, 0.375, c.labels), eval(t, tr.dev, want, 375, c.labels)
		for i := range got {
			if math.Abs(float64(got[i]-ref[i])) > 1e-4*(1+math.Abs(float64(ref[i]))) {
				t.Fatalf("%s: output %d is %g, want %g", c.name, i, got[i], ref[i])
			}
		}
		before := slices.Clone(tr.params[0].Float32s())
		for range 3 {
			if err := tr.Train(); err != nil {
				t.Fatal(err)
			}
		}
		if slices.Equal(before, tr.params[0].Float32s()) {
			t.Errorf("%s: training changes nothing", c.name)
		}
	}
}

// A run that began from a diffusers folder does without it from then on.
func TestRunOutlivesItsPipeline(t *testing.T) {
	for _, name := range []string{"unet-ddpm", "unet-legacy", "dit-ddim", "unet-ddim-eta"} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := os.CopyFS(pipe, os.DirFS(filepath.Join(pipelines, name))); err != nil {
			t.Fatal(err)
		}
		classes := "true"
		if name == "unet-ddpm" || name == "unet-legacy" {
			classes = "false"
		}
		text := "data: digits\nbatch: 4\nsteps: 3\nconditional: " + classes + "\nmodel: {kind: diffusers, path: " + pipe + "}\nsample: {every: 0, steps: 2}\n"
		dir := trained(t, text)
		want := opened(t, dir)
		again := experiment(t, text, "steps=5")
		if err := os.RemoveAll(pipe); err != nil {
			t.Fatal(err)
		}
		sameWeights(t, opened(t, dir).Params, want.Params)
		exp, err := LoadExperiment(dir.Config(), []string{"steps=5"})
		if err != nil {
			t.Fatal(err)
		}
		if err := trainIn(context.Background(), exp, Options{Dir: string(dir), Resume: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err = New(context.Background(), again, Options{Bare: true})
		wantError(t, err, "model: "+pipe, "no folder of diffusers")
	}
}

// Every architecture of the golden files survives being written as a config of our own.
func TestDescribedNetworks(t *testing.T) {
	unets, _ := filepath.Glob("../internal/golden/testdata/unet/*.safetensors")
	dits, _ := filepath.Glob("../internal/golden/testdata/dit/*.safetensors")
	texts, _ := filepath.Glob("../internal/golden/testdata/textunet/*.safetensors")
	files := slices.Concat(unets, dits, texts)
	if len(unets) < 4 || len(dits) < 4 || len(texts) < 3 {
		t.Fatal(files)
	}
	for _, file := range files {
		f, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := interop.ParseConfig(file, []byte(f.Metadata()["config"]))
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		type holder struct {
			Model config.Variant[ModelArg, Network] `yaml:"model,required" doc:"the network"`
		}
		text, err := config.Resolved(&holder{describedNetwork(c)})
		if err != nil {
			t.Fatal(err)
		}
		var back holder
		if err := config.Decode(file, text, nil, &back); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := config.Resolved(&back)
		if err != nil || string(again) != string(text) {
			t.Errorf("%s: the config\n%s became\n%s (%v)", file, text, again, err)
		}
	}
}

// sameUNet is the architecture of the golden unet-ddpm as a config of our own.
const sameUNet = `
data: digits
conditional: false
model: {kind: unet, channels: [4, 8], layers: 1, groups: 2, head_dim: 4, mid_attention: true, scale_shift: false, down_blocks: [DownBlock2D, AttnDownBlock2D], up_blocks: [AttnUpBlock2D, UpBlock2D]}
objective: ddpm
`

// A diffusers folder as initial weights of a model of our own config.
func TestInitFromDiffusers(t *testing.T) {
	dir := filepath.Join(pipelines, "unet-ddpm")
	tr := bare(t, sameUNet, "init="+dir)
	want := theirs(t, tr.dev, "unet-ddpm")
	sameWeights(t, tr.params, nn.Params(want))
	sameWeights(t, tr.ema.State(), nn.Params(want)) // the average begins there, too
	got, ref := eval(t, tr.dev, tr.net, 0.375, nil), eval(t, tr.dev, want, 375, nil)
	for i := range got {
		if math.Abs(float64(got[i]-ref[i])) > 1e-4*(1+math.Abs(float64(ref[i]))) {
			t.Fatalf("output %d is %g, want %g", i, got[i], ref[i])
		}
	}
	_, err := New(context.Background(), experiment(t, strings.Replace(sameUNet, "[4, 8]", "[8, 8]", 1), "init="+dir), Options{Bare: true})
	wantError(t, err, "init", dir, "not this network's")
}

// Initial weights from a run, its averaged ones, and from a checkpoint file.
func TestInitFromRun(t *testing.T) {
	from := trained(t, moonsYAML, "steps=8")
	want := opened(t, from).Params
	for _, path := range []string{string(from), checkpoints(t, from)[0]} {
		tr := bare(t, moonsYAML, "seed=11", "init="+path)
		sameWeights(t, tr.params, want)
		sameWeights(t, tr.ema.State(), want)
	}
	plain := trained(t, moonsYAML, "steps=8", "ema=null")
	sameWeights(t, bare(t, moonsYAML, "init="+string(plain)).params, opened(t, plain).Params)
}
