package optim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// param is a float32 parameter of normal values.
func param(t testing.TB, name string, shape ...int) *tensor.Param {
	t.Helper()
	p := tensor.NewParam(cpu.Default(), tensor.Float32, shape...)
	p.Name = name
	v := make([]float32, p.Elems())
	rng.Normal(v, rng.Key{Seed: 9}, uint64(len(v)))
	if err := p.Set(v); err != nil {
		t.Fatal(err)
	}
	return p
}

func scope(t testing.TB) *tensor.Scope {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	t.Cleanup(s.Close)
	return s
}

// all are the rules, by name.
var all = map[string]func([]*tensor.Param) Optimizer{
	"adam":     func(p []*tensor.Param) Optimizer { return NewAdam(p, adamDefaults()) },
	"adamw":    func(p []*tensor.Param) Optimizer { return NewAdamW(p, adamDefaults()) },
	"sgd":      func(p []*tensor.Param) Optimizer { return NewSGD(p, SGDConfig{WeightDecay: 0.1}) },
	"momentum": func(p []*tensor.Param) Optimizer { return NewSGD(p, SGDConfig{Momentum: 0.9, Dampening: 0.1}) },
	"nesterov": func(p []*tensor.Param) Optimizer { return NewSGD(p, SGDConfig{Momentum: 0.9, Nesterov: true}) },
	"lion": func(p []*tensor.Param) Optimizer {
		return NewLion(p, LionConfig{Beta1: 0.9, Beta2: 0.99, WeightDecay: 0.1})
	},
	"adafactor": func(p []*tensor.Param) Optimizer {
		return NewAdafactor(p, AdafactorConfig{DecayPower: -0.8, Eps: 1e-7, EpsScale: 1e-3, Clip: 1, WeightDecay: 0.1})
	},
	"schedule_free": func(p []*tensor.Param) Optimizer {
		return NewScheduleFree(p, ScheduleFreeConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, RatePower: 2})
	},
	"muon": func(p []*tensor.Param) Optimizer { // with AdamW for what is no matrix, as in experiments
		var groups []Group
		for i, q := range p {
			g := Group{Params: p[i : i+1], Rule: NewAdamW(p[i:i+1], adamDefaults()), LR: 1}
			if IsMatrix(q.Shape()) {
				g.Rule, _ = NewMuon(g.Params, MuonConfig{Momentum: 0.95, Nesterov: true, WeightDecay: 0.1, Steps: 5, Eps: 1e-7, Scale: "match_adamw"})
			}
			groups = append(groups, g)
		}
		o, err := NewGroups(p, groups...)
		if err != nil {
			panic(err)
		}
		return o
	},
}

func adamDefaults() AdamConfig {
	var c AdamConfig
	c.SetDefaults()
	c.WeightDecay = 0.1
	return c
}

func TestStateNamesAreStable(t *testing.T) {
	want := map[string]string{
		"adam":     "adam_m.w adam_v.w adam_m.b adam_v.b",
		"adamw":    "adam_m.w adam_v.w adam_m.b adam_v.b",
		"sgd":      "",
		"momentum": "sgd_velocity.w sgd_velocity.b",
		"nesterov": "sgd_velocity.w sgd_velocity.b",

		"lion":          "lion_m.w lion_m.b",
		"adafactor":     "adafactor_rows.w adafactor_columns.w adafactor_v.b",
		"schedule_free": "schedule_free_z.w schedule_free_v.w schedule_free_z.b schedule_free_v.b",
		"muon":          "muon_m.w adam_m.b adam_v.b",
	}
	for name, make := range all {
		params := []*tensor.Param{param(t, "w", 3, 2), param(t, "b", 2)}
		o := make(params)
		for range 2 {
			var got []string
			for _, p := range o.State() {
				got = append(got, p.Name)
				if !p.Frozen {
					t.Errorf("%s: state %s would receive gradients", name, p.Name)
				}
			}
			if g := strings.Join(got, " "); g != want[name] {
				t.Errorf("%s: state %q, want %q", name, g, want[name])
			}
			s := scope(t)
			o.Step(s, []*tensor.Tensor{s.Ones(3, 2), s.Ones(2)}, 0.1, 1)
		}
	}
}

func TestFrozenAndUnusedParametersStay(t *testing.T) {
	for name, make := range all {
		frozen, unused, used := param(t, "frozen", 4), param(t, "unused", 4), param(t, "used", 4)
		frozen.Frozen = true
		params := []*tensor.Param{frozen, unused, used}
		o := make(params)
		s := scope(t)
		before := [][]float32{frozen.Float32s(), unused.Float32s(), used.Float32s()}
		for range 3 {
			o.Step(s, []*tensor.Tensor{s.Ones(4), nil, s.Ones(4)}, 0.1, 1)
		}
		for i, p := range params {
			if same := slices.Equal(before[i], p.Float32s()); same != (i < 2) {
				t.Errorf("%s: parameter %s: unchanged is %v", name, p.Name, same)
			}
		}
		for _, m := range o.State() {
			if !strings.HasSuffix(m.Name, ".used") && !strings.HasPrefix(m.Name, "schedule_free_z.") && slices.ContainsFunc(m.Float32s(), func(x float32) bool { return x != 0 }) {
				t.Errorf("%s: moment %s moved", name, m.Name)
			}
		}
	}
}

// A step on gradients times a scale is a step on the scaled gradients: the scale is a
// power of two, so that nothing rounds differently.
func TestScaleMultipliesGradients(t *testing.T) {
	for name, make := range all {
		a, b := param(t, "a", 5), param(t, "a", 5)
		s := scope(t)
		g := s.Normal(rng.Key{Seed: 4}, 0, 5)
		oa, ob := make([]*tensor.Param{a}), make([]*tensor.Param{b})
		for range 3 {
			oa.Step(s, []*tensor.Tensor{g}, 0.1, 0.25)
			ob.Step(s, []*tensor.Tensor{g.Scale(0.25)}, 0.1, 1)
		}
		if !slices.Equal(a.Float32s(), b.Float32s()) {
			t.Errorf("%s: %v with a scale, %v with scaled gradients", name, a.Float32s(), b.Float32s())
		}
	}
}

// State and count are everything: an optimiser that takes them over goes on bit for bit.
func TestResumeIsExact(t *testing.T) {
	for name, make := range all {
		run := func(breakAt int) []float32 {
			p := param(t, "p", 7, 3)
			params := []*tensor.Param{p}
			s := scope(t)
			o := make(params)
			average := []*tensor.Param{param(t, "p", 7, 3)}
			ema, err := NewEMA(params, average, EMAConfig{Decay: 0.9, WarmUp: true})
			if err != nil {
				t.Fatal(err)
			}
			for step := range 8 {
				if step == breakAt {
					next := make(params)
					for i, m := range next.State() {
						if err := m.Set(o.State()[i].Float32s()); err != nil {
							t.Fatal(err)
						}
					}
					next.SetSteps(o.Steps())
					if c, ok := o.(Counting); ok {
						if err := next.(Counting).SetCounters(c.Counters()); err != nil {
							t.Fatal(err)
						}
					}
					o = next
					values := average[0].Float32s()
					again, err := NewEMA(params, average, EMAConfig{Decay: 0.9, WarmUp: true})
					if err != nil {
						t.Fatal(err)
					}
					if err := again.State()[0].Set(values); err != nil {
						t.Fatal(err)
					}
					again.SetSteps(ema.Steps())
					ema = again
				}
				s.Reset()
				o.Step(s, []*tensor.Tensor{s.Normal(rng.Key{Seed: 6, Step: uint64(step)}, 0, p.Shape()...)}, 0.1, 1)
				ema.Update(s)
			}
			return append(p.Float32s(), average[0].Float32s()...)
		}
		if got, want := run(4), run(-1); !slices.Equal(got, want) {
			t.Errorf("%s: %v after resuming, %v without", name, got, want)
		}
	}
}

func TestStepsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for name, make := range all {
		params := []*tensor.Param{param(t, "w", 30, 20), param(t, "b", 20), param(t, "c")}
		average := []*tensor.Param{param(t, "w", 30, 20), param(t, "b", 20), param(t, "c")}
		o := make(params)
		ema, err := NewEMA(params, average, EMAConfig{Decay: 0.99})
		if err != nil {
			t.Fatal(err)
		}
		s := scope(t)
		grads := []*tensor.Tensor{nil, nil, nil}
		step := func() {
			s.Reset()
			for i, p := range params {
				grads[i] = s.Zeros(p.Shape()...)
			}
			o.Step(s, grads, 0.01, ClipScale(GlobalNorm(s, grads), 1))
			ema.Update(s)
		}
		for range 8 {
			step()
		}
		if n := testenv.Allocs(t, step); n != 0 {
			t.Errorf("%s: %g allocations a step", name, n)
		}
	}
}

// Networks are trained side by side, each in a scope of its own: the rules are shared.
func TestParallelRunsAreIndependent(t *testing.T) {
	for name, make := range all {
		run := func() []float32 {
			p := param(t, "p", 33)
			s := tensor.NewScope(cpu.Default(), tensor.Recording)
			defer s.Close()
			o := make([]*tensor.Param{p})
			for step := range 5 {
				s.Reset()
				g := s.Normal(rng.Key{Seed: 1, Step: uint64(step)}, 0, 33)
				grads := []*tensor.Tensor{g}
				o.Step(s, grads, 0.1, ClipScale(GlobalNorm(s, grads), 1))
			}
			return p.Float32s()
		}
		want := run()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if got := run(); !slices.Equal(got, want) {
					t.Errorf("%s: %v beside others, %v alone", name, got, want)
				}
			})
		}
		wg.Wait()
	}
}

func TestGlobalNormLeavesOutMissingGradients(t *testing.T) {
	s := scope(t)
	if n := GlobalNorm(s, []*tensor.Tensor{nil, nil}); n != 0 {
		t.Errorf("norm of nothing is %g", n)
	}
	if n := GlobalNorm(s, []*tensor.Tensor{s.Full(3, 1), nil, s.Full(2, 2, 2)}); n != 5 { // √(9+4·4)
		t.Errorf("norm is %g, want 5", n)
	}
}

func TestClipScale(t *testing.T) {
	for _, c := range []struct{ norm, limit, want float64 }{
		{0.5, 1, 1}, {0, 1, 1}, {100, 0, 1}, {100, -1, 1}, {math.Inf(1), 1, 0},
	} {
		if got := ClipScale(c.norm, c.limit); got != c.want {
			t.Errorf("norm %g, limit %g: %g, want %g", c.norm, c.limit, got, c.want)
		}
	}
	if got := ClipScale(math.NaN(), 1); !math.IsNaN(got) {
		t.Errorf("a NaN norm gives %g: it must not pass for a gradient that is fine", got)
	}
}

func TestEMAWarmUp(t *testing.T) {
	e := &EMA{profile: EMAConfig{Decay: 0.999, WarmUp: true}}
	for step, want := range map[int]float64{0: 0.1, 1: 2.0 / 11, 90: 0.91, 8989: 8990.0 / 8999, 8990: 0.999, 1 << 40: 0.999} {
		if got := e.DecayAt(step); got != want {
			t.Errorf("decay %.17g at step %d, want %.17g", got, step, want)
		}
	}
	e.profile = EMAConfig{Decay: 0.999}
	if got := e.DecayAt(0); got != 0.999 {
		t.Errorf("decay %g without warm-up", got)
	}
}

func TestEMARefusesAnotherModel(t *testing.T) {
	p := []*tensor.Param{param(t, "p", 3)}
	if _, err := NewEMA(p, nil, EMAConfig{}); err == nil {
		t.Error("no error for an average without parameters")
	}
	if _, err := NewEMA(p, []*tensor.Param{param(t, "q", 4)}, EMAConfig{}); err == nil || !strings.Contains(err.Error(), "q") {
		t.Errorf("for another shape: %v", err)
	}
}

func TestWrongNumberOfGradientsPanics(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "1 gradients for 2 parameters") {
			t.Errorf("got %v", r)
		}
	}()
	s := scope(t)
	NewAdam([]*tensor.Param{param(t, "a", 1), param(t, "b", 1)}, adamDefaults()).Step(s, []*tensor.Tensor{s.Ones(1)}, 1, 1)
}

func TestSettingsAreChecked(t *testing.T) {
	nan := math.NaN()
	adam := func(f func(*AdamConfig)) *AdamConfig {
		c := adamDefaults()
		f(&c)
		return &c
	}
	for want, c := range map[string]interface{ Validate() error }{
		"beta1":        adam(func(c *AdamConfig) { c.Beta1 = 1 }),
		"beta2":        adam(func(c *AdamConfig) { c.Beta2 = nan }),
		"eps":          adam(func(c *AdamConfig) { c.Eps = 0 }),
		"weight_decay": adam(func(c *AdamConfig) { c.WeightDecay = -1 }),
		"momentum":     &SGDConfig{Momentum: 1},
		"dampening":    &SGDConfig{Dampening: 0.5},
		"nesterov":     &SGDConfig{Momentum: 0.9, Nesterov: true, Dampening: 0.5},
		"decay":        &EMAConfig{Decay: 1},
		"warmup":       &Constant{WarmupConfig{Warmup: -1}},
		"final":        &Cosine{Decay{Final: 2}},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	ok := adamDefaults()
	sgd, ema := SGDConfig{}, EMAConfig{}
	sgd.SetDefaults()
	ema.SetDefaults()
	for _, c := range []interface{ Validate() error }{&ok, &sgd, &ema, &Constant{}, &Cosine{}, &Linear{}, &InverseSqrt{}} {
		if err := c.Validate(); err != nil {
			t.Errorf("defaults: %v", err)
		}
	}
}
