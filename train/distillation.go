package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/train/config"
)

// Distillation is what a file for the distill command says: an experiment whose
// defaults are its teacher's.
type Distillation struct {
	Teacher    string    `yaml:"teacher,required" doc:"what the student learns from: a run, a checkpoint, or a diffusers folder. Data, network, conditions and settings of training are those of a run, unless the file says otherwise; a diffusers folder has no data"`
	Method     objective `yaml:"method" doc:"how it learns; path, prediction and teacher are filled in"`
	Experiment `yaml:",inline"`
}

// SetDefaults is distillation into a consistency function.
func (d *Distillation) SetDefaults() { d.Method = Objectives.Default("consistency-distillation") }

// LoadDistillation reads a file for the distill command, with overrides, as the experiment that makes the student. A
// teacher that cannot be one is refused.
func LoadDistillation(file string, overrides []string, warn func(format string, args ...any)) (*Loaded, error) {
	src, err := config.ReadFile(file)
	if err != nil {
		return nil, err
	}
	seen, err := config.Look(file, src, overrides)
	if err != nil {
		return nil, err
	}
	path := seen.Text("teacher")
	if path == "" {
		return nil, seen.Errorf("teacher", "is required: a run, a checkpoint, or a diffusers folder")
	}
	t, err := openOn(nil, path, warn)
	if err != nil {
		return nil, seen.Errorf("teacher", "cannot be used: %v", err)
	}
	info, err := t.asTeacher()
	if err != nil {
		return nil, seen.Errorf("teacher", "cannot be used: %v", err)
	}
	d := config.Defaults[Distillation]()
	d.inherit(t, info)
	places, err := config.LoadOver(file, src, overrides, &d)
	if err != nil {
		return nil, err
	}
	if places.Has("objective") {
		return nil, places.Errorf("objective", "has no place in a file for the distill command: the method is the student's objective")
	}
	places.Rename("objective", "method")
	m, ok := d.Method.Config.(Method)
	if !ok {
		return nil, places.Errorf("method", "is no method of distillation: want one of %s", strings.Join(methods(), ", "))
	}
	cfg, how, err := m.Of(info)
	if err != nil {
		return nil, places.Locate("method", err)
	}
	method := objective{Kind: d.Method.Kind, Config: cfg}
	// Once more: how students are sampled from is a default, too, and follows from the method.
	d = config.Defaults[Distillation]()
	d.inherit(t, info)
	how(&d.Sample)
	if places, err = config.LoadOver(file, src, overrides, &d); err != nil {
		return nil, err
	}
	places.Rename("objective", "method")
	if !places.Has("init") {
		places.Rename("init", "teacher")
	}
	d.Objective = method
	l := &Loaded{Experiment: d.Experiment, File: file}
	return l, l.named(places)
}

// methods are the kinds of objectives that are methods.
func methods() (names []string) {
	for _, k := range Objectives.Kinds() {
		if _, ok := Objectives.Default(k).Config.(Method); ok {
			names = append(names, k)
		}
	}
	return names
}

// inherit takes from the teacher what the student has in common with it.
func (d *Distillation) inherit(t *Trained, info TeacherInfo) {
	d.Init, d.Model, d.Conditional = info.Path, info.Model, t.Classes > 0
	if e := t.Exp; e != nil {
		d.Data, d.Flip, d.Conditional, d.Text = e.Data, e.Flip, e.Conditional, e.Text
		d.Seed, d.Batch, d.Accumulate, d.Precision, d.Device, d.Optim = e.Seed, e.Batch, e.Accumulate, e.Precision, e.Device, e.Optim
		d.Steps = e.Steps
		d.EMA = nil
		if e.EMA != nil {
			ema := *e.EMA
			d.EMA = &ema
		}
	}
}

// built is the scale of guidance that the model has in it; 1: none, or one that it is told.
func (t *Trained) built() float64 {
	if t.student == nil || t.student.Told {
		return 1
	}
	return t.student.Scales[0]
}

// asTeacher is what methods learn of a teacher.
func (t *Trained) asTeacher() (TeacherInfo, error) {
	info := TeacherInfo{Path: t.Path, Sample: t.How}
	m, err := t.teaching()
	if err != nil {
		return info, err
	}
	info.Along = m.Path()
	switch m.Path().(type) {
	case flow.Interpolant, *flow.Interpolant, *flow.GeodesicPath:
		return info, errors.New("its path has noise of its own, or is curved: the data do not follow from what it predicts")
	}
	if k, ok := m.Kind().(diffusion.Preconditioned); ok {
		info.SigmaData = k.SigmaData
	}
	info.Built = t.built()
	if t.scheduler != nil {
		return info, t.diffusersTeacher(&info, m)
	}
	info.Model, info.Like = t.Exp.Model, t.Exp.Objective
	if s, ok := info.Like.Config.(interface{ like() *objective }); ok && s.like() != nil {
		info.Like = *s.like()
	}
	return info, nil
}

// like is the objective that the student's path and prediction are named by.
func (c StudentConfig) like() *objective { return c.Like }

// training is what a diffusers folder's scheduler says of the network.
func (t *Trained) training() (*schedule.Plan, error) {
	s, err := schedule.Decode(t.scheduler)
	if err == nil {
		var p *schedule.Plan
		if p, err = s.Training(); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", t.schedulerFile, err)
}

// diffusersTeacher describes the network and the path of a diffusers folder as configs of our own name them.
func (t *Trained) diffusersTeacher(info *TeacherInfo, m diffusion.Model) error {
	f, err := interop.Open(t.Path)
	if err != nil {
		return err
	}
	var s struct {
		Timesteps int      `json:"num_train_timesteps"`
		Start     *float64 `json:"beta_start"`
		End       *float64 `json:"beta_end"`
		Schedule  string   `json:"beta_schedule"`
		Rescale   bool     `json:"rescale_betas_zero_snr"`
	}
	if err := json.Unmarshal(t.scheduler, &s); err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	clock := 1000.0 // what the network's time is of ours
	if s.Timesteps > 0 {
		clock = float64(s.Timesteps)
	}
	switch p := m.Path().(type) {
	case *diffusion.Table:
		c := config.Defaults[ddpmConfig]()
		c.Steps, c.ZeroSNR = p.Len(), s.Rescale
		if c.Predict, err = predictionOf(m.Kind()); err != nil {
			return err
		}
		if s.Schedule != "" {
			c.Schedule = s.Schedule
		}
		if s.Start != nil {
			c.BetaStart = *s.Start
		}
		if s.End != nil {
			c.BetaEnd = *s.End
		}
		info.Like = objective{Kind: "ddpm", Config: c}
	case diffusion.CondOT:
		c := config.Defaults[flowConfig]()
		if c.Predict, err = predictionOf(m.Kind()); err != nil {
			return err
		}
		info.Like = objective{Kind: "flow", Config: c}
	case diffusion.EDM:
		c := config.Defaults[edmConfig]()
		c.SigmaData, c.SigmaMax, clock = info.SigmaData, p.SigmaMax, 1
		info.Like = objective{Kind: "edm", Config: c}
	default:
		return fmt.Errorf("%s: its noise schedule is none that an objective names", t.schedulerFile)
	}
	if f.Config.UNet != nil {
		f.Config.UNet.TimeScale *= clock
	} else {
		f.Config.DiT.TimeScale *= clock
	}
	info.Model = describedNetwork(f.Config)
	return t.sameTeacher(info.Like, m)
}

// predictionOf is a prediction that configs name.
func predictionOf(k diffusion.Kind) (diffusion.Prediction, error) {
	p, ok := k.(diffusion.Prediction)
	if !ok {
		return 0, fmt.Errorf("it predicts %v, which no objective on its path does", k)
	}
	return p, nil
}

// sameTeacher is an error unless a model of an objective has the path and the prediction of m, and networks their time.
func (t *Trained) sameTeacher(like objective, m diffusion.Model) error {
	job, err := like.Build(ObjectiveArg{Shape: t.Shape, Null: -1, Draft: true, Batch: 1, Steps: 1, Device: t.Device})
	if err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	own := job.Model(t.Net)
	if !diffusion.SamePath(own.Path(), m.Path()) {
		return fmt.Errorf("%s: its noise schedule is none that the objective %s names", t.schedulerFile, like.Kind)
	}
	if own.Kind() != m.Kind() {
		return fmt.Errorf("%s: it predicts %v, and the objective %s %v", t.schedulerFile, m.Kind(), like.Kind, own.Kind())
	}
	return nil
}

// WithRound is the experiment of one round of progressive distillation.
func (l *Loaded) WithRound(teacher string, from, steps int) (*Loaded, error) {
	c, ok := l.Objective.Config.(ProgressiveConfig)
	if !ok {
		return nil, fmt.Errorf("the method %s has no rounds", l.Objective.Kind)
	}
	r := *l
	if c.Thinned == 0 && from < c.TeacherSteps {
		c.Thinned = c.TeacherSteps
	}
	c.Teacher, c.TeacherSteps, c.Steps = teacher, from, steps
	r.Objective.Config, r.Init, r.Name = c, teacher, fmt.Sprintf("steps-%d", steps)
	c.Sampling(&r.Sample)
	return &r, nil
}

// Rounds are the numbers of steps of progressive distillation's students, each half of those before,
// from half of the first teacher's on; of other methods none.
func (l *Loaded) Rounds() ([]int, error) {
	c, ok := l.Objective.Config.(ProgressiveConfig)
	if !ok {
		return nil, nil
	}
	ratio := c.TeacherSteps / c.Steps
	if ratio&(ratio-1) != 0 {
		return nil, l.at("objective", invalid.Field("steps", "must be half of teacher_steps=%d, or half of that, and so on, is %d", c.TeacherSteps, c.Steps))
	}
	var steps []int
	for n := c.TeacherSteps / 2; n >= c.Steps; n /= 2 {
		steps = append(steps, n)
	}
	return steps, nil
}

// CheckStudent is an error where dir has a run of something else than the student of an experiment.
func (l *Loaded) CheckStudent(dir string) error {
	if same, err := sameFile(dir, l.Init); err == nil && same {
		return fmt.Errorf("%s is the teacher itself: name another folder for the student", dir)
	}
	if !IsRun(dir) {
		return nil
	}
	var e Experiment
	src, err := os.ReadFile(RunDir(dir).Config())
	if err != nil {
		return noRead(RunDir(dir).Config(), err, "the config of the run")
	}
	if err := config.Decode(RunDir(dir).Config(), src, nil, &e); err != nil {
		return err
	}
	if e.Objective.Kind != l.Objective.Kind || filepath.Clean(e.Init) != filepath.Clean(l.Init) {
		return fmt.Errorf("%s holds another run, by %s from %q: name a new folder", dir, e.Objective.Kind, e.Init)
	}
	return nil
}

func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
