package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// files writes texts by name into a new folder.
func files(t *testing.T, texts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// baseParts are the sections of a file that others extend.
var baseParts = []string{"name: base", "model: mlp", "optim: {lr: 0.5, warmup: 3}", "sampler: {kind: heun, steps: 9}",
	"stages: [{until: 4, path: p}, {until: 5, path: q}]", "labels: {a: {path: p}, b: {path: q, until: 2}}", "ema: null"}

// What a file says counts, over what it extends, as if the whole had been written in one file.
func TestExtends(t *testing.T) {
	base := strings.Join(baseParts, "\n")
	for name, c := range map[string]struct{ text, same string }{
		"nothing said":           {"", "name: base"},
		"a scalar":               {"name: top", "name: top"},
		"a section refines":      {"optim: {lr: 0.25}", "optim: {lr: 0.25, warmup: 3}"},
		"an empty section":       {"optim: {}", "name: base"},
		"a kind's keys refine":   {"sampler: {steps: 11}", "sampler: {kind: heun, steps: 11}"},
		"another kind replaces":  {"sampler: {kind: ddim}", "sampler: ddim"},
		"the same kind replaces": {"sampler: {kind: heun, churn: 1}", "sampler: {kind: heun, churn: 1}"},
		"a kind's name replaces": {"sampler: heun", "sampler: heun"},
		"a list replaces":        {"stages: [{path: r}]", "stages: [{path: r}]"},
		"names are added":        {"labels: {b: {path: r}, c: {path: s}}", "labels: {a: {path: p}, b: {path: r, until: 2}, c: {path: s}}"},
		"a section over null":    {"ema: {decay: 0.5}", "ema: {decay: 0.5}"},
		"null over a section":    {"optim: {warmup: 1}\nclip: null", "optim: {lr: 0.5, warmup: 1}"},
		"by way of another":      {"extends: sub/between.yaml\nname: top", "name: top"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.text
			if !strings.Contains(text, extendsKey) {
				text = "extends: base.yaml\n" + text
			}
			dir := files(t, map[string]string{"base.yaml": base, "sub/between.yaml": "extends: ../base.yaml\nname: between", "top.yaml": text})
			var got, want experiment
			if _, err := LoadFile(filepath.Join(dir, "top.yaml"), nil, &got); err != nil {
				t.Fatal(err)
			}
			one := c.same
			for _, part := range baseParts {
				key, _, _ := strings.Cut(part, " ")
				if !strings.HasPrefix(c.same, key) {
					one += "\n" + part
				}
			}
			if err := Decode("one.yaml", []byte(one), nil, &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// Of several files the later ones count; a name of a kind takes keys; overrides come last.
func TestExtendsSeveral(t *testing.T) {
	dir := files(t, map[string]string{
		"a.yaml": "model: mlp\nseed: 1\nname: a\nsampler: heun",
		"b.yaml": "seed: 2\noptim: {lr: 0.25}",
		"c.yaml": "extends: [a.yaml, b.yaml]\nsampler: {steps: 6}\nworkers: 4",
	})
	var e experiment
	places, err := LoadFile(filepath.Join(dir, "c.yaml"), []string{"workers=5", "sampler.steps=8"}, &e)
	if err != nil {
		t.Fatal(err)
	}
	if e.Seed != 2 || e.Name != "a" || e.Optim.LR != 0.25 || e.Workers != 5 || e.Sampler.Kind != "heun" || !strings.Contains(fmt.Sprint(e.Sampler.Config), "8") {
		t.Errorf("got %+v", e)
	}
	for key, want := range map[string]string{"seed": "b.yaml:1: seed: x", "name": "a.yaml:3: name: x", "optim.lr": "b.yaml:2: optim.lr: x", "clip": "c.yaml:1: clip: x (its default"} {
		if got := places.Errorf(key, "x").Error(); !strings.Contains(got, want) {
			t.Errorf("place of %s: %s, want %s", key, got, want)
		}
	}
}

func TestExtendsErrors(t *testing.T) {
	deep := map[string]string{"top.yaml": "extends: f0.yaml\nmodel: mlp"}
	for i := range maxFiles {
		deep[fmt.Sprintf("f%d.yaml", i)] = fmt.Sprintf("extends: f%d.yaml\n", i+1)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no such file":         {map[string]string{"top.yaml": "model: mlp\nextends: bas.yaml", "base.yaml": ""}, []string{"top.yaml:2: extends: ", "bas.yaml: file does not exist", "did you mean", "base.yaml?"}},
		"a folder":             {map[string]string{"top.yaml": "extends: .\nmodel: mlp"}, []string{"top.yaml:1: extends: ", "is a folder"}},
		"itself":               {map[string]string{"top.yaml": "extends: ./top.yaml"}, []string{"top.yaml:1: extends: the file extends itself"}},
		"in a circle":          {map[string]string{"top.yaml": "extends: a.yaml", "a.yaml": "name: x\nextends: top.yaml"}, []string{"a.yaml:2: extends: ", "top.yaml extends this file"}},
		"too many":             {deep, []string{"f14.yaml:1: extends: more than 16 files would be read"}},
		"no name":              {map[string]string{"top.yaml": "extends:"}, []string{"top.yaml:1: extends: must be the name of a YAML file, or a list of such names, is empty"}},
		"a section":            {map[string]string{"top.yaml": "extends: [a.yaml, {b: c}]", "a.yaml": ""}, []string{"top.yaml:1: extends: must be the name of a YAML file, or a list of such names, is a section"}},
		"broken base":          {map[string]string{"top.yaml": "extends: a.yaml", "a.yaml": "x: ["}, []string{"a.yaml:", "is not valid YAML"}},
		"mistake in the base":  {map[string]string{"top.yaml": "extends: a.yaml\nmodel: mlp", "a.yaml": "seed: 1\noptim: {lr: -1}"}, []string{"a.yaml:2: optim.lr: must be > 0"}},
		"key of another kind":  {map[string]string{"top.yaml": "extends: a.yaml\nmodel: mlp\nsampler: {kind: ddim, churn: 2}", "a.yaml": "sampler: {kind: heun, steps: 9}"}, []string{"top.yaml:3: sampler.churn: unknown key"}},
		"deeper than the top":  {map[string]string{"top.yaml": "model: mlp\noptim: {extends: a.yaml}"}, []string{"top.yaml:2: optim.extends: unknown key"}},
		"keys under a number":  {map[string]string{"top.yaml": "extends: a.yaml\nmodel: mlp\nseed: {a: 1}", "a.yaml": "seed: 3"}, []string{"top.yaml:3: seed: must be a whole number"}},
		"a list over sections": {map[string]string{"top.yaml": "extends: a.yaml\nmodel: mlp\noptim: [1]", "a.yaml": "optim: {lr: 1}"}, []string{"top.yaml:3: optim: must be a section"}},
		"a document of a list": {map[string]string{"top.yaml": "extends: a.yaml\nmodel: mlp", "a.yaml": "- 1"}, []string{"a.yaml:1: must be a section with keys"}},
	} {
		t.Run(name, func(t *testing.T) {
			var e experiment
			_, err := LoadFile(filepath.Join(files(t, c.files), "top.yaml"), nil, &e)
			if err == nil {
				t.Fatalf("accepted: %+v", e)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
	var e experiment
	for _, err := range []error{
		Decode("x.yaml", []byte("extends: a.yaml\nmodel: mlp"), nil, &e),
		Decode("x.yaml", []byte("model: mlp"), []string{"extends=a.yaml"}, &e),
	} {
		if err == nil || !strings.Contains(err.Error(), "extends: is for files; neither overrides nor a run's config extend others") {
			t.Errorf("outside of a file: %v", err)
		}
	}
}

// FuzzExtends: of any two documents, one put over the other, there is an error, or a config that is written and read back equal.
func FuzzExtends(f *testing.F) {
	f.Add([]byte(strings.Join(baseParts, "\n")), []byte("optim: {lr: 1}\nsampler: {steps: 3}"), "seed=1")
	f.Add([]byte("sampler: heun"), []byte("sampler: {steps: 3}"), "sampler.steps=4")
	f.Add([]byte("a: &a {b: 1}\nc: *a"), []byte("- 1"), "a.b=2")
	f.Add([]byte("optim: [1]"), []byte("optim: {kind: x}\nextends: y"), "optim[0]=2")
	f.Fuzz(func(t *testing.T, base, top []byte, override string) {
		s := Source{[]layer{{"a.yaml", base, true}, {"b.yaml", top, true}}}
		var e experiment
		if _, err := s.Load([]string{override, "model=mlp"}, &e); err != nil {
			for _, one := range err.(Errors) {
				if strings.ContainsAny(one.Error(), "\n\r") {
					t.Errorf("more than a line: %q", one.Error())
				}
			}
			return
		}
		out, err := Resolved(e)
		if err != nil {
			t.Fatal(err)
		}
		var back experiment
		if err := Decode("r.yaml", out, nil, &back); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if !reflect.DeepEqual(back, e) {
			t.Fatalf("read back\n%+v\nwant\n%+v\nfrom\n%s", back, e, out)
		}
	})
}
