package config

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// schemaFor compiles a schema by another program's reading of the standard.
func schemaFor(t *testing.T, root any) *jsonschema.Schema {
	t.Helper()
	text, err := JSONSchema("test", Form{Name: "file", Root: root})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("test.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("test.json")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return s
}

func follows(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// The schema has all types of keys: what decoding accepts follows it, and what it refuses by type does not.
func TestJSONSchema(t *testing.T) {
	s := schemaFor(t, experiment{})
	for text, ok := range map[string]bool{
		strings.ReplaceAll(resolved, ".inf", "3"): true, "model: mlp": true, "extends: a.yaml": true, // JSON has no infinity
		"model: mlp\nlevel: loud": true, "model: mlp\nlevel: louder": false,
		"model: mlp\nevery: 5m30s": true, "model: mlp\nevery: 5 minutes": false,
		"model: mlp\noptim: {betas: [0.1, 0.2]}": true, "model: mlp\noptim: {betas: [0.1]}": false, "model: mlp\noptim: {betas: [0.1, 1]}": false,
		"model: mlp\nworkers: 64": true, "model: mlp\nworkers: 65": false, "model: mlp\nworkers: 0x10": true, "model: mlp\nworkers: 1.5": false,
		"model: mlp\nlabels: {a: {path: x}}": true, "model: mlp\nlabels: {a: {until: 3}}": false, "model: mlp\nstages: [{}]": false,
		"model: mlp\nclip: null": true, "model: mlp\nclip: 3e-4": true, "model: mlp\nclip: big": false, "model: mlp\nseed: -1": false,
		"model: mlp\ngrid: [[1, 2e3], []]": true, "model: mlp\ngrid: [1]": false,
		"model: mlp\nextra: null": true, "model: mlp\nextra: {kind: ddim, eta: 1}": true, "model: mlp\nextra: {kind: ddim, churn: 1}": false, "model: mlp\nmany: [ddim, {kind: heun}]": true, "model: mlp\nmany: [dim]": false,
		"model: mlp\nhidden: 1": false,
	} {
		if err := follows(t, s, text); ok != (err == nil) {
			t.Errorf("%q: %v", text, err)
		}
		var e experiment
		if err := Decode("a.yaml", []byte(text), nil, &e); ok && !strings.Contains(text, extendsKey) && err != nil {
			t.Errorf("%q is refused by decoding: %v", text, err)
		}
	}
	v := schemaFor(t, valued{})
	if err := follows(t, v, "one: {a: [1, x]}\nmore: {a: [1, {b: null}]}"); err != nil {
		t.Error(err)
	}
}

// tree is a section that holds itself.
type tree struct {
	Name string `yaml:"name" doc:"name"`
	Kids []tree `yaml:"kids" doc:"below"`
}

func TestJSONSchemaOfRecursiveType(t *testing.T) {
	s := schemaFor(t, tree{})
	if err := follows(t, s, "name: a\nkids: [{name: b, kids: [{name: c}]}]"); err != nil {
		t.Error(err)
	}
	if err := follows(t, s, "kids: [{kids: [{nam: c}]}]"); err == nil {
		t.Error("a mistake below is not found")
	}
}
