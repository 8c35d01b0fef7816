package discrete

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

const drawn = 10000

// With the exact posteriors, samples of few steps have the law of the chain that takes these steps, which is summed over
// all its ways here; and that law approaches the data's, to the first order.
func TestChainDrawsTheLaw(t *testing.T) {
	for _, source := range []Source{Mask, Uniform} {
		for _, c := range []struct {
			scheduler string
			eta       float64
		}{{"linear", 0}, {"linear", 1}, {"cosine", 0.5}, {"sine", 0}, {"polynomial", 1}} {
			m := newToy(source, schedulers[c.scheduler])
			name := fmt.Sprintf("%v, %s, η %g", source, c.scheduler, c.eta)
			how := &CTMC{Eta: c.eta, Temperature: 1}
			for _, steps := range []int{1, 4, 13} {
				chiSquare(t, fmt.Sprintf("%s, %d steps", name, steps), m.draw(t, how, steps, drawn, uint64(steps)), m.chainLaw(steps, c.eta))
			}
			few, many := apart(m.chainLaw(64, c.eta), m.law), apart(m.chainLaw(128, c.eta), m.law)
			if order := math.Log2(few / many); order < 0.85 || many > 0.03 {
				t.Errorf("%s: %g from the law in 64 steps, %g in 128: order %.2f", name, few, many, order)
			}
		}
		m := newToy(source, nil)
		chiSquare(t, fmt.Sprintf("%v, the data's law", source), m.draw(t, &CTMC{Temperature: 1}, 400, drawn, 1), m.law)
	}
}

// One token has the law of the data whatever the steps, also with noise.
func TestOneTokenIsExact(t *testing.T) {
	for _, source := range []Source{Mask, Uniform} {
		m := newToy(source, schedulers["sine"])
		m.d, m.law = 1, []float64{0.5, 0.2, 0.3}
		for _, eta := range []float64{0, 2} {
			if e := apart(m.chainLaw(3, eta), m.law); e > 1e-14 {
				t.Errorf("%v, η %g: the chain of 3 steps is %g off", source, eta, e)
			}
			chiSquare(t, fmt.Sprintf("%v, η %g", source, eta), m.draw(t, &CTMC{Eta: eta, Temperature: 1}, 3, drawn, 4), m.law)
		}
	}
}

// A token a step in random order draws from the data's law, with no error of discretisation. Revealing all at once
// draws independent tokens.
func TestUnmaskDrawsTheLaw(t *testing.T) {
	m := newToy(Mask, nil)
	how := new(Unmask)
	how.SetDefaults()
	chiSquare(t, "a token a step", m.draw(t, how, 3, drawn, 1), m.law)
	chiSquare(t, "and steps in which nothing is revealed", m.draw(t, how, 8, drawn, 2), m.law)
	chiSquare(t, "all at once", m.draw(t, how, 1, drawn, 3), m.chainLaw(1, 0))
}

// In the order of confidence the token whose draw is the most probable comes first. With logits that name one token
// for sure in one place that is this place, whatever comes of the others.
func TestUnmaskByConfidence(t *testing.T) {
	o := &Unmask{Order: "confidence", Temperature: 1}
	u := chances{rng.Key{Seed: 5}, 0}
	sure := o.candidate(0, []float64{0, 0.999, 0.001}, u, 0.5)
	unsure := o.candidate(1, []float64{0.4, 0.3, 0.3}, u, 0.5)
	if sure.token != 1 || sure.compare(unsure) >= 0 {
		t.Errorf("%+v does not come before %+v", sure, unsure)
	}
	if got := -sure.rank; math.Abs(got-math.Log(0.999)) > 1e-15 {
		t.Errorf("its confidence is %g", got)
	}
	// With noise of scale 1 and nothing else, orders are random: of two alike, each comes first half of the time.
	o.Noise = 1
	first := 0
	for i := range 10000 {
		u := chances{rng.Key{Seed: 6}, uint64(i)}
		if o.candidate(0, []float64{0.5, 0.25, 0.25}, u, 1).compare(o.candidate(1, []float64{0.5, 0.25, 0.25}, u, 1)) < 0 {
			first++
		}
	}
	if math.Abs(float64(first)-5000) > 5*50 { // five deviations
		t.Errorf("%d of 10000 times the first of two alike", first)
	}
}

// In its first of three steps one token of three is revealed: at random each as often, by confidence the one that is sure.
func TestUnmaskOrder(t *testing.T) {
	const n = 3000
	path := &Path{Alphabet: 3}
	logits := []float64{0, 0, 0.1, 0.2, 0, 0, 9, 0, 0}
	m := fixed{path: path}
	toy := newToy(Mask, nil)
	for order, want := range map[string][3]float64{"random": {1. / 3, 1. / 3, 1. / 3}, "confidence": {0, 0, 1}} {
		how := &Unmask{Order: order, Temperature: 1}
		s := float64Scope(t)
		m.logits = s.Tensor(logits, 1, 9).Expand(n, 9).Contiguous()
		x, err := sampler.Sample(context.Background(), s, m, how, []float64{1, 2. / 3}, toy.starts(s, 1, n), sampler.Options{Key: rng.Key{Seed: 3}})
		if err != nil {
			t.Fatal(err)
		}
		var first [3]float64
		for i, v := range x.Float64s() {
			if path.Alphabet.Token(v) != path.Alphabet.Mask() {
				first[i%3]++
			}
		}
		for j, p := range want {
			if math.Abs(first[j]-n*p) > 5*math.Sqrt(n*p*(1-p))+n*0.001 { // a sure token's draw is another one in 2.5 of 10,000
				t.Errorf("%s: place %d is revealed first %g times of %d", order, j, first[j], n)
			}
		}
	}
}

// A low temperature takes the most probable token, a high one any.
func TestTemperature(t *testing.T) {
	m := newToy(Mask, nil)
	m.d, m.law = 1, []float64{0.5, 0.2, 0.3}
	for _, how := range []func(temperature float64) sampler.Sampler{
		func(v float64) sampler.Sampler { return &CTMC{Temperature: v} },
		func(v float64) sampler.Sampler { return &Unmask{Order: "random", Temperature: v} },
	} {
		if got := m.draw(t, how(0.01), 2, 100, 1); slices.Max(got) != 0 {
			t.Errorf("%T, cold: %v", how(1), got)
		}
		p := make([]float64, 3)
		for k, q := range m.law {
			p[k] = math.Sqrt(q)
		}
		sum := p[0] + p[1] + p[2]
		chiSquare(t, fmt.Sprintf("%T, warm", how(1)), m.draw(t, how(2), 2, drawn, 1), []float64{p[0] / sum, p[1] / sum, p[2] / sum})
	}
}

// A sample does not depend on its batch, and the noise of a step on no other step.
func TestSamplesDoNotDependOnTheBatch(t *testing.T) {
	for _, source := range []Source{Mask, Uniform} {
		m := newToy(source, nil)
		for _, how := range []sampler.Sampler{&CTMC{Eta: 1, Temperature: 1}, &Unmask{Order: "confidence", Noise: 1, Temperature: 1}} {
			if _, ok := how.(*Unmask); ok && source != Mask {
				continue
			}
			all := m.draw(t, how, 5, 20, 8)
			s := float64Scope(t)
			x, err := sampler.Sample(context.Background(), s, m, how, uniform(5), m.starts(s, 8, 20).Slice(0, 7, 12), sampler.Options{Key: rng.Key{Seed: 8}, First: 7})
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range x.Float64s() {
				if want := m.split(all[7+i/m.d], 3)[i%m.d]; m.path.Alphabet.Token(v) != want {
					t.Fatalf("%T from %v: sample %d depends on the batch", how, source, 7+i/m.d)
				}
			}
			if other := m.draw(t, how, 5, 20, 9); slices.Equal(other, all) {
				t.Errorf("%T from %v: seeds do not matter", how, source)
			}
		}
	}
}

// Logits that are not finite show as NaN, and are not drawn from.
func TestLogitsThatAreNotFinite(t *testing.T) {
	p := make([]float64, 3)
	for _, bad := range [][]float64{{0, math.NaN(), 0}, {math.Inf(1), 0, 0}, {math.Inf(-1), math.Inf(-1), math.Inf(-1)}} {
		softmax(p, bad, 1)
		if got := choose(p, 0.3); got != -1 {
			t.Errorf("%v gives token %d", bad, got)
		}
	}
	softmax(p, []float64{math.Inf(-1), 2, math.Inf(-1)}, 1)
	for _, u := range []float64{0, 0.5, 1 - 0x1p-53} {
		if got := choose(p, u); got != 1 {
			t.Errorf("the only token is not drawn at %g: %d", u, got)
		}
	}
}

// Samplers refuse paths that they are not for, and options that mean nothing.
func TestSamplersRefuse(t *testing.T) {
	s := float64Scope(t)
	uniformToy := newToy(Uniform, nil)
	for _, c := range []struct {
		how  sampler.Sampler
		m    diffusion.Model
		want string
	}{
		{&Unmask{Order: "random", Temperature: 1}, uniformToy, "unmask"},
		{&CTMC{Temperature: 1}, elsewhere{uniformToy}, "ctmc"},
		{&Unmask{Order: "random", Temperature: 1}, elsewhere{uniformToy}, "unmask"},
	} {
		_, err := sampler.Sample(context.Background(), s, c.m, c.how, uniform(2), uniformToy.starts(s, 1, 2), sampler.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T on %T: %v", c.how, c.m.Path(), err)
		}
	}
	for _, bad := range []interface{ Validate() error }{
		&CTMC{Eta: -1, Temperature: 1}, &CTMC{}, &CTMC{Temperature: math.Inf(1)}, &CTMC{Eta: math.NaN(), Temperature: 1},
		&Unmask{Order: "nearest", Temperature: 1}, &Unmask{Order: "random"}, &Unmask{Order: "random", Noise: -1, Temperature: 1},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// elsewhere is a model on another path.
type elsewhere struct{ diffusion.Model }

func (elsewhere) Path() diffusion.GaussianPath { return diffusion.CondOT{} }

// In a steady state a plan of theirs allocates nothing, as plans of package sampler's samplers do.
func TestSamplersAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	path := &Path{Alphabet: 5}
	o := nn.MLPOptions{}
	o.SetDefaults()
	o.Width, o.Dim, o.OutDim = 16, 3*path.Width(), 3*5
	net, err := nn.NewMLP(nn.NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
	if err != nil {
		t.Fatal(err)
	}
	model := NewModel(path, func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) })
	for _, how := range []sampler.Sampler{
		&CTMC{Eta: 0.5, Temperature: 1}, &Unmask{Order: "random", Temperature: 1}, &Unmask{Order: "confidence", Noise: 1, Temperature: 0.9},
	} {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		plan, err := sampler.NewPlan(s, model, how, []float64{1, 0.7, 0.4, 0}, sampler.Options{})
		if err != nil {
			t.Fatal(err)
		}
		start := make([]float64, 8*3)
		for i := range start {
			start[i] = float64(path.Alphabet.Value(path.Alphabet.Mask()))
		}
		run := func() {
			plan.First++
			s.Reset()
			if _, err := plan.Run(context.Background(), s.Tensor(start, 8, 3)); err != nil {
				t.Fatal(err)
			}
		}
		if n := testenv.Allocs(t, run); n != 0 {
			t.Errorf("%T %+v: %g allocations a run", how, how, n)
		}
		plan.Close()
		s.Close()
	}
}
