package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
)

// A mixture by name or from an experiment; its model along the objective's path, with its prediction.
func TestOpenOracle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(file, []byte("data: {kind: mixture, components: [{weight: 3, mean: [1, 0], std: [0.5]}, {mean: [-1, 0], std: [0.1, 0.2]}]}\nmodel: mlp\nobjective: {kind: ddpm, predict: v}\nsample: {steps: 7}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := OpenOracle(context.Background(), file, []string{"sample.sampler=ddim"})
	if err != nil {
		t.Fatal(err)
	}
	o := m.Model.(*diffusion.Oracle)
	if _, ok := o.Along.(*diffusion.Table); !ok || o.Predicts != diffusion.V || m.How.Steps != 7 || m.How.Sampler.Kind != "ddim" || m.Classes != 2 || m.Null != 2 {
		t.Errorf("%+v of %+v", o, m.How)
	}
	if !slices.Equal(o.Of.Weights, []float64{0.75, 0.25}) || o.Of.Check() != nil || o.Of.Stds[1][1] != 0.2 {
		t.Errorf("the mixture %+v", o.Of)
	}
	// It is sampled from like any model: with no class three quarters are of the first, with one all are.
	x := draw(t, m, Request{N: 400})
	right := 0
	for i := 0; i < len(x); i += 2 {
		if x[i] > 0 {
			right++
		}
	}
	if math.Abs(float64(right)-300) > 5*math.Sqrt(400*0.75*0.25) {
		t.Errorf("%d of 400 samples are of the first component", right)
	}
	for i, v := range draw(t, m, Request{N: 20, Labels: make([]int32, 20)}) {
		if i%2 == 0 && v < -1 { // four deviations
			t.Errorf("sample %d of the first class is at %g", i/2, v)
		}
	}
	for _, name := range Mixtures() {
		m, err := OpenOracle(context.Background(), name, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if err := m.Model.(*diffusion.Oracle).Of.Check(); err != nil {
			t.Error(name, err)
		}
	}
	if m, err := OpenOracle(context.Background(), "pair", []string{"conditional=false"}); err != nil || m.Classes != 0 {
		t.Errorf("unconditional: %v", err)
	}
	for _, c := range []struct {
		file     string
		override string
		says     []string
	}{
		{"paar", "seed=1", []string{"paar", "8gaussians, line, pair, triangle", "YAML"}},
		{"none.yaml", "seed=1", []string{"none.yaml"}},
		{file, "data=moons", []string{"data", "moons", "mixture"}},
		{file, "objective=mean_flow", []string{"objective", "mean_flow", "edm"}},
		{file, "objective={kind: flow, coupling: ot}", []string{"objective.coupling", "ot", "independent"}},
		{file, "objective={kind: flow, source: 8gaussians}", []string{"objective", "normal noise"}},
		{file, "objective={kind: flow, interpolant: {kind: condot, latent: bridge}}", []string{"objective", "noise of its own"}},
		{file, "objektive=flow", []string{"objektive", "objective"}},
	} {
		_, err := OpenOracle(context.Background(), c.file, []string{c.override})
		wantError(t, err, c.says...)
	}
}

// What the data are, of a class alone, and how dense.
func TestKnow(t *testing.T) {
	m, err := OpenOracle(context.Background(), "triangle", nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Know(context.Background(), 50, -1)
	if err != nil || all.N != 50 || len(all.X) != 100 || len(all.Labels) != 50 || !all.Exact || len(all.Density.Weights) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	one, err := m.Know(context.Background(), 50, 1)
	if err != nil || one.N != 50 || len(one.Density.Weights) != 1 || one.Density.Means[0][0] != -1.7 {
		t.Fatalf("%+v, %v", one, err)
	}
	for i, l := range one.Labels {
		if l != 1 || math.Abs(float64(one.X[2*i])+1.7) > 5*0.3 {
			t.Errorf("sample %d is of class %d, at %v", i, l, one.X[2*i:2*i+2])
		}
	}
	_, err = m.Know(context.Background(), 5, 9)
	wantError(t, err, "class 9")

	digits := opened(t, trained(t, digitsYAML, "steps=1", "sample.every=0"))
	few, err := digits.Know(context.Background(), 1<<20, 3)
	if err != nil || few.N < 100 || few.N > 200 || few.Density != nil || few.Exact {
		t.Errorf("the threes: %d, %v", few.N, err)
	}
}

// Four points at the corners of a square of side 2 and one in the middle: with fewer than ten others, a kernel reaches the farthest.
func TestKernels(t *testing.T) {
	m := kernels([]float32{0, 0, 2, 0, 0, 2, 2, 2, 1, 1}, 2)
	if want := math.Sqrt(8. / 2); m.Check() != nil || len(m.Weights) != 5 || math.Abs(m.Stds[0][0]-want) > 1e-12 || m.Means[3][1] != 2 {
		t.Errorf("%+v, want a width of %g", m, want)
	}
	var line []float32
	for i := range 101 {
		line = append(line, float32(i))
	}
	if m := kernels(line, 1); m.Stds[0][0] != 5 { // five to either side
		t.Errorf("a width of %g, want 5", m.Stds[0][0])
	}
	if m := kernels(make([]float32, 40), 1); m.Stds[0][0] != 1e-3 {
		t.Errorf("of one point many times, a width of %g", m.Stds[0][0])
	}
}

func TestPredictRefuses(t *testing.T) {
	d := exactDrawer(diffusion.CondOT{}, 2)
	ask := func(q Request, kind diffusion.Kind, x []float32, at float64) error {
		_, err := d.Predict(q, kind, x, at)
		return err
	}
	x := []float32{1, 2}
	wantError(t, ask(Request{N: 2}, diffusion.X0, x, 0.5), "2 numbers", "2 samples")
	wantError(t, ask(Request{N: 1}, diffusion.X0, x, 1.5), "time 1.5", "0 to 1")
	wantError(t, ask(Request{N: 1}, diffusion.Score, x, 0), "does not determine")
	wantError(t, ask(Request{N: 1, Labels: []int32{1, 2}}, diffusion.X0, x, 0.5), "2 labels")
	d.Source = &noise{noiseConfig: noiseConfig{Shape: []int{2}}}
	wantError(t, ask(Request{N: 1}, diffusion.Score, x, 0.5), "score", "other data")
	if err := ask(Request{N: 1}, diffusion.Velocity, x, 0.5); err != nil {
		t.Error(err)
	}
	_, err := d.Noised(Request{N: 2, Init: x}, 0.5)
	wantError(t, err, "2 numbers")
}
