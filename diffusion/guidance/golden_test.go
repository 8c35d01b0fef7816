package guidance

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// goldens are torch's, from internal/golden/guidance.py.
type goldens struct {
	t *testing.T
	f *safetensors.File
}

func openGolden(t *testing.T) goldens {
	t.Helper()
	f, err := safetensors.Open("../../internal/golden/testdata/diffusion/guidance.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return goldens{t, f}
}

func (g goldens) read(name string) ([]float64, []int) {
	g.t.Helper()
	x, err := g.f.Tensor(name)
	if err != nil {
		g.t.Fatal(err)
	}
	v, err := x.Float64s()
	if err != nil {
		g.t.Fatal(err)
	}
	return v, x.Shape
}

func (g goldens) metadata(key string, to any) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.f.Metadata()[key]), to); err != nil {
		g.t.Fatalf("%s: %v", key, err)
	}
}

// compare is within 100 roundings of the largest number: sums over 40 elements of a sample.
func (g goldens) compare(what string, got, want []float64) {
	g.t.Helper()
	largest := 1.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 100*0x1p-53*largest) {
			g.t.Errorf("%s: element %d is %.17g, torch's %.17g", what, i, got[i], want[i])
			return
		}
	}
}

// recorded is a model that says cond of samples with label 0 and null of label 1, step by step.
type recorded struct {
	diffusion.CondOT
	cond, null []float64 // (step,N,…)
	kind       diffusion.Kind
}

func (m *recorded) Path() diffusion.GaussianPath { return m.CondOT }
func (m *recorded) Kind() diffusion.Kind         { return m.kind }
func (m *recorded) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	labels := make([]int32, x.Dim(0))
	c.Labels.CopyTo(labels)
	shape := append([]int{1}, x.Shape()[1:]...)
	size := x.Elems() / x.Dim(0)
	n := c.Labels.Dim(0) / 2 // cond, then null
	var rows []*tensor.Tensor
	for i, l := range labels {
		v := m.cond
		if l == 1 {
			v = m.null
		}
		from := (at.Index*n + i%n) * size
		rows = append(rows, x.Scope().Tensor(v[from:from+size], shape...))
	}
	return diffusion.Pred{Value: tensor.Concat(0, rows...), Kind: m.kind}
}

func TestGolden(t *testing.T) {
	g := openGolden(t)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	cond, shape := g.read("cond")
	null, _ := g.read("null")
	size := len(cond) / shape[0]
	shape = shape[1:]
	c := diffusion.Cond{Labels: s.Ints(make([]int32, shape[0]), shape[0])}
	of := &recorded{cond: cond, null: null, kind: diffusion.V}
	at := func(i int) diffusion.Step { return diffusion.Step{T: []float64{0.5}, Index: i, Count: 40} }

	var rescale map[string][2]float64
	g.metadata("rescale", &rescale)
	for name, o := range rescale {
		m := &CFG{Of: of, Strength: Strength{Scale: o[0]}, Classes: 1, Rescale: o[1]}
		want, _ := g.read("rescale/" + name)
		g.compare("rescale "+name, m.Eval(s.Ones(shape...), at(0), c).Value.Float64s(), want)
	}
	var apg map[string][4]float64
	g.metadata("apg", &apg)
	for name, o := range apg {
		want, _ := g.read("apg/" + name)
		m, restart, end := diffusion.Begin(&CFG{Of: of, Strength: Strength{Scale: o[0]}, Classes: 1, Rule: &APG{Eta: o[1], Norm: o[2], Momentum: o[3], In: "model"}})
		for range 2 { // trajectories
			for i := range len(cond) / size {
				for range 2 { // asked again in the same step, it says the same
					g.compare(fmt.Sprintf("apg %s, step %d", name, i), m.Eval(s.Ones(shape...), at(i), c).Value.Float64s(), want[i*size:(i+1)*size])
				}
				if i == 1 {
					s.Reset()
					c.Labels = s.Ints(make([]int32, shape[0]), shape[0])
				}
			}
			restart()
		}
		end()
	}
	var scales []float64
	g.metadata("zero_star", &scales)
	for _, scale := range scales {
		want, _ := g.read(fmt.Sprintf("zero-star/%.1f", scale))
		m := &CFG{Of: of, Strength: Strength{Scale: scale}, Classes: 1, Rule: &ZeroStar{In: "model"}}
		g.compare(fmt.Sprintf("CFG-Zero* with scale %g", scale), m.Eval(s.Ones(shape...), at(0), c).Value.Float64s(), want)
	}
}

// What is combined is what the paper combines, whatever the model predicts.
func TestRulesHoldInTheirKind(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Tensor([]float64{0.3, -0.2, 1, 0.5, -0.4, 0.8}, 3, 2)
	c := diffusion.Cond{Labels: s.Ints([]int32{0, 1, 0}, 3)}
	at := diffusion.Step{T: []float64{0.4}, Index: 3, Count: 10}
	guided := func(r Rule, k diffusion.Kind) []float64 {
		m := &CFG{Of: &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: k}, Strength: Strength{Scale: 3}, Classes: 2, Rule: r}
		p := m.Eval(x, at, c)
		if p.Kind != k {
			t.Errorf("%T of a model that predicts %v gives %v", r, k, p.Kind)
		}
		return p.As(diffusion.X0, x, diffusion.CondOT{}, at).Float64s()
	}
	for _, r := range []struct {
		rule, raw Rule
		in        diffusion.Kind
	}{
		{&APG{Eta: 0.3, In: "x0"}, &APG{Eta: 0.3, In: "model"}, diffusion.X0},
		{&ZeroStar{In: "velocity"}, &ZeroStar{In: "model"}, diffusion.Velocity},
	} {
		want := guided(r.raw, r.in)
		for _, k := range []diffusion.Kind{diffusion.Eps, diffusion.X0, diffusion.V, diffusion.Velocity} {
			for i, v := range guided(r.rule, k) {
				if math.Abs(v-want[i]) > 1e-11 {
					t.Errorf("%T of %v says x0=%g, in its own kind %g", r.rule, k, v, want[i])
				}
			}
		}
		differ := 0.0
		for i, v := range guided(r.raw, diffusion.Eps) {
			differ = max(differ, math.Abs(v-want[i]))
		}
		if differ < 1e-3 {
			t.Errorf("%T does not depend on its kind: by %g", r.rule, differ)
		}
	}
}
