package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// chosen opens a run and applies key=value settings of its sample section.
func chosen(t *testing.T, dir RunDir, overrides ...string) *Trained {
	t.Helper()
	m := opened(t, dir)
	if err := m.Choose(Choice{Steps: 5, Overrides: overrides}); err != nil {
		t.Fatal(err)
	}
	return m
}

// apart is the largest difference.
func apart(a, b []float32) (d float64) {
	for i := range a {
		d = max(d, math.Abs(float64(a[i]-b[i])))
	}
	return d
}

// Every key of guidance does what it says, and a sample does not depend on its batch with any.
func TestGuidanceKeys(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=30", "optim.lr=1e-2")
	q := Request{N: 6, Seed: 1, Labels: turns(6, 2)}
	sample := func(overrides ...string) []float32 { return draw(t, chosen(t, dir, overrides...), q) }
	none, three := sample("guidance=1"), sample("guidance=3")
	auto := "autoguidance={model: " + string(dir) + ", scale: 3}"
	// The same but for some hundred roundings of numbers of about 1, along five steps.
	const rounding = 1e-4
	for _, c := range []struct {
		over []string
		as   []float32
	}{
		{[]string{"guidance=3", "guidance_rule={kind: apg, eta: 1, momentum: 0}"}, three},
		{[]string{"guidance=3", "guidance_schedule={kind: points, factors: [1, 1, 1]}"}, three},
		{[]string{"guidance=5", "guidance_schedule={kind: points, factors: [0.5]}"}, three},
		{[]string{"guidance=3", "guidance_sigma_to=1e-9"}, none},
		{[]string{"guidance=3", "guidance_sigma_from=1e9", "guidance_to=0.9"}, none}, // at the end of the path, σ/α is infinite
		{[]string{"guidance=1", "guidance_with=[{class: 1, weight: 0}]"}, none},
		{[]string{"guidance=1", auto}, none}, // the model itself is no weaker
		{[]string{"guidance=3", auto}, three},
	} {
		if got := sample(c.over...); apart(got, c.as) > rounding {
			t.Errorf("%v: differs by %g from what it amounts to", c.over, apart(got, c.as))
		}
	}
	for _, over := range [][]string{
		{"guidance_rule=apg"}, {"guidance_rule={kind: apg, momentum: 0}"}, {"guidance_rule={kind: apg, norm: 0.01}"}, {"guidance_rule=cfg_zero"}, {"guidance_rule={kind: cfg_zero, zero: 0}"},
		{"guidance_schedule=linear"}, {"guidance_schedule={kind: linear, falls: true}"}, {"guidance_schedule=cosine"}, {"guidance_schedule={kind: cosine, by: noise}"},
		{"guidance_rescale=0.7"}, {"guidance_negative=0"}, {"guidance_with=[{class: 0, weight: 0.5}]"}, {"guidance_sigma_from=0.5"}, {"guidance_sigma_to=2"},
	} {
		m := chosen(t, dir, append(over, "guidance=3")...)
		all := draw(t, m, q)
		if apart(all, three) < 1e-3 {
			t.Errorf("%v changes nothing", over)
		}
		m.How.Batch = 4
		if !slices.Equal(draw(t, m, q), all) {
			t.Errorf("%v: other samples in other batches", over)
		}
	}
	// Without a class of their own, samples may still be of others.
	unconditional := Request{N: 4, Seed: 1}
	a := draw(t, chosen(t, dir, "guidance=1", "guidance_with=[{class: 1}]"), unconditional)
	b := draw(t, chosen(t, dir, "guidance=1"), Request{N: 4, Seed: 1, Labels: []int32{1, 1, 1, 1}})
	if apart(a, b) > rounding {
		t.Errorf("no class with class 1 beside it is not class 1: %g apart", apart(a, b))
	}
}

func TestGuidanceMistakes(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=1")
	digits := trained(t, digitsYAML, "steps=1")
	trig := trained(t, moonsYAML, "steps=1", "objective.interpolant=trig")
	plain := trained(t, moonsYAML, "steps=1", "conditional=false", "sample.guidance=1")
	for _, c := range []struct{ over, want string }{
		{"guidance_negative=2", "guidance_negative is 2; the classes are 0 to 1"},
		{"guidance_with=[{class: 7}]", "guidance_with[0].class is 7"},
		{"guidance_with=[{prompt: seven}]", "guidance_with[0].prompt is given, and the model takes no prompts"},
		{"autoguidance.model=nowhere", "autoguidance.model"},
		{"autoguidance={model: " + string(digits) + "}", "shape"},
		{"autoguidance={model: " + string(trig) + "}", "another path"},
	} {
		m := opened(t, dir)
		err := m.Choose(Choice{Steps: 2, Overrides: []string{c.over, "guidance=2"}})
		if err == nil {
			_, err = m.Draw(context.Background(), Request{N: 2, Labels: turns(2, 2)})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.over, err, c.want)
		}
	}
	for _, over := range []string{"guidance_rule=agp", "guidance_rule={kind: apg, momentum: 1.5}", "guidance_schedule={kind: points, factors: []}",
		"guidance_rescale=2", "autoguidance={scale: 2}", "autoguidance={model: x, from: 0.5, to: 0.5}", "guidance_rule={kind: cfg_zero, zero: 1}"} {
		if err := opened(t, dir).Choose(Choice{Overrides: []string{over}}); err == nil {
			t.Errorf("takes %s", over)
		}
	}
	if err := opened(t, dir).Choose(Choice{Overrides: []string{"guidance_sigma_from=2", "guidance_sigma_to=1"}}); err == nil {
		t.Error("takes an empty interval of noise levels")
	}
	// A model without classes may be the weaker one.
	x := draw(t, chosen(t, dir, "guidance=1", "autoguidance={model: "+string(plain)+", scale: 1.5}"), Request{N: 2, Labels: turns(2, 2)})
	if slices.Equal(x, draw(t, chosen(t, dir, "guidance=1"), Request{N: 2, Labels: turns(2, 2)})) {
		t.Error("a weaker model changes nothing")
	}
}

// A diffusers folder as the weaker model. One step of DDIM is linear in the prediction, so that what is sampled lies
// on the line through what both models make of the same noise.
func TestAutoguidanceByAFolder(t *testing.T) {
	const scale = 3
	weaker := filepath.Join(pipelines, "dit-ddim")
	q := Request{N: 6, Seed: 1, Labels: turns(6, 10)}
	sample := func(m *Trained, overrides ...string) []float32 {
		if err := m.Choose(Choice{Sampler: "ddim", Steps: 1, Overrides: append(overrides, "guidance=1")}); err != nil {
			t.Fatal(err)
		}
		return draw(t, m, q)
	}
	own, leading := trained(t, digitsYAML, "steps=1", "objective=ddpm"), "grid={kind: table, spacing: leading}" // as the folder has it
	strong, weak := sample(opened(t, own), leading), sample(opened(t, RunDir(weaker)))
	got := sample(opened(t, own), leading, "autoguidance={model: "+weaker+", scale: 3}")
	far := 0.0
	for i, v := range got {
		want := weak[i] + scale*(strong[i]-weak[i])
		far = max(far, math.Abs(float64(v-strong[i])))
		// Twenty roundings of numbers up to 5, which the scale multiplies.
		if math.Abs(float64(v-want)) > 20*scale*5*0x1p-24 {
			t.Fatalf("number %d is %g, want %g, which is %d times as far from %g as %g is", i, v, want, scale, weak[i], strong[i])
		}
	}
	if far < 1e-3 {
		t.Errorf("the weaker model changes samples by %g only", far)
	}
	for _, c := range []struct{ name, objective, want string }{
		{"dit-ddim", "flow", "another path"}, {"unet-ddim-eta", "ddpm", "classes"},
	} {
		m := opened(t, trained(t, digitsYAML, "steps=1", "objective="+c.objective))
		err := m.Choose(Choice{Steps: 2, Overrides: []string{"autoguidance={model: " + filepath.Join(pipelines, c.name) + "}"}})
		if err == nil {
			_, err = m.Draw(context.Background(), q)
		}
		wantError(t, err, "autoguidance.model", c.want)
	}
}

func TestGuidanceIsDescribed(t *testing.T) {
	m := chosen(t, trained(t, moonsYAML, "steps=1"), "guidance=2", "guidance_rule=apg", "guidance_negative=1", "guidance_with=[{class: 0, weight: 0.5}]", "autoguidance={model: w, scale: 3}")
	const want = "heun, 5 steps, guidance 2 by apg away from class 1, 0.5 of class 0, autoguidance 3 by w"
	if got := m.DescribeSampling(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
