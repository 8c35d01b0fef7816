package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
)

// teacherYAML is a teacher with classes and dropped units, hardly trained.
const teacherYAML = `
name: teacher
seed: 3
steps: 12
batch: 12
data: moons
model: {kind: mlp, width: 16, depth: 1, dropout: 0.2}
objective: flow
optim: {lr: 3e-3}
ema: {decay: 0.9}
sample: {steps: 3, every: 0}
`

// distilled reads a file for the distill command.
func distilled(t *testing.T, teacher string, overrides ...string) (*Loaded, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "student.yaml")
	text := fmt.Sprintf("teacher: %q\nsteps: 20\naccumulate: 2\ncheckpoint: {every: 6, keep: 2}\nlog_every: 7\nsample: {every: 0}\n", teacher)
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return LoadDistillation(file, overrides, t.Logf)
}

// studentText is the experiment that a file for the distill command comes to.
func studentText(t *testing.T, teacher string, overrides ...string) string {
	t.Helper()
	exp, err := distilled(t, teacher, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := config.Resolved(&exp.Experiment)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// students are settings of distillation, each of which trains.
var students = []string{
	"method=consistency-distillation",
	"method={kind: consistency-distillation, guidance: 2, solver: euler, target_decay: 0, huber: 0.01, curriculum: {kind: ict, first: 2, last: 8}}",
	"method={kind: consistency-distillation, guidance_to: 4, curriculum: {kind: fixed, levels: 10}}",
	"method=consistency-training",
	"method={kind: consistency-training, curriculum: {kind: ect, stages: 3}, weighting: edm}",
	"method={kind: progressive, teacher_steps: 8, steps: 4}",
	"method={kind: progressive, teacher_steps: 12, steps: 2, guidance: 1.5, weighting: snr_plus_one, grid: {kind: uniform, shift: 2}}",
	"method={kind: progressive, teacher_steps: 8, steps: 4, guidance_to: 3}",
	"method=lcm",
	"method={kind: lcm, guidance: 1, guidance_to: 3, skips: 10, target_decay: 0}",
	"method=scm",
	"method={kind: scm, velocity: data, norm: rms, uncertainty: false, warm_up: 0}",
	"method={kind: scm, guidance: 1, guidance_to: 3}",
	"method=meanflow",
	"method={kind: meanflow, guidance: 1, guidance_to: 3, improved: true, ratio: 0.5}",
	"method=ctm",
	"method={kind: ctm, guidance: 1, guidance_to: 3, levels: 6, reach: 2, balance: false, huber: 0.01}",
	"method={kind: ctm, levels: 6, adversarial: {from: 0.4, rate: 0.5}}",
	"method={kind: ctm, levels: 6, balance: false, guidance: 1, guidance_to: 3, adversarial: {weight: 0.1, from: 0}}",
	"method=dmd2",
	"method={kind: dmd2, steps: 2, critic_steps: 3, adversarial: {}}",
	"method={kind: dmd2, steps: 1, guidance: 2, critic_steps: 3, critic_rate: 0.5, weighting: min_snr}",
	"method={kind: dmd2, steps: 2, critic: sds, guidance: 1, guidance_to: 3}",
	"method=guidance",
	"method={kind: guidance, guidance: 2, guidance_to: 0, times: logit_normal, weighting: min_snr}",
}

// Every method trains, resumes bit for bit in its middle, and is sampled from without its teacher.
func TestStudents(t *testing.T) {
	teacher := string(trained(t, teacherYAML))
	for _, set := range students {
		t.Run(set, func(t *testing.T) {
			text := studentText(t, teacher, set)
			dir := trained(t, text)
			resumesExactly(t, dir, text)
			away := teacher + "-away"
			if err := os.Rename(teacher, away); err != nil {
				t.Fatal(err)
			}
			defer os.Rename(away, teacher)
			m := opened(t, dir)
			for i, v := range draw(t, m, Request{N: 4, Labels: []int32{0, 1, 0, 1}}) {
				if !finite(float64(v)) || math.Abs(float64(v)) > 1e3 {
					t.Fatalf("number %d is %g", i, v)
				}
			}
			if got := checkup(t, m); got != nil {
				t.Errorf("inspect warns of %q", got)
			}
			said := ""
			for _, f := range m.Facts() {
				if f[0] == "student" {
					said = f[1]
				}
			}
			kind, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(set, "method="), "{kind: "), ",")
			if matched := map[string]string{"method=dmd2": "made for 4 steps", "method={kind: dmd2, steps: 1, guidance: 2, critic_steps: 3, critic_rate: 0.5, weighting: min_snr}": "made for 1 step,"}[set]; !strings.Contains(said, matched) {
				t.Errorf("inspect says of the student: %q, want %q", said, matched)
			}
			if !strings.Contains(said, kind) || kind != "consistency-training" && !strings.Contains(set, "velocity: data") && !strings.Contains(said, teacher) {
				t.Errorf("inspect says of the student: %q", said)
			}
		})
	}
}

func TestStudentsAllocateNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	teacher := string(trained(t, teacherYAML))
	for _, set := range students {
		if strings.Contains(set, "scm") || strings.Contains(set, "meanflow") {
			continue // forward mode allocates, as that of mean flows does
		}
		// In curricula whose levels double, those of the new number are made once.
		stepsAllocateNothing(t, set, bare(t, studentText(t, teacher, set, "steps=100000")))
	}
}

// The student begins as its teacher, whatever the teacher's path and prediction: as an estimate of
// the data, with n_min next to nothing, or as the prediction itself.
func TestStudentsBeginAsTheirTeachers(t *testing.T) {
	teachers := map[string]string{}
	for _, set := range []string{
		"objective=flow",
		"objective={kind: flow, interpolant: trig, predict: x0}",
		"objective={kind: flow, interpolant: {kind: condot, sigma_min: 0.01}, predict: data_velocity}",
		"objective=ddpm",
		"objective={kind: ddpm, predict: v, zero_terminal_snr: true}",
		"objective={kind: ddpm, loss: hybrid, variance: learned_range, steps: 64, beta_end: 0.2}",
		"objective={kind: edm, sigma_data: 0.7}",
		"objective={kind: dsm, sde: vp}",
		"objective={kind: dsm, sde: ve, predict: score}",
		"objective={kind: dsm, sde: subvp}",
		"objective=mean_flow",
	} {
		teachers[set] = string(trained(t, teacherYAML, set))
	}
	// One whose noise schedule has another number of entries, which the network counts.
	short := filepath.Join(t.TempDir(), "short")
	if err := os.CopyFS(short, os.DirFS(filepath.Join(pipelines, "dit-ddim"))); err != nil {
		t.Fatal(err)
	}
	scheduler := filepath.Join(short, "scheduler", "scheduler_config.json")
	b, err := os.ReadFile(scheduler)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(scheduler, []byte(strings.Replace(string(b), `"num_train_timesteps": 1000`, `"num_train_timesteps": 400`, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	teachers["short"] = short
	for _, name := range []string{"unet-ddim", "dit-ddim", "dit-ddpm-learned"} {
		teachers[name] = filepath.Join(pipelines, name)
	}
	for name, teacher := range teachers {
		for _, method := range []string{"{kind: consistency-distillation, sigma_min: 1e-7}", "progressive", "guidance", "lcm", "scm", "meanflow", "ctm", "dmd2"} {
			t.Run(name+" "+method, func(t *testing.T) {
				set := []string{"method=" + method, "batch=2", "accumulate=1"}
				if !strings.HasPrefix(name, "objective") {
					set = append(set, "data=digits")
				}
				exp, err := distilled(t, teacher, set...)
				if err != nil {
					t.Fatal(err)
				}
				tr, err := New(context.Background(), exp, Options{Bare: true})
				switch {
				case method == "lcm" && (strings.Contains(name, "edm") || strings.Contains(name, "sde: ve")):
					wantError(t, err, "method.like", "consistency-distillation") // of equally distant times hardly any is near the data
					return
				case method == "guidance" && name == "unet-ddim":
					wantError(t, err, "method.guidance", "no classes")
					return
				case err != nil:
					t.Fatal(err)
				}
				defer tr.Close()
				if method == "meanflow" && (name != "objective=flow" && name != "objective=mean_flow") {
					if exp.Init != "" { // what the teacher's weights say is no velocity on straight lines
						t.Errorf("begins as %s", exp.Init)
					}
					return
				}
				beginsAs(t, tr, teacher)
			})
		}
	}
}

// beginsAs compares the model in training with the teacher.
func beginsAs(t *testing.T, tr *Trainer, teacher string) {
	t.Helper()
	of := opened(t, RunDir(teacher))
	m, err := of.teaching()
	if err != nil {
		t.Fatal(err)
	}
	path := tr.model.Path()
	if !diffusion.SamePath(path, m.Path()) {
		t.Fatalf("the student's path is %T, the teacher's %T", path, m.Path())
	}
	at := diffusion.Step{}
	for _, level := range []float64{0.1, 0.6, 3, 15} {
		at.T = append(at.T, path.Time(-math.Log(level)))
	}
	data := func(dev backend.Device, m diffusion.Model) []float32 {
		s := tensor.NewScope(dev, tensor.Inference)
		defer s.Close()
		x := s.Normal(rng.Key{Seed: 3}, 0, append([]int{4}, of.Shape...)...)
		var c diffusion.Cond
		if of.Classes > 0 {
			c.Labels = s.Ints([]int32{0, 1, 0, 1}, 4)
		}
		return m.Eval(x, at, c).As(diffusion.X0, x, path, at).Float32s()
	}
	got, want := data(tr.dev, tr.model), data(of.Device, m)
	tol := 1e-4 // float32: some tens of roundings; σ/α multiplies those of ε and velocities by up to 15
	if f, ok := tr.model.(*student.Function); ok && f.SigmaMin > 1e-6 {
		tol = 0.2 // levels of a table, and of a path with noise on the data, begin at n_min = 0.01: f differs by some n_min/n
	}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > tol*(1+math.Abs(float64(want[i]))) {
			t.Errorf("number %d of the data is %g, the teacher's %g", i, got[i], want[i])
		}
	}
}

// What cannot teach is refused by name before any work.
func TestTeachersThatAreRefused(t *testing.T) {
	run := func(set ...string) string { return string(trained(t, teacherYAML, append(set, "steps=1")...)) }
	good := run()
	map1 := filepath.Join(t.TempDir(), "student")
	text := studentText(t, good, "steps=1", "method=consistency-training")
	if err := trainIn(context.Background(), experiment(t, text), Options{Dir: map1}); err != nil {
		t.Fatal(err)
	}
	guided := filepath.Join(t.TempDir(), "guided")
	if err := trainIn(context.Background(), experiment(t, studentText(t, good, "steps=1", "method={kind: guidance, guidance: 2, guidance_to: 0}")), Options{Dir: guided}); err != nil {
		t.Fatal(err)
	}
	table := lines(t)
	vectors := string(trained(t, vectorYAML, table, "steps=1"))
	damaged := filepath.Join(t.TempDir(), "damaged.safetensors")
	if err := os.WriteFile(damaged, []byte("nothing"), 0o666); err != nil {
		t.Fatal(err)
	}
	unknown := filepath.Join(t.TempDir(), "unknown")
	if err := os.CopyFS(unknown, os.DirFS(filepath.Join(pipelines, "dit-ddim"))); err != nil {
		t.Fatal(err)
	}
	scheduler := filepath.Join(unknown, "scheduler", "scheduler_config.json")
	b, err := os.ReadFile(scheduler)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(scheduler, bytes.Replace(b, []byte(`"prediction_type": "epsilon"`), []byte(`"prediction_type": "magic"`), 1), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		teacher string
		set     []string
		want    []string
	}{
		"no file":            {"nowhere/at/all", nil, []string{"student.yaml:1: teacher", "nowhere/at/all"}},
		"no run":             {t.TempDir(), nil, []string{"student.yaml:1: teacher", "neither a run"}},
		"no checkpoint":      {damaged, nil, []string{"student.yaml:1: teacher", damaged}},
		"none":               {"", nil, []string{"teacher", "required"}},
		"a number":           {filepath.Join(pipelines, "unet-number"), []string{"data=digits"}, []string{"student.yaml:1: teacher", "conditioned on a number"}},
		"no known schedule":  {unknown, []string{"data=digits"}, []string{"student.yaml:1: teacher", "scheduler_config.json", "prediction_type", "magic"}},
		"other shape":        {good, []string{"data=digits"}, []string{"method.teacher", "[2]", "[8 8 1]"}},
		"other network":      {good, []string{"method=consistency-training", "model.width=20"}, []string{"student.yaml:1: teacher", "in.weight"}},
		"deeper network":     {good, []string{"method=consistency-training", "model.depth=2"}, []string{"student.yaml:1: teacher", "hidden.1.weight"}},
		"other classes":      {good, []string{"data=checkerboard", "method={kind: consistency-distillation, guidance: 2}"}, []string{"method.guidance", "no classes"}},
		"a map":              {map1, nil, []string{"student.yaml:1: teacher", "consistency-training"}},
		"latent noise":       {run("objective={kind: flow, interpolant: {kind: condot, latent: bridge}}"), nil, []string{"student.yaml:1: teacher", "noise of its own"}},
		"a source":           {run("objective={kind: flow, source: moons}"), nil, []string{"student.yaml:1: teacher", "other data"}},
		"on a sphere":        {string(trained(t, sphereYAML, "steps=1")), nil, []string{"student.yaml:1: teacher", "sphere"}},
		"of tokens":          {string(trained(t, tokensYAML, "steps=1")), nil, []string{"student.yaml:1: teacher", "tokens"}},
		"other vectors":      {vectors, []string{strings.Replace(table, "[a, b]", "[a]", 1), "model.vector=0", `init=""`}, []string{"method.teacher", "vectors of 2 numbers, the student on 1"}},
		"no null vector":     {string(trained(t, vectorYAML, table, "steps=1", "model.null_condition=false")), []string{"method={kind: progressive, guidance: 2}", "conditional=true"}, []string{"method.guidance", "no null vector"}},
		"dropped vectors":    {string(trained(t, vectorYAML, table, "steps=1", "model.null_condition=false")), []string{"model.null_condition=true", `init=""`}, []string{"method.teacher", "no null vector"}},
		"no null class":      {run("model.null_condition=false"), []string{"method={kind: progressive, guidance: 2}"}, []string{"method.guidance", "no null class"}},
		"no data at α=0":     {run("objective={kind: flow, predict: eps, times: {kind: uniform, from: 0.01, to: 0.99}}"), []string{"method=progressive"}, []string{"method.", "eps"}},
		"guided already":     {guided, []string{"method={kind: progressive, guidance: 3}"}, []string{"method.guidance", "guidance 2"}},
		"nothing to learn":   {good, []string{"method={kind: guidance, guidance_to: 0}"}, []string{"method.guidance", "1"}},
		"no method":          {good, []string{"method=ddpm"}, []string{"method", "consistency-distillation", "progressive"}},
		"an objective":       {good, []string{"objective=flow"}, []string{"objective", "method"}},
		"steps":              {good, []string{"method={kind: progressive, teacher_steps: 8, steps: 3}"}, []string{"method.steps", "3"}},
		"grid":               {good, []string{"method={kind: progressive, teacher_steps: 2, steps: 1, grid: {kind: times, times: [1, 1, 0]}}"}, []string{"method.grid", "twice"}},
		"strengths":          {good, []string{"method={kind: guidance, guidance: 3, guidance_to: 2}"}, []string{"method.guidance_to", "3"}},
		"lcm on edm":         {run("objective=edm"), []string{"method=lcm"}, []string{"method.like", "consistency-distillation"}},
		"no critic to judge": {good, []string{"method={kind: dmd2, critic: sds, adversarial: {}}"}, []string{"method.adversarial", "critic sds"}},
		"a judge's weight":   {good, []string{"method={kind: ctm, adversarial: {weight: 0}}"}, []string{"method.adversarial.weight"}},
		"levels":             {good, []string{"method={kind: consistency-training, sigma_min: 90}"}, []string{"method.sigma_max"}},
		"an unknown setting": {good, []string{"method={kind: guidance, teacher_steps: 3}"}, []string{"method.teacher_steps", "unknown key"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			exp, err := distilled(t, c.teacher, c.set...)
			if err == nil {
				_, err = New(context.Background(), exp, Options{Dir: dir})
			}
			wantError(t, err, c.want...)
			if _, err := os.Stat(dir); err == nil {
				t.Error("a folder was made")
			}
		})
	}
}

// A student that is told of guidance is told at sampling what is asked for: as if a guided teacher of that
// scale was asked where it has learned that.
func TestToldGuidance(t *testing.T) {
	good := string(trained(t, teacherYAML))
	dir := trained(t, studentText(t, good, "method={kind: guidance, guidance: 1, guidance_to: 5}"))
	m := opened(t, dir)
	if got := m.How.EffectiveScale(); got != 1 {
		t.Errorf("the default scale is %g", got)
	}
	q := Request{N: 4, Labels: []int32{0, 1, 0, 1}}
	for scale, want := range map[float64]float64{1: 0, 2: 0.25, 5: 1} {
		if err := m.Choose(Choice{Guidance: &scale}); err != nil {
			t.Fatal(err)
		}
		model, err := m.guided(q, nil)
		if err != nil {
			t.Fatal(err)
		}
		if told, ok := model.(*student.Told); !ok || math.Abs(told.Scale-want) > 1e-12 {
			t.Errorf("scale %g: the network is told %+v, want %g", scale, model, want)
		}
		draw(t, m, q)
	}
	six := 6.0
	if err := m.Choose(Choice{Guidance: &six}); err != nil {
		t.Fatal(err)
	}
	_, err := m.Draw(context.Background(), q)
	wantError(t, err, "guidance", "6", "from 1 to 5")
	one := 1.0
	if err := m.Choose(Choice{Guidance: &one, Overrides: []string{"guidance_rule=apg"}}); err != nil {
		t.Fatal(err)
	}
	_, err = m.Draw(context.Background(), q)
	wantError(t, err, "guidance", "by the rule that it was taught")
}

// What follows trajectories is refused of students that have none.
func TestMapsHaveNoTrajectories(t *testing.T) {
	good := string(trained(t, teacherYAML))
	m := opened(t, trained(t, studentText(t, good, "steps=1")))
	q := Request{N: 2, Labels: []int32{0, 1}}
	for _, c := range []struct {
		how string
		f   func() error
	}{
		{"heun", func() error { _, err := m.Draw(context.Background(), q); return err }},
		{"euler", func() error {
			_, err := m.Invert(context.Background(), Request{N: 2, Init: make([]float32, 4), Labels: q.Labels})
			return err
		}},
		{"", func() error {
			_, err := MeasureLikelihood(context.Background(), m, LikelihoodOptions{N: 2})
			return err
		}},
	} {
		if err := m.Choose(Choice{Sampler: c.how}); err != nil {
			t.Fatal(err)
		}
		wantError(t, c.f(), "leads to samples at once", "consistency-distillation")
	}
	// A student that steps along trajectories may be sampled by any sampler.
	steps := opened(t, trained(t, studentText(t, good, "steps=1", "method={kind: progressive, teacher_steps: 4, steps: 2}")))
	if err := steps.Choose(Choice{Sampler: "heun"}); err != nil {
		t.Fatal(err)
	}
	draw(t, steps, q)
	// Training by hand, with a sampler that does not go: named before the first step.
	_, err := New(context.Background(), experiment(t, studentText(t, good, "sample.every=5", "sample.sampler=ddim")), Options{Dir: filepath.Join(t.TempDir(), "run")})
	wantError(t, err, "sample.sampler", "must be renoise")
}

// On a table the least noise level is that of its first entry, for the student and for what samples still have.
func TestLeastNoiseOfATable(t *testing.T) {
	exp, err := distilled(t, string(trained(t, teacherYAML, "objective=ddpm", "steps=1")))
	if err != nil {
		t.Fatal(err)
	}
	c := exp.Objective.Config.(consistencyDistillationConfig)
	how := exp.Sample.Sampler.Config.(sampler.Renoise)
	// β₁ = 1e-4: σ/α = √(1e-4/(1−1e-4))
	if want := math.Sqrt(1e-4 / (1 - 1e-4)); math.Abs(c.Min-want) > 1e-12 || how.Left != c.Min {
		t.Errorf("sigma_min is %g, noise_left %g, want %g", c.Min, how.Left, want)
	}
}

// The average that a student is compared with moves as it is told to, is saved, and has parameters that are not
// trained as they are, also where they are frozen later.
func TestTargetAverage(t *testing.T) {
	good := string(trained(t, teacherYAML))
	text := studentText(t, good, "steps=1", "optim.schedule=constant", "accumulate=1", "model.dropout=0", "method={kind: consistency-distillation, target_decay: 0.75}")
	dir := trained(t, text)
	teacher, student := weightsOf(t, RunDir(good)), weightsOf(t, dir)
	moved := false
	for name, now := range student {
		bare, ok := strings.CutPrefix(name, "model.")
		if !ok {
			continue
		}
		before, average := teacher["ema."+bare], student["target.0."+bare]
		for i := range now {
			moved = moved || now[i] != before[i]
			// Two roundings of numbers of that size.
			if want := 0.75*float64(before[i]) + 0.25*float64(now[i]); math.Abs(float64(average[i])-want) > 3e-7*(math.Abs(want)+math.Abs(float64(now[i]))) {
				t.Fatalf("%s: the average is %g, want %g", name, average[i], want)
			}
		}
	}
	if !moved {
		t.Fatal("nothing was learned in a step")
	}
	exp := experiment(t, strings.Replace(text, "steps: 1\n", "steps: 3\n", 1), `optim.groups=[{match: "in.*", frozen: true}]`)
	if err := trainIn(context.Background(), exp, Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	later := weightsOf(t, dir)
	if !slices.Equal(later["target.0.in.weight"], later["model.in.weight"]) {
		t.Error("the average of what is frozen is not that itself")
	}
	if slices.Equal(later["target.0.out.weight"], later["model.out.weight"]) {
		t.Error("the average of what is trained is that itself")
	}
}

// Rounds after the first keep to the first one's grid, and a student takes over the guidance that its teacher has in it.
func TestWhatStudentsTakeOver(t *testing.T) {
	good := string(trained(t, teacherYAML))
	exp, err := distilled(t, good, "method={kind: progressive, teacher_steps: 16, steps: 2, grid: {kind: uniform, shift: 3}}")
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := exp.Rounds(); err != nil || !slices.Equal(steps, []int{8, 4, 2}) {
		t.Errorf("rounds of %v, %v", steps, err)
	}
	for from, thinned := range map[int]int{16: 0, 8: 16, 4: 16} {
		r, err := exp.WithRound("somewhere", from, from/2)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Objective.Config.(ProgressiveConfig)
		if c.Thinned != thinned || c.TeacherSteps != from || c.Steps != from/2 || c.Teacher != "somewhere" || r.Init != "somewhere" || r.Sample.Steps != from/2 {
			t.Errorf("the round from %d steps is %+v, begins as %s, is sampled in %d steps", from, c, r.Init, r.Sample.Steps)
		}
		if g := r.Sample.Grid.Config.(thinnedConfig); g.From != 16 {
			t.Errorf("the round from %d steps is sampled on a grid of %d", from, g.From)
		}
	}
	if exp.Objective.Config.(ProgressiveConfig).Teacher == "somewhere" {
		t.Error("a round changes the job")
	}
	told := string(trained(t, studentText(t, good, "steps=1", "method={kind: guidance, guidance: 1, guidance_to: 5}")))
	_, err = distilled(t, told, "method=progressive")
	wantError(t, err, "method.guidance_to", "is told")
	if exp, err = distilled(t, told, "method={kind: progressive, guidance: 2, guidance_to: 4}"); err != nil {
		t.Fatal(err)
	}
	tr, err := New(context.Background(), exp, Options{Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if r, ok := tr.teacher.(*student.Retold); !ok || r.Offset != 0.25 || r.Factor != 0.5 {
		t.Errorf("a teacher that is told from 1 to 5 teaches from 2 to 4 as %+v", tr.teacher)
	}
	exp, err = distilled(t, told, "method={kind: progressive, guidance: 2, guidance_to: 6}")
	if err == nil {
		_, err = New(context.Background(), exp, Options{Bare: true})
	}
	wantError(t, err, "method.guidance", "from 1 to 5")
	guided := string(trained(t, studentText(t, good, "steps=1", "method={kind: guidance, guidance: 2, guidance_to: 0}")))
	for _, method := range []string{"consistency-distillation", "progressive", "scm", "lcm", "meanflow", "ctm", "dmd2"} {
		exp, err := distilled(t, guided, "method="+method)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := New(context.Background(), exp, Options{Bare: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := tr.job.Student.Scales; got != [2]float64{2, 2} {
			t.Errorf("%s of a teacher with guidance 2 in it has %v", method, got)
		}
		if _, ok := tr.teacher.(*student.Guided); ok {
			t.Errorf("%s: the teacher is guided twice", method)
		}
		tr.Close()
	}
}

// Students of teachers that are conditioned on vectors are, too, and can be guided away from none.
func TestStudentsOfVectors(t *testing.T) {
	teacher := string(trained(t, vectorYAML, lines(t)))
	for _, method := range []string{"consistency-distillation", "{kind: progressive, teacher_steps: 8, steps: 4, guidance: 2}", "{kind: meanflow, guidance: 1, guidance_to: 3}", "{kind: ctm, guidance: 1.5}", "{kind: dmd2, steps: 2, guidance: 2}", "scm", "lcm"} {
		text := studentText(t, teacher, "method="+method)
		dir := trained(t, text)
		resumesExactly(t, dir, text)
		m := opened(t, dir)
		if m.Vector != 2 {
			t.Fatalf("%s: the student knows vectors of %d numbers", method, m.Vector)
		}
		q := Request{N: 4}
		q.SetVectors([]float32{0.5, -0.5}, 2)
		a := draw(t, m, q)
		q.SetVectors([]float32{-0.5, 0.5}, 2)
		if slices.Equal(a, draw(t, m, q)) {
			t.Errorf("%s: samples do not depend on the vectors", method)
		}
	}
}

// promptTeacher is a teacher of captioned digits, hardly trained.
func promptTeacher(t *testing.T) string {
	return string(trained(t, promptsYAML, "sample.every=0", "validation.every=0", "ema={decay: 0.9}"))
}

// Students of teachers that take prompts do, too, by every method; with the teacher's tokenizer, and guided away from the empty prompt.
func TestStudentsOfPrompts(t *testing.T) {
	teacher := promptTeacher(t)
	want := opened(t, RunDir(teacher)).prompts.tok.JSON()
	for method, resume := range map[string]bool{
		"{kind: consistency-distillation, guidance: 2}": false, "consistency-training": false, "{kind: progressive, teacher_steps: 8, steps: 4}": false,
		"{kind: meanflow, guidance: 1, guidance_to: 3}": true, "{kind: ctm, levels: 4, guidance: 1.5, adversarial: {}}": true, "{kind: dmd2, steps: 2, guidance: 2, adversarial: {}}": true,
		"scm": false, "lcm": false, "{kind: guidance, guidance_to: 4}": false,
	} {
		t.Run(method, func(t *testing.T) {
			set := []string{"method=" + method}
			if !resume {
				set = append(set, "steps=3")
			}
			text := studentText(t, teacher, set...)
			dir := trained(t, text)
			if resume {
				resumesExactly(t, dir, text)
			}
			m := opened(t, dir)
			if !bytes.Equal(m.prompts.tok.JSON(), want) {
				t.Error("the student has another tokenizer")
			}
			q := Request{N: 2, Prompts: []string{"seven", "one"}}
			a := draw(t, m, q)
			q.Prompts = []string{"seven", "two"}
			b := draw(t, m, q)
			if size := len(a) / 2; !slices.Equal(a[:size], b[:size]) || slices.Equal(a[size:], b[size:]) {
				t.Error("samples do not depend on their prompts, or on others'")
			}
			if said := checkup(t, m); said != nil {
				t.Errorf("inspect warns of %q", said)
			}
			q.Negative = "three"
			if _, err := m.Draw(context.Background(), q); m.student.Told {
				wantError(t, err, "three", "as it was taught")
			}
		})
	}
}

// A guided teacher is u + s·(c − u) of its answers to the prompt and to the empty one; one whose student takes no prompts is asked for the empty one.
func TestTeachersOfPrompts(t *testing.T) {
	teacher := promptTeacher(t)
	of := opened(t, RunDir(teacher))
	ask := func(dev backend.Device, m diffusion.Model, prompts ...string) []float32 {
		t.Helper()
		s := tensor.NewScope(dev, tensor.Inference)
		defer s.Close()
		var c diffusion.Cond
		if prompts != nil {
			n := len(prompts) * of.prompts.length
			tokens, mask := make([]int32, n), make([]float32, n)
			for i, p := range prompts {
				of.prompts.put(tokens, mask, i, p)
			}
			c.Tokens, c.TextMask = s.Ints(tokens, 2, of.prompts.length), s.Tensor(mask, 2, of.prompts.length)
		}
		x := s.Normal(rng.Key{Seed: 3}, 0, append([]int{2}, of.Shape...)...)
		return m.Eval(x, diffusion.Step{T: []float64{0.3, 0.8}}, c).Value.Float32s()
	}
	taught := func(set ...string) (backend.Device, diffusion.Model) {
		t.Helper()
		exp, err := distilled(t, teacher, append(set, "batch=2", "accumulate=1")...)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := New(context.Background(), exp, Options{Bare: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.Close() })
		return tr.dev, tr.teacher
	}
	c, u := ask(of.Device, of.Model, "seven", "one"), ask(of.Device, of.Model, "", "")
	if slices.Equal(c, u) {
		t.Fatal("the teacher's answers do not depend on prompts")
	}
	dev, m := taught("method={kind: progressive, guidance: 2.5}")
	guided := ask(dev, m, "seven", "one")
	for i := range c {
		// float32: two numbers of order 1 times 2.5 and 1.5
		if want := float64(u[i]) + 2.5*(float64(c[i])-float64(u[i])); math.Abs(float64(guided[i])-want) > 1e-5*(1+math.Abs(want)) {
			t.Fatalf("number %d is %g, want %g", i, guided[i], want)
		}
	}
	if dev, m = taught("method=progressive", "text=null", `init=""`); !slices.Equal(ask(dev, m), u) {
		t.Error("a student without prompts is not taught what the empty prompt leads to")
	}
}

// The tokenizer is that of the teacher, or of the run that the weights are from, also on data from which another one would be learned; a teacher that reads
// prompts otherwise is refused.
func TestStudentsKeepTheTokenizer(t *testing.T) {
	teacher := promptTeacher(t)
	want := opened(t, RunDir(teacher)).prompts.tok.JSON()
	dir := t.TempDir()
	for i := range 4 {
		p := image.NewGray(image.Rect(0, 0, 8, 8))
		p.Pix[i] = 255
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, p), f.Close(), os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.txt", i)), []byte("a xylophone\n"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	other := fmt.Sprintf("data={kind: folder, dir: %q, height: 8, width: 8, channels: 1, captions: txt}", dir)
	for _, method := range []string{"method=progressive", "method=consistency-training"} {
		exp, err := distilled(t, teacher, method, other)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := New(context.Background(), exp, Options{Bare: true})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(tr.prompts.tok.JSON(), want) {
			t.Errorf("%s: the tokenizer is another", method)
		}
		tr.Close()
	}
	plain := string(trained(t, digitsYAML, "steps=1", "sample.every=0", "objective=flow"))
	for name, c := range map[string]struct {
		teacher string
		set     []string
		want    []string
	}{
		"other tokenizer": {teacher, []string{"text.tokenizer.size=540"}, []string{"method.teacher", "another tokenizer"}},
		"other length":    {teacher, []string{"text.length=9"}, []string{"method.teacher", "other lengths"}},
		"no prompts":      {plain, []string{"data.captions=true", "text={encoder: {width: 8, heads: 2, depth: 1, length: 10}}", `init=""`}, []string{"method.teacher", "takes no prompts"}},
	} {
		exp, err := distilled(t, c.teacher, append(c.set, "method=progressive")...)
		if err == nil {
			_, err = New(context.Background(), exp, Options{Bare: true})
		}
		if err == nil {
			t.Fatalf("%s: nothing is wrong", name)
		}
		wantError(t, err, c.want...)
	}
}
