package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion/likelihood"
)

func measured(t *testing.T, m *Trained, n int, change func(o *likelihood.ODE)) *Likelihood {
	t.Helper()
	o := LikelihoodOptions{N: n, Times: 7}
	o.ODE.SetDefaults()
	o.ODE.RTol, o.ODE.ATol = 1e-3, 1e-3
	change(&o.ODE)
	l, err := MeasureLikelihood(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A network whose weights are zero says 0: the density is then that of the answer 0.
func TestLikelihoodOfAKnownModel(t *testing.T) {
	// F=0 of EDM's preconditioning is x̂0 = c_skip·x: the data are N(0, s²).
	m := opened(t, trained(t, moonsYAML, "steps=1", "sample.guidance=1", "conditional=false", "objective={kind: edm, sigma_data: 0.7, sigma_max: 1000}", "data={kind: mixture, components: [{mean: [0.4, 0], std: [0.5]}]}"))
	for _, p := range m.Params {
		if err := p.Set(make([]float32, p.Elems())); err != nil {
			t.Fatal(err)
		}
	}
	l := measured(t, m, 200, func(o *likelihood.ODE) { o.RTol, o.ATol = 1e-5, 1e-5 })
	ds, err := m.Exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for name, split := range map[string]*LikelihoodSplit{"held-out": l.Heldout, "training": l.Train} {
		src := ds.Train
		if name == "held-out" {
			src = ds.Heldout
		}
		x, _, err := takeSamples(src, 200)
		if err != nil {
			t.Fatal(err)
		}
		want, truth := 0.0, 0.0
		for i := range 200 {
			a, b := float64(x[2*i]), float64(x[2*i+1])
			want += ((a*a+b*b)/(2*0.49) + math.Log(2*math.Pi*0.49)) / 200
			truth += (((a-0.4)*(a-0.4)+b*b)/(2*0.25) + math.Log(2*math.Pi*0.25)) / 200
		}
		if math.Abs(float64(split.NLL)-want) > 1e-3 {
			t.Errorf("%s: NLL %g, of N(0, .7²) it is %g", name, split.NLL, want)
		}
		if math.Abs(float64(split.Truth)-truth) > 1e-5 {
			t.Errorf("%s: the data's own %g, want %g", name, split.Truth, truth)
		}
		if got := want / (2 * math.Ln2); math.Abs(float64(split.Bits)-got) > 1e-3 {
			t.Errorf("%s: %g bits, want %g", name, split.Bits, got)
		}
	}
	if l.Train.Bound != nil || strings.Contains(l.Table(true), "bound") {
		t.Error("a bound of a continuous path")
	}
	if !strings.Contains(l.Table(false), "the data's own") || !strings.Contains(l.Table(true), "bits/dim") || l.Divergence != "exact" {
		t.Errorf("the table is\n%s", l.Table(false))
	}
}

// A flow from another source than noise is judged by that source's density, or not at all.
func TestLikelihoodOfAFlowFromData(t *testing.T) {
	m := opened(t, trained(t, moonsYAML, "steps=1", "sample.guidance=1", "conditional=false", "objective.source={kind: mixture, components: [{mean: [0.4, 0], std: [0.5]}]}"))
	for _, p := range m.Params { // a network that says 0 moves nothing: the data are judged by the source
		if err := p.Set(make([]float32, p.Elems())); err != nil {
			t.Fatal(err)
		}
	}
	l := measured(t, m, 50, func(o *likelihood.ODE) { o.RTol, o.ATol = 1e-6, 1e-6 })
	ds, err := m.Exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := takeSamples(ds.Train, 50)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for i := range 50 {
		a, b := float64(x[2*i])-0.4, float64(x[2*i+1])
		want += ((a*a+b*b)/(2*0.25) + math.Log(2*math.Pi*0.25)) / 50
	}
	if math.Abs(float64(l.Train.NLL)-want) > 2e-3*want { // the start is at σ=10⁻³
		t.Errorf("NLL %g, of the source %g", l.Train.NLL, want)
	}
	m = opened(t, trained(t, moonsYAML, "steps=1", "sample.guidance=1", "conditional=false", "objective.source=moons"))
	o := LikelihoodOptions{N: 5}
	o.ODE.SetDefaults()
	if _, err := MeasureLikelihood(context.Background(), m, o); err == nil || !strings.Contains(err.Error(), "source whose density is not known") {
		t.Errorf("error %v of a source of unknown density", err)
	}
}

func TestLikelihoodOfDigits(t *testing.T) {
	m := opened(t, trained(t, digitsYAML, "steps=30", "sample.every=0", "optim.rule=adamw", "optim.lr=1e-2"))
	l := measured(t, m, 5, func(o *likelihood.ODE) { o.Probes = 2 })
	if l.Levels != 17 || l.Dim != 64 || l.Model != "p(x|class)" || l.Train.N != 5 || l.Heldout.N != 5 || l.Divergence != "2 random probes" {
		t.Errorf("measured %+v", l)
	}
	for _, s := range []*LikelihoodSplit{l.Heldout, l.Train} {
		if got, want := float64(s.Bits), float64(s.NLL)/(64*math.Ln2)+3; math.Abs(got-want) > 1e-12 { // 2/16 wide
			t.Errorf("%g bits of %g nats, want %g", got, s.NLL, want)
		}
		if !(s.Error > 0 && s.Probe > 0 && s.BitsError > 0) || !math.IsNaN(float64(s.Truth)) {
			t.Errorf("errors %+v", s)
		}
	}
	for _, s := range []*LikelihoodSplit{l.Heldout, l.Train} {
		b := s.Bound
		if b == nil || b.Times != 7 || len(b.Terms) != 7 || b.Variance != "fixed_small" || !(b.Error > 0 && b.Decoder > 0) {
			t.Fatalf("bound %+v", b)
		}
		sum := float64(b.Prior + b.Decoder)
		for _, term := range b.Terms {
			sum += float64(term.Bits)
		}
		if math.Abs(sum-float64(b.Bits)) > 1e-9*sum || math.Abs(float64(b.Prior+b.Steps+b.Decoder)-sum) > 1e-9*sum {
			t.Errorf("terms add up to %g, the bound is %g", sum, b.Bits)
		}
	}
	if table := l.Table(true); !strings.Contains(table, "Variational bound") || !strings.Contains(table, "fixed_small, estimates limited to [−1,1], 7 times") {
		t.Errorf("no bound in\n%s", table)
	}
	if err := m.Choose(Choice{Sampler: "ddpm", Overrides: []string{"sampler.variance=fixed_large"}}); err != nil {
		t.Fatal(err)
	}
	if large := measured(t, m, 5, func(o *likelihood.ODE) {}); large.Train.Bound.Variance != "fixed_large" || large.Train.Bound.Bits == l.Train.Bound.Bits {
		t.Errorf("with a larger variance the bound is %+v", large.Train.Bound)
	}
	// Classes count.
	m.Classes = 0
	if other := measured(t, m, 5, func(o *likelihood.ODE) { o.Probes = 2 }); other.Train.NLL == l.Train.NLL || other.Model != "p(x)" {
		t.Errorf("without classes the NLL is %g, with them %g", other.Train.NLL, l.Train.NLL)
	}
}
