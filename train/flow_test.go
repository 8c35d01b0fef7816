package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/testenv"
)

// flowYAML is moons from eight Gaussians.
const flowYAML = `
name: flow
seed: 3
steps: 30
batch: 16
data: torchcfm_moons
conditional: false
model: {kind: plain_mlp, width: 16}
objective: {kind: flow, source: 8gaussians}
optim: {lr: 3e-3}
sample: {steps: 3, every: 0}
checkpoint: {every: 10, keep: 2}
log_every: 7
`

// flows are settings of flow matching, each of which trains.
var flows = []string{
	"objective.coupling={kind: ot, replace: true}",
	"objective.coupling={kind: sinkhorn, regularisation: 5}",
	"objective.interpolant={kind: condot, sigma_min: 0.01}",
	"objective.interpolant={kind: condot, latent: {kind: constant, sigma: 0.2}}",
	"objective.interpolant={kind: condot, latent: bridge}",
	"objective.interpolant={kind: trig, latent: {kind: sine, scale: 0.5}}",
	"objective.interpolant=encdec",
	"objective.source=null",
	"objective={kind: flow, source: moons, interpolant: {kind: trig, latent: bridge}, learn_denoiser: true}",
	"objective={kind: flow, interpolant: trig, times: logit_normal, shift: 2, stratified: true, source: swissroll, predict: data_velocity}",
	"objective.source={kind: noise, shape: [2]}",
	"objective={kind: cnf, steps: 2}",
	"objective={kind: cnf, steps: 2, solver: midpoint, divergence: hutchinson, condition_dropout: 0.5}",
}

// Every variant trains, resumes bit for bit, and samples.
func TestFlows(t *testing.T) {
	for _, set := range flows {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			dir := trained(t, flowYAML, set)
			m := opened(t, dir)
			x, err := m.Draw(context.Background(), Request{N: 5})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range x {
				if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 1e3 {
					t.Fatalf("samples %v", x)
				}
			}
			if strings.Contains(set, "learn_denoiser") {
				if err := m.Choose(Choice{Sampler: "interpolant_sde"}); err != nil {
					t.Fatal(err)
				}
				if y, err := m.Draw(context.Background(), Request{N: 5}); err != nil || slices.Equal(x, y) {
					t.Fatalf("by the SDE: %v, %v", y, err)
				}
			}
			for _, f := range m.Facts() {
				if f[0] == "noise" && strings.Contains(f[1], "flow.") {
					t.Errorf("the path is described as %s", f[1])
				}
			}
			resumesExactly(t, dir, flowYAML, set)
		})
	}
}

// Samples start from the source: what comes out of a network that does not move is its draws,
// which depend on seed and place alone and are none of the training's.
func TestSamplesStartFromTheSource(t *testing.T) {
	dir := trained(t, flowYAML, "steps=1", "objective.source={kind: mixture, components: [{mean: [100, 0], std: [1]}]}")
	m := opened(t, dir)
	for _, p := range m.Params {
		if err := p.Set(make([]float32, p.Elems())); err != nil {
			t.Fatal(err)
		}
	}
	draw := func(n int, seed uint64) []float32 {
		x, err := m.Draw(context.Background(), Request{N: n, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	m.How.Batch = 7
	x := draw(400, 1)
	sum, sum2 := 0.0, 0.0
	for i := range 400 {
		d := float64(x[2*i]) - 100
		sum, sum2 = sum+d, sum2+d*d
	}
	if mean, v := sum/400, sum2/400; math.Abs(mean) > 5./20 || math.Abs(v-1) > 5*math.Sqrt(2./400) {
		t.Errorf("mean %g and variance %g about (100, 0)", mean, v)
	}
	if !slices.Equal(draw(10, 1), x[:20]) {
		t.Error("samples depend on how many there are")
	}
	if slices.Equal(draw(10, 2), x[:20]) {
		t.Error("seeds give the same samples")
	}
	for _, s := range []string{"ddpm", "renoise"} {
		if err := m.Choose(Choice{Sampler: s}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Draw(context.Background(), Request{N: 1}); err == nil || !strings.Contains(err.Error(), "normal noise") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// A source that is finite is read in an order that the seed chooses, each sample once.
func TestStartFromFiniteSource(t *testing.T) {
	exp := experiment(t, digitsYAML)
	ds, err := exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	n := ds.Heldout.Len()
	x := make([]float32, n*64)
	if err := startFrom(ds.forSampling(), 5, 0, x); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	y := make([]float32, 64)
	key := func(v []float32) string {
		return strings.ReplaceAll(strings.Trim(strings.Join(strings.Fields(fmt.Sprint(v)), ","), "[]"), " ", "")
	}
	for i := range n {
		if _, err := ds.Heldout.Sample(uint64(i), y); err != nil {
			t.Fatal(err)
		}
		count[key(y)]++
	}
	for i := range n {
		count[key(x[i*64:(i+1)*64])]--
	}
	for _, c := range count {
		if c != 0 {
			t.Fatal("not every held-out sample comes once")
		}
	}
}

// Validation with a source and couplings takes the same losses whenever it is asked.
func TestFlowValidates(t *testing.T) {
	dir := trained(t, flowYAML, "validation={every: 10, samples: 20}", "objective.coupling=ot")
	if text := strings.Join(metricsOf(t, dir), "\n"); strings.Count(text, "valid/loss") != 3 {
		t.Errorf("losses on held-out data: %s", text)
	}
}

func TestClassAwareFlow(t *testing.T) {
	dir := trained(t, flowYAML, "conditional=true", "objective.coupling=c2ot")
	if _, err := opened(t, dir).Draw(context.Background(), Request{N: 4, Labels: []int32{0, 1, 0, 1}}); err != nil {
		t.Fatal(err)
	}
}

func TestFlowsRefuse(t *testing.T) {
	for set, want := range map[string][]string{
		"objective.coupling=c2ot": {"objective.coupling", "classes"},
		"objective.interpolant={kind: condot, latent: {kind: bridge, sigma: -1}}": {"sigma", "-1"},
		"objective={kind: flow, interpolant: encdec, predict: eps}":               {"predict", "velocity"},
		"objective={kind: flow, interpolant: encdec, weighting: min_snr}":         {"weighting", "even"},
		"objective={kind: flow, interpolant: encdec, times: log_normal}":          {"times", "log_normal"},
		"objective={kind: flow, interpolant: encdec, input_perturbation: 0.1}":    {"interpolant", "input_perturbation"},
		"objective={kind: flow, source: moons, offset_noise: 0.1}":                {"offset_noise", "source"},
		"objective.source=digits":                                               {"objective.source", "[8 8 1]", "[2]"},
		"objective.source={kind: npy, samples: nowhere.npy}":                    {"objective.source", "nowhere.npy"},
		"objective={kind: flow, coupling: {kind: sinkhorn, regularisation: 0}}": {"regularisation", "0"},
		"objective={kind: flow, coupling: {kind: c2ot, share: 2}}":              {"share", "2"},
		"objective={kind: cnf, solver: heun}":                                   {"solver", "rk4"},
		"objective={kind: cnf, steps: 0}":                                       {"steps", "1"},
		"objective={kind: flow, learn_denoiser: true}":                          {"learn_denoiser", "latent"},
		"sample.sampler=interpolant_sde":                                        {"interpolant_sde", "latent"},
		"sample.sampler=ddpm":                                                   {"normal noise"},
	} {
		exp, err := ReadExperiment("x.yaml", []byte(flowYAML), []string{set, "sample.every=1"})
		if err == nil {
			var tr *Trainer
			if tr, err = New(context.Background(), exp, Options{Dir: filepath.Join(t.TempDir(), "run")}); err == nil {
				tr.Close()
				t.Errorf("%s: no error", set)
				continue
			}
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %q", set, w, err)
			}
		}
	}
}

// A plan that is not found ends training with the reason.
func TestPlanNotFound(t *testing.T) {
	exp := experiment(t, flowYAML, "objective.coupling={kind: sinkhorn, regularisation: 1e-4, max_iterations: 3, tolerance: 1e-9}")
	err := trainIn(context.Background(), exp, Options{Dir: filepath.Join(t.TempDir(), "run")})
	var e *flow.NotConverged
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "step 1") {
		t.Errorf("%v", err)
	}
}

// In a steady state a step allocates nothing, whatever the coupling and the interpolant.
func TestFlowsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, set := range []string{
		"objective.coupling={kind: ot, replace: true}",
		"objective.coupling={kind: sinkhorn, regularisation: 20}",
		"objective.interpolant={kind: trig, latent: {kind: bridge, sigma: 0.2}}",
		"objective={kind: flow, source: moons, interpolant: encdec, learn_denoiser: true}",
	} {
		stepsAllocateNothing(t, set, bare(t, flowYAML, set))
	}
}
