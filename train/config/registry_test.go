package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	e := mustDecode(t, "model: {kind: unet, channels: [8]}\nsampler: {kind: heun, steps: 4, churn: 0.5}")
	if s, err := e.Sampler.Build(samplerArg{Dim: 3}); err != nil || s != "heun 4 0.5 dim 3" {
		t.Errorf("got %q, %v", s, err)
	}
	if m, err := e.Model.Build(modelArg{Side: 28}); err != nil || m.text != "[8] 28" {
		t.Errorf("got %q, %v", m, err)
	}
	e.Sampler.Config = ddim{}
	if _, err := e.Sampler.Build(samplerArg{}); err == nil || !strings.Contains(err.Error(), "must be a config.heun, is config.ddim") {
		t.Errorf("wrong config: %v", err)
	}
	if err := Validate(e); err == nil || !strings.Contains(err.Error(), "sampler: the config is not that of the sampler heun") {
		t.Errorf("wrong config: %v", err)
	}
	e.Sampler.Kind = "nope"
	if _, err := e.Sampler.Build(samplerArg{}); err == nil || !strings.Contains(err.Error(), "unknown sampler") {
		t.Errorf("unknown kind: %v", err)
	}
}

// An error type with its own way of naming the field is not shown twice, and a
// wrapped one keeps what the wrapper says.
func TestBlamed(t *testing.T) {
	for _, tt := range []struct {
		err       error
		name, msg string
	}{
		{Field("lr", "must be > 0"), "lr", "must be > 0"},
		{spaced{}, "lr", "must be lr"},
		{fmt.Errorf("heun: %w", spaced{}), "lr", "heun: must be lr"},
		{errors.New("lr: x"), "", "lr: x"},
	} {
		if name, msg := blamed(tt.err); name != tt.name || msg != tt.msg {
			t.Errorf("%v: got %q, %q", tt.err, name, msg)
		}
	}
}

type spaced struct{}

func (spaced) Error() string       { return "lr must be lr" }
func (spaced) ConfigField() string { return "lr" }

func TestLookup(t *testing.T) {
	v, err := samplers.Lookup("ddim")
	if err != nil || v.Config.(ddim).Steps != 50 {
		t.Errorf("got %+v, %v", v, err)
	}
	_, err = samplers.Lookup("ddpm")
	if want := `unknown sampler "ddpm"; did you mean ddim? (valid: ddim, euler, heun)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := strings.Join(samplers.Kinds(), " "); got != "ddim euler heun" {
		t.Errorf("kinds are %s", got)
	}
	// A variant alone is a document, as for --sampler and its options on the command line.
	if err := Decode("", nil, []string{"kind=heun", "steps=7"}, &v); err != nil || v.Config.(heun).Steps != 7 {
		t.Errorf("got %+v, %v", v, err)
	}
	if err := Decode("x", []byte("euler"), nil, &v); err != nil || v.Kind != "euler" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestValidate(t *testing.T) {
	e := defaults()
	if err := Validate(&e); err != nil {
		t.Errorf("defaults: %v", err)
	}
	e.Optim.LR, e.Optim.Warmup, e.Workers = -1, 2000, 13
	err := Validate(e)
	want := "optim.lr: must be > 0 and finite, is -1\nworkers: must not be 13"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// TestBugs: what only a programmer can get wrong panics and names the type.
func TestBugs(t *testing.T) {
	for name, bug := range map[string]func(){
		"into":   func() { _ = Decode("", nil, nil, experiment{}) },
		"no tag": func() { Defaults[struct{ A int }]() },
		"unexported": func() {
			Defaults[struct {
				a int `yaml:"a"`
			}]()
		}, //nolint
		"same name": func() {
			Defaults[struct {
				A int `yaml:"a"`
				B int `yaml:"a"`
			}]()
		},
		"option": func() {
			Defaults[struct {
				A int `yaml:"a,omitempty"`
			}]()
		},
		"type": func() {
			Defaults[struct {
				A any `yaml:"a"`
			}]()
		},
		"map key": func() {
			Defaults[struct {
				A map[int]int `yaml:"a"`
			}]()
		},
		"pointer to list": func() {
			Defaults[struct {
				A *[]int `yaml:"a"`
			}]()
		},
		"range": func() {
			Defaults[struct {
				A int `yaml:"a" range:"0,1"`
			}]()
		},
		"range of text": func() {
			Defaults[struct {
				A string `yaml:"a" range:"[0,1]"`
			}]()
		},
		"oneof of number": func() {
			Defaults[struct {
				A int `yaml:"a" oneof:"x y"`
			}]()
		},
		"inline": func() {
			Defaults[struct {
				A int `yaml:",inline"`
			}]()
		},
		"registry twice": func() { NewRegistry[samplerArg, samplerOut]("another", "") },
		"no registry":    func() { (Variant[int, int]{}).core() },
		"kind twice":     func() { Register(samplers, "heun", "", func(*none, samplerArg) (samplerOut, error) { return "", nil }) },
		"config":         func() { Register(samplers, "x", "", func(*int, samplerArg) (samplerOut, error) { return "", nil }) },
		"kind name":      func() { Register(samplers, "x y", "", func(*none, samplerArg) (samplerOut, error) { return "", nil }) },
		"default":        func() { samplers.Default("nope") },
		"key kind": func() {
			type c struct {
				Kind int `yaml:"kind"`
			}
			Register(samplers, "y", "", func(*c, samplerArg) (samplerOut, error) { return "", nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil {
					t.Error("no panic")
				} else if s, ok := p.(string); !ok || !strings.HasPrefix(s, "config") {
					t.Errorf("panics with %v", p)
				}
			}()
			bug()
		})
	}
}
