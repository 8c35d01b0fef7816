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
