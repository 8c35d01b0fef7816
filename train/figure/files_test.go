package figure

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train/plot"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func same(a, b []plot.Series) bool {
	return slices.EqualFunc(a, b, func(a, b plot.Series) bool {
		return a.Name == b.Name && slices.Equal(a.X, b.X) && slices.Equal(a.Y, b.Y)
	})
}

func TestCurves(t *testing.T) {
	dir := t.TempDir()
	a, b, other := filepath.Join(dir, "x/a"), filepath.Join(dir, "b"), filepath.Join(dir, "y/a")
	for run, text := range map[string]string{
		a:     `{"step":10,"time":1,"train/loss":2,"val/loss":5}` + "\n" + `{"step":20,"time":2,"train/loss":1}` + "\n" + `{"step":30,"ti`,
		b:     `{"step":5,"time":1,"train/loss":3}` + "\n",
		other: `{"step":7,"time":1,"train/loss":4}` + "\n",
	} {
		write(t, filepath.Join(run, "metrics.jsonl"), text)
	}
	for _, c := range []struct {
		runs, metrics []string
		want          []plot.Series
	}{
		{[]string{a}, []string{"train/loss"}, []plot.Series{{Name: "train/loss", X: []float64{10, 20}, Y: []float64{2, 1}}}},
		{[]string{a, b + "/metrics.jsonl"}, []string{"train/loss"}, []plot.Series{{Name: "a", X: []float64{10, 20}, Y: []float64{2, 1}}, {Name: "metrics.jsonl", X: []float64{5}, Y: []float64{3}}}},
		{[]string{a}, []string{"val/loss", "train/loss"}, []plot.Series{{Name: "val/loss", X: []float64{10}, Y: []float64{5}}, {Name: "train/loss", X: []float64{10, 20}, Y: []float64{2, 1}}}},
		{[]string{a, other}, []string{"train/loss"}, []plot.Series{{Name: a, X: []float64{10, 20}, Y: []float64{2, 1}}, {Name: other, X: []float64{7}, Y: []float64{4}}}},
	} {
		got, err := Curves(c.runs, c.metrics)
		if err != nil || !same(got, c.want) {
			t.Errorf("%v of %v: %+v, %v, want %+v", c.metrics, c.runs, got, err, c.want)
		}
	}
	both, err := Curves([]string{a, b}, []string{"train/loss", "train/loss"})
	if err != nil || len(both) != 4 || both[0].Name != "a train/loss" || both[3].Name != "b train/loss" {
		t.Errorf("two metrics of two runs: %+v, %v", both, err)
	}
	for _, c := range []struct{ run, metric, says string }{
		{b, "val/loss", "has no metric val/loss: it has train/loss"}, {dir, "x", "no such file"}, {filepath.Join(dir, "none"), "x", "no such file"},
		{write(t, filepath.Join(dir, "bad.jsonl"), "nonsense\n{}\n"), "x", "bad.jsonl:1"},
	} {
		if _, err := Curves([]string{c.run}, []string{c.metric}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.run, err, c.says)
		}
	}
}

func TestQuality(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.jsonl"), `{"sampler":"heun","guidance":2,"frechet":1,"frechet_heldout":0.4,"settings":["guidance_sigma_to=3","clip.min=-1"]}
{"sampler":"heun","guidance":1,"frechet":3,"frechet_heldout":0.6}

{"sampler":"ddim","guidance":1,"frechet":null}
{"run":"no figure"}
`)
	nested := write(t, filepath.Join(dir, "nested.jsonl"), `{"how":["guidance=4","sampler=ddim","steps=5"],"report":{"frechet":2,"n":10,"ok":true}}
{"how":["guidance=4","sampler=ddim","steps=20"],"report":{"frechet":5}}
`)
	for _, c := range []struct {
		files []string
		o     QualityOptions
		want  []plot.Series
		held  float64
	}{
		{[]string{a}, QualityOptions{X: "guidance", Y: "frechet"}, []plot.Series{{Name: "frechet", X: []float64{2, 1}, Y: []float64{1, 3}}}, 0.5},
		{[]string{a, nested}, QualityOptions{X: "guidance", Y: "frechet", By: "sampler"}, []plot.Series{{Name: "ddim", X: []float64{4, 4}, Y: []float64{2, 5}}, {Name: "heun", X: []float64{2, 1}, Y: []float64{1, 3}}}, 0.5},
		{[]string{a}, QualityOptions{X: "guidance_sigma_to", Y: "frechet"}, []plot.Series{{Name: "frechet", X: []float64{3}, Y: []float64{1}}}, 0.4},
		{[]string{nested}, QualityOptions{X: "guidance", Y: "report.frechet", By: "steps"}, []plot.Series{{Name: "steps 5", X: []float64{4}, Y: []float64{2}}, {Name: "steps 20", X: []float64{4}, Y: []float64{5}}}, math.NaN()},
		{[]string{a, nested}, QualityOptions{X: "guidance", Y: "frechet", Where: []string{"sampler=ddim", "steps=20.0"}}, []plot.Series{{Name: "frechet", X: []float64{4}, Y: []float64{5}}}, math.NaN()},
		{[]string{a, nested}, QualityOptions{X: "guidance", Y: "frechet", Where: []string{"sampler=heun", "guidance=1"}}, []plot.Series{{Name: "frechet", X: []float64{1}, Y: []float64{3}}}, 0.6},
		{[]string{nested}, QualityOptions{X: "n", Y: "frechet", By: "ok"}, []plot.Series{{Name: "ok true", X: []float64{10}, Y: []float64{2}}}, math.NaN()},
	} {
		got, held, err := Quality(c.files, c.o)
		if err != nil || !same(got, c.want) || math.Abs(held-c.held) > 1e-12 || math.IsNaN(held) != math.IsNaN(c.held) {
			t.Errorf("%+v: %+v, %g, %v, want %+v, %g", c.o, got, held, err, c.want, c.held)
		}
	}
	bad := write(t, filepath.Join(dir, "bad.jsonl"), "{\"a\":1}\n[1]\n")
	for _, c := range []struct{ file, x, says string }{
		{a, "gidance", "gidance"}, {a, "gidance", "clip.min, frechet, frechet_heldout, guidance"}, {filepath.Join(dir, "none"), "x", "none"}, {bad, "a", "bad.jsonl:2"},
		{write(t, filepath.Join(dir, "two.jsonl"), "{} {}\n"), "a", "two.jsonl:1"}, {write(t, filepath.Join(dir, "empty.jsonl"), "\n"), "a", "no measurements"},
		{write(t, filepath.Join(dir, "twice.jsonl"), `{"a":{"x":1},"b":{"x":2},"frechet":1}`+"\n"), "x", "no measurement has x"},
	} {
		if _, _, err := Quality([]string{c.file}, QualityOptions{X: c.x, Y: "frechet"}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.file, err, c.says)
		}
	}
	if _, _, err := Quality([]string{a}, QualityOptions{X: "guidance", Y: "frechet", Where: []string{"sampler=unipc"}}); err == nil || !strings.Contains(err.Error(), "where sampler=unipc") {
		t.Errorf("where nothing is: %v", err)
	}
	if _, _, err := Quality([]string{a}, QualityOptions{X: "guidance", Y: "frechet", Where: []string{"sampler"}}); err == nil || !strings.Contains(err.Error(), "key=value") {
		t.Errorf("where without a value: %v", err)
	}
	// What the project itself has measured.
	series, held, err := Quality([]string{"../../scripts/quality/results.jsonl"}, QualityOptions{X: "steps", Y: "frechet", By: "sampler"})
	if err != nil || len(series) < 4 || !(held > 0.3 && held < 0.6) {
		t.Errorf("%d curves of results.jsonl, held out %g, %v", len(series), held, err)
	}
}
