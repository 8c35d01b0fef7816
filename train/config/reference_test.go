package config

import (
	"strings"
	"testing"
	"time"
)

func TestReference(t *testing.T) {
	var b strings.Builder
	if err := Reference(&b, experiment{}, models, samplers); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"| `name` | text | `run` | name of the run |\n",
		"| `seed` | whole number ≥ 0 | `0` | seed of all randomness |\n",
		"| `optim` | section | see below | the optimiser |\n",
		"| `sampler` | [kind of sampler](#kinds-of-sampler) | `heun` | the sampler |\n",
		"| `model` | [kind of model](#kinds-of-model) | required | the network |\n",
		"| `extra` | [kind of sampler](#kinds-of-sampler) or null | `null` | a second sampler |\n",
		"| `grid` | list of: list of: number | `[]` | a matrix |\n",
		"| `level` | `quiet`, `loud` | `quiet` | how much to say |\n",
		"| `workers` | whole number ≥ 0 and ≤ 64 | `2` | threads |\n",
		"### `optim`\n\nThe optimiser.\n\n| key |",
		"| `optim.warmup` | whole number ≥ 0 | `50` | steps of warm-up |\n",
		"| `optim.betas` | list of 2: number ≥ 0 and < 1 | `[0.9, 0.999]` | decay rates |\n",
		"| `optim.schedule` | `constant`, `cosine`, `linear` | `cosine` | shape after warm-up |\n",
		"| `stages[].path` | text | required | folder of images |\n",
		"| `labels.<name>.until` | whole number | `7` | last step |\n",
		"| `ema.decay` | number | `0.999` | rate |\n",
		"## Kinds of sampler\n\nDraws samples.\n",
		"| `euler` | Euler's method |\n",
		"### sampler `ddim`\n\n| key | type | default | meaning |\n|---|---|---|---|\n| `steps` | whole number ≥ 1 | `50` | steps |\n",
		"| `inner` | [kind of sampler](#kinds-of-sampler) | `euler` | a variant in a variant |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if n := strings.Count(got, "## Kinds of sampler"); n != 1 {
		t.Errorf("the samplers are described %d times", n)
	}
	if t.Failed() {
		t.Logf("\n%s", got)
	}
}

func TestReferenceRefusesUndocumented(t *testing.T) {
	type c struct {
		A int `yaml:"a"`
	}
	if err := Reference(&strings.Builder{}, c{}); err == nil || !strings.Contains(err.Error(), `config.c "a"`) {
		t.Errorf("got %v", err)
	}
}

// What a parent changes in the parts that it makes stands in the tables.
func TestReferenceShowsAdjustedDefaults(t *testing.T) {
	var b strings.Builder
	if err := Reference(&b, adjusting{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `ema` | section or null | see below | average |\n",
		"| `ema.decay` | number | `0.5` | rate |\n",
		"| `sampler` | [kind of sampler](#kinds-of-sampler) | `{kind: heun, churn: 3.0}` | sampler |\n",
		"| `every` | duration or null | `1m30s` | time |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q in\n%s", want, b.String())
		}
	}
}

type adjusting struct {
	EMA     *ema                            `yaml:"ema" doc:"average"`
	Sampler Variant[samplerArg, samplerOut] `yaml:"sampler" doc:"sampler"`
	Every   *time.Duration                  `yaml:"every" doc:"time"`
}

func (a *adjusting) SetDefaults() {
	a.EMA = &ema{0.5}
	a.Sampler = Variant[samplerArg, samplerOut]{"heun", heun{18, 3}}
	d := 90 * time.Second
	a.Every = &d
}

// A type that contains itself through a list ends.
func TestReferenceOfRecursiveType(t *testing.T) {
	type tree struct {
		Kids []recursive `yaml:"kids" doc:"children"`
	}
	var b strings.Builder
	if err := Reference(&b, tree{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "| `kids[]"); n != 1 {
		t.Errorf("%d rows\n%s", n, b.String())
	}
	var v tree
	if err := Decode("a.yaml", []byte("kids: [{kids: [{}, {kids: [{}]}]}]"), nil, &v); err != nil || len(v.Kids[0].Kids[1].Kids) != 1 {
		t.Errorf("got %+v, %v", v, err)
	}
}

type recursive struct {
	Kids []recursive `yaml:"kids" doc:"children"`
}
