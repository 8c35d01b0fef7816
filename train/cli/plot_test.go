package cli_test

import (
	"bytes"
	"encoding/xml"
	"image/gif"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every kind of picture, of a run and of a mixture: the same again, and another with another seed.
func TestPlotKinds(t *testing.T) {
	long(t)
	dir := workplace(t)
	for _, c := range []struct {
		args string
		once bool // the same as another, of another model
	}{
		{"score runs/tiny --times 0.5", true},
		{"score --mixture pair --times 0.5,0.1 --class 1", false},
		{"field runs/tiny --times 0.5 --class 1 --guidance 2", true},
		{"field --mixture triangle objective=edm", false},
		{"fan --mixture line --n 5 --steps 8", false},
		{"fan runs/tiny --n 5 --steps 8 --coordinate 1 --sde ddpm --ode euler", true},
		{"noising runs/tiny", false},
		{"noising runs/digits --n 2 --columns 3", false},
		{"noising runs/digits --n 2 --times 0,0.5", true},
		{"particles --mixture triangle --n 20 --at 0,3", false},
		{"particles runs/tiny --n 20 --at 2 --time 0.5 --step 0.01", true},
		{"transport runs/tiny --n 20 --steps 4 --sampler euler", false},
		{"crossing runs/tiny --n 5 --steps 4", false},
		{"crossing --mixture line --n 5 --steps 4", true},
		{"flow --mixture 8gaussians --n 20 --steps 2", false},
		{"flow runs/tiny --n 20 --steps 2", true},
	} {
		args := append([]string{"plot"}, strings.Fields(c.args)...)
		kind, ending := args[1], ".png"
		if kind == "flow" {
			ending = ".gif"
		}
		out := filepath.Join(dir, kind+ending)
		o := succeeds(t, dir, args...)
		if !strings.HasPrefix(o.stdout, kind+ending+": ") {
			t.Errorf("%s: said %q", c.args, o.stdout)
		}
		first := read(t, out)
		if ending == ".gif" {
			if g, err := gif.DecodeAll(bytes.NewReader(first)); err != nil || len(g.Image) != 3 {
				t.Errorf("%s: %v, frames other than 3", c.args, err)
			}
		} else if _, err := png.Decode(bytes.NewReader(first)); err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		if c.once {
			continue
		}
		succeeds(t, dir, args...)
		if !bytes.Equal(first, read(t, out)) {
			t.Errorf("%s: the picture is another the second time", c.args)
		}
		succeeds(t, dir, append(args, "--seed", "5", "--out", "other"+ending)...)
		if bytes.Equal(first, read(t, filepath.Join(dir, "other"+ending))) {
			t.Errorf("%s: the seed makes no difference", c.args)
		}
	}
	succeeds(t, dir, "plot", "crossing", "--mixture", "line", "--n", "5", "--steps", "4", "--dpi", "72")
	small, err := png.Decode(bytes.NewReader(read(t, filepath.Join(dir, "crossing.png"))))
	if err != nil || small.Bounds().Dx() < 618 || small.Bounds().Dx() > 620 { // (2·4.2+.2)·72
		t.Errorf("%v, at 72 dots an inch the picture is %v", err, small.Bounds())
	}
}

func TestPlotCurvesAndQuality(t *testing.T) {
	long(t)
	dir := workplace(t)
	o := succeeds(t, dir, "plot", "curves", "runs/tiny", "runs/digits", "--metric", "train/loss", "--metric", "train/lr", "--log", "--logx", "--title", "t", "--out", "c.png")
	if !strings.HasPrefix(o.stdout, "c.png: 4 curves") {
		t.Errorf("said %q", o.stdout)
	}
	for _, scale := range []string{"1", "2"} {
		o := succeeds(t, dir, "eval", "runs/tiny", "--n", "20", "--guidance", scale, "--json", "sampler.churn.amount=0")
		write(t, filepath.Join(dir, scale+".jsonl"), o.stdout)
	}
	o = succeeds(t, dir, "plot", "quality", "1.jsonl", "2.jsonl", "--y", "w2", "--by", "sampler.churn.amount")
	if !strings.HasPrefix(o.stdout, "quality.png: 2 evaluations, 1 curves") {
		t.Errorf("said %q", o.stdout)
	}
	succeeds(t, dir, "plot", "quality", "1.jsonl", "--x", "evaluations", "--y", "w2", "--log", "--logx")
	if _, err := png.Decode(bytes.NewReader(read(t, filepath.Join(dir, "quality.png")))); err != nil {
		t.Error(err)
	}
	succeeds(t, dir, "plot", "curves", "runs/tiny", "--title", "loss & more", "--out", "c.svg")
	succeeds(t, dir, "plot", "quality", "1.jsonl", "2.jsonl", "--y", "w2", "--out", "q.SVG")
	for name, words := range map[string][]string{"c.svg": {"loss &amp; more", "training step"}, "q.SVG": {"guidance", "w2"}} {
		text := string(read(t, filepath.Join(dir, name)))
		for d := xml.NewDecoder(strings.NewReader(text)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(name, err)
			}
		}
		for _, w := range append(words, "<svg", "<path") {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q", name, w)
			}
		}
	}
	fails(t, 1, dir, []string{"plot", "curves", "runs/tiny", "--metric", "train/los"}, "train/los", "train/loss")
	fails(t, 1, dir, []string{"plot", "curves", "nowhere"}, "nowhere")
	fails(t, 2, dir, []string{"plot", "curves"}, "missing")
	fails(t, 2, dir, []string{"plot", "quality"}, "missing")
	fails(t, 1, dir, []string{"plot", "quality", "1.jsonl", "--x", "sigma"}, "sigma", "guidance")
	fails(t, 2, dir, []string{"plot", "quality", "1.jsonl", "--where", "steps"}, "--where steps", "key=value")
	fails(t, 1, dir, []string{"plot", "quality", "1.jsonl", "--y", "w2", "--where", "steps=9"}, "where steps=9")
	fails(t, 1, dir, []string{"plot", "quality", "tiny.yaml"}, "tiny.yaml:1", "JSON")
	fails(t, 2, dir, []string{"plot", "quality", "1.jsonl", "--out", "q.gif"}, "q.gif", ".png or .svg")
	fails(t, 1, dir, []string{"plot", "quality", "1.jsonl", "--out", "none/q.png"}, "none")
}

func TestPlotMistakes(t *testing.T) {
	dir := workplace(t)
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{"scoer", 2, []string{"scoer", "kind"}},
		{"score", 2, []string{"missing", "--mixture"}},
		{"score runs/tiny --mixture pair", 2, []string{"runs/tiny", "--mixture", "exclude"}},
		{"score nowhere", 1, []string{"nowhere"}},
		{"score runs/tiny --out x.gif", 2, []string{"x.gif", ".png"}},
		{"flow runs/tiny --out x.png", 2, []string{"x.png", ".gif"}},
		{"score runs/tiny --out none/x.png", 1, []string{"none"}},
		{"score runs/tiny --times 0", 1, []string{"time 0", "above 0"}},
		{"score runs/tiny --times x", 2, []string{"--times", "x"}},
		{"score runs/tiny --n 3", 2, []string{"--n"}},
		{"score runs/tiny --class 2", 1, []string{"--class 2", "0 to 1"}},
		{"score runs/tiny --class all", 1, []string{"--class all", "0 to 1"}},
		{"score --mixture pair conditional=false --class 1", 1, []string{"--class 1", "no classes"}},
		{"score runs/tiny --guidance 2", 2, []string{"--guidance", "--class"}},
		{"score runs/tiny --class 1 --guidance -1", 2, []string{"--guidance", "not negative"}},
		{"score runs/tiny --error 0.1", 2, []string{"--error", "--mixture"}},
		{"score --mixture pair --error -1", 2, []string{"--error", "not negative"}},
		{"score runs/tiny --dpi 5", 2, []string{"--dpi", "36"}},
		{"score runs/tiny gidance=2", 1, []string{"gidance", "guidance"}},
		{"score runs/digits", 1, []string{"score", "runs/digits", "[8 8 1]"}},
		{"score --mixture paar", 1, []string{"paar", "pair"}},
		{"score --mixture tiny.yaml", 1, []string{"tiny.yaml", "data", "moons", "mixture"}},
		{"score --mixture line", 1, []string{"score", "[1]"}},
		{"fan runs/tiny --sampler heun", 2, []string{"--sampler"}},
		{"fan runs/tiny --coordinate 2", 1, []string{"coordinate 2", "0 to 1"}},
		{"fan runs/tiny --n 0", 2, []string{"--n", "at least 1"}},
		{"fan runs/tiny --steps 0", 2, []string{"--steps", "at least 1"}},
		{"fan runs/tiny --ode ddpm", 1, []string{"ddpm", "adds noise"}},
		{"score runs/tiny steps=9", 2, []string{"steps=9", "no part", "guidance"}},
		{"score runs/tiny sampler.eta=1", 2, []string{"sampler.eta=1", "no part"}},
		{"score --mixture pair sample.steps=9", 2, []string{"sample.steps=9", "no part"}},
		{"score --mixture pair steps=9", 2, []string{"steps=9", "no part", "objective", "sample.guidance"}},
		{"score --mixture pair sample={steps: 9}", 2, []string{"sample={steps:", "one by one"}},
		{"score --mixture pair objektive=edm", 1, []string{"objektive", "objective"}},
		{"noising runs/tiny guidance=2", 2, []string{"guidance=2", "no part", "grid"}},
		{"noising runs/tiny --guidance 2", 2, []string{"--guidance"}},
		{"fan runs/tiny sampler=euler", 2, []string{"sampler=euler", "no part", "steps"}},
		{"transport runs/tiny sampler=euler --sampler heun", 2, []string{"sampler=euler", "--sampler", "exclude"}},
		{"transport runs/tiny steps=5 --steps 6", 2, []string{"steps=5", "--steps", "exclude"}},
		{"noising runs/tiny --times 0.5 --columns 3", 2, []string{"--times", "--columns"}},
		{"noising runs/tiny --columns 1", 2, []string{"--columns", "at least 2"}},
		{"noising runs/digits --dpi 100", 2, []string{"--dpi", "images"}},
		{"particles runs/tiny --at 3,2", 2, []string{"--at", "rise", "3,2"}},
		{"particles runs/tiny --step 0", 2, []string{"--step", "positive"}},
		{"particles runs/tiny --time 0", 2, []string{"--time", "above 0"}},
		{"particles runs/tiny --time 2", 1, []string{"time 2", "0 to 1"}},
		{"transport runs/tiny --steps 0", 2, []string{"--steps"}},
		{"transport runs/tiny --sampler hoyn", 1, []string{"hoyn", "heun"}},
		{"transport runs/tiny --sampler dopri5", 1, []string{"chooses its steps itself"}},
		{"crossing runs/tiny --sampler ddpm", 1, []string{"adds noise"}},
		{"crossing runs/tiny --n 5000", 1, []string{"5000 samples"}},
	} {
		args := append([]string{"plot"}, strings.Fields(c.args)...)
		if i := slices.Index(args, "sample={steps:"); i >= 0 {
			args = append(args[:i], "sample={steps: 9}")
		}
		fails(t, c.code, dir, args, c.says...)
	}
}

// Steps and samplers are those of the flags, or of settings of the sample section; guidance counts where there is a class.
func TestPlotSettings(t *testing.T) {
	long(t)
	dir := workplace(t)
	draw := func(args ...string) []byte {
		succeeds(t, dir, append([]string{"plot", "transport", "--n", "5", "--out", "x.png"}, args...)...)
		return read(t, filepath.Join(dir, "x.png"))
	}
	for _, of := range []struct{ model, prefix string }{{"runs/tiny", ""}, {"--mixture", "sample."}} {
		model := []string{of.model}
		if of.prefix != "" {
			model = append(model, "pair")
		}
		on := func(args ...string) []byte { return draw(append(model, args...)...) }
		plain := on()
		if !bytes.Equal(on("--steps", "4"), on(of.prefix+"steps=4")) || bytes.Equal(plain, on("--steps", "4")) {
			t.Errorf("%s: --steps and steps= are not the same, or nothing", of.model)
		}
		if !bytes.Equal(on("--sampler", "euler"), on(of.prefix+"sampler=euler")) || bytes.Equal(plain, on("--sampler", "euler")) {
			t.Errorf("%s: --sampler and sampler= are not the same, or nothing", of.model)
		}
		one := on("--class", "1")
		if !bytes.Equal(on("--class", "1", "--guidance", "3"), on("--class", "1", of.prefix+"guidance=3")) || bytes.Equal(one, on("--class", "1", "--guidance", "3")) || bytes.Equal(one, plain) {
			t.Errorf("%s: --guidance and guidance= are not the same, or nothing", of.model)
		}
	}
}

func TestPlotHelp(t *testing.T) {
	long(t)
	dir := t.TempDir()
	all := succeeds(t, dir, "plot", "--help").stdout
	if bare := succeeds(t, dir, "plot").stdout; bare != all {
		t.Error("plot alone is not its help")
	}
	for _, kind := range []string{"score", "field", "fan", "noising", "particles", "transport", "crossing", "flow", "curves", "quality"} {
		if !strings.Contains(all, "\n  "+kind+" ") {
			t.Errorf("plot --help does not list %s", kind)
		}
		lines := examplesOf(t, "plot", kind)
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "langevin plot "+kind+" ") }) {
			t.Errorf("the examples of plot %s are %q", kind, lines)
		}
	}
}
