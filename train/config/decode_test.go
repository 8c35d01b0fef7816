package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func mustDecode(t *testing.T, src string, overrides ...string) experiment {
	t.Helper()
	var e experiment
	if err := Decode("a.yaml", []byte(src), overrides, &e); err != nil {
		t.Fatalf("%v", err)
	}
	return e
}

func TestDecode(t *testing.T) {
	ptr := func(f float64) *float64 { return &f }
	second := samplers.Default("ddim")
	tests := []struct {
		name, src string
		overrides []string
		want      func(e *experiment)
	}{
		{"defaults", "model: mlp", nil, func(e *experiment) {
			if e.Optim.Warmup != 50 || e.Optim.LR != 1e-3 || e.Workers != 2 || e.Grid != nil {
				t.Errorf("defaults are %+v", e)
			}
		}},
		{"number forms", "model: mlp\nseed: 20_000\noptim: {lr: 1e-4, steps: 1e4, warmup: 0x10, betas: [.5, 0]}", nil, func(e *experiment) {
			e.Seed = 20000
			e.Optim = optim{LR: 1e-4, Betas: [2]float32{0.5, 0}, Warmup: 16, Steps: 10000, Sched: "cosine"}
		}},
		{"more number forms", "model: mlp\nseed: 1.8e19\noptim: {lr: 1_0.5E+0, steps: 7.00, warmup: 0}\nclip: .inf", nil, func(e *experiment) {
			e.Seed, e.Clip = 18e18, &inf
			e.Optim.LR, e.Optim.Steps, e.Optim.Warmup = 10.5, 7, 0
		}},
		{"text", "model: mlp\nname: \"1e4\"\nevery: 90s\nlevel: loud", nil, func(e *experiment) {
			e.Name, e.Every, e.Level = "1e4", 90*time.Second, 1
		}},
		{"pointers", "model: mlp\nclip: 1\nema: {}\nextra: ddim", nil, func(e *experiment) {
			e.Clip, e.EMA, e.Extra = ptr(1), &ema{0.999}, &second
		}},
		{"null", "model: mlp\nclip: null\nema: ~\nextra:", nil, func(e *experiment) {}},
		{"variant section", "model: {kind: unet, channels: [8], inner: {kind: heun, churn: 2}}\nsampler: {churn: 3}", nil, func(e *experiment) {
			e.Model = Variant[modelArg, modelOut]{"unet", unet{Channels: []int{8}, Inner: Variant[samplerArg, samplerOut]{"heun", heun{18, 2}}}}
			e.Sampler.Config = heun{18, 3}
		}},
		{"lists and maps", "model: mlp\nstages:\n- path: a\n- {until: 3, path: b}\nlabels: {cat: {path: c}}\nmany: [euler, {kind: ddim, steps: 9}]\ngrid: [[1, 2], []]", nil, func(e *experiment) {
			e.Stages = []stage{{7, "a"}, {3, "b"}}
			e.Labels = map[string]stage{"cat": {7, "c"}}
			e.Many = []Variant[samplerArg, samplerOut]{{"euler", none{}}, {"ddim", ddim{9, 0}}}
			e.Grid = [][]float64{{1, 2}, nil}
		}},
		{"anchors", "model: mlp\nlabels:\n  a: &a {until: 4, path: x}\n  b: *a\n  c: {<<: *a, path: y}\n  d:\n    path: z\n    <<: [*a]", nil, func(e *experiment) {
			e.Labels = map[string]stage{"a": {4, "x"}, "b": {4, "x"}, "c": {4, "y"}, "d": {4, "z"}}
		}},
		{"overrides", "model: mlp\nsampler: heun\noptim:\n  lr: 1", []string{"optim.lr=1e-4", "optim.steps = 200", "sampler.steps=9", "stages=[{path: q}]", "name=", "name='a=b'", "clip=3", "ema.decay=0.5"}, func(e *experiment) {
			e.Optim.LR, e.Optim.Steps, e.Name = 1e-4, 200, "a=b"
			e.Sampler.Config = heun{9, 0}
			e.Stages = []stage{{7, "q"}}
			e.Clip, e.EMA = ptr(3), &ema{0.5}
		}},
		{"overrides without a file", "", []string{"model=unet", "model.channels=[32,64]", "sampler.kind=ddim", "sampler.eta=1"}, func(e *experiment) {
			e.Model = models.Default("unet")
			e.Sampler = Variant[samplerArg, samplerOut]{"ddim", ddim{50, 1}}
		}},
		{"override in a list", "model: mlp\nstages: [{path: a}, {path: b}]", []string{"stages[1].until=5", "stages.0.path=c"}, func(e *experiment) {
			e.Stages = []stage{{7, "c"}, {5, "b"}}
		}},
		{"override of one use of an anchor", "model: mlp\nlabels: {a: &a {path: x}, b: *a}", []string{"labels.b.path=y"}, func(e *experiment) {
			e.Labels = map[string]stage{"a": {7, "x"}, "b": {7, "y"}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := defaults()
			tt.want(&want)
			got := mustDecode(t, tt.src, tt.overrides...)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// TestErrors pins whole messages: place, key path, what is wrong, what is right.
func TestErrors(t *testing.T) {
	const optimKeys = "(valid: betas, lr, schedule, steps, warmup)"
	const samplerKinds = "(valid: ddim, euler, heun)"
	tests := []struct{ src, overrides, want string }{
		{"optim:\n  lrr: 1", "", "a.yaml:2: optim.lrr: unknown key; did you mean lr? " + optimKeys},
		{"optim:\n  sceduel: x", "", "a.yaml:2: optim.sceduel: unknown key; did you mean schedule? " + optimKeys},
		{"optim: {warm: 1}", "", "a.yaml:1: optim.warm: unknown key; did you mean warmup? " + optimKeys},
		{"optim: {decay: 1}", "", "a.yaml:1: optim.decay: unknown key; there is ema.decay " + optimKeys},
		{"optim: {qqq: 1}", "", "a.yaml:1: optim.qqq: unknown key " + optimKeys},
		{"optim: {lr: abc}", "", `a.yaml:1: optim.lr: must be a number, is the text "abc"`},
		{"optim: {lr: '1'}", "", `a.yaml:1: optim.lr: must be a number, is the text "1"; numbers have no quotes`},
		{"optim: {lr: [1]}", "", "a.yaml:1: optim.lr: must be a number, is a list"},
		{"optim: {lr: .nan}", "", "a.yaml:1: optim.lr: must be a number, is the number .nan"},
		{"optim: {lr: 1e999}", "", "a.yaml:1: optim.lr: is 1e999, beyond the range of a 64-bit float"},
		{"optim: {lr: 1e-999}", "", "a.yaml:1: optim.lr: is 1e-999, too small for a 64-bit float"},
		{"optim:\n  lr:", "", "a.yaml:2: optim.lr: must be a number, is empty"},
		{"optim:\n\n  lr: -1", "", "a.yaml:3: optim.lr: must be > 0 and finite, is -1"},
		{"optim: {betas: [1, 0.5]}", "", "a.yaml:1: optim.betas[0]: must be ≥ 0 and < 1, is 1"},
		{"optim: {betas: [0.1]}", "", "a.yaml:1: optim.betas: must be a list of 2, has 1"},
		{"optim: {betas: 0.1}", "", "a.yaml:1: optim.betas: must be a list of 2 (each element a number), is the number 0.1; write [0.1]"},
		{"optim: {steps: 1.5}", "", "a.yaml:1: optim.steps: must be a whole number, is the number 1.5"},
		{"optim: {steps: 1e-400}", "", "a.yaml:1: optim.steps: must be a whole number, is the number 1e-400"},
		{"optim: {steps: 010}", "", "a.yaml:1: optim.steps: has a leading zero, which YAML versions read differently; write 10"},
		{"optim: {steps: 9007199254740993.5}", "", "a.yaml:1: optim.steps: must be a whole number, is the number 9007199254740993.5"},
		{"workers: 300", "", "a.yaml:1: workers: is 300; must be from -128 to 127"},
		{"workers: 1e30", "", "a.yaml:1: workers: is 1e30; must be from -128 to 127"},
		{"workers: 100", "", "a.yaml:1: workers: must be ≥ 0 and ≤ 64, is 100"},
		{"workers: 13", "", "a.yaml:1: workers: must not be 13"},
		{"seed: -1", "", "a.yaml:1: seed: is -1; must be from 0 to 18446744073709551615"},
		{"optim: {schedule: cosin}", "", `a.yaml:1: optim.schedule: is "cosin"; did you mean cosine? (valid: constant, cosine, linear)`},
		{"level: []", "", "a.yaml:1: level: must be one of quiet, loud, is a list"},
		{"labels: 3", "", "a.yaml:1: labels: must be a section of names (each value a section), is the number 3"},
		{"labels: x", "labels.a.path=y", `override labels.a.path=y: labels: must be a section of names (each value a section), is the text "x"`},
		{"labels: {" + strings.Repeat("x", 201) + ": {path: y}}", "", `a.yaml:1: labels."` + strings.Repeat("x", 60) + `…": is a name of 201 bytes; at most 200`},
		{"grid: [[a]]", "", `a.yaml:1: grid[0][0]: must be a number, is the text "a"`},
		{"grid: true", "", "a.yaml:1: grid: must be a list (each element a list (each element a number)), is true; write [true]"},
		{"many: [{}]", "", "a.yaml:1: many[0]: has no kind of sampler " + samplerKinds},
		{"many: [{kind: []}]", "", "a.yaml:1: many[0].kind: must be the name of a sampler, is a list " + samplerKinds},
		{"many: 3", "", "a.yaml:1: many: must be a list (each element the name of a sampler, or a section with kind), is the number 3; write [3]"},
		{"name:", "", `a.yaml:1: name: must be text, is empty; empty text is written ""`},
		{"name: true", "", `a.yaml:1: name: must be text, is true; text that looks like one is written "true" with its quotes`},
		{"model: {kind: unet, channels: []}", "", "a.yaml:1: model.channels: is required: widths"},
		{"model: {kind: unet, channels: [4], width: 3}", "", "a.yaml:1: model.width: unknown key (valid: channels, inner, kind, list, pool)"},
		{"grid: [[1]]", "grid.0.0.x=1", "override grid.0.0.x=1: grid[0][0]: must be a number, is a section"},
		{"", "seed=1\n2: 3", "override seed=1; 2: 3: is not valid YAML: mapping values are not allowed in this context; put text with YAML's special characters in quotes, as in key='\"value\"'"},
		{"level: lod", "", `a.yaml:1: level: is "lod"; did you mean loud? (valid: loud, quiet)`},
		{"name: 12", "", `a.yaml:1: name: must be text, is the number 12; text that looks like one is written "12" with its quotes`},
		{"every: 5", "", "a.yaml:1: every: must be a duration such as 30s or 1h30m, is the number 5"},
		{"optim: 3", "", "a.yaml:1: optim: must be a section with keys (lr, betas, warmup, steps, schedule), is the number 3"},
		{"- 3", "", "a.yaml:1: must be a section with keys (name, seed, optim, sampler, model, extra, stages, labels, many, grid, every, level, clip, ema, workers), is a list"},
		{"seed: 1\nseed: 2", "", "a.yaml:2: seed: is given twice, first on line 1"},
		{"labels: {a: {path: x, path: y}}", "", "a.yaml:1: labels.a.path: is given twice, first on line 1"},
		{"sampler: hein", "", `a.yaml:1: sampler: unknown sampler "hein"; did you mean heun? ` + samplerKinds},
		{"sampler:\n  kind: hein", "", `a.yaml:2: sampler.kind: unknown sampler "hein"; did you mean heun? ` + samplerKinds},
		{"sampler: 3", "", "a.yaml:1: sampler: must be the name of a sampler, is the number 3 " + samplerKinds},
		{"sampler: []", "", "a.yaml:1: sampler: must be the name of a sampler, or a section with kind, is a list " + samplerKinds},
		{"sampler: {kind: ddim, churn: 1}", "", "a.yaml:1: sampler.churn: unknown key; it belongs to the sampler heun (valid: eta, kind, steps)"},
		{"sampler: {kind: ddim, eta: 0.5, steps: 3}", "", "a.yaml:1: sampler.eta: needs at least 10 steps"},
		{"sampler:\n  kind: heun\n  steps: 0", "", "a.yaml:3: sampler.steps: must be ≥ 1, is 0"},
		{"extra: {steps: 3}", "", "a.yaml:1: extra: has no kind of sampler " + samplerKinds},
		{"stages:\n- path: a\n- until: 3", "", "a.yaml:3: stages[1].path: is required: folder of images"},
		{"stages: [{path: ''}]", "", "a.yaml:1: stages[0].path: is required: folder of images"},
		{"optim:\n  steps: 10", "", "a.yaml:1: optim.warmup: must be at most steps (10), is 50 (its default; the key is not set)"},
		{"optim:\n  betas:\n  - 0.5\n  - 0.5\n  warmup: 1e6", "", "a.yaml:5: optim.warmup: must be at most steps (1000), is 1000000\na.yaml:4: optim.betas[1]: must differ from betas[0]"},
		{"model: {kind: unet, inner: {kind: ddim, eta: 2}}", "", "a.yaml:1: model.inner.eta: must be ≥ 0 and ≤ 1, is 2"},
		{"", "optim.lr=abc", `override optim.lr=abc: optim.lr: must be a number, is the text "abc"`},
		{"", "optim.lrr=1", "override optim.lrr=1: optim.lrr: unknown key; did you mean lr? " + optimKeys},
		{"", "optim.lr=-1", "override optim.lr=-1: optim.lr: must be > 0 and finite, is -1"},
		{"", "optim.lr", "override optim.lr: must have the form key=value, as in optim.lr=1e-4"},
		{"", "=3", "override =3: must have the form key=value, as in optim.lr=1e-4"},
		{"", "a..b=3", `override a..b=3: "a..b" is not a key path such as optim.lr or layers[0].width`},
		{"", "name=*", "override name=*: is not valid YAML: did not find expected alphabetic or numeric character; put text with YAML's special characters in quotes, as in key='\"value\"'"},
		{"name: x", "name.y=3", "override name.y=3: name: must be text, is a section"},
		{"stages: [{path: x}]", "stages.1.path=3", `override stages.1.path=3: stages: is a list of 1 in the file; "1" is none of its places (counted from 0)`},
		{"a: 1\n---\nb: 2", "", "a.yaml:2: a second document begins; a config is one document"},
		{"a: [1", "", "a.yaml:1: is not valid YAML: did not find expected ',' or ']'"},
		{"seed: 1\nname: *x", "", "a.yaml:2: is not valid YAML: nothing is called &x, which *x refers to"},
		{"grid: &a [*a]", "", "a.yaml:1: grid[0][0]: the alias *a contains itself"},
		{"? [1]\n: 2", "", "a.yaml:1: a key must be a word, not a list or section"},
		{"seed: !foo 3", "", `a.yaml:1: seed: the tag "!foo" means nothing here`},
		{"<<: 3", "", "a.yaml:1: << takes a section or a list of sections"},
		{"\"a\\nb\": 3", "", `a.yaml:1: "a\nb": unknown key`},
		{"name: |\n  x\nlabels: {b\xff: 1}", "", "a.yaml:3: is not UTF-8 text (byte 22)"},
	}
	for _, tt := range tests {
		t.Run(tt.src+tt.overrides, func(t *testing.T) {
			overrides := []string{}
			if !strings.Contains(tt.src, "model") {
				overrides = append(overrides, "model=mlp")
			}
			if tt.overrides != "" {
				overrides = append(overrides, tt.overrides)
			}
			var e experiment
			err := Decode("a.yaml", []byte(tt.src), overrides, &e)
			if err == nil {
				t.Fatalf("no error; want %s", tt.want)
			}
			got := err.Error()
			if i := strings.Index(got, " (valid: clip, "); i >= 0 {
				got = got[:i] // the long list of the top level's keys
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSeveralErrors(t *testing.T) {
	var e experiment
	err := Decode("a.yaml", []byte("nam: x\noptim: {lr: a, steps: b}\n"), []string{"seed=-1"}, &e)
	var all Errors
	if !errors.As(err, &all) || len(all) != 5 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{"nam", "optim.lr", "optim.steps", "seed", "model"} {
		if all[i].Key != want {
			t.Errorf("error %d is about %s, want %s", i, all[i].Key, want)
		}
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 5 {
		t.Errorf("%d lines for 5 mistakes", len(lines))
	}
	var one *Error
	if !errors.As(err, &one) || one.File != "a.yaml" || one.Line != 1 {
		t.Errorf("errors.As gives %+v", one)
	}
	if want := "a.yaml:1: model: is required: the name of a model (valid: mlp, unet)"; all[4].Error() != want {
		t.Errorf("got %v, want %s", all[4], want)
	}
}

func TestDecodeResets(t *testing.T) {
	e := experiment{Name: "left over", Stages: []stage{{1, "x"}}}
	if err := Decode("a.yaml", []byte("model: mlp"), nil, &e); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(e, defaults()) {
		t.Errorf("got %+v", e)
	}
}

// TestBounds: hostile documents are refused in bounded time and memory.
func TestBounds(t *testing.T) {
	laughs := "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "*" + p + "]\n"
	}
	const n = maxBytes/2 - 1
	tests := []struct{ name, src, want string }{
		{"billion laughs", laughs, "with its aliases expanded"},
		{"too long", "a: " + strings.Repeat("x", maxBytes), "at most 1048576"},
		{"deep flow", strings.Repeat("[", n), "a.yaml"},
		{"deep closed flow", strings.Repeat("[", 900) + strings.Repeat("]", 900), "levels deep"},
		{"deep block", strings.Repeat("- ", n), "a.yaml"},
		{"deep keys", strings.Repeat("? ", n), "a.yaml"},
		{"long key", strings.Repeat("k", n) + ": 1", "a.yaml"},
		{"many keys", strings.Repeat("a: 1\n", 40_000), "given twice"},
		{"many values", "grid: [" + strings.Repeat("1,", n-9) + "]", "more than 100000 values"},
		{"many comments", strings.Repeat("#\n", n-9) + "a: 1", "unknown key"},
		{"many colons", strings.Repeat(": ", n), "a.yaml"},
		{"many documents", strings.Repeat("---\n", n/4), "second document"},
		{"many quotes", strings.Repeat("\"", n), "a.yaml"},
		{"many anchors", strings.Repeat("&a ", n/3), "a.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			var e experiment
			err := Decode("a.yaml", []byte(tt.src), nil, &e)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want something with %q", err, tt.want)
			}
			// Quadratic time would be 10¹² operations; a slow machine under the race detector needs seconds.
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			} else {
				t.Logf("took %v", d)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	var e experiment
	ps, err := Load("a.yaml", []byte("optim:\n  lr: 2\nmodel: mlp\nsampler:\n  kind: ddim\n"), []string{"seed=4"}, &e)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ key, want string }{
		{"optim.lr", "a.yaml:2: optim.lr: bad"},
		{"optim.steps", "a.yaml:1: optim.steps: bad (its default; the key is not set)"},
		{"seed", "override seed=4: seed: bad"},
		{"", "a.yaml:1: bad"},
	} {
		if got := ps.Errorf(tt.key, "bad").Error(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	_, err = e.Sampler.Build(samplerArg{})
	if got, want := ps.Locate("sampler", err).Error(), "a.yaml:4: sampler.eta: needs a dimension (its default; the key is not set)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := ps.Locate("sampler", nil); err != nil {
		t.Errorf("Locate of nil is %v", err)
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.yaml")
	var e experiment
	if _, err := LoadFile(file, nil, &e); !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "\n") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := LoadFile(dir, nil, &e); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("folder: %v", err)
	}
	if err := os.WriteFile(file, []byte("model: mlp\nseed: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(filepath.Join(dir, "y.yaml"), nil, &e); err == nil || !strings.HasSuffix(err.Error(), "y.yaml: file does not exist; must be a YAML file; did you mean "+file+"?") {
		t.Errorf("misspelt file: %v", err)
	}
	if err := os.WriteFile(file+"long", make([]byte, maxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(file+"long", nil, &e); err == nil || !strings.Contains(err.Error(), "at most 1048576") {
		t.Errorf("long file: %v", err)
	}
	if _, err := LoadFile(file, []string{"seed=4"}, &e); err != nil || e.Seed != 4 {
		t.Errorf("got %v, %v", e.Seed, err)
	}
}

// What is decoded over has the defaults: sections refine it, and what is not named stays.
func TestLoadOver(t *testing.T) {
	e := mustDecode(t, "model: {kind: mlp}\nseed: 7\noptim: {lr: 0.5, warmup: 3}")
	if _, err := document("b.yaml", []byte("optim: {lr: 0.25}")).LoadOver([]string{"optim.steps=9"}, &e); err != nil {
		t.Fatal(err)
	}
	if e.Seed != 7 || e.Optim.LR != 0.25 || e.Optim.Warmup != 3 || e.Optim.Steps != 9 || e.Model.Kind != "mlp" {
		t.Errorf("got %+v", e)
	}
	if _, err := document("b.yaml", []byte("optim: {rate: 1}")).LoadOver(nil, &e); err == nil || !strings.Contains(err.Error(), "b.yaml:1: optim.rate") {
		t.Errorf("an unknown key: %v", err)
	}
}

// A document can be looked at before it is decoded.
func TestLook(t *testing.T) {
	p, err := document("a.yaml", []byte("seed: 3\noptim:\n  lr: 0.5\nname: null\nlist: [1, 2]\n")).Look([]string{"optim.steps=9", "seed=4"})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"seed": "4", "optim.lr": "0.5", "optim.steps": "9", "name": "", "list": "", "optim": "", "nothing": "", "seed.more": ""} {
		if got := p.Text(key); got != want {
			t.Errorf("the text at %s is %q, want %q", key, got, want)
		}
	}
	for key, want := range map[string]bool{"seed": true, "optim.steps": true, "name": true, "list": true, "nothing": false, "optim.warmup": false} {
		if p.Has(key) != want {
			t.Errorf("has %s: %v", key, !want)
		}
	}
	if got := p.Errorf("optim.lr", "is bad").Error(); got != "a.yaml:3: optim.lr: is bad" {
		t.Errorf("error %q", got)
	}
	p.Rename("optim", "method")
	if got := p.Errorf("optim.rate", "is bad").Error(); !strings.Contains(got, "method.rate: is bad") {
		t.Errorf("error %q", got)
	}
	if _, err := document("a.yaml", []byte("seed: [\n")).Look(nil); err == nil || !strings.Contains(err.Error(), "a.yaml") {
		t.Errorf("broken text: %v", err)
	}
	if p, err := document("a.yaml", nil).Look(nil); err != nil || p.Text("seed") != "" || p.Has("seed") {
		t.Errorf("an empty document: %v, %v", p, err)
	}
}
