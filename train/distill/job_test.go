package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// student is a job of a file for the distill command.
func student(t *testing.T, run, dir string, overrides ...string) *Job {
	t.Helper()
	file := filepath.Join(t.TempDir(), "student.yaml")
	if err := os.WriteFile(file, []byte("teacher: \""+run+"\"\nsteps: 150\nsample: {every: 0}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	exp, err := train.LoadDistillation(file, overrides, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return &Job{Exp: exp, Dir: dir, Warn: t.Logf}
}

// weights are the bytes of a run's last checkpoint.
func weights(t *testing.T, run string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(train.RunDir(run).Checkpoints(), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no checkpoint, %v", run, err)
	}
	b, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// stopped runs a job that is cancelled again and again until it is done, and counts how often.
func stopped(t *testing.T, make func() *Job, left, more int) (stops int) {
	t.Helper()
	for ; ; left += more {
		ctx, cancel := context.WithCancel(context.Background())
		j, n := make(), left
		j.Progress = func(string, int64, int64) record.Progress {
			return updates(func() {
				if n--; n == 0 {
					cancel()
				}
			})
		}
		_, err := j.Run(ctx)
		cancel()
		if err == nil {
			return stops
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stops++; stops > 20 {
			t.Fatal("the job does not get on")
		}
	}
}

// w2 is how far samples are from the data, sampled as the student's defaults say.
func w2(t *testing.T, run string, c train.Choice) float64 {
	t.Helper()
	m, err := train.Open(run, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Choose(c); err != nil {
		t.Fatal(err)
	}
	e, err := train.Eval(context.Background(), m, train.EvalOptions{N: 400, Seed: 1, Warn: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return float64(e.Points.W2)
}

// A student of each method takes one step, by default, and is nearer to the data than its teacher's
// Euler's, Heun's and DPM-Solver's of one and two evaluations.
func TestStudentsBeatSolvers(t *testing.T) {
	run := teacher(t, "model.time_scale=16")
	best := w2(t, run, train.Choice{Sampler: "euler", Steps: 2})
	for _, how := range []string{"heun", "dpm_multistep", "ddim"} {
		best = min(best, w2(t, run, train.Choice{Sampler: how, Steps: 1}), w2(t, run, train.Choice{Sampler: how, Steps: 2}))
	}
	for _, method := range []string{"{kind: consistency-distillation, curriculum: {kind: fixed, levels: 12}}", "consistency-training", "{kind: consistency-training, curriculum: ect}", "{kind: progressive, teacher_steps: 8}", "{kind: meanflow, ratio: 0.75}", "{kind: shortcut, count: 2000, steps: 8, ratio: 0.5}", "{kind: reflow, count: 2000, times: noise}"} {
		stages, err := student(t, run, filepath.Join(t.TempDir(), "student"), "method="+method, "steps=250").Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		last := stages[len(stages)-1]
		if last.Steps != 1 {
			t.Errorf("%s: made for %d steps", method, last.Steps)
		}
		if got := w2(t, last.Run, train.Choice{}); !(got < best) {
			t.Errorf("%s: W2 %.3f in one step, the teacher's best %.3f in two evaluations", method, got, best)
		}
	}
}

// Rounds are halved to the last; stopped again and again, the job ends with the same bits, and a
// finished one is left as it is.
func TestProgressiveRounds(t *testing.T) {
	run := teacher(t, "steps=100")
	set := []string{"method={kind: progressive, teacher_steps: 16, steps: 2}", "steps=60"}
	dir := filepath.Join(t.TempDir(), "whole")
	stages, err := student(t, run, dir, set...).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for i, s := range stages {
		steps = append(steps, s.Steps)
		m, err := train.Open(s.Run, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		if m.How.Steps != s.Steps {
			t.Errorf("%s is sampled in %d steps, want %d", s.Run, m.How.Steps, s.Steps)
		}
		want := run
		if i > 0 {
			want = stages[i-1].Run
		}
		if got := m.Exp.Init; got != want {
			t.Errorf("%s begins as %s, want %s", s.Run, got, want)
		}
	}
	if len(steps) != 3 || steps[0] != 8 || steps[1] != 4 || steps[2] != 2 {
		t.Errorf("rounds of %v steps", steps)
	}
	again := filepath.Join(t.TempDir(), "stopped")
	if stops := stopped(t, func() *Job { return student(t, run, again, set...) }, 25, 40); stops < 2 {
		t.Errorf("the job was stopped %d times", stops)
	}
	for _, s := range stages {
		name := filepath.Base(s.Run)
		a, b := weightsOnly(t, s.Run), weightsOnly(t, filepath.Join(again, name))
		if a != b {
			t.Errorf("%s of the job that was stopped is another", name)
		}
	}
	before := weights(t, stages[2].Run)
	if _, err := student(t, run, dir, set...).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if weights(t, stages[2].Run) != before {
		t.Error("a finished job was changed")
	}
}

// weightsOnly are all arrays of a run's model.
func weightsOnly(t *testing.T, run string) string {
	t.Helper()
	m, err := train.Open(run, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range m.Params {
		for _, v := range p.Float32s() {
			fmt.Fprintf(&b, "%08x", math.Float32bits(v))
		}
	}
	return b.String()
}

// Folders of other runs are left alone.
func TestStudentsFolder(t *testing.T) {
	run := teacher(t, "steps=1")
	if _, err := student(t, run, run).Run(context.Background()); err == nil || !strings.Contains(err.Error(), "the teacher itself") {
		t.Errorf("into the teacher: %v", err)
	}
	other := teacher(t, "steps=1", "objective=ddpm")
	if _, err := student(t, run, other).Run(context.Background()); err == nil || !strings.Contains(err.Error(), "holds another run, by ddpm") {
		t.Errorf("into another run: %v", err)
	}
	if _, err := student(t, run, other, "method=progressive").Run(context.Background()); err == nil || !strings.Contains(err.Error(), "holds a run") {
		t.Errorf("rounds into a run: %v", err)
	}
	if _, err := student(t, run, filepath.Join(t.TempDir(), "x"), "method={kind: progressive, teacher_steps: 12, steps: 4}").Run(context.Background()); err == nil || !strings.Contains(err.Error(), "method.steps: must be half") {
		t.Errorf("a third: %v", err)
	}
	// A run of the same student goes on.
	dir := filepath.Join(t.TempDir(), "same")
	for _, steps := range []string{"steps=3", "steps=5"} {
		if _, err := student(t, run, dir, steps).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := train.Open(dir, t.Logf); err != nil || m.Step != 5 {
		t.Errorf("%v, %v", m, err)
	}
}

// Guidance that the first round's teacher teaches under is in all students, once.
func TestGuidedRounds(t *testing.T) {
	run := teacher(t, "steps=5")
	for set, want := range map[string]string{
		"method={kind: progressive, teacher_steps: 8, steps: 2, guidance: 2}":    "guidance 2 built in",
		"method={kind: progressive, teacher_steps: 8, steps: 2, guidance_to: 3}": "told guidance from 1 to 3",
	} {
		stages, err := student(t, run, filepath.Join(t.TempDir(), "job"), set, "steps=4").Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stages {
			m, err := train.Open(s.Run, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range m.Facts() {
				found = found || f[0] == "student" && strings.Contains(f[1], want)
			}
			if !found {
				t.Errorf("%s: inspect does not say %q: %v", s.Run, want, m.Facts())
			}
		}
	}
}

// Pairs are made in the student's folder, once; stopped again and again, among the pairs and in training, the job ends with the same
// bits. What is left can be trained on and sampled from without the teacher.
func TestStudentsOfPairs(t *testing.T) {
	run := teacher(t, "steps=100", "model.dropout=0.1")
	for _, method := range []string{"{kind: reflow, count: 1500, guidance: 1.5, solver: heun, intervals: 2}", "{kind: shortcut, count: 1500, solver: heun, intervals: 2, steps: 8, ratio: 0.5}"} {
		set := []string{"method=" + method, "steps=60", "data=moons"}
		dir := filepath.Join(t.TempDir(), "whole")
		stages, err := student(t, run, dir, set...).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		p, err := train.OpenPairs(train.RunDir(dir).Pairs())
		if err != nil || p.Recipe.Count != 1500 || p.Recipe.Classes != 2 {
			t.Fatalf("%s: %+v, %v", method, p, err)
		}
		again := filepath.Join(t.TempDir(), "stopped")
		if stops := stopped(t, func() *Job { return student(t, run, again, set...) }, 10, 40); stops < 2 {
			t.Errorf("%s: the job was stopped %d times", method, stops)
		}
		if weightsOnly(t, stages[0].Run) != weightsOnly(t, again) {
			t.Errorf("%s: the student of a job that was stopped is another", method)
		}
		before := weights(t, dir)
		if _, err := student(t, run, dir, set...).Run(context.Background()); err != nil || weights(t, dir) != before {
			t.Errorf("%s: a finished job was changed, %v", method, err)
		}
	}
}

// What cannot make pairs is refused by name before there is anything.
func TestPairsThatAreRefused(t *testing.T) {
	run := teacher(t, "steps=1")
	for set, want := range map[string]string{
		"data=digits": "method.teacher: makes samples of shape [2], the data have [8 8 1]",
		"method={kind: reflow, solver: euler_ancestral, intervals: 5}": "adds noise of its own",
		"method={kind: reflow, sigma_data: -1}":                        "method.sigma_data",
		"method={kind: shortcut, path: nowhere}":                       "method.path",
		"method={kind: shortcut, steps: 3}":                            "method.steps: must be a power of two, is 3",
	} {
		dir := filepath.Join(t.TempDir(), "student")
		file := filepath.Join(t.TempDir(), "student.yaml")
		if err := os.WriteFile(file, []byte("teacher: \""+run+"\"\nmethod: {kind: reflow, count: 20}\nsteps: 2\nsample: {every: 0}\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		exp, err := train.LoadDistillation(file, []string{set}, t.Logf)
		if err == nil {
			_, err = (&Job{Exp: exp, Dir: dir, Warn: t.Logf}).Run(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder was made", set)
		}
	}
}

// Pairs are made of whatever teaches: a diffusers folder along what its scheduler trains, a model that is told guidance at the scale that is asked for,
// one with guidance in it, which the student then has.
func TestPairsOfOtherTeachers(t *testing.T) {
	run := teacher(t, "steps=5")
	guided := filepath.Join(t.TempDir(), "guided")
	for set, dir := range map[string]string{"method={kind: guidance, guidance: 2, guidance_to: 0}": guided, "method={kind: guidance, guidance: 1, guidance_to: 3}": guided + "-told"} {
		if _, err := student(t, run, dir, set, "steps=4").Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	pairs := "method={kind: reflow, count: 6, solver: heun, intervals: 2"
	for name, c := range map[string]struct {
		teacher string
		set     []string
		want    string // what inspect says; "": that nothing is built in
	}{
		"diffusers":     {"../../internal/golden/testdata/pipelines/dit-ddim", []string{pairs + "}", "data=digits", "batch=2"}, ""},
		"guided":        {guided, []string{pairs + "}"}, "guidance 2 built in"},
		"told":          {guided + "-told", []string{pairs + ", guidance: 1.5}"}, "guidance 1.5 built in"},
		"classes":       {run, []string{pairs + ", guidance: 3}"}, "guidance 3 built in"},
		"unconditional": {run, []string{pairs + "}", "conditional=false", `init=""`}, ""},
	} {
		stages, err := student(t, c.teacher, filepath.Join(t.TempDir(), "student"), append(c.set, "steps=2")...).Run(context.Background())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := train.Open(stages[0].Run, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		p, err := train.OpenPairs(train.RunDir(stages[0].Run).Pairs())
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]float64{"told": 1.5, "classes": 3}[name]; p.Recipe.Guidance != max(want, 1) { // what a teacher has in it is not asked for again
			t.Errorf("%s: pairs were made under guidance %g", name, p.Recipe.Guidance)
		}
		said := ""
		for _, f := range m.Facts() {
			if f[0] == "student" {
				said = f[1]
			}
		}
		if !strings.Contains(said, c.want) || c.want == "" && strings.Contains(said, "guidance") || !strings.Contains(said, "by reflow from") {
			t.Errorf("%s: inspect says %q", name, said)
		}
	}
	file := filepath.Join(t.TempDir(), "student.yaml")
	if err := os.WriteFile(file, []byte("teacher: \""+guided+"\"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := train.LoadDistillation(file, []string{pairs + ", guidance: 3}"}, t.Logf)
	if err == nil || !strings.Contains(err.Error(), "guidance 2 in it already") {
		t.Errorf("guided twice: %v", err)
	}
}

// promptsYAML is a teacher of captioned digits.
const promptsYAML = `
name: prompts
steps: 12
batch: 8
data: {kind: digits, captions: true}
conditional: false
text: {tokenizer: {kind: learned, size: 560}, encoder: {width: 8, heads: 2, depth: 1, length: 10}}
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2, prompt: both}
objective: {kind: flow, condition_dropout: 0.3}
optim: {lr: 1e-2}
sample: {every: 0}
`

// Students of pairs keep the teacher's prompts; so do rounds of reflow. A job that was stopped ends with the same bits.
func TestPairsOfPrompts(t *testing.T) {
	file, run := filepath.Join(t.TempDir(), "teacher.yaml"), filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(file, []byte(promptsYAML), 0o666); err != nil {
		t.Fatal(err)
	}
	exp, err := train.LoadExperiment(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(context.Background(), exp, train.Options{Dir: run})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tr.Run(context.Background()), tr.Close()); err != nil {
		t.Fatal(err)
	}
	depends := func(run string) {
		t.Helper()
		m, err := train.Open(run, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		var x [2][]float32
		for i, prompt := range []string{"seven", "one"} {
			if x[i], err = m.Draw(context.Background(), train.Request{N: 1, Prompts: []string{prompt}}); err != nil {
				t.Fatal(err)
			}
		}
		if slices.Equal(x[0], x[1]) {
			t.Errorf("%s: samples do not depend on the prompt", run)
		}
	}
	for _, method := range []string{"{kind: reflow, count: 40, guidance: 1.5, solver: euler, intervals: 2}", "{kind: shortcut, count: 40, solver: euler, intervals: 2, steps: 4, ratio: 0.5}"} {
		set := []string{"method=" + method, "steps=20"}
		dir, again := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "stopped")
		if _, err := student(t, run, dir, set...).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if stops := stopped(t, func() *Job { return student(t, run, again, set...) }, 11, 30); stops < 1 {
			t.Errorf("%s: the job was not stopped", method)
		}
		if weightsOnly(t, dir) != weightsOnly(t, again) {
			t.Errorf("%s: the student of a job that was stopped is another", method)
		}
		depends(dir)
	}
	one := 1.0
	r := &Reflow{Teacher: run, Dir: filepath.Join(t.TempDir(), "rounds"), Rounds: 1, Pairs: 40, Choice: train.Choice{Sampler: "euler", Steps: 2, Guidance: &one}, Overrides: []string{"steps=5"}, Paths: 4}
	rounds, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	depends(rounds[1].Run)
}
