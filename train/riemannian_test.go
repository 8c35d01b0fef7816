package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/classify"
)

// sphereYAML is a mixture on the sphere.
const sphereYAML = `
name: sphere
seed: 3
steps: 30
batch: 16
data: {kind: von_mises_fisher, components: [{mean: [0, 0, 1], concentration: 5}, {mean: [1, 0, 0], concentration: 20}]}
conditional: false
model: {kind: mlp, width: 16, depth: 1}
objective: {kind: riemannian_flow, manifold: sphere}
optim: {lr: 3e-3}
sample: {sampler: geodesic, steps: 3, every: 0}
checkpoint: {every: 10, keep: 2}
log_every: 7
`

const torusData = "data={kind: wrapped_normal, components: [{mean: [3, 0], std: [0.5]}, {mean: [1, -1], std: [0.2, 1]}]}"

// pointsFile writes base draws of a manifold to an .npy file.
func pointsFile(t *testing.T, m manifold.Manifold, n int) string {
	t.Helper()
	x := make([]float32, 0, n*m.Ambient())
	row := make([]float64, m.Ambient())
	for i := range n {
		r := manifold.NewStream(rng.Key{Seed: 8}, uint64(i))
		m.Draw(&r, row)
		for _, v := range row {
			x = append(x, float32(v))
		}
	}
	path := filepath.Join(t.TempDir(), "points.npy")
	if err := gorgonia.WriteNPY(path, gorgonia.Dense([]int{n, m.Ambient()}, x)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every variant trains, resumes bit for bit, and draws samples that are on the manifold and do not
// depend on how many are drawn at a time.
func TestRiemannianFlows(t *testing.T) {
	product := manifold.Product{manifold.Rotations{}, manifold.Torus{N: 1}, manifold.Euclidean{N: 2}}
	for name, set := range map[string][]string{
		"sphere":   nil,
		"cosine":   {"objective.scheduler=cosine", "sample.sampler={kind: geodesic, method: euler}"},
		"power":    {"objective.scheduler={kind: power, exponent: 1.5}", "objective.stratified=true", "objective.times=logit_normal", "objective.shift=2"},
		"torus":    {torusData, "objective.manifold=torus", "sample.sampler={kind: geodesic, method: rk4}"},
		"default":  {"sample={steps: 3, every: 0}"},
		"source":   {"objective.source={kind: von_mises_fisher, components: [{mean: [0, -1, 0], concentration: 9}]}", "sample.float64_state=true"},
		"parts":    {"accumulate=3"},
		"classes":  {"conditional=true", "objective.condition_dropout=0.3", "sample.guidance=2"},
		"so3":      {"data={kind: npy, heldout: 20, samples: " + pointsFile(t, manifold.Rotations{}, 60) + "}", "objective.manifold=so3"},
		"product":  {"data={kind: npy, samples: " + pointsFile(t, product, 60) + "}", "objective.manifold={kind: product, parts: [so3, {kind: torus, dim: 1}, {kind: euclidean, dim: 2}]}"},
		"turns":    {"data={kind: rotations, components: [{mean: [0, 0, 1], std: 0.3}, {mean: [1, 2, 0], std: 0.5}]}", "objective.manifold=so3"},
		"coupled":  {"objective.coupling=ot", "objective.source={kind: von_mises_fisher, components: [{mean: [0, -1, 0], concentration: 9}]}"},
		"entropic": {torusData, "objective.manifold=torus", "objective.coupling={kind: sinkhorn, regularisation: 1, replace: true}"},
		"c2ot":     {"conditional=true", "objective.coupling=c2ot"},
		"validate": {"validation={every: 10, samples: 20}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := trained(t, sphereYAML, set...)
			m := opened(t, dir)
			q := Request{N: 5}
			if m.Classes > 0 {
				q.Labels = []int32{0, 1, 0, 1, 1}
			}
			x, err := m.Draw(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			on, row := manifoldOf(m.Model), make([]float64, m.Shape[0])
			for i := range q.N {
				for j := range row {
					row[j] = float64(x[i*len(row)+j])
				}
				near := slices.Clone(row)
				on.Nearest(near)
				for j := range row { // rounded to float32
					if math.Abs(row[j]-near[j]) > 4e-7 {
						t.Fatalf("sample %v is off %v", row, on)
					}
				}
			}
			m.How.Batch = 2
			if again, err := m.Draw(context.Background(), q); err != nil || !slices.Equal(again, x) {
				t.Errorf("in batches of 2: %v, %v", again, err)
			}
			resumesExactly(t, dir, sphereYAML, set...)
		})
	}
}

// A network that answers 0 leaves the base as it is: samples are its draws, and the likelihood of any data its density.
// Bits are of each dimension.
func TestRestingFlow(t *testing.T) {
	m := opened(t, trained(t, sphereYAML, "steps=1"))
	for _, p := range m.Params {
		if err := p.Set(make([]float32, p.Elems())); err != nil {
			t.Fatal(err)
		}
	}
	const n = 4000
	m.How.Batch = n
	x, err := m.Draw(context.Background(), Request{N: n, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	for j := range 3 { // uniform: mean 0, mean square ⅓ with variance 4/45; five standard errors
		sum, squares := 0.0, 0.0
		for i := range n {
			v := float64(x[3*i+j])
			sum, squares = sum+v/n, squares+v*v/n
		}
		if math.Abs(sum) > 5*math.Sqrt(1./3/n) || math.Abs(squares-1./3) > 5*math.Sqrt(4./45/n) {
			t.Errorf("coordinate %d: mean %g, square %g", j, sum, squares)
		}
	}
	ode := likelihood.ODE{}
	ode.SetDefaults()
	l, err := MeasureLikelihood(context.Background(), m, LikelihoodOptions{N: 20, ODE: ode})
	if err != nil {
		t.Fatal(err)
	}
	want := math.Log(4 * math.Pi)
	if got := float64(l.Heldout.NLL); math.Abs(got-want) > 1e-6 {
		t.Errorf("NLL %g, want ln 4π", got)
	}
	if got := float64(l.Heldout.Bits); l.Dim != 2 || math.Abs(got-want/(2*math.Ln2)) > 1e-6 {
		t.Errorf("%g bits for each of %d dimensions", got, l.Dim)
	}
	// The truth is between −ln of the density's maximum and what a uniform density would give on average.
	if truth := float64(l.Heldout.Truth); !(truth > 0 && truth < want) {
		t.Errorf("the data's own NLL is %g", truth)
	}
}

// Editing goes along geodesics: nothing of the steps leaves the data nearly as they are.
func TestEditingOnTheSphere(t *testing.T) {
	m := opened(t, trained(t, sphereYAML, "steps=1", "sample.steps=100"))
	init := []float32{0, 0, 1, 0.6, 0.8, 0}
	x, err := m.Draw(context.Background(), Request{N: 2, Init: init, Strength: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	// A hundredth of at most half a turn, and as much back at the network's speed.
	for i, v := range x {
		if math.Abs(float64(v-init[i])) > 0.08 {
			t.Errorf("%v has become %v", init, x)
		}
	}
	for what, q := range map[string]Request{
		"data to edit": {N: 2, Init: []float32{0, 0, 2}, Strength: 0.5},
		"starts":       {N: 1, Noise: []float32{1, 1, 1}},
	} {
		if _, err := m.Draw(context.Background(), q); err == nil || !strings.Contains(err.Error(), what+": sample 0 is off the sphere") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Points of S² and T² are drawn on maps; other manifolds make no picture.
func TestManifoldPictures(t *testing.T) {
	dir := trained(t, sphereYAML, "steps=2", "sample.every=2")
	if _, err := os.Stat(dir.Sample("points", 2)); err != nil {
		t.Error(err)
	}
	m := opened(t, dir)
	if _, warnings, err := m.Checkup(); err != nil || len(warnings) > 0 {
		t.Errorf("warnings %v, %v", warnings, err)
	}
	for _, f := range m.Facts() {
		if f[0] == "noise" && f[1] != "geodesics of the sphere S^2" {
			t.Errorf("the path is described as %s", f[1])
		}
	}
	if _, _, err := TrainClassifier(context.Background(), m, classify.Config{}, nil); err == nil || !strings.Contains(err.Error(), "on the sphere") {
		t.Errorf("a classifier of a flow on the sphere: %v", err)
	}
	if err := m.CheckOutput(filepath.Join(t.TempDir(), "x.png")); err != nil {
		t.Error(err)
	}
	torus := opened(t, trained(t, sphereYAML, torusData, "objective.manifold=torus", "steps=2", "sample.every=2"))
	if torus.view() != torusView {
		t.Error("a torus is not seen as one")
	}
	so3 := opened(t, trained(t, sphereYAML, "data={kind: npy, samples: "+pointsFile(t, manifold.Rotations{}, 20)+"}", "objective.manifold=so3", "steps=1", "sample.every=1"))
	if err := so3.CheckOutput(filepath.Join(t.TempDir(), "x.png")); err == nil || !strings.Contains(err.Error(), "no picture") {
		t.Errorf("%v", err)
	}
	circle := "data={kind: npy, samples: " + pointsFile(t, manifold.Sphere{N: 1}, 20) + "}"
	if v := opened(t, trained(t, sphereYAML, circle, "steps=1")).view(); v != unseen {
		t.Error("the circle is seen as a plane")
	}
}

// Angles that differ by a turn are one point to the distances that eval measures.
func TestEvalOnTheTorus(t *testing.T) {
	m := opened(t, trained(t, sphereYAML, torusData, "objective.manifold=torus", "steps=1"))
	ds, err := m.Exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := takeSamples(ds.Heldout, 50)
	if err != nil {
		t.Fatal(err)
	}
	turned := slices.Clone(x)
	for i := range turned {
		turned[i] -= 2 * math.Pi * float32(i%2)
	}
	distance := func(x []float32) float64 {
		e, err := Eval(context.Background(), m, EvalOptions{Samples: &SampleFile{N: 50, X: x}})
		if err != nil {
			t.Fatal(err)
		}
		return float64(e.Points.W2)
	}
	// Cosines of turned angles in float32 are off by a rounding of the angle, 5e-7.
	if a, b := distance(x), distance(turned); math.Abs(a-b) > 1e-3 {
		t.Errorf("distance %g, turned %g", a, b)
	}
}

func TestRiemannianFlowsRefuse(t *testing.T) {
	for set, want := range map[string][]string{
		"objective.manifold=torus x":                               {"objective.manifold", "torus x"},
		"objective.manifold={kind: sphere, dim: 3}":                {"objective.manifold", "S^3", "4 numbers", "have 3"},
		"objective.manifold=so3":                                   {"objective.manifold", "9 numbers", "have 3"},
		"objective.manifold={kind: product, parts: []}":            {"objective.manifold.parts", "required"},
		"objective.manifold={kind: product, parts: [so3, sphere]}": {"objective.manifold.parts[1].dim", "product"},
		"data=digits": {"objective.manifold", "points", "[8 8 1]"},
		"data={kind: wrapped_normal, components: [{mean: [1, 2, 3], std: [1]}]}":        {"data", "off the sphere S^2", "length"},
		"objective.source={kind: noise, shape: [3]}":                                    {"objective.source", "off the sphere S^2"},
		"objective.source={kind: noise, shape: [2]}":                                    {"objective.source", "[2]"},
		"objective.scheduler={kind: power, exponent: 0.5}":                              {"exponent", "0.5"},
		"objective.coupling=c2ot":                                                       {"objective.coupling", "conditioned on nothing"},
		"objective.times=by_loss":                                                       {"objective.times", "losses"},
		"sample.sampler=heun":                                                           {"sample.sampler", "geodesic", "heun"},
		"sample.constraints=[{kind: box, min: 0, max: 1}]":                              {"sample.constraints", "estimate"},
		"sample.eps_scaling.bias=1.1":                                                   {"sample.eps_scaling", "estimate"},
		"sample.clip.range=1":                                                           {"sample.clip", "estimate"},
		"sample.sampler={kind: geodesic, method: heun}":                                 {"method", "rk4"},
		"data={kind: von_mises_fisher, components: [{mean: [1, 0], concentration: 1}]}": {"data.components", "3"},
		"objective=flow":                                                                {"sample", "riemannian_flow"},
	} {
		exp, err := ReadExperiment("x.yaml", []byte(sphereYAML), []string{set}) // draws no pictures: samplers are looked at all the same
		if err == nil {
			var tr *Trainer
			if tr, err = New(context.Background(), exp, Options{Dir: filepath.Join(t.TempDir(), "run")}); err == nil {
				tr.Close()
				t.Errorf("%s: no error", set)
				continue
			}
		}
		if strings.Contains(strings.TrimSpace(err.Error()), "\n") {
			t.Errorf("%s: more than a line: %v", set, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %q", set, w, err)
			}
		}
	}
}

// In a steady state a step allocates nothing.
func TestRiemannianFlowsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, set := range [][]string{nil, {torusData, "objective.manifold=torus"}, {torusData, "objective.manifold=torus", "objective.coupling=ot"}} {
		stepsAllocateNothing(t, set, bare(t, sphereYAML, set...))
	}
}
