package config

import (
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type valued struct {
	One  Value              `yaml:"one" doc:"a value"`
	More map[string][]Value `yaml:"more" doc:"values by name"`
}

// A value keeps what was written, on a line that means the same to any YAML reader.
func TestValue(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"1e-4", "1e-4"}, {"20_000", "20_000"}, {"true", "true"}, {"null", "null"}, {"~", "null"}, {"", "null"}, {"heun", "heun"},
		{`"5"`, `"5"`}, {"'true'", `"true"`}, {`"null"`, `"null"`}, {"a b", `"a b"`}, {"'a, b: c'", `"a, b: c"`}, {"[1, [2, x y]]", `[1, [2, "x y"]]`},
		{"{kind: heun, steps: 9}", "{kind: heun, steps: 9}"}, {"\n  kind: heun\n  a b: [{}]", `{kind: heun, "a b": [{}]}`}, {"|\n  two\n  lines\n", `"two\nlines\n"`},
	} {
		var v valued
		if err := Decode("x.yaml", []byte("one: "+c.text), nil, &v); err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if string(v.One) != c.want || strings.Contains(string(v.One), "\n") {
			t.Errorf("%q becomes %s, want %s", c.text, v.One, c.want)
		}
		out, err := Resolved(v)
		var back valued
		if err == nil {
			err = Decode("x.yaml", out, nil, &back)
		}
		if err != nil || !reflect.DeepEqual(back, v) {
			t.Errorf("%q: %s is read back as %+v, %v", c.text, out, back, err)
		}
		if strings.Contains(c.text, "_") { // not a number to the other reader
			continue
		}
		var a, b any
		if err := yaml.Unmarshal([]byte(strings.TrimLeft(c.text, "\n")), &a); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(v.One), &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q means %v, %s means %v, %v", c.text, a, v.One, b, err)
		}
	}
	var v valued
	if err := Decode("x.yaml", []byte("more: {optim.lr: [1, 2], rule: [adamw, {kind: sgd}]}"), nil, &v); err != nil {
		t.Fatal(err)
	}
	if want := map[string][]Value{"optim.lr": {"1", "2"}, "rule": {"adamw", "{kind: sgd}"}}; !reflect.DeepEqual(v.More, want) {
		t.Errorf("got %v", v.More)
	}
	if _, err := Resolved(valued{One: "["}); err == nil {
		t.Error("what is no YAML is written")
	}
}

type renamed struct {
	Rate  float64 `yaml:"rate" was:"speed" doc:"a rate" range:"(0,inf)"`
	Place string  `yaml:"place" doc:"a place"`
}

// A key is read under its old name, and written under the new one.
func TestOldNames(t *testing.T) {
	var r renamed
	if err := Decode("x.yaml", []byte("speed: 2\nplace: a"), []string{"speed=3"}, &r); err != nil || r.Rate != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
	if out, err := Resolved(r); err != nil || string(out) != "rate: 3.0\nplace: a\n" {
		t.Errorf("written as %q, %v", out, err)
	}
	if err := Decode("x.yaml", []byte("rate: 1\nspeed: 2"), nil, &r); err == nil || !strings.Contains(err.Error(), "x.yaml:2: speed: is the old name of rate, which is given, too") {
		t.Errorf("both names: %v", err)
	}
	if err := follows(t, schemaFor(t, renamed{}), "speed: 2"); err != nil {
		t.Error(err)
	}
}
