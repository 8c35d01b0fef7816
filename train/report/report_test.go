package report

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
)

// evil is what somebody may call a run, or write into its files.
const evil = `<script>alert(1)</script>"'&` + "`"

const runYAML = `
name: 'x<script>alert(1)<script>'
steps: 12
batch: 16
data: moons
model: {kind: mlp, width: 16, depth: 1}
sample: {steps: 2, every: 12}
log_every: 1
`

// newRun trains a small run.
func newRun(t *testing.T, set ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.yaml")
	write(t, file, runYAML)
	exp, err := train.LoadExperiment(file, set)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	tr, err := train.New(context.Background(), exp, train.Options{Dir: dir})
	if err == nil {
		err = errors.Join(tr.Run(context.Background()), tr.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// written is the page and the card of a run.
func written(t *testing.T, dir string, o Options) (page, card string) {
	t.Helper()
	r, err := New(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	var p, c bytes.Buffer
	if err := errors.Join(r.HTML(&p), r.Markdown(&c)); err != nil {
		t.Fatal(err)
	}
	return p.String(), c.String()
}

const evals = `{"run":"runs/a<script>","step":12,"sampler":"heun","steps":2,"guidance":1,"evaluations":3,"w2":0.25,"w2_heldout":0.125,"recall":0.5,"recall_heldout":null}
{"run":"runs/b","method":"flow","sampler":"ddim","nfe":4,"steps":4,"evaluations":4,"guidance":1,"w2":0.5,"w2_heldout":0.125,"rare_mass":0.0125,"rare_mass_data":0.02,"latency_ms":{"median":1.5,"p99":2,"max":3},"best":true}
{"run":"runs/b","method":"flow","sampler":"heun","nfe":4,"steps":2,"evaluations":3,"guidance":1,"w2":77.25,"latency_ms":{"median":1.25,"p99":2,"max":3},"best":false}
`

func TestReport(t *testing.T) {
	dir := newRun(t)
	write(t, filepath.Join(dir, "eval.jsonl"), evals)
	write(t, filepath.Join(dir, "card.yaml"), "title: '"+strings.ReplaceAll(evil, "'", "''")+"'\nsummary: '"+strings.ReplaceAll(evil, "'", "''")+"'\ndeployment: {solver: ddim, steps: 8}\nfailures: ['one <b>bold</b> note', '[link](javascript:alert(1))']\n")
	page, card := written(t, dir, Options{Requests: 2, Within: 1e9})

	// Nothing that people wrote is markup, and nothing is asked of anybody.
	for _, no := range []string{"<script", "<b>bold", "javascript:alert(1)\"", "@import", "<link", "<iframe"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "data:image/png;base64,") {
			t.Errorf("the page refers to %.60s", m[1])
		}
	}
	if regexp.MustCompile(`url\(|https?://`).MatchString(page) {
		t.Error("the page names an address")
	}
	if !strings.Contains(page, "default-src 'none'") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page has no policy, or a value that the template refused")
	}
	if strings.Contains(card, "<script") || strings.Contains(card, "<b>") || regexp.MustCompile(`[^\\]\]\(`).MatchString(card) {
		t.Errorf("the card has markup of its own:\n%s", card)
	}
	// What belongs there.
	for _, want := range []string{">Loss<", "Gradient norm", "Update ratio", "Throughput", "Loss by noise level", "Samples over data, step 12", "Velocity field, step 12",
		"2-Wasserstein distance by evaluations", "2-Wasserstein distance by latency", "kind: moons", "linux/", "0.0125 of the samples, 0.0200 of the data", "one &lt;b&gt;bold&lt;/b&gt; note",
		"deterministic: a sample follows", "3 evaluations of the model a sample", "to be said in card.yaml: deployment.latency_budget"} {
		if !strings.Contains(page, want) && (want != "linux/" || !strings.Contains(page, "/")) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "77.25") {
		t.Error("the page shows a solver that is not the best")
	}
	for _, want := range []string{"- Solver: ddim *(stated)*", "## Which constraints are enforced after sampling?\n\n**Unanswered.**", "- *Unanswered by its makers.*"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
	if plots := strings.Count(page, "<svg"); plots != 9 {
		t.Errorf("%d drawings, want 9", plots)
	}
	for _, m := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		d := xml.NewDecoder(strings.NewReader(m))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, m)
			}
		}
		if regexp.MustCompile(`NaN|Inf`).MatchString(m) {
			t.Errorf("a drawing has a place that is no number: %s", m)
		}
	}
}

// A solver that adds noise is called stochastic; a run without records, pictures and statements has a report all the same.
func TestReportOfLittle(t *testing.T) {
	dir := newRun(t, "sample.every=0", "sample.sampler=euler_maruyama")
	for _, name := range []string{"metrics.jsonl", "environment.jsonl"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	page, card := written(t, dir, Options{})
	if !strings.Contains(card, "At evaluation stochastic") {
		t.Errorf("a stochastic solver is not called that:\n%s", card)
	}
	if strings.Contains(page, "<svg") || strings.Contains(page, "<img") || !strings.Contains(page, "Not recorded") {
		t.Error("the page shows what is not there")
	}
}

func TestReportErrors(t *testing.T) {
	dir := newRun(t, "sample.every=0")
	for name, c := range map[string]struct {
		file, text string
		o          Options
		want       string
	}{
		"no run":      {o: Options{}, want: "is no run"},
		"statements":  {"card.yaml", "titel: x\n", Options{}, "titel"},
		"no file":     {"", "", Options{Stated: filepath.Join(dir, "nowhere.yaml")}, "nowhere.yaml"},
		"figures":     {"eval.jsonl", "{}x\n", Options{}, "eval.jsonl:1"},
		"environment": {"environment.jsonl", "x\n{}\n", Options{}, "environment.jsonl:1"},
		"picture":     {"samples/grid-00000001.png", "no picture", Options{}, "grid-00000001.png"},
	} {
		at := dir
		if name == "no run" {
			at = t.TempDir()
		}
		path := filepath.Join(dir, c.file)
		old, err := os.ReadFile(path)
		if c.file != "" {
			write(t, path, c.text)
		}
		_, got := New(context.Background(), at, c.o)
		if got == nil || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
		if c.file != "" {
			if err != nil {
				os.Remove(path)
			} else {
				write(t, path, string(old))
			}
		}
	}
}

// Of pictures the newest is large, and some before it are small.
func TestPictures(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "samples"), 0o777); err != nil {
		t.Fatal(err)
	}
	names := func(n int) (out string) {
		for k := 1; k <= n; k++ {
			write(t, train.RunDir(dir).Sample("grid", int64(1000*k)), b.String())
		}
		r := &Report{}
		if err := r.readPictures(train.RunDir(dir)); err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Pictures {
			if p.W != 3 || p.H != 2 {
				t.Errorf("%d×%d", p.W, p.H)
			}
			out += strings.TrimPrefix(p.Title, "Samples, step ") + map[bool]string{true: "s ", false: " "}[p.Small]
		}
		return out
	}
	for n, want := range map[int]string{1: "1,000 ", 2: "2,000 1,000s ", 4: "4,000 1,000s 2,000s 3,000s "} {
		os.RemoveAll(filepath.Join(dir, "samples"))
		os.Mkdir(filepath.Join(dir, "samples"), 0o777)
		if got := names(n); got != want {
			t.Errorf("of %d: %s, want %s", n, got, want)
		}
	}
}

// A chart's places are those of its values: checked by hand on axes whose ends are known.
func TestChartPlaces(t *testing.T) {
	c := chart{Title: "t", Dots: true, Log: true, LogX: true, Lines: []plot.Series{{Name: "a", X: []float64{1, 10, 100}, Y: []float64{1, 10, 100}}}}
	m := regexp.MustCompile(`cx="([\d.]+)" cy="([\d.]+)"`).FindAllStringSubmatch(string(c.draw().SVG), -1)
	if len(m) != 3 {
		t.Fatalf("%d dots", len(m))
	}
	at := func(s string) float64 { v, _ := strconv.ParseFloat(s, 64); return v }
	// The middle of both logarithmic axes.
	if m[1][1] != "262.0" || m[1][2] != "117.0" {
		t.Errorf("10 of 1 to 100 is at %s, %s, want the middle 262, 117", m[1][1], m[1][2])
	}
	if at(m[0][1]) >= at(m[1][1]) || at(m[0][2]) <= at(m[1][2]) {
		t.Error("larger values are not to the right and above")
	}
	for _, y := range [][]float64{{math.NaN()}, {math.Inf(1)}, {-1}, nil} {
		c := chart{Log: true, Lines: []plot.Series{{X: make([]float64, len(y)), Y: y}}}
		if svg := c.draw().SVG; svg != "" {
			t.Errorf("%v is drawn: %s", y, svg)
		}
	}
	one := chart{Lines: []plot.Series{{X: []float64{5}, Y: []float64{0}}}}
	if svg := string(one.draw().SVG); strings.Contains(svg, "NaN") || !strings.Contains(svg, "<circle") {
		t.Errorf("a single value: %s", svg)
	}
}

// Statements in Markdown are text.
func TestPlain(t *testing.T) {
	if got, want := plain("a\n# b <i> [x](y) `z` *s*"), `a \# b &lt;i&gt; \[x\](y) \`+"`z"+`\`+"`"+` \*s\*`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
