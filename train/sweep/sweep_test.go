package sweep

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

const moonsYAML = `
steps: 12
batch: 8
data: moons
model: {kind: mlp, width: 8, depth: 1}
sample: {every: 0}
validation: {every: 6, samples: 16}
log_every: 4
`

// place writes a sweep and its experiment into a folder.
func place(t *testing.T, sweep string) (file, dir string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"moons.yaml": moonsYAML, "sweep.yaml": "experiment: moons.yaml\n" + sweep} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "sweep.yaml"), filepath.Join(root, "runs")
}

func load(t *testing.T, file, dir string, overrides ...string) *Plan {
	t.Helper()
	p, err := Load(file, overrides, dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// names are the folders of a plan's runs.
func names(p *Plan) (out []string) {
	for _, r := range p.Runs {
		out = append(out, filepath.Base(r.Dir))
	}
	return out
}

// A grid is every combination, zipped lists go together, and every seed has all of them.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{"run"}},
		{"seeds: [4, 2]", []string{"seed=4", "seed=2"}},
		{"grid: {optim.lr: [1e-3, 3e-4], batch: [4, 8]}", []string{"batch=4,lr=1e-3", "batch=4,lr=3e-4", "batch=8,lr=1e-3", "batch=8,lr=3e-4"}},
		{"zip: {optim.lr: [1e-3, 3e-4], batch: [4, 8]}", []string{"batch=4,lr=1e-3", "batch=8,lr=3e-4"}},
		{"seeds: [0, 1]\nzip: {batch: [4, 8], steps: [5, 6]}\ngrid: {optim.lr: [1e-3, 3e-4]}", []string{
			"batch=4,steps=5,lr=1e-3,seed=0", "batch=4,steps=5,lr=3e-4,seed=0", "batch=8,steps=6,lr=1e-3,seed=0", "batch=8,steps=6,lr=3e-4,seed=0",
			"batch=4,steps=5,lr=1e-3,seed=1", "batch=4,steps=5,lr=3e-4,seed=1", "batch=8,steps=6,lr=1e-3,seed=1", "batch=8,steps=6,lr=3e-4,seed=1"}},
		{"grid: {ema: [null, {decay: 0.9}], optim.rule: [adamw, {kind: lion, beta1: 0.8}]}", []string{"ema=null,rule=adamw", "ema=null,rule=kind_lion,_beta1_0.8", "ema=decay_0.9,rule=adamw", "ema=decay_0.9,rule=kind_lion,_beta1_0.8"}},
		{"grid: {optim.schedule: [{kind: cosine, warmup: 2}, {kind: linear, warmup: 2}], optim.rule: [adam]}", []string{"rule=adam,schedule=kind_cosine,_warmup_2", "rule=adam,schedule=kind_linear,_warmup_2"}},
	} {
		file, dir := place(t, c.text)
		if got := names(load(t, file, dir)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: runs\n%q, want\n%q", c.text, got, c.want)
		}
	}
	// What only odd characters tell apart has folders of its own, and a name is no longer than a folder's may be.
	file, dir := place(t, "grid: {init: ['a b', 'a:b', '"+strings.Repeat("x", 150)+"']}")
	got := names(load(t, file, dir))
	if len(got) != 3 || got[0] == got[1] || len(got[2]) > 110 {
		t.Errorf("runs %q", got)
	}
}

func TestExampleOfASweep(t *testing.T) {
	if p := load(t, "../../examples/sweep/optimizers.yaml", ""); len(p.Runs) != 15 {
		t.Errorf("%d runs", len(p.Runs))
	}
}

// Settings come over the experiment in their order: all runs', the command line's, each run's, the seed.
func TestPlanSettings(t *testing.T) {
	file, dir := place(t, "set: {steps: 5, batch: 3}\ngrid: {optim.lr: [0.5]}\nseeds: [7]")
	p := load(t, file, dir, "steps=6", "optim.lr=9")
	if e := p.Runs[0].exp; e.Steps != 6 || e.Batch != 3 || e.Optim.LR != 0.5 || e.Seed != 7 || p.Runs[0].Seed != 7 {
		t.Errorf("got %+v", e.Experiment)
	}
}

func TestPlanMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"grid: {optim.lr: [1, x]}":                 `sweep.yaml:2: optim.lr: must be a number, is the text "x" (with optim.lr=x)`,
		"grid:\n  optim.lr:\n  - 1\n  - x\n":       "sweep.yaml:5: optim.lr: must",
		"grid: {optim.lrr: [1]}":                   "sweep.yaml:2: optim.lrr: unknown key",
		"set: {batch: 0}":                          "sweep.yaml:2: batch: must be ≥ 1",
		"zip: {batch: [0]}":                        "sweep.yaml:2: batch: must be ≥ 1",
		"grid: {batch: []}":                        "sweep.yaml:2: grid: has no values of batch",
		"zip: {batch: [1], steps: [1, 2]}":         "sweep.yaml:2: zip: has lists of 1 and of 2 values",
		"zip: {batch: [1]}\ngrid: {batch: [1]}":    "sweep.yaml:2: zip: has batch, which the grid has, too",
		"zip: {batch: []}":                         "sweep.yaml:2: zip: has no values",
		"grid: {seed: [1]}":                        "sweep.yaml:2: grid: has the seed: list seeds under seeds",
		"set: {seed: 1}\nseeds: [2]":               "sweep.yaml:2: set: has the seed",
		"set: {name: x}":                           "sweep.yaml:2: set: has the name",
		"seeds: [1, 1]":                            "sweep.yaml:2: seeds: has 1 twice",
		"seeds: [-1]":                              "sweep.yaml:2: seeds[0]: is -1; must be from 0",
		"eval: 5":                                  "sweep.yaml:2: eval: must be 0 or at least 10",
		"figures: [frechet]":                       "sweep.yaml:2: figures: has frechet, and nothing is measured: set eval",
		"figures: [fid]\neval: 10":                 `sweep.yaml:2: figures: has "fid"; there are train/loss,`,
		"grid: {batch: [4, 4]}":                    "asks for batch=4 twice",
		"grid: {" + manyValues + "}":               "sweep.yaml:2: grid: asks for more than 10000 runs",
		"sets: {a: 1}":                             "sweep.yaml:2: sets: unknown key; did you mean set?",
		"experiment: moon.yaml":                    "is given twice",
		"grid: {'a=b': [1]}":                       `sweep.yaml:2: grid: has "a=b", which is no key path`,
		"grid: {optim.rule: [{kind: lion, x: 1}]}": "optim.rule.x: unknown key",
	} {
		file, dir := place(t, text)
		if _, err := Load(file, nil, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml"), nil, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	file, dir := place(t, "")
	os.Remove(filepath.Join(filepath.Dir(file), "moons.yaml"))
	if _, err := Load(file, nil, dir); err == nil || !strings.Contains(err.Error(), "sweep.yaml:1: experiment: ") || !strings.Contains(err.Error(), "file does not exist") {
		t.Errorf("no experiment: %v", err)
	}
}

var manyValues = func() string {
	var keys []string
	for _, k := range []string{"batch", "steps", "log_every", "accumulate", "max_skips"} {
		keys = append(keys, k+": [1, 2, 3, 4, 5, 6, 7]")
	}
	return strings.Join(keys, ", ")
}()

// updates calls at after every step.
type updates struct {
	record.Silent
	at func()
}

func (u updates) Update(int64, ...record.Value) { u.at() }

const twoByTwo = "seeds: [0, 1]\ngrid: {optim.lr: [1e-3, 3e-3]}\neval: 12\n"

// texts are the tables of a job that is run to its end.
func texts(t *testing.T, p *Plan, results []Result) string {
	t.Helper()
	table := p.Table(results)
	var b bytes.Buffer
	for _, write := range []error{table.Text(&b), table.CSV(&b), table.JSON(&b)} {
		if write != nil {
			t.Fatal(write)
		}
	}
	return strings.ReplaceAll(b.String(), filepath.Dir(p.Runs[0].Dir), "")
}

// A sweep that is stopped again and again ends with the table of one in one go, and a finished one trains nothing.
func TestStoppedSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("trains twice as much")
	}
	file, dir := place(t, twoByTwo)
	p := load(t, file, dir)
	results, err := (&Job{Plan: p, Warn: t.Errorf}).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := texts(t, p, results)
	file, dir = place(t, twoByTwo)
	p = load(t, file, dir)
	stops := 0
	for {
		ctx, cancel := context.WithCancel(context.Background())
		left := 7
		j := &Job{Plan: p, Warn: t.Errorf, Progress: func(string, int64, int64) record.Progress {
			return updates{at: func() {
				if left--; left == 0 {
					cancel()
				}
			}}
		}}
		results, err = j.Run(ctx)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stops++; stops > 20 {
			t.Fatal("it comes to no end")
		}
	}
	if stops < 4 {
		t.Errorf("stopped %d times", stops)
	}
	if got := texts(t, p, results); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again := &Job{Plan: p, Warn: t.Errorf, Say: t.Errorf, Progress: func(string, int64, int64) record.Progress { t.Error("trains again"); return record.Silent{} },
		Stage: func(string, int, int) { t.Error("measures again") }}
	if results, err = again.Run(context.Background()); err != nil || texts(t, p, results) != want {
		t.Errorf("the second time: %v", err)
	}
}

// The runs of a sweep are those that the settings and seeds would make by themselves.
func TestSweepTrainsTheExperiment(t *testing.T) {
	file, dir := place(t, "seeds: [3]\ngrid: {optim.lr: [3e-3]}")
	p := load(t, file, dir)
	results, err := (&Job{Plan: p, Warn: t.Errorf}).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	exp, err := train.LoadExperiment(filepath.Join(filepath.Dir(file), "moons.yaml"), []string{"optim.lr=3e-3", "seed=3"})
	if err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "run")
	tr, err := train.New(context.Background(), exp, train.Options{Dir: alone})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tr.Run(context.Background()), tr.Close()); err != nil {
		t.Fatal(err)
	}
	records, err := record.ReadMetrics(train.RunDir(alone).Metrics())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range recorded {
		last := math.NaN()
		for _, r := range records {
			if v, ok := r.Get(name); ok {
				last = v
			}
		}
		if got := results[0].Figures[name]; got != last {
			t.Errorf("%s is %g, of the run alone %g", name, got, last)
		}
	}
}

// A run that diverges is counted, and has no figures; the others are trained. It is not tried again.
func TestSweepDiverged(t *testing.T) {
	file, dir := place(t, "seeds: [0, 1]\nset: {optim.clip: 0, optim.schedule: constant, max_skips: 2}\ngrid: {optim.lr: [1e-3, 1e30]}")
	p := load(t, file, dir)
	var warnings []string
	j := &Job{Plan: p, Warn: func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }}
	results, err := j.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	table := p.Table(results)
	if a, b := table.Rows[0], table.Rows[1]; a.Diverged != 0 || b.Diverged != 2 || len(a.Figures["train/loss"].Values) != 2 || len(b.Figures) != 0 {
		t.Errorf("rows %+v", table.Rows)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "lr=1e30,seed=0: training stopped at step") {
		t.Errorf("warnings %q", warnings)
	}
	want := texts(t, p, results)
	if !strings.Contains(want, "diverged") || !strings.Contains(want, "–") {
		t.Errorf("table\n%s", want)
	}
	warnings = nil
	if results, err = j.Run(context.Background()); err != nil || len(warnings) > 0 || texts(t, p, results) != want {
		t.Errorf("the second time: %v, %q", err, warnings)
	}
}

// A folder of runs with other settings is refused before anything is trained.
func TestSweepOfOtherSettings(t *testing.T) {
	file, dir := place(t, "grid: {batch: [4]}")
	if _, err := (&Job{Plan: load(t, file, dir), Warn: t.Errorf}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err := (&Job{Plan: load(t, file, dir, "optim.lr=0.5"), Warn: t.Errorf}).Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "batch=4 was trained with other settings: now optim.lr=0.5 (was 0.001)") {
		t.Errorf("got %v", err)
	}
}

func TestSweepOutOfTime(t *testing.T) {
	file, dir := place(t, "set: {max_time: 1ns}")
	_, err := (&Job{Plan: load(t, file, dir), Warn: t.Errorf}).Run(context.Background())
	var over *OutOfTimeError
	if !errors.As(err, &over) || over.Step != 0 {
		t.Errorf("got %v", err)
	}
}

// Means and standard deviations are those of hand calculation: of 1, 2, 4, mean 7/3 and variance 7/3.
func TestTable(t *testing.T) {
	p := &Plan{Points: []Point{{{"optim.lr", "1e-3"}, {"a", `"x, y"`}}, {{"optim.lr", "2e-3"}, {"a", "z"}}}}
	run := func(i int, figures map[string]float64) Result {
		return Result{Run: Run{Dir: fmt.Sprint("r", i), Point: p.Points[i%2], Seed: uint64(i / 2)}, Step: 9, Figures: figures}
	}
	table := p.Table([]Result{
		run(0, map[string]float64{"train/loss": 1, "w2": 5}), run(1, map[string]float64{"train/loss": 3}),
		run(2, map[string]float64{"train/loss": 2}), {Run: Run{Dir: "r3"}, Diverged: "x"},
		run(4, map[string]float64{"train/loss": 4}), {Run: Run{Dir: "r5"}, Diverged: "x"},
	})
	s := table.Rows[0].Figures["train/loss"]
	if math.Abs(s.Mean-7.0/3) > 1e-15 || math.Abs(s.SD-math.Sqrt(7.0/3)) > 1e-15 {
		t.Errorf("spread %+v", s)
	}
	if s := table.Rows[1].Figures["train/loss"]; s.Mean != 3 || !math.IsNaN(s.SD) || table.Rows[1].Diverged != 2 {
		t.Errorf("spread of one %+v", s)
	}
	var text, sheet, lines bytes.Buffer
	if err := errors.Join(table.Text(&text), table.CSV(&sheet), table.JSON(&lines)); err != nil {
		t.Fatal(err)
	}
	if want := "optim.lr  a     runs  diverged  train/loss   w2\n1e-3      x, y  3     0         2.333 ± 1.5  5\n2e-3      z     3     2         3            –\n"; text.String() != want {
		t.Errorf("text\n%swant\n%s", text.String(), want)
	}
	rows, err := csv.NewReader(&sheet).ReadAll()
	if want := [][]string{{"optim.lr", "a", "runs", "diverged", "train/loss", "train/loss sd", "w2", "w2 sd"},
		{"1e-3", "x, y", "3", "0", fmt.Sprint(s.Mean), fmt.Sprint(s.SD), "5", ""}, {"2e-3", "z", "3", "2", "3", "", "", ""}}; err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("CSV %q, %v; want %q", rows, err, want)
	}
	var line struct {
		Settings map[string]string
		Runs     []struct {
			Run      string
			Diverged string
		}
		Figures map[string]struct {
			Mean, SD *float64
			Values   []float64
		}
	}
	if err := json.NewDecoder(&lines).Decode(&line); err != nil {
		t.Fatal(err)
	}
	if f := line.Figures["train/loss"]; *f.Mean != s.Mean || *f.SD != s.SD || !reflect.DeepEqual(f.Values, []float64{1, 2, 4}) || line.Settings["a"] != "x, y" || len(line.Runs) != 3 || line.Figures["w2"].SD != nil {
		t.Errorf("JSON %+v", line)
	}
	p.Figures = []string{"w2"}
	if t2 := p.Table(nil); !reflect.DeepEqual(t2.Figures, []string{"w2"}) {
		t.Errorf("columns %v", t2.Figures)
	}
}
