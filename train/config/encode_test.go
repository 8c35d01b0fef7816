package config

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

const resolved = `name: "12"
seed: 18446744073709551615
optim:
  lr: 1.0e-05
  betas: [0.9, 0.999]
  warmup: 50
  steps: 1000
  schedule: cosine
sampler:
  kind: heun
  steps: 18
  churn: 0.0
model:
  kind: unet
  channels: [32, 64]
  inner: euler
  pool: null
  list: [euler]
extra: null
stages:
  - until: 3
    path: "a b"
  - until: 4
    path: c
labels:
  "<<":
    until: 0
    path: "null"
many:
  - euler
  - kind: ddim
    steps: 50
    eta: 0.0
grid: [[1.0, -.inf], []]
every: 5m
level: quiet
clip: 1.0e+30
ema:
  decay: 0.999
workers: 2
`

func TestResolved(t *testing.T) {
	e := Defaults[experiment]()
	e.Name, e.Seed, e.Optim.LR = "12", math.MaxUint64, 1e-5
	e.Model = models.Default("unet")
	u := e.Model.Config.(unet)
	u.List = []Variant[samplerArg, samplerOut]{samplers.Default("euler")}
	e.Model.Config = u
	e.Stages = []stage{{3, "a b"}, {4, "c"}}
	e.Labels = map[string]stage{"<<": {0, "null"}}
	e.Many = []Variant[samplerArg, samplerOut]{samplers.Default("euler"), samplers.Default("ddim")}
	e.Grid = [][]float64{{1, -inf}, nil}
	clip := 1e30
	e.Clip, e.EMA = &clip, &ema{0.999}
	got, err := Resolved(&e)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != resolved {
		t.Errorf("got\n%s\nwant\n%s", got, resolved)
	}
	if back := mustDecode(t, resolved); !reflect.DeepEqual(back, e) {
		t.Errorf("read back\n%+v\nwant\n%+v", back, e)
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 10 * time.Second: "10s", time.Minute: "1m", time.Hour: "1h", time.Hour + time.Second: "1h0m1s",
		10 * time.Hour: "10h", time.Hour + 10*time.Minute: "1h10m", -time.Hour: "-1h", time.Millisecond: "1ms", math.MinInt64: "-2562047h47m16.854775808s",
	} {
		got := formatDuration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%v is %s, want %s; read back as %v, %v", d, got, want, back, err)
		}
	}
}

func TestResolvedErrors(t *testing.T) {
	for want, change := range map[string]func(e *experiment){
		"grid[0][0]: NaN":          func(e *experiment) { e.Grid = [][]float64{{math.NaN()}} },
		"name: text that is not":   func(e *experiment) { e.Name = "\xff" },
		`model: the model "" with`: func(e *experiment) { e.Model.Kind = "" },
		"labels: ":                 func(e *experiment) { e.Labels = map[string]stage{strings.Repeat("x", 999): {}} },
	} {
		e := defaults()
		change(&e)
		if _, err := Resolved(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestRoundTrip writes and reads random configs with awkward values.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "x", "true", "No", "1e4", "0x1", ".inf", "a: b", "#", "- x", "é\u2028\u0085\x00\x7f", "\ufeff", "😀", "a\tb\r\nc", " lead", "\"q'\\", "~", "{}", "&a", "*a", "!!str", "%", "@", "`", "|", ">", "2001-01-01", "=", "<<", strings.Repeat("long words ", 30)}
	text := func() string { return texts[rnd.IntN(len(texts))] }
	name := func() string { s := text(); return s[:min(len(s), maxName)] } // the one longer text is ASCII
	float := func() float64 {
		for {
			f := math.Float64frombits(rnd.Uint64())
			if !math.IsNaN(f) {
				return f
			}
		}
	}
	draw := func() Variant[samplerArg, samplerOut] {
		switch rnd.IntN(3) {
		case 0:
			return Variant[samplerArg, samplerOut]{"heun", heun{1 + rnd.IntN(1000), float()}}
		case 1:
			return Variant[samplerArg, samplerOut]{"ddim", ddim{10 + rnd.IntN(10), rnd.Float64()}}
		}
		return samplers.Default("euler")
	}
	for range 300 {
		e := Defaults[experiment]()
		e.Name, e.Seed = text(), rnd.Uint64()
		e.Optim.LR, e.Optim.Betas = rnd.ExpFloat64()*1e-5, [2]float32{rnd.Float32(), rnd.Float32()}
		e.Sampler, e.Every, e.Level = draw(), time.Duration(rnd.Int64()), level(rnd.IntN(2))
		e.Model = models.Default("mlp")
		if rnd.IntN(2) == 0 {
			pool := draw()
			e.Model = Variant[modelArg, modelOut]{"unet", unet{[]int{1 + rnd.Int()}, draw(), &pool, []Variant[samplerArg, samplerOut]{draw(), draw()}}}
		}
		for range rnd.IntN(3) {
			e.Stages = append(e.Stages, stage{rnd.Int() - rnd.Int(), "p" + text()})
			e.Grid = append(e.Grid, []float64{float(), float()})
			e.Many = append(e.Many, draw())
		}
		if rnd.IntN(2) == 0 {
			f, x := float(), draw()
			e.Clip, e.EMA, e.Extra = &f, &ema{float()}, &x
			e.Labels = map[string]stage{name(): {1, "y"}, name(): {2, "z"}}
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
	}
}

// FuzzDecode: whatever the document and the override, there is an error or a
// config that is written and read back equal, soon.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(resolved), "optim.lr=1e-4")
	f.Add([]byte("model: mlp\nlabels: {a: &a {path: x}, b: {<<: [*a], until: 3}}"), "labels.b.path=[")
	f.Add([]byte("sampler: heun"), "sampler.steps=3")
	f.Add([]byte("? a\n: b\n--- !!map {}\n..."), "a[0].1=")
	f.Add([]byte("%YAML 1.1\n---\n- 0x1F\n- |2-\n   x\n- >\n"), "=")
	f.Add([]byte("a: &a [*a, !!binary x, !t {}]\n<<: *a"), "stages[99999999999999999999]=1")
	f.Fuzz(func(t *testing.T, src []byte, override string) {
		start := time.Now()
		var e experiment
		err := Decode("a.yaml", src, []string{override, "model=mlp"}, &e)
		if d := time.Since(start); d > time.Minute {
			t.Errorf("took %v", d)
		}
		if err != nil {
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
