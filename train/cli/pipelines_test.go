package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/internal/safetensors"
)

const pipelines = "../../internal/golden/testdata/pipelines"

// copyPipeline copies one of the golden folders.
func copyPipeline(t *testing.T, name, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(filepath.Join(pipelines, name))); err != nil {
		t.Fatal(err)
	}
}

// golden is what stock diffusers made of a pipeline in float32.
type golden struct {
	dir     string // absolute
	noise   string // samples.safetensors
	shape   []int
	samples []float64
	labels  []int64
	start   float64 // largest number in the starting noise
	steps   int
	options []string // as key=value
	plan    *schedule.Plan
	sampler string
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(pipelines, name))
	if err != nil {
		t.Fatal(err)
	}
	g := golden{dir: dir, noise: filepath.Join(dir, "samples.safetensors")}
	f, err := safetensors.Open(g.noise)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensor := func(name string) ([]float64, []int) {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v, x.Shape
	}
	g.samples, g.shape = tensor("samples_float32")
	noise, _ := tensor("noise")
	g.start = largest(noise)
	if f.Has("class_labels") {
		x, err := f.Tensor("class_labels")
		if err != nil {
			t.Fatal(err)
		}
		if g.labels, err = x.Int64s(); err != nil {
			t.Fatal(err)
		}
	}
	var o struct {
		Steps int
		Eta   float64
	}
	if err := json.Unmarshal([]byte(f.Metadata()["options"]), &o); err != nil {
		t.Fatal(err)
	}
	g.steps = o.Steps
	if o.Eta != 0 {
		g.options = []string{fmt.Sprintf("sampler.eta=%g", o.Eta)}
	}
	s, err := schedule.Decode(read(t, filepath.Join(dir, "scheduler/scheduler_config.json")))
	if err != nil {
		t.Fatal(err)
	}
	if g.plan, err = s.Plan(g.steps); err != nil {
		t.Fatal(err)
	}
	g.sampler = map[string]string{"DDPMScheduler": "ddpm", "DDIMScheduler": "ddim", "EulerDiscreteScheduler": "euler", "HeunDiscreteScheduler": "heun", "EulerAncestralDiscreteScheduler": "euler_ancestral"}[s.Class()]
	return g
}

func largest(v []float64) float64 {
	m := 0.0
	for _, x := range v {
		m = max(m, math.Abs(x))
	}
	return m
}

// bound is how far two float32 runs of a pipeline may lie apart.
//
// These networks are about 30 operations deep, over sums of at most 72 products.
// An operation rounds by √72·2⁻²⁴ = 5e-7 of its result, 30 of them by √30 times
// that, 2.8e-6; two runs differ by √2 as much, and the worst of 128 numbers by
// some three standard deviations: ρ = 1.2e-5 of the prediction.
//
// Along the path, x/α moves by ε̂·Δ(σ/α). The errors of all steps therefore add up
// to at most ρ·|ε̂|·l, l being the noise level σ/α at the start, where a network
// predicts ε, with |ε̂| of the order of the noise. A prediction of v gives the data
// without dividing by α: l is 1. The samples' own rounding is ρ of their size.
func (g *golden) bound() float64 {
	const rho = 1.2e-5
	l := 1.0
	if g.plan.Predicts == diffusion.Eps {
		l = g.plan.Path.At(g.plan.Grid[0]).NoiseLevel()
	}
	return rho * (l*g.start + largest(g.samples))
}

// samplesOf reads what sample wrote.
func samplesOf(t *testing.T, path string) ([]float64, []int) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names := f.Names(); !slices.Equal(names, []string{"samples"}) {
		t.Fatalf("%s holds %v, want samples", path, names)
	}
	x, err := f.Tensor("samples")
	if err != nil || x.DType != safetensors.F32 {
		t.Fatalf("%s: %v, %v", path, x, err)
	}
	v, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	return v, x.Shape
}

func TestPipelines(t *testing.T) {
	long(t)
	entries, err := os.ReadDir(pipelines)
	if err != nil || len(entries) < 8 {
		t.Fatalf("%d pipelines, %v", len(entries), err)
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			g := readGolden(t, e.Name())
			classes := []string{""}
			for i := range g.labels {
				class := fmt.Sprint(g.labels[i])
				if strings.HasPrefix(e.Name(), "dit") && g.labels[i] == 10 { // its null class
					class = "none"
				}
				classes = append(classes[:i], class)
			}
			for i, class := range classes {
				dir := t.TempDir()
				args := []string{"sample", g.dir, "--sampler", g.sampler, "--steps", fmt.Sprint(g.steps), "--noise", g.noise, "--out", "x.safetensors"}
				if class != "" {
					args = append(args, "--class", class)
				}
				args = append(args, g.options...)
				succeeds(t, dir, args...)
				got, shape := samplesOf(t, filepath.Join(dir, "x.safetensors"))
				if !slices.Equal(shape, g.shape) {
					t.Fatalf("samples of shape %v, want %v", shape, g.shape)
				}
				// Sample i has the label asked for; without labels all are compared.
				from, to := 0, len(got)
				if class != "" {
					size := len(got) / shape[0]
					from, to = i*size, (i+1)*size
				}
				worst := 0.0
				for k := from; k < to; k++ {
					worst = max(worst, math.Abs(got[k]-g.samples[k]))
				}
				t.Logf("class %q: samples up to %.4g, error %.2g, bound %.2g", class, largest(g.samples), worst, g.bound())
				if !(worst <= g.bound()) {
					t.Errorf("class %q: error %g, above %g", class, worst, g.bound())
				}
				pure(t, dir, args)
			}
		})
	}
}

// pure runs a command again, otherwise: the same bytes must come out.
func pure(t *testing.T, dir string, args []string) {
	t.Helper()
	want := read(t, filepath.Join(dir, "x.safetensors"))
	for _, c := range []struct{ seed, threads string }{{"0", "1"}, {"7", "2"}, {"99", "3"}} {
		p := command(dir, append(args, "--seed", c.seed)...)
		p.Env = append(p.Env, "GOMAXPROCS="+c.threads)
		if o := run(t, p); o.code != 0 {
			t.Fatal(o.stderr)
		}
		if !bytes.Equal(read(t, filepath.Join(dir, "x.safetensors")), want) {
			t.Errorf("seed %s, %s threads: other bytes", c.seed, c.threads)
		}
	}
}

// A network that is conditioned on a number wants one; one that wants vectors can be looked at, not sampled; neither can be trained on classes.
func TestOtherConditions(t *testing.T) {
	dir := t.TempDir()
	copyPipeline(t, "unet-number", filepath.Join(dir, "p"))
	if o := succeeds(t, dir, "inspect", "p"); !strings.Contains(o.stdout, "a number") {
		t.Errorf("the condition is not named in\n%s", o.stdout)
	}
	for _, class := range []string{"", "none", "all", "-1", "2.5"} {
		fails(t, 1, dir, []string{"sample", "p", "--class=" + class, "--out", "x.png"}, "--class", "class_embed_type timestep", "a number")
	}
	fails(t, 1, dir, []string{"sample", "p", "--class", "1", "--guidance", "2", "--out", "x.png"}, "guidance 2", "no classes")
	write(t, filepath.Join(dir, "a.yaml"), strings.Replace(tinyDigitsYAML, "{kind: dit, patch: 4, width: 16, depth: 1, heads: 2}", "{kind: diffusers, path: p}", 1))
	fails(t, 1, dir, []string{"train", "a.yaml", "--run", "r"}, "a.yaml", "path", "class_embed_type")
	const config = "p/unet/config.json"
	number := string(read(t, filepath.Join(dir, config)))
	write(t, filepath.Join(dir, config), strings.Replace(number, `"class_embed_type": "timestep"`, `"class_embed_type": "identity"`, 1))
	without(t, filepath.Join(dir, "p/unet/diffusion_pytorch_model.safetensors"), "class_embedding.")
	if o := succeeds(t, dir, "inspect", "p"); !strings.Contains(o.stdout, "a vector of 16 numbers") {
		t.Errorf("the condition is not named in\n%s", o.stdout)
	}
	fails(t, 1, dir, []string{"sample", "p", "--out", "x.png"}, "p: ", "16 numbers", "class_embed_type identity")
}

// without removes the tensors whose names begin with prefix from a file.
func without(t *testing.T, path, prefix string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var rest []safetensors.Entry
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, prefix) {
			rest = append(rest, safetensors.Bytes(name, x.DType, x.Shape, b))
		}
	}
	f.Close()
	if err := safetensors.WriteFile(path, rest, nil); err != nil {
		t.Fatal(err)
	}
}

// A model alone is sampled from as DDPMScheduler's defaults have it, which are unet-legacy's.
func TestSingleModel(t *testing.T) {
	dir := t.TempDir()
	g := readGolden(t, "unet-legacy")
	if err := os.CopyFS(filepath.Join(dir, "model"), os.DirFS(filepath.Join(g.dir, "unet"))); err != nil {
		t.Fatal(err)
	}
	o := succeeds(t, dir, "sample", "model", "--steps", "5", "--noise", g.noise, "--out", "x.safetensors")
	if want := "model has no scheduler: taking DDPMScheduler's defaults (1000 steps, linear betas 1e-4 to 0.02, epsilon prediction)"; !strings.Contains(o.stderr, want) {
		t.Errorf("%q is not in\n%s", want, o.stderr)
	}
	got, _ := samplesOf(t, filepath.Join(dir, "x.safetensors"))
	for k := range got {
		if !(math.Abs(got[k]-g.samples[k]) <= g.bound()) {
			t.Fatalf("number %d is %g, want %g", k, got[k], g.samples[k])
		}
	}
}

// Without --noise, noise is drawn, and depends on the seed.
func TestPipelineSeeds(t *testing.T) {
	dir := t.TempDir()
	copyPipeline(t, "unet-ddpm", filepath.Join(dir, "pipe"))
	sample := func(seed string) string {
		succeeds(t, dir, "sample", "pipe", "--steps", "3", "--n", "3", "--seed", seed, "--out", "x.safetensors")
		return string(read(t, filepath.Join(dir, "x.safetensors")))
	}
	first, again := sample("1"), sample("1")
	if first != again {
		t.Error("the same seed gives other samples")
	}
	if first == sample("2") {
		t.Error("two seeds give the same samples")
	}
}
