package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

const schemaFile = "../../docs/langevin.schema.json"

// editor checks YAML as an editor does, by another program's reading of the schema.
type editor struct{ *jsonschema.Schema }

func newEditor(t *testing.T) editor {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(read(t, schemaFile)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("langevin.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("langevin.schema.json") // it is held to draft 7 itself
	if err != nil {
		t.Fatal(err)
	}
	return editor{s}
}

func (e editor) check(t *testing.T, text string) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return e.Validate(doc)
}

func TestSchemaIsUpToDate(t *testing.T) {
	if got := succeeds(t, t.TempDir(), "schema").stdout; got != string(read(t, schemaFile)) {
		t.Errorf("%s is out of date: run make generate", schemaFile)
	}
}

// Every example is a file of the schema that its first line names, and so is what a run resolves it to.
func TestExamplesFollowTheSchema(t *testing.T) {
	e := newEditor(t)
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) < 20 {
		t.Fatal(examples, err)
	}
	for _, file := range append(examples, "../../examples/sweep/optimizers.yaml") {
		text := string(read(t, file))
		if err := e.check(t, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		name, ok := strings.CutPrefix(strings.SplitN(text, "\n", 2)[0], "# yaml-language-server: $schema=")
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), name)); !ok || err != nil {
			t.Errorf("%s: the first line does not name the schema: %v", file, err)
		}
	}
	dir := workplace(t)
	for _, run := range []string{"tiny", "digits"} {
		if err := e.check(t, string(read(t, filepath.Join(dir, "runs", run, "config.yaml")))); err != nil {
			t.Errorf("the resolved config of %s: %v", run, err)
		}
	}
}

// The schema marks the mistakes that decoding names, and nothing that decoding accepts.
func TestSchemaMarksMistakes(t *testing.T) {
	e := newEditor(t)
	const base = "data: moons\nmodel: mlp\n"
	for text, want := range map[string]string{ // "": none
		base: "",
		base + "optim: {lr: 1e-3, rule: lion, groups: [{match: a, lr: 2}]}": "",
		base + "ema: null\nmax_time: 1h30m\nsteps: 20_000\nbatch: 1e2":      "",
		base + "sample: {sampler: {stepz: 3}}":                              "anyOf",
		base + "sample: {sampler: {eta: 0.5}}":                              "", // of some kind: which it is, only decoding knows
		"extends: base.yaml\noptim: {lr: 1e-4}":                             "",
		"extends: [a.yaml, b.yaml]":                                         "",
		"teacher: runs/x\nsteps: 4\nmethod: {kind: scm}":                    "",
		"experiment: x.yaml\ngrid: {optim.lr: [1, 2e-3], ema: [null]}":      "",
		"experiment: x.yaml\nzip: {a: 1}":                                   "want array",
		"experiment: x.yaml\nseeds: [-1]":                                   "minimum",
		"seeds: [1]":                                                        "missing property 'experiment'",
		"data: moons":                                                       "missing property 'model'",
		base + "step: 3":                                                    "additional properties 'step'",
		base + "steps: 0":                                                   "minimum",
		base + "steps: many":                                                "does not match pattern",
		base + "device: gpu":                                                "must be one of",
		base + "optim: {lr: 0}":                                             "exclusiveMinimum",
		base + "optim: {lr: [1]}":                                           "got array, want number or string",
		base + "optim: {rule: adamv}":                                       "anyOf",
		base + "optim: {rule: {kind: lion, eps: 1}}":                        "additional properties 'eps'",
		base + "optim: {groups: [{lr: 2}]}":                                 "missing property 'match'",
		base + "flip: 1":                                                    "want boolean",
		base + "max_time: 5":                                                "want string",
		"data: {kind: idx}\nmodel: mlp":                                     "missing property 'images'",
	} {
		err := e.check(t, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
