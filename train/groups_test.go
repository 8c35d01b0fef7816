package train

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
)

// groups puts optim.groups into an override.
func groups(list string) string { return "optim.groups=[" + list + "]" }

// Frozen parameters keep their values, and cost neither state nor gradient; their
// averages are themselves.
func TestFrozenParameters(t *testing.T) {
	from := trained(t, moonsYAML, "steps=5", "seed=8")
	freeze := groups(`{match: "time.*", frozen: true}, {match: "/^in[.]/", frozen: true}`)
	dir := trained(t, moonsYAML, freeze, "init="+string(from), "checkpoint.keep=0")
	start, err := newestOf(string(from), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer start.Close()
	end, err := newestOf(string(dir), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	frozen, moved := 0, 0
	for _, name := range start.file.Names() {
		bare, ok := strings.CutPrefix(name, emaPrefix) // what a run begins from
		if !ok {
			continue
		}
		was, err := start.values(name)
		if err != nil {
			t.Fatal(err)
		}
		is, err := end.values(modelPrefix + bare)
		if err != nil {
			t.Fatal(err)
		}
		average, err := end.values(emaPrefix + bare)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(bare, "time.") || strings.HasPrefix(bare, "in.") {
			frozen++
			if !slices.Equal(was, is) || !slices.Equal(was, average) {
				t.Errorf("%s is frozen and has changed", bare)
			}
			if end.file.Has(optimPrefix + "adam_m." + bare) {
				t.Errorf("%s is frozen and the optimiser keeps a state for it", bare)
			}
		} else if moved++; slices.Equal(was, is) || slices.Equal(is, average) {
			t.Errorf("%s has not been trained", bare)
		}
	}
	if frozen != 6 || moved != 5 {
		t.Errorf("%d frozen, %d trained; want 6 and 5", frozen, moved)
	}
}

// What only frozen parameters lead to is not recorded: no gradient, less memory.
func TestFrozenParametersAreNotRecorded(t *testing.T) {
	all := bare(t, everythingYAML, "model.depth=4")
	last := bare(t, everythingYAML, "model.depth=4", groups(`{match: "/^(blocks|patch|embed)/", frozen: true}`))
	for _, tr := range []*Trainer{all, last} {
		shake(t, tr)
		for range 2 {
			if err := tr.Train(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a, b := all.scope.MemoryPeak(), last.scope.MemoryPeak(); 2*b > a {
		t.Errorf("%d bytes with the last layer alone, %d with all: want less than half", b, a)
	}
	l := last.lossOf(last.scope, &last.draw)
	for i, g := range last.scope.Grad(l, last.params) {
		if p := last.params[i]; p.Frozen != (g == nil) {
			t.Errorf("%s: frozen %v, has a gradient: %v", p.Name, p.Frozen, g != nil)
		}
	}
}

// A run with frozen parameters and groups resumes exactly.
func TestGroupsResume(t *testing.T) {
	set := []string{groups(`{match: "hidden.*", lr: 0.5, weight_decay: 0.2}, {match: "*.bias", rule: {kind: sgd, momentum: 0.5}}, {match: "in.weight", frozen: true}`), "optim.decay=weights"}
	resumesExactly(t, trained(t, moonsYAML, set...), moonsYAML, set...)
}

// Freezing on the way: the optimiser's state of what is frozen is left behind, and its
// average becomes what it is.
func TestFreezeOnResume(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=10")
	frozen := experiment(t, moonsYAML, "steps=20", groups(`{match: "hidden.*", frozen: true}`))
	if err := trainIn(context.Background(), frozen, Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	c, err := newestOf(string(dir), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := c.values(modelPrefix + "hidden.0.weight")
	if err != nil {
		t.Fatal(err)
	}
	average, err := c.values(emaPrefix + "hidden.0.weight")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w, average) {
		t.Error("the average of a frozen parameter is not the parameter")
	}
	if c.file.Has(optimPrefix + "adam_m.hidden.0.weight") {
		t.Error("the optimiser keeps a state of a frozen parameter")
	}
}

// The settings of groups reach the rule: p − p' = lr·factor·(g + decay·p) for a step of
// plain SGD. Powers of two as settings leave roundings of the sum and of the product only,
// each a 2⁻²⁴th of the larger of p and the change.
func TestGroupSettings(t *testing.T) {
	const lr, decay = 0.125, 0.5
	type setting struct{ factor, decay float64 }
	for _, c := range []struct {
		overrides []string
		want      func(name string, rank int) setting
	}{
		{nil, func(string, int) setting { return setting{1, decay} }},
		{[]string{"optim.decay=weights"}, func(name string, rank int) setting {
			if rank < 2 || name == "cond.class" {
				return setting{1, 0}
			}
			return setting{1, decay}
		}},
		{[]string{"optim.decay=weights", groups(`{match: "*.bias", weight_decay: 0.25}, {match: "hidden*", lr: 0.5}, {match: "time*", lr: 2, weight_decay: 0}, {match: "in*", rule: {kind: sgd, momentum: 0, weight_decay: 2}}`)},
			func(name string, rank int) setting {
				switch {
				case strings.HasSuffix(name, ".bias"):
					return setting{1, 0.25}
				case strings.HasPrefix(name, "hidden"):
					return setting{0.5, decay}
				case strings.HasPrefix(name, "time"):
					return setting{2, 0}
				case strings.HasPrefix(name, "in"):
					return setting{1, 2}
				case name == "cond.class":
					return setting{1, 0}
				}
				return setting{1, decay}
			}},
	} {
		tr := bare(t, moonsYAML, append([]string{"optim.rule={kind: sgd, momentum: 0, weight_decay: 0.5}", "optim.lr=0.125", "optim.clip=0", "optim.schedule=constant"}, c.overrides...)...)
		shake(t, tr)
		_, grad, _ := gradientOf(t, tr)
		var before [][]float64
		for _, p := range tr.params {
			before = append(before, p.Float64s())
		}
		if err := tr.Train(); err != nil {
			t.Fatal(err)
		}
		at := 0
		for i, p := range tr.params {
			w := c.want(p.Name, len(p.Shape()))
			for j, got := range p.Float64s() {
				change := lr * w.factor * (grad[at] + w.decay*before[i][j])
				bound := 4 / float64(1<<24) * (math.Abs(before[i][j]) + lr*w.factor*(math.Abs(grad[at])+w.decay*math.Abs(before[i][j])))
				if d := math.Abs(got - (before[i][j] - change)); !(d <= bound) {
					t.Fatalf("%v: %s[%d] is %g after %g, want a change of %g", c.overrides, p.Name, j, got, before[i][j], -change)
				}
				at++
			}
		}
	}
}

func TestGroupMistakes(t *testing.T) {
	for _, c := range []struct {
		groups string
		want   []string
	}{
		{`{match: "hiden.0.*", frozen: true}`, []string{"x.yaml:3: optim.groups[0].match", `"hiden.0.*" matches none of the 11 parameters; the nearest are hidden.0.weight, hidden.0.bias`}},
		{`{match: "*.bias", lr: 2}, {match: "in.bias", lr: 3}`, []string{"x.yaml:3: optim.groups[1].match", `all 1 parameters that "in.bias" matches belong to groups before it, as to "*.bias"`}},
		{`{match: "/(/", lr: 2}`, []string{"x.yaml:3: optim.groups[0].match", "is not a regular expression", "missing closing )"}},
		{`{match: "[", lr: 2}`, []string{"x.yaml:3: optim.groups[0].match", "is not a pattern"}},
		{`{match: "*", frozen: true}`, []string{"x.yaml:3: optim.groups", "nothing is left to train"}},
		{`{match: "*.bias", lr: 0}`, []string{"x.yaml:3: optim.groups[0].lr", "must be > 0"}},
		{`{match: "*.bias", frozen: true, weight_decay: 1}`, []string{"x.yaml:3: optim.groups[0].weight_decay", "means nothing for frozen parameters"}},
		{`{lr: 2}`, []string{"x.yaml:3: optim.groups[0].match", "is required"}},
	} {
		exp, err := ReadExperiment("x.yaml", []byte("data: moons\nmodel: {kind: mlp, width: 16, depth: 1}\noptim: {groups: ["+c.groups+"]}\nsample: {every: 0}\n"), nil)
		if err == nil {
			_, err = New(context.Background(), exp, Options{Bare: true})
		}
		wantError(t, err, c.want...)
	}
}

// inspect lists the groups of a run.
func TestGroupsInFacts(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=1", groups(`{match: "time.*", frozen: true}, {match: "*.bias", lr: 0.5, weight_decay: 0}`))
	var got []string
	for _, f := range opened(t, dir).Facts() {
		if f[0] == "group" {
			got = append(got, f[1])
		}
	}
	// time: 64·16+16+16·16+16; biases of in, hidden and out: 16+16+2; the rest: 2·16 + 16·16 + 16·2 + 3·16.
	want := []string{
		"time.*: 1312 parameters in 4 arrays, frozen",
		"*.bias: 34 parameters in 3 arrays, lr 0.0015, adamw, weight decay 0",
		"others: 368 parameters in 4 arrays, lr 0.003, adamw",
	}
	if !slices.Equal(got, want) {
		t.Errorf("groups %q, want %q", got, want)
	}
}
