package train

import (
	"errors"
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
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
	seen, err := src.Look(overrides)
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
	places, err := src.LoadOver(overrides, &d)
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
	// Once more: how students are sampled from and begin are defaults, too, and follow from the method.
	d = config.Defaults[Distillation]()
	d.inherit(t, info)
	how(&d.Experiment)
	if places, err = src.LoadOver(overrides, &d); err != nil {
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
	d.Init, d.Model, d.Conditional = info.Path, info.Model, t.Classes > 0 || t.Vector > 0
	if e := t.Exp; e != nil {
		d.Data, d.Flip, d.Conditional = e.Data, e.Flip, e.Conditional
		if d.Text = nil; e.Text != nil {
			text := *e.Text
			text.From = "" // weights and tokenizer are the teacher's
			d.Text = &text
		}
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
	if t.Number {
		return info, errors.New("is conditioned on a number (class_embed_type timestep), which data do not give")
	}
	m, err := t.teaching()
	if err != nil {
		return info, err
	}
	info.Along, info.Predicts = m.Path(), m.Kind()
	switch p := m.Path().(type) {
	case flow.Confined:
		return info, fmt.Errorf("is a flow on %v: students are of paths in all of space", p)
	case flow.Interpolant, *flow.Interpolant:
		return info, errors.New("its path has noise of its own: the data do not follow from what it predicts")
	}
	if k, ok := m.Kind().(diffusion.Preconditioned); ok {
		info.SigmaData = k.SigmaData
	}
	info.Built, info.Told = t.built(), t.student != nil && t.student.Told
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
