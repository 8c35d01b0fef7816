package classify

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

var _ guidance.Classifier = (*OnPath)(nil)

// twoNormals are N(1, .5²) and N(−1, .5²) in the plane's first axis, N(0, .5²) in its second.
func twoNormals(t *testing.T) (data.Source, *diffusion.Mixture) {
	t.Helper()
	d, err := data.NewMixture([]data.Gaussian{{Weight: 1, Mean: []float64{1, 0}, Std: []float64{0.5}}, {Weight: 1, Mean: []float64{-1, 0}, Std: []float64{0.5}}})
	if err != nil {
		t.Fatal(err)
	}
	return data.Draw(d, 1, false), &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{1, 0}, {-1, 0}}, Stds: [][]float64{{0.5}, {0.5}}}
}

// What is learned is the posterior of the classes at every noise level, on any path: its logit
// is 2αx/(α²·.25+σ²).
func TestLearnsThePosterior(t *testing.T) {
	src, _ := twoNormals(t)
	cfg := Config{Updates: 400, Batch: 128, Width: 32, Rate: 3e-3}
	k, err := Train(context.Background(), cpu.Default(), src, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.EDM{SigmaMax: 80}} {
		for _, theta := range []float64{0.3, 0.8, 1.2} {
			at := path.Time(-math.Log(math.Tan(theta)))
			p := path.At(at)
			var x []float32
			for _, v := range []float64{-1, -0.4, 0, 0.3, 1.1} {
				x = append(x, float32(v*math.Hypot(p.Alpha, p.Sigma)), 0)
			}
			got := k.On(path).LogProb(s.Tensor(x, 5, 2), diffusion.Step{T: []float64{at}}, diffusion.Cond{Labels: s.Ints(make([]int32, 5), 5)}).Float64s()
			for i := range got {
				want := 1 / (1 + math.Exp(-2*p.Alpha*float64(x[2*i])/(0.25*p.Alpha*p.Alpha+p.Sigma*p.Sigma)))
				// A network after 400 updates: within 7 % of probability.
				if math.Abs(math.Exp(got[i])-want) > 0.07 {
					t.Errorf("%T, θ=%g, x=%g: probability %.3f, want %.3f", path, theta, x[2*i], math.Exp(got[i]), want)
				}
			}
		}
	}
	// The null class and no class say nothing.
	x := s.Ones(2, 2)
	at := diffusion.Step{T: []float64{0.5}}
	for _, c := range []diffusion.Cond{{}, {Labels: s.Ints([]int32{2, 2}, 2)}} {
		for _, v := range k.On(diffusion.CondOT{}).LogProb(x, at, c).Float64s() {
			if v != 0 {
				t.Errorf("ln p of no class is %g", v)
			}
		}
	}
	// The same training, the same weights.
	again, err := Train(context.Background(), cpu.Default(), src, Config{Updates: 5, Batch: 16, Width: 8, Rate: 1e-3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Train(context.Background(), cpu.Default(), src, Config{Updates: 5, Batch: 16, Width: 8, Rate: 1e-3}, nil)
	if err != nil || !slices.Equal(weights(again), weights(other)) {
		t.Errorf("the same training gives other weights, %v", err)
	}
}

func weights(k *Classifier) (all []float32) {
	for _, e := range []*tensor.Param{k.net.MLP.In.Weight, k.net.MLP.Out.Weight} {
		all = append(all, e.Float32s()...)
	}
	return all
}

// Digits are told apart where there is little noise, and a file holds the whole classifier.
func TestDigits(t *testing.T) {
	train, held := data.Digits()
	steps := 0
	k, err := Train(context.Background(), cpu.Default(), train, Config{Updates: 60, Batch: 64, Width: 16, Rate: 4e-3}, func(done, total int) { steps = done })
	if err != nil || steps != 60 {
		t.Fatalf("%d steps, %v", steps, err)
	}
	x, labels := make([]float32, 360*64), make([]int32, 360)
	for i := range labels {
		l, err := held.Sample(uint64(i), x[64*i:64*i+64])
		if err != nil {
			t.Fatal(err)
		}
		labels[i] = int32(l)
	}
	key := rng.Key{Seed: 1}
	clear, noisy := k.Accuracy(x, labels, 0, key), k.Accuracy(x, labels, 0.95, key)
	if clear < 0.6 || noisy > 0.3 || noisy >= clear {
		t.Errorf("recognises %.2f of digits, and %.2f of noise", clear, noisy)
	}
	path := filepath.Join(t.TempDir(), "k.safetensors")
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	read, err := Load(cpu.Default(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	at, c := diffusion.Step{T: []float64{0.2, 0.7, 0.4}}, diffusion.Cond{Labels: s.Ints(labels[:3], 3)}
	in := s.Tensor(x[:3*64], 3, 8, 8, 1)
	a, b := k.On(diffusion.CondOT{}).LogProb(in, at, c).Float32s(), read.On(diffusion.CondOT{}).LogProb(in, at, c).Float32s()
	if !slices.Equal(a, b) || read.Classes != 10 || !slices.Equal(read.Shape, []int{8, 8, 1}) {
		t.Errorf("before %v, from the file %v", a, b)
	}
	// A sample does not depend on those beside it.
	one := k.On(diffusion.CondOT{}).LogProb(in.Slice(0, 1, 2), diffusion.Step{T: []float64{0.7}}, diffusion.Cond{Labels: s.Ints(labels[1:2], 1)}).Float32s()
	if one[0] != a[1] {
		t.Errorf("alone %v, in a batch %v", one[0], a[1])
	}
}

func TestErrors(t *testing.T) {
	src, _ := twoNormals(t)
	train := func(src data.Source, change func(c *Config)) error {
		c := Config{}
		c.SetDefaults()
		c.Updates = 1
		change(&c)
		_, err := Train(context.Background(), cpu.Default(), src, c, nil)
		return err
	}
	for name, err := range map[string]error{
		"at least 2":    train(data.Draw(data.Checkerboard{}, 1, false), func(*Config) {}),
		"width 2":       train(src, func(c *Config) { c.Width = 2 }),
		"0 updates":     train(src, func(c *Config) { c.Updates = 0 }),
		"positive rate": train(src, func(c *Config) { c.Rate = 0 }),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	c := Config{}
	c.SetDefaults()
	if _, err := Train(cancelled, cpu.Default(), src, c, nil); err == nil {
		t.Error("goes on when cancelled")
	}
	for text, want := range map[string]string{
		"": "no classifier", `{"shape": [8, 8`: "metadata", `{"shape": [0], "classes": 2, "width": 8}`: "shape [0]", `{"shape": [9], "classes": 1, "width": 8}`: "1 classes",
		`{"shape": [4], "classes": 2, "width": 500000}`: "width", `{"shape": [512, 512, 4], "classes": 9, "width": 512}`: "has a layer", `{"shape": [1], "classes": 2, "width": 4}`: "missing",
	} {
		path := filepath.Join(t.TempDir(), "bad.safetensors")
		meta := map[string]string{}
		if text != "" {
			meta[metadataKey] = text
		}
		if err := safetensors.WriteFile(path, []safetensors.Entry{safetensors.Float32("x", []int{5}, make([]float32, 5))}, meta); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(cpu.Default(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
	if _, err := Load(cpu.Default(), "nowhere.safetensors"); err == nil {
		t.Error("opens what is not there")
	}
}
