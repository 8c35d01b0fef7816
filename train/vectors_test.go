package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
	dense "gorgonia.org/tensor"
)

// linesCSV is a table of points (a, b/2) with noise of .05, and of what they depend on: a and b, uniform in [−1,1]. The class is the
// sign of a.
func linesCSV(t *testing.T, n int) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("x,y,a,b,right\n")
	for i := range n {
		u := func(j int) float64 { return 2*rng.Float64(rng.Key{Seed: 6}, uint64(i), j) - 1 }
		a, b, right := u(0), u(1), 0
		if a > 0 {
			right = 1
		}
		fmt.Fprintf(&text, "%.5f,%.5f,%.5f,%.5f,%d\n", a+0.05*u(2), b/2+0.05*u(3), a, b, right)
	}
	path := filepath.Join(t.TempDir(), "lines.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// vectorYAML has no data.
const vectorYAML = `
name: lines
seed: 3
steps: 20
batch: 16
model: {kind: mlp, width: 16, depth: 1}
objective: {kind: flow, condition_dropout: 0.2}
optim: {lr: 3e-3}
sample: {steps: 3, every: 0, guidance: 1.5}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

func lines(t *testing.T) string {
	return "data={kind: csv, path: " + linesCSV(t, 200) + ", samples: [x, y], vectors: [a, b], heldout: 50}"
}

// pictureVectors are pictures with a number each.
func pictureVectors(t *testing.T) string {
	t.Helper()
	x, v := make([]float32, 40*64), make([]float32, 40)
	for i := range v {
		rng.Normal(x[64*i:64*(i+1)], rng.Key{Seed: 7}, uint64(i))
		v[i] = x[64*i]
	}
	dir := t.TempDir()
	for name, d := range map[string]*dense.Dense{"x.npy": gorgonia.Dense([]int{40, 8, 8, 1}, x), "v.npy": gorgonia.Dense([]int{40}, v)} {
		if err := gorgonia.WriteNPY(filepath.Join(dir, name), d); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("data={kind: npy, samples: %s, vectors: %s, heldout: 10}", filepath.Join(dir, "x.npy"), filepath.Join(dir, "v.npy"))
}

// Every network and objective trains on vectors, resumes bit for bit, and draws samples that follow their vector alone.
func TestVectorConditions(t *testing.T) {
	for name, set := range map[string][]string{
		"mlp":        nil,
		"c2ot":       {"objective.coupling=c2ot"},
		"cosine":     {"objective.coupling={kind: c2ot, distance: cosine}"},
		"plain":      {"model={kind: plain_mlp, width: 16}", "accumulate=3"},
		"validate":   {"validation={every: 10, samples: 40}", "sample.every=10"},
		"without":    {"model.null_condition=false", "sample.guidance=1", "sample.every=10"},
		"mean flow":  {"objective={kind: mean_flow}", "sample.sampler=jump", "sample.guidance=1"},
		"ddpm":       {"objective={kind: ddpm, steps: 20}", "sample.sampler=ddim"},
		"dit":        {pictureVectors(t), "model={kind: dit, patch: 4, width: 16, depth: 1, heads: 2}", "sample.every=10", "sample.rows=2"},
		"unet":       {pictureVectors(t), "model={kind: unet, channels: [8, 8], groups: 4, layers: 1, head_dim: 8}"},
		"and tokens": {pictureTokens(t), "model={kind: dit, patch: 4, width: 16, depth: 1, heads: 2}", "objective={kind: discrete_flow, tokens: 3}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := append([]string{lines(t)}, set...)
			dir := trained(t, vectorYAML, set...)
			m := opened(t, dir)
			q := Request{N: 5}
			given := make([]float32, 2*m.Vector)
			for i := range given {
				given[i] = 0.8 - float32(i)
			}
			q.SetVectors(given, m.Vector)
			x := draw(t, m, q)
			m.How.Batch = 2
			if again := draw(t, m, q); !slices.Equal(again, x) {
				t.Errorf("in batches of 2: %v", again)
			}
			q.SetVectors(given[:m.Vector], m.Vector)
			other, size := draw(t, m, q), len(x)/q.N
			for i := range q.N {
				a, b := x[i*size:(i+1)*size], other[i*size:(i+1)*size]
				if same := slices.Equal(a, b); same != (i%2 == 0) && name != "and tokens" { // tokens may be the same
					t.Errorf("sample %d, with the same vector or another one, is %v and %v", i, a, b)
				}
			}
			if _, err := m.Draw(context.Background(), Request{N: 2}); (err != nil) != (name == "without") {
				t.Errorf("without vectors: %v", err)
			}
			if _, err := Eval(context.Background(), m, EvalOptions{N: 10}); err != nil {
				t.Error(err)
			}
			resumesExactly(t, dir, vectorYAML, set...)
		})
	}
}

// pictureTokens are pictures of three levels with a number each.
func pictureTokens(t *testing.T) string {
	t.Helper()
	x, v := make([]float32, 40*64), make([]float32, 40)
	for i := range x {
		x[i] = float32(rng.Intn(rng.Key{Seed: 8}, uint64(i), 0, 3)) - 1
	}
	dir := t.TempDir()
	for name, d := range map[string]*dense.Dense{"x.npy": gorgonia.Dense([]int{40, 8, 8, 1}, x), "v.npy": gorgonia.Dense([]int{40}, v)} {
		if err := gorgonia.WriteNPY(filepath.Join(dir, name), d); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("data={kind: npy, samples: %s, vectors: %s, heldout: 10}", filepath.Join(dir, "x.npy"), filepath.Join(dir, "v.npy"))
}

// Samples are where their vector says, and without one where any does.
func TestSamplesFollowTheirVector(t *testing.T) {
	m := opened(t, trained(t, vectorYAML, lines(t), "steps=600", "batch=64", "model.width=32", "optim.lr=5e-3", "sample={steps: 20, every: 0}"))
	const n = 200
	m.How.Batch = n
	mean := func(x []float32) (c [2]float64) {
		for i, v := range x {
			c[i%2] += float64(v) / n
		}
		return c
	}
	for _, at := range [][]float32{{0.7, 0.5}, {-0.6, 0.8}} {
		q := Request{N: n, Seed: 4}
		q.SetVectors(at, 2)
		// Learned in a moment: a fifth of the data's spread.
		if c := mean(draw(t, m, q)); math.Hypot(c[0]-float64(at[0]), c[1]-float64(at[1])/2) > 0.2 {
			t.Errorf("with the vector %v samples are at %v on average", at, c)
		}
	}
	if c := mean(draw(t, m, Request{N: n})); math.Hypot(c[0], c[1]) > 0.2 {
		t.Errorf("without a vector samples are at %v on average", c)
	}
	ode := likelihood.ODE{}
	ode.SetDefaults()
	given, err := MeasureLikelihood(context.Background(), m, LikelihoodOptions{N: 50, ODE: ode})
	if err != nil || given.Model != "p(x|vector)" {
		t.Fatalf("%+v, %v", given, err)
	}
	// Uniform on ±1 by ±½ is ln 2 = .7 nats; of that, the vector leaves about .1 by .1.
	if nll := float64(given.Heldout.NLL); nll > -1 {
		t.Errorf("−ln p of data with their vectors is %g", nll)
	}
}

// With classes, too, both are conditions, and both are dropped.
// Row i of what lies between samples has vector i, and so the first one begins with the sample itself.
func TestBetweenVectors(t *testing.T) {
	m := opened(t, trained(t, vectorYAML, lines(t)))
	q := Request{N: 4, Seed: 3, Vectors: []float32{0.5, 1, -0.25, 0.125, -1, 0.75, 0, 0}}
	whole, err := m.Draw(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := m.Between(q, 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{0.5, 1, 0.5, 1, 0.5, 1, -0.25, 0.125, -0.25, 0.125, -0.25, 0.125}; !slices.Equal(rows.Vectors, want) {
		t.Fatalf("vectors %v, want %v", rows.Vectors, want)
	}
	x, err := m.Draw(context.Background(), rows)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(x[:2], whole[:2]) {
		t.Errorf("the first of the first row is %v, the sample %v", x[:2], whole[:2])
	}
}

func TestVectorsAndClasses(t *testing.T) {
	both := "data={kind: csv, path: " + linesCSV(t, 200) + ", samples: [x, y], vectors: [a, b], label: right, heldout: 50}"
	m := opened(t, trained(t, vectorYAML, both))
	q := Request{N: 4, Labels: []int32{0, 1, 0, 1}}
	x := draw(t, m, q)
	q.SetVectors([]float32{0.1, 0.2, -0.1, -0.2}, 2)
	if y := draw(t, m, q); slices.Equal(x, y) {
		t.Error("vectors do not matter beside classes")
	}
	q.Labels = nil
	draw(t, m, q)
	if _, err := Eval(context.Background(), m, EvalOptions{N: 12}); err != nil {
		t.Error(err)
	}
	l, err := MeasureLikelihood(context.Background(), m, LikelihoodOptions{N: 3, ODE: likelihood.ODE{Method: "rk4", Steps: 4, RTol: 0.1, ATol: 0.1, Divergence: "exact", Probes: 1}})
	if err != nil || l.Model != "p(x|vector, class)" {
		t.Errorf("%+v, %v", l, err)
	}
	for _, f := range m.Facts() {
		if f[0] == "vector" && f[1] != "of 2 numbers, with a null vector" {
			t.Errorf("vector %s", f[1])
		}
	}
	none := opened(t, trained(t, vectorYAML, both, "conditional=false", "sample.guidance=1"))
	if none.Vector != 0 || none.Classes != 0 {
		t.Errorf("%d classes and vectors of %d, though not conditional", none.Classes, none.Vector)
	}
}

func TestVectorConditionsRefuse(t *testing.T) {
	both := "data={kind: csv, path: " + linesCSV(t, 20) + ", samples: [x, y], vectors: [a, b], label: right}"
	for set, want := range map[string][]string{
		lines(t) + "|model.vector=3":                                               {"model.vector", "is 3", "2 numbers"},
		both + "|objective.coupling=c2ot":                                          {"objective.coupling", "both"},
		lines(t) + "|conditional=false|objective.coupling=c2ot":                    {"objective.coupling", "nothing"},
		"data={kind: csv, path: x.csv, samples: []}":                               {"data.samples"},
		"data={kind: csv, path: nowhere.csv, samples: [x]}":                        {"nowhere.csv"},
		lines(t) + "|model.vector_embed=time":                                      {"model.vector", "1"},
		lines(t) + "|sample.every=5|model.null_condition=false":                    {"sample", "null vector"},
		lines(t) + "|objective={kind: mean_flow, guidance: 2}":                     {"objective.guidance", "class"},
		"data=moons|conditional=false|objective={kind: flow, coupling: c2ot}":      {"objective.coupling", "nothing"},
		"data=moons|conditional=false|objective={kind: mean_flow, coupling: c2ot}": {"objective.coupling", "nothing"},
		"data=moons|conditional=false|objective={kind: shortcut, coupling: c2ot}":  {"objective.coupling", "nothing"},
		"data=moons|conditional=false|objective={kind: flow_map, coupling: c2ot}":  {"objective.coupling", "nothing"},
	} {
		exp, err := ReadExperiment("x.yaml", []byte(vectorYAML), strings.Split(set, "|"))
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
	m := opened(t, trained(t, vectorYAML, lines(t), "steps=1"))
	plain := opened(t, trained(t, moonsYAML, "steps=1"))
	for what, draw := range map[string]func() error{
		"0 numbers": func() error { _, err := m.Draw(context.Background(), Request{N: 2, Vectors: []float32{}}); return err },
		"3 numbers": func() error {
			_, err := m.Draw(context.Background(), Request{N: 2, Vectors: make([]float32, 3)})
			return err
		},
		"on no vector": func() error {
			_, err := plain.Draw(context.Background(), Request{N: 1, Vectors: []float32{1}})
			return err
		},
	} {
		if err := draw(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// In a steady state a step allocates nothing.
func TestVectorConditionsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	stepsAllocateNothing(t, "vectors", bare(t, vectorYAML, lines(t)))
}

// The loss on held-out data is of these with their own vectors.
func TestValidationWithVectors(t *testing.T) {
	tr := bare(t, vectorYAML, lines(t), "validation={every: 5, samples: 12}")
	if err := tr.Train(); err != nil {
		t.Fatal(err)
	}
	got, err := tr.valid.loss(context.Background(), tr)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(change float32) float64 {
		x, _, err := takeSamples(tr.data.Heldout, 12)
		if err != nil {
			t.Fatal(err)
		}
		src, _ := data.VectorsOf(tr.data.Heldout)
		b := diffusion.Batch{N: 12, Shape: []int{2}, X: x, Vector: make([]float32, 24)}
		vectorsFrom(src, 0, b.Vector)
		b.Vector[5] += change
		var d diffusion.Draw
		tr.job.Objective.Draw(rng.Key{Seed: tr.exp.Seed, Step: math.MaxUint64}, &b, &d)
		s := tensor.NewScope(tr.dev, tensor.Inference)
		defer s.Close()
		return tr.job.Objective.Loss(s, tr.avgMod, &d).Item()
	}
	if want := loss(0); got != want || loss(1) == want {
		t.Errorf("loss %g, want %g; with another vector %g", got, want, loss(1))
	}
}
