package train

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/train/config"
)

// opened opens a run.
func opened(t *testing.T, dir RunDir) *Trained {
	t.Helper()
	m, err := Open(string(dir), func(f string, a ...any) { t.Errorf(f, a...) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func draw(t *testing.T, m *Trained, q Request) []float32 {
	t.Helper()
	x, err := m.Draw(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func turns(n, classes int) []int32 {
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % classes)
	}
	return labels
}

// Sample i is a function of the seed and of i (and of its class): whatever N is,
// and however many are drawn at a time.
func TestSampleDependsOnItselfAlone(t *testing.T) {
	for name, text := range map[string]string{"moons": moonsYAML, "digits": digitsYAML} {
		for _, sampler := range []string{"heun", "ddim", "ddpm"} { // the last one draws noise as it goes
			m := opened(t, trained(t, text, "sample.every=0", "steps=30", "optim.rule=adamw", "optim.lr=1e-2"))
			if err := m.Choose(Choice{Sampler: sampler, Steps: 4}); err != nil {
				t.Fatal(err)
			}
			m.How.Batch = 100
			const n = 13
			labels := turns(n, m.Classes)
			all := draw(t, m, Request{N: n, Labels: labels, Seed: 5})
			size := volume(m.Shape)
			for _, batch := range []int{1, 4, 5, n} {
				m.How.Batch = batch
				if got := draw(t, m, Request{N: n, Labels: labels, Seed: 5}); !slices.Equal(got, all) {
					t.Errorf("%s, %s: other samples in batches of %d", name, sampler, batch)
				}
				for _, k := range []int{1, 6} {
					if got := draw(t, m, Request{N: k, Labels: labels[:k], Seed: 5}); !slices.Equal(got, all[:k*size]) {
						t.Errorf("%s, %s: the first %d of %d, in batches of %d, are others", name, sampler, k, n, batch)
					}
				}
			}
			if got := draw(t, m, Request{N: n, Labels: labels, Seed: 6}); slices.Equal(got, all) {
				t.Errorf("%s, %s: the seed changes nothing", name, sampler)
			}
			labels[3] = (labels[3] + 1) % int32(m.Classes)
			got := draw(t, m, Request{N: n, Labels: labels, Seed: 5})
			for i := range n {
				if same := slices.Equal(got[i*size:(i+1)*size], all[i*size:(i+1)*size]); same != (i != 3) {
					t.Errorf("%s, %s: sample %d is the same: %v, with another class for sample 3", name, sampler, i, same)
				}
			}
		}
	}
}

func TestGuidanceConventions(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=30")
	sample := func(c Choice, labels bool) []float32 {
		m := opened(t, dir)
		if err := m.Choose(c); err != nil {
			t.Fatal(err)
		}
		q := Request{N: 6, Seed: 1}
		if labels {
			q.Labels = turns(6, 2)
		}
		return draw(t, m, q)
	}
	scale := func(s float64) Choice { return Choice{Guidance: &s} }
	none := sample(Choice{Overrides: []string{"guidance=1"}}, true)
	for name, got := range map[string][]float32{
		"--guidance 1":      sample(scale(1), true),
		"guidance_weight=0": sample(Choice{Overrides: []string{"guidance=1", "guidance_weight=0"}}, true),
		"--guidance 2 for times that the path does not have": sample(Choice{Guidance: new(2.0), Overrides: []string{"guidance_from=0.999", "guidance_to=0.9999"}}, true),
	} {
		if !slices.Equal(got, none) {
			t.Errorf("%s is not the same as no guidance", name)
		}
	}
	two := sample(scale(2), true)
	if slices.Equal(two, none) {
		t.Error("guidance changes nothing")
	}
	if got := sample(Choice{Overrides: []string{"guidance=1", "guidance_weight=1"}}, true); !slices.Equal(got, two) {
		t.Error("guidance_weight 1 is not guidance 2")
	}
	if got := sample(Choice{}, true); !slices.Equal(got, sample(scale(1.5), true)) {
		t.Error("what the run's config says is not the default")
	}
	if got := sample(scale(1), false); !slices.Equal(got, sample(scale(0), true)) {
		t.Error("scale 0 is not the unconditional model")
	}
}

// One Euler step from noise with guidance s is u+s·(c−u) of those with s=0 and 1.
func TestGuidanceIsLinear(t *testing.T) {
	m := opened(t, trained(t, moonsYAML, "steps=30"))
	at := func(s float64) []float32 {
		if err := m.Choose(Choice{Sampler: "euler", Steps: 1, Guidance: &s}); err != nil {
			t.Fatal(err)
		}
		return draw(t, m, Request{N: 5, Labels: turns(5, 2), Seed: 3})
	}
	u, c, got := at(0), at(1), at(3)
	for i := range got {
		want := float64(u[i]) + 3*(float64(c[i])-float64(u[i]))
		// A few roundings of float32 of numbers up to 3·|c|+2·|u|.
		if tol := 8 * 6e-8 * (3*math.Abs(float64(c[i])) + 2*math.Abs(float64(u[i])) + 4); math.Abs(float64(got[i])-want) > tol {
			t.Errorf("number %d is %g, want %g", i, got[i], want)
		}
	}
}

// A start and noises that are given stand in for those that are drawn.
func TestGivenNoise(t *testing.T) {
	m := opened(t, trained(t, digitsYAML, "sample.every=0"))
	if err := m.Choose(Choice{Sampler: "ddpm", Steps: 3}); err != nil {
		t.Fatal(err)
	}
	size := volume(m.Shape)
	noise := make([]float32, 3*size)
	for i := range noise {
		noise[i] = float32(math.Sin(float64(i)))
	}
	var asked []int
	q := Request{N: 3, Labels: turns(3, 10), Noise: noise, Noises: func(step int) ([]float32, error) {
		asked = append(asked, step)
		return noise, nil
	}}
	all := draw(t, m, q)
	if !slices.Equal(asked, []int{0, 1}) { // the last step draws none
		t.Errorf("noise was asked for in steps %v, want 0 and 1", asked)
	}
	q.Seed = 9
	if got := draw(t, m, q); !slices.Equal(got, all) {
		t.Error("the seed changes samples all of whose noise is given")
	}
	m.How.Batch = 2
	if got := draw(t, m, q); !slices.Equal(got, all) {
		t.Error("given noise goes to other samples in batches of 2")
	}
}

// Whatever is predicted along whatever path, what a run samples by unless told does: also where the path ends without signal, of which ε
// and the score say nothing, so that the grid starts before, and where the solver's variable is infinite.
func TestDefaultsStartAnywhere(t *testing.T) {
	for _, c := range []struct {
		objective string
		from      float64 // first time, as a fraction of the path
	}{
		{"{kind: flow, predict: eps}", 80. / 81},
		{"{kind: flow, interpolant: trig, predict: score}", math.Atan(80) * 2 / math.Pi},
		{"{kind: flow, interpolant: trig, predict: v}", 1},
		{"{kind: dsm, sde: cosine}", math.Acos(math.Cos(0.008/1.008*math.Pi/2)/math.Hypot(80, 1))*2/math.Pi*1.008 - 0.008},
		{"{kind: dsm, sde: cosine, predict: v}", 1},
		{"{kind: ddpm, zero_terminal_snr: true, predict: v}", 1},
		{"{kind: ddpm, zero_terminal_snr: true, predict: x0}", 1},
	} {
		m := opened(t, trained(t, moonsYAML, "steps=2", "objective="+c.objective))
		if grid, err := m.Grid(4); err != nil || math.Abs(grid[0]/m.Model.Path().End()-c.from) > 1e-12 {
			t.Errorf("%s: the grid is %v, %v", c.objective, grid, err)
		}
		for _, name := range []string{"", "euler", "runge_kutta", "lms", "dpm2", "dopri5", "euler_maruyama", "predictor_corrector"} {
			if err := m.Choose(Choice{Sampler: name, Steps: 4}); err != nil {
				t.Fatal(err)
			}
			for _, v := range draw(t, m, Request{N: 2, Labels: turns(2, 2)}) {
				if v != v || math.Abs(float64(v)) > 1e3 {
					t.Errorf("%s, sampler %q: %g", c.objective, name, v)
				}
			}
		}
	}
	m := chosen(t, trained(t, moonsYAML, "steps=2", "objective={kind: flow, predict: eps}"), "grid=uniform")
	_, err := m.Draw(context.Background(), Request{N: 1, Labels: turns(1, 2)})
	wantError(t, err, "does not determine")
}

// Settings of the sample section are strict, and those of a run its defaults.
func TestChooseOverrides(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=2")
	for _, o := range []string{"stepz=3", "sampler.eta=1", "guidance=-1", "steps"} {
		err := opened(t, dir).Choose(Choice{Overrides: []string{o}})
		var e config.Errors
		wantError(t, err, o)
		if !asErrors(err, &e) {
			t.Errorf("%s: %T, want config.Errors", o, err)
		}
	}
	m := opened(t, dir)
	if err := m.Choose(Choice{Sampler: "ddim", Overrides: []string{"sampler.eta=0.5", "clip.range=1"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := m.DescribeSampling(), "ddim, 3 steps, guidance 1.5"; got != want {
		t.Errorf("described as %q, want %q", got, want)
	}
	for _, v := range draw(t, m, Request{N: 20, Labels: turns(20, 2)}) {
		if v != v {
			t.Fatal("not a number")
		}
	}
}

func asErrors(err error, e *config.Errors) bool {
	got, ok := err.(config.Errors)
	*e = got
	return ok
}
