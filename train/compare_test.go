package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train/metrics"
)

// rareYAML are points of a mixture with a mode of a hundredth.
const rareYAML = `
name: rare
steps: 2
batch: 8
data: {kind: mixture, components: [{weight: 99, mean: [-1, 0], std: [0.2]}, {weight: 1, mean: [2, 0], std: [0.2]}]}
conditional: false
model: {kind: mlp, width: 8, depth: 1}
objective: flow
sample: {steps: 3, every: 0}
`

func compare(t *testing.T, o CompareOptions, runs ...string) ([]Compared, []Left) {
	t.Helper()
	if o.N == 0 {
		o.N = 60
	}
	if o.Steps == 0 {
		o.Steps = 4
	}
	o.Request = 1
	rows, left, err := Compare(context.Background(), runs, o)
	if err != nil {
		t.Fatal(err)
	}
	return rows, left
}

// Each model takes as many evaluations as it may, by each solver; the best is marked, and what cannot be is left out with the reason.
func TestCompare(t *testing.T) {
	teacher := string(trained(t, rareYAML))
	student := func(method string) string {
		return string(trained(t, studentText(t, teacher, "steps=2", "accumulate=1", "method="+method)))
	}
	halved, matched := student("{kind: progressive, teacher_steps: 8, steps: 4}"), student("{kind: dmd2, steps: 2}")
	rows, left := compare(t, CompareOptions{Evaluations: []int{1, 2, 4, 16}, Solvers: []string{"euler", "heun"}, Requests: 5}, teacher, halved, matched)
	type key struct {
		run, sampler string
		asked        int
	}
	got := map[key]Compared{}
	best := map[key]int{}
	for _, r := range rows {
		got[key{r.Run, r.Sampler, r.Asked}] = r
		best[key{r.Run, "", r.Asked}] += 0
		if r.Best {
			best[key{r.Run, "", r.Asked}]++
		}
		if r.Evaluations > r.Asked || 2*r.Evaluations <= r.Asked && r.Asked > 1 {
			t.Errorf("%s by %s takes %d of %d evaluations", r.Run, r.Sampler, r.Evaluations, r.Asked)
		}
		if l := r.Latency; l == nil || !(0 < l.Median && l.Median <= l.P99 && l.P99 <= l.Max) {
			t.Errorf("latencies %+v", r.Latency)
		}
		// The share of the rare mode is a number of samples; 1/100 of the data.
		if r.RareData != 0.01 && math.Abs(float64(r.RareData)-0.01) > 1e-12 || math.Mod(float64(r.Rare)*60, 1) > 1e-9 && math.Mod(float64(r.Rare)*60, 1) < 1-1e-9 {
			t.Errorf("%v of the samples and %v of the data are rare", r.Rare, r.RareData)
		}
	}
	for k, n := range best {
		if n != 1 {
			t.Errorf("%+v: %d are the best", k, n)
		}
	}
	for _, k := range []key{{teacher, "euler", 1}, {teacher, "euler", 16}, {teacher, "heun", 4}, {teacher, "heun", 16}, {halved, "ddim", 4}, {matched, "renoise", 1}, {matched, "renoise", 2}} {
		if _, ok := got[k]; !ok {
			t.Errorf("%+v was not measured", k)
		}
	}
	if r := got[key{teacher, "heun", 16}]; r.Evaluations != 15 || r.Steps != 8 {
		t.Errorf("Heun's method takes %d evaluations in %d steps, want 15 in 8", r.Evaluations, r.Steps)
	}
	reasons := map[key]string{{teacher, "heun", 2}: "1 evaluations are the next", {matched, "renoise", 4}: "no more than 2 steps", {halved, "ddim", 16}: "8 steps has none of 16"}
	for _, l := range left {
		k := key{l.Run, l.Sampler, l.Evaluations}
		if !strings.Contains(l.Why, reasons[k]) {
			t.Errorf("%+v: %s", k, l.Why)
		}
		delete(reasons, k)
	}
	if len(reasons) > 0 {
		t.Errorf("not left out: %v", reasons)
	}
}

// The teacher in its own steps is nowhere from itself; the figures are those of eval on the same samples; lines of JSON have them all.
func TestComparedFigures(t *testing.T) {
	teacher := trained(t, rareYAML)
	rows, _ := compare(t, CompareOptions{Evaluations: []int{7}, Solvers: []string{"heun"}, N: 200, Seed: 3}, string(teacher))
	r := rows[0]
	if r.Distance != 0 || r.Latency != nil || r.Method != "flow" || r.Student {
		t.Errorf("%+v", r)
	}
	m := opened(t, teacher)
	if err := m.Choose(Choice{Sampler: "heun", Steps: 4}); err != nil {
		t.Fatal(err)
	}
	e, err := Eval(context.Background(), m, EvalOptions{N: 200, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if e.Points.W2 != r.Points.W2 || e.Points.Recall != r.Points.Recall {
		t.Errorf("W2 %v, eval's %v", r.Points.W2, e.Points.W2)
	}
	// The entropy of a mixture whose parts lie apart: ½·ln(2πe·σ²) a coordinate, and that of which part; 200 samples have a standard deviation of √(1/200)
	// for their sum of squares.
	want := math.Log(2*math.Pi*math.E*0.04) - 0.99*math.Log(0.99) - 0.01*math.Log(0.01)
	if math.Abs(float64(r.NLLHeld)-want) > 5*math.Sqrt(1.0/200)+5*0.1*math.Log(100)/math.Sqrt(200) {
		t.Errorf("−ln p of held-out data is %v, their entropy %g", r.NLLHeld, want)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal(b, &line); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"run", "nfe", "evaluations", "w2", "w2_heldout", "rare_mass", "nll", "teacher_distance", "recall"} {
		if _, ok := line[k]; !ok {
			t.Errorf("%s has no %s", b, k)
		}
	}
}

// Pictures have the part of each class, and students of guidance the teacher under the same guidance beside them.
func TestComparePictures(t *testing.T) {
	teacher := string(trained(t, digitsYAML, "steps=1", "flip=false"))
	rows, _ := compare(t, CompareOptions{Evaluations: []int{2}, Solvers: []string{"ddim"}, N: 40}, teacher)
	r := rows[0]
	if len(r.Modes) != 10 || r.Images == nil || r.Points != nil || !math.IsNaN(float64(r.NLL)) {
		t.Fatalf("%+v", r)
	}
	share, of := metrics.Figure(0), metrics.Figure(0)
	least := math.Inf(1)
	for _, m := range r.Modes {
		least = min(least, float64(m.Share)/float64(m.Data))
	}
	if float64(r.Coverage) != least || math.IsInf(least, 0) {
		t.Errorf("the coverage is %v, want %g", r.Coverage, least)
	}
	for _, m := range r.Modes {
		share, of = share+m.Share, of+m.Data
	}
	if math.Abs(float64(share)-1) > 1e-9 || math.Abs(float64(of)-1) > 1e-9 {
		t.Errorf("shares %v", r.Modes)
	}
}

// What cannot be compared is refused by name.
func TestCompareRefuses(t *testing.T) {
	moons, rare := string(trained(t, moonsYAML, "steps=1")), string(trained(t, rareYAML))
	for name, c := range map[string]struct {
		runs []string
		o    CompareOptions
		want []string
	}{
		"other data":   {[]string{moons, rare}, CompareOptions{}, []string{moons, rare, "other data"}},
		"no run":       {[]string{rare, filepath.Join(t.TempDir(), "none")}, CompareOptions{}, []string{"none"}},
		"no solver":    {[]string{rare}, CompareOptions{Solvers: []string{"eular"}}, []string{"--solvers", "eular", "euler"}},
		"no teacher":   {[]string{rare}, CompareOptions{Teacher: "nowhere"}, []string{"--teacher", "nowhere"}},
		"other shapes": {[]string{rare}, CompareOptions{Teacher: string(trained(t, digitsYAML, "steps=1"))}, []string{"--teacher", "[8 8 1]"}},
		"on a sphere":  {[]string{string(trained(t, sphereYAML, "steps=1"))}, CompareOptions{}, []string{"sphere"}},
	} {
		c.o.N, c.o.Steps, c.o.Request, c.o.Evaluations = 40, 2, 1, []int{1}
		_, _, err := Compare(context.Background(), c.runs, c.o)
		if err == nil {
			t.Errorf("%s: compared", name)
			continue
		}
		wantError(t, err, c.want...)
	}
	for _, o := range []CompareOptions{{Steps: 1, Request: 1}, {Evaluations: []int{2, 1}, Steps: 1, Request: 1}, {Evaluations: []int{1}, Request: 1}, {Evaluations: []int{1}, Steps: 1}, {Evaluations: []int{1}, Steps: 1, Request: 1, Requests: -1}} {
		if o.Check() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if _, err := os.Stat("nowhere"); err == nil {
		t.Error("something was made")
	}
}

// Models that take vectors or prompts are asked for those of held-out samples, as by eval.
func TestCompareConditions(t *testing.T) {
	table := lines(t)
	vectors := trained(t, vectorYAML, table, "sample.guidance=1")
	student := string(trained(t, studentText(t, string(vectors), "steps=2", "accumulate=1", "method={kind: progressive, teacher_steps: 4, steps: 2}")))
	rows, _ := compare(t, CompareOptions{Evaluations: []int{2}, Solvers: []string{"euler"}, N: 20, Seed: 3, Requests: 2}, string(vectors), student)
	m := opened(t, vectors)
	if err := m.Choose(Choice{Sampler: "euler", Steps: 2}); err != nil {
		t.Fatal(err)
	}
	e, err := Eval(context.Background(), m, EvalOptions{N: 20, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || e.Points.W2 != rows[0].Points.W2 {
		t.Errorf("the figures %+v are not eval's %+v", rows, e.Points)
	}
	other := string(trained(t, vectorYAML, table, "conditional=false", "sample.guidance=1"))
	_, _, err = Compare(context.Background(), []string{string(vectors), other}, CompareOptions{N: 20, Evaluations: []int{1}, Steps: 2})
	wantError(t, err, "other classes, vectors or prompts")
	_, _, err = Compare(context.Background(), []string{string(vectors)}, CompareOptions{N: 20, Evaluations: []int{1}, Steps: 2, Teacher: other})
	wantError(t, err, "--teacher", "other vectors")

	teacher := trained(t, promptsYAML, "sample={steps: 2, every: 0, guidance: 2, negative: one}", "validation.every=0", "steps=4")
	told := string(trained(t, studentText(t, string(teacher), "steps=2", "accumulate=1", "method={kind: guidance, guidance_to: 3}")))
	c := &comparison{CompareOptions: CompareOptions{N: 20, Seed: 3, Evaluations: []int{2}, Warn: t.Logf}, taught: map[float64][]float32{}}
	if err := c.open(context.Background(), []string{string(teacher), told}); err != nil {
		t.Fatal(err)
	}
	want := Request{N: 20, Seed: 3}
	labels, err := c.all[0].evalPrompts(c.ds, &want)
	if err != nil || !slices.Equal(labels, c.labels) {
		t.Errorf("asked for %v, eval for %v (%v)", c.labels, labels, err)
	}
	got, err := c.request(context.Background(), c.all[0])
	if err != nil || !slices.Equal(got, draw(t, c.all[0], want)) {
		t.Errorf("the samples are not eval's (%v)", err)
	}
	if _, err := c.request(context.Background(), c.all[1]); err != nil { // which is not asked to be guided away from "one"
		t.Error(err)
	}
	if q := c.few(c.all[0], 23); q.N != 23 || !slices.Equal(q.Prompts[:20], want.Prompts) || q.Prompts[21] != want.Prompts[1] || q.Negative != "one" {
		t.Errorf("a request of 23 asks for %+v", q)
	}
}

// Figures of samples stand beside those of the comparison, each under its own name.
func TestComparedJSON(t *testing.T) {
	for _, r := range []Compared{
		{Coverage: 0.25, Images: &metrics.Report{}}, {Coverage: 0.25, Points: &metrics.PointReport{}},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, part := range []any{r.Images, r.Points} {
			if v := reflect.ValueOf(part); !v.IsNil() {
				each, err := json.Marshal(part)
				if err != nil {
					t.Fatal(err)
				}
				own := map[string]any{}
				if err := json.Unmarshal(each, &own); err != nil {
					t.Fatal(err)
				}
				for key := range own {
					if _, ok := got[key]; !ok {
						t.Errorf("%s of the samples is missing", key)
					}
				}
				whole = len(own)
			}
		}
		if got["mode_coverage"] != 0.25 || whole < 5 {
			t.Errorf("mode_coverage %v, beside %d figures", got["mode_coverage"], whole)
		}
	}
}
