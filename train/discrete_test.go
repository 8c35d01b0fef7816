package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/flow/discrete"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/classify"
	"github.com/langevin-go/langevin/train/metrics"
)

// tokensYAML is masked diffusion of digits.
const tokensYAML = `
name: tokens
seed: 3
steps: 20
batch: 8
data: digits
conditional: false
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}
objective: {kind: discrete_flow}
optim: {lr: 3e-3}
sample: {steps: 4, every: 0, rows: 2}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

// sequences writes n sequences of four tokens of three kinds to an .npy file, as data have them.
func sequences(t *testing.T, n int) string {
	t.Helper()
	x := make([]float32, 4*n)
	for i := range x {
		x[i] = discrete.Alphabet(3).Value(rng.Intn(rng.Key{Seed: 4}, uint64(i), 0, 3))
	}
	path := filepath.Join(t.TempDir(), "tokens.npy")
	if err := gorgonia.WriteNPY(path, gorgonia.Dense([]int{n, 4}, x)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every variant trains, resumes bit for bit, and draws tokens that do not depend on how many are drawn at a time.
func TestFlowsOfTokens(t *testing.T) {
	for name, set := range map[string][]string{
		"masked":     nil,
		"uniform":    {"objective.source=uniform", "sample.sampler={kind: ctmc, eta: 0.5}"},
		"bound":      {"objective.loss=bound", "objective.scheduler=sine", "validation={every: 10, samples: 20}"},
		"unbounded":  {"objective.loss=bound", "objective.source=uniform", "objective.scheduler={kind: polynomial, exponent: 3}"},
		"unmask":     {"sample.sampler=unmask", "objective.stratified=false", "objective.times=logit_normal", "objective.shift=2"},
		"confidence": {"sample.sampler={kind: unmask, order: confidence, temperature: 0.8}", "sample.float64_state=true"},
		"parts":      {"accumulate=3"},
		"classes":    {"conditional=true", "objective.condition_dropout=0.3", "sample.guidance=2", "sample.every=10"},
		"points":     {"data={kind: npy, samples: " + sequences(t, 60) + "}", "objective.tokens=3", "model={kind: mlp, width: 16, depth: 1}"},
		"unet":       {"model={kind: unet, channels: [8, 8], groups: 4, layers: 1, head_dim: 8}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := trained(t, tokensYAML, set...)
			m := opened(t, dir)
			q := Request{N: 5}
			if m.Classes > 0 {
				q.Labels = []int32{0, 1, 0, 1, 1}
			}
			x := draw(t, m, q)
			k := m.Model.Path().(*discrete.Path).Alphabet
			for i, v := range x {
				if v != k.Value(k.Token(float64(v))) || v > 1 {
					t.Fatalf("number %d is %g, which is no token of %d", i, v, k)
				}
			}
			m.How.Batch = 2
			if again := draw(t, m, q); !slices.Equal(again, x) {
				t.Errorf("in batches of 2: %v", again)
			}
			resumesExactly(t, dir, tokensYAML, set...)
		})
	}
}

// rested is a model whose network answers 0: every posterior is uniform.
func rested(t *testing.T, set ...string) *Trained {
	t.Helper()
	m := opened(t, trained(t, tokensYAML, append(set, "steps=1")...))
	for _, p := range m.Params {
		if err := p.Set(make([]float32, p.Elems())); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// A network that answers 0 draws uniform tokens, and its bound is log2 17 bits for each on average, of any data. From the uniform
// source it is finite, and larger.
func TestRestingTokens(t *testing.T) {
	m := rested(t)
	const n = 100
	m.How.Batch = n
	counts := make([]float64, 17)
	for _, v := range draw(t, m, Request{N: n, Seed: 5}) {
		counts[discrete.Alphabet(17).Token(float64(v))]++
	}
	for k, c := range counts { // six standard errors of a binomial
		if mean := n * 64 / 17.; math.Abs(c-mean) > 6*math.Sqrt(mean) {
			t.Errorf("token %d comes %g times, want about %g", k, c, mean)
		}
	}
	l, err := MeasureLikelihood(context.Background(), rested(t, "objective.source=uniform"), LikelihoodOptions{N: 20, Times: 50})
	if b := l.Train.Bound; err != nil || !(b.Bits > metrics.Figure(math.Log2(17))) || b.Bits > 50 || math.Abs(float64(b.Decoder)-math.Log2(17)) > 1e-6 {
		t.Errorf("from the uniform source: %+v, %v", b, err)
	}
	for _, scheduler := range []string{"linear", "sine"} {
		l, err := MeasureLikelihood(context.Background(), rested(t, "objective.scheduler="+scheduler), LikelihoodOptions{N: 20, Times: 50})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*LikelihoodSplit{l.Heldout, l.Train} {
			b := s.Bound
			if math.Abs(float64(b.Bits)-math.Log2(17)) > 5*float64(b.Error) || !(b.Error < 0.12) || b.Times != 50 || s.N != 20 {
				t.Errorf("%s: %g ± %g bits, want log2 17 = %g", scheduler, float64(b.Bits), float64(b.Error), math.Log2(17))
			}
		}
		for _, bits := range []bool{false, true} {
			text, want := l.Table(bits), "nats"
			if bits {
				want = "bits/dim"
			}
			if !strings.Contains(text, want) || !strings.Contains(text, "64 tokens") || !strings.Contains(text, "50 times") || strings.Contains(text, "NaN") {
				t.Errorf("table:\n%s", text)
			}
		}
	}
}

// Editing keeps most tokens where the strength is low, and starts may give some of the tokens: they stay.
func TestEditingTokens(t *testing.T) {
	m := opened(t, trained(t, tokensYAML, "steps=1", "sample.steps=50"))
	ds, err := m.Exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	init, _, err := takeSamples(ds.Heldout, 4)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(x []float32) (n int) {
		for i, v := range x {
			if v != init[i] {
				n++
			}
		}
		return n
	}
	few := changed(draw(t, m, Request{N: 4, Init: init, Strength: 0.1}))
	many := changed(draw(t, m, Request{N: 4, Init: init, Strength: 0.9}))
	// A tenth of 256 tokens is drawn again, 25.6 with a deviation of 4.8.
	if few == 0 || few > 26+5*5 || many < 128 {
		t.Errorf("%d of 256 tokens changed, and %d", few, many)
	}
	starts := slices.Clone(init)
	mask := discrete.Alphabet(17).Value(17)
	for i := range starts {
		if i%64 >= 32 {
			starts[i] = mask
		}
	}
	for i, v := range draw(t, m, Request{N: 4, Noise: starts}) {
		if i%64 < 32 && v != init[i] {
			t.Fatalf("token %d was given, %g, and is %g", i, init[i], v)
		}
	}
	off := slices.Clone(init)
	off[70] += 0.05
	for what, q := range map[string]Request{"data to edit": {N: 4, Init: off, Strength: 0.5}, "starts": {N: 4, Noise: off}} {
		if _, err := m.Draw(context.Background(), q); err == nil || !strings.Contains(err.Error(), what+": number 70 is") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The run is described as what it is, measured as pictures, and refuses what it cannot do.
func TestTokensElsewhere(t *testing.T) {
	dir := trained(t, tokensYAML, "steps=2", "sample.every=2", "conditional=true", "objective.scheduler={kind: power, exponent: 3}")
	if _, err := os.Stat(dir.Sample("grid", 2)); err != nil {
		t.Error(err)
	}
	m := opened(t, dir)
	if got := checkup(t, m); got != nil {
		t.Errorf("warnings %v", got)
	}
	facts := map[string]string{}
	for _, f := range m.Facts() {
		facts[f[0]] = f[1]
	}
	if facts["noise"] != "17 tokens turn into masked ones, to the power 3 of time" || facts["predicts"] != "posterior" || facts["sampling"] != "ctmc, 4 steps" {
		t.Errorf("described as %v", facts)
	}
	e, err := Eval(context.Background(), m, EvalOptions{N: 20})
	if err != nil || e.Images == nil {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := m.Invert(context.Background(), Request{N: 1, Init: make([]float32, 64)}); err == nil || !strings.Contains(err.Error(), "ctmc") {
		t.Errorf("inverted: %v", err)
	}
	if _, _, err := TrainClassifier(context.Background(), m, classify.Config{}, nil); err == nil || !strings.Contains(err.Error(), "17 tokens") {
		t.Errorf("a classifier: %v", err)
	}
}

func TestFlowsOfTokensRefuse(t *testing.T) {
	for set, want := range map[string][]string{
		"data=moons": {"objective.tokens", "continuous"},
		"data={kind: npy, samples: " + sequences(t, 9) + "}": {"objective.tokens", "continuous"},
		"objective.tokens=9":      {"data", "none of the 9", "number"},
		"objective.tokens=1":      {"objective.tokens", "2"},
		"objective.source=masked": {"objective.source", "mask, uniform"},
		"objective.loss=elbo":     {"objective.loss", "bound"},
		"objective={kind: discrete_flow, loss: bound, times: logit_normal}": {"objective.times", "uniform"},
		"objective={kind: discrete_flow, loss: bound, shift: 3}":            {"objective.times", "shift"},
		"objective.times=by_loss":                                           {"objective.times", "losses"},
		"sample.sampler=heun":                                               {"sample.sampler", "ctmc or unmask", "17 tokens", "heun"},
		"sample.sampler=geodesic":                                           {"sample.sampler", "ctmc or unmask"},
		"sample.clip.range=1":                                               {"sample.clip", "17 tokens"},
		"sample.guidance_rule=apg":                                          {"sample.guidance_rule", "probabilities"},
		"sample.guidance_rescale=0.5":                                       {"sample.guidance_rescale", "probabilities"},
		"sample.sampler={kind: ctmc, eta: -1}":                              {"eta", "-1"},
		"sample.sampler={kind: ctmc, temperature: 0}":                       {"temperature"},
		"sample={sampler: unmask, every: 0}|objective.source=uniform":       {"sample.sampler", "ctmc"},
		"objective=flow|sample.sampler=ctmc":                                {"sample.sampler", "discrete_flow"},
		"objective=flow|sample.sampler=unmask":                              {"sample.sampler", "discrete_flow"},
	} {
		exp, err := ReadExperiment("x.yaml", []byte(tokensYAML), strings.Split(set, "|"))
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

// In a steady state a step allocates nothing.
func TestFlowsOfTokensAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, set := range [][]string{nil, {"objective.source=uniform", "objective.loss=bound"}} {
		stepsAllocateNothing(t, set, bare(t, tokensYAML, set...))
	}
}
