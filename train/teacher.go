package train

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
)

// TeacherConfig are the settings of objectives that learn from a teacher.
type TeacherConfig struct {
	Teacher    string  `yaml:"teacher" doc:"what is learned from: a run, a checkpoint, or a diffusers folder; filled in by the distill command"`
	Guidance   float64 `yaml:"guidance" doc:"scale of classifier-free guidance under which the teacher teaches, and which the student then has in it; 1: none" range:"[0,inf)"`
	GuidanceTo float64 `yaml:"guidance_to" doc:"have the network told the scale, which is drawn from guidance to this for each sample: sampling then chooses one of them; 0: the scale is guidance" range:"[0,inf)"`
}

// SetDefaults is no guidance.
func (c *TeacherConfig) SetDefaults() { c.Guidance = 1 }

// Validate checks the range of scales.
func (c *TeacherConfig) Validate() error {
	if c.GuidanceTo != 0 && c.GuidanceTo <= c.Guidance {
		return invalid.Field("guidance_to", "must be above guidance=%g, or 0, is %g", c.Guidance, c.GuidanceTo)
	}
	return nil
}

// taughtBy is the teacher.
func (c TeacherConfig) taughtBy() string { return c.Teacher }

func (c *TeacherConfig) told() bool { return c.GuidanceTo != 0 }

// learn takes what a teacher says.
func (c *TeacherConfig) learn(t TeacherInfo) error {
	c.Teacher = t.Path
	if t.Told && !c.told() { // the network has what it is told by
		return invalid.Field("guidance_to", "is required of a teacher that is told how strong guidance is: the student is, too, with a range of scales within the teacher's")
	}
	if !c.guided() {
		c.Guidance = t.Built
	}
	return nil
}

// sampling starts with the lowest scale that the network is told of.
func (c *TeacherConfig) sampling(s *Sampling) {
	if c.told() {
		s.Scale = c.Guidance
	}
}

// scales are the ends of those that are taught.
func (c *TeacherConfig) scales() [2]float64 {
	if c.told() {
		return [2]float64{c.Guidance, c.GuidanceTo}
	}
	return [2]float64{c.Guidance, c.Guidance}
}

// taught completes a job with its teacher, and what it says of the student.
func (c *TeacherConfig) taught(job *Job, path diffusion.GaussianPath, s Student) error {
	if c.Teacher == "" {
		return invalid.Field("teacher", "is required: a run, a checkpoint, or a diffusers folder")
	}
	s.Teacher, s.Scales, s.Told = c.Teacher, c.scales(), c.told()
	job.Student, job.Scale = &s, c.told()
	job.Teacher = func(a TeacherArg) (diffusion.Model, error) { return c.open(a, path) }
	return nil
}

// TeacherArg is what a teacher is opened for.
type TeacherArg struct {
	Device   backend.Device
	Shape    []int     // of a sample
	Classes  int       // that the student is conditioned on
	Null     int       // its label for no class; −1: it has none
	Vector   int       // numbers of the vector that it is conditioned on; 0: none
	NoVector bool      // it knows one that stands for none
	Prompts  *prompter // of the prompts that it takes; nil: it takes none
	Warn     func(format string, args ...any)
}

// open opens the teacher as a model along the student's path, under guidance, and refuses what cannot teach.
func (c *TeacherConfig) open(a TeacherArg, path diffusion.GaussianPath) (diffusion.Model, error) {
	t, err := openOn(a.Device, c.Teacher, a.Warn)
	if err != nil {
		return nil, invalid.Field("teacher", "cannot be opened: %v", err)
	}
	m, err := t.teaching()
	if err != nil {
		return nil, invalid.Field("teacher", "%v", err)
	}
	switch {
	case !equalShape(t.Shape, a.Shape):
		return nil, invalid.Field("teacher", "makes samples of shape %v, the data have %v", t.Shape, a.Shape)
	case a.Prompts != nil && !t.TakesPrompts():
		return nil, invalid.Field("teacher", "takes no prompts, and the student does: set text: null")
	case a.Prompts != nil && !a.Prompts.same(t.prompts):
		return nil, invalid.Field("teacher", "reads prompts by another tokenizer than the student, or in other lengths: leave text.tokenizer, text.length and text.mask as the teacher has them")
	case t.Number:
		return nil, invalid.Field("teacher", "is conditioned on a number (class_embed_type timestep), which data do not give")
	case t.Classes > 0 && a.Classes == 0 && t.Null < 0:
		return nil, invalid.Field("teacher", "wants a class of every sample, and the student is conditioned on none")
	case t.Classes > 0 && a.Classes > 0 && (t.Classes != a.Classes || t.Null < 0 && a.Null >= 0 && c.guided()):
		return nil, invalid.Field("teacher", "has %d classes and the label %d for none, the student %d and %d (−1: no null class)", t.Classes, t.Null, a.Classes, a.Null)
	case t.Vector > 0 && a.Vector > 0 && t.Vector != a.Vector:
		return nil, invalid.Field("teacher", "is conditioned on vectors of %d numbers, the student on %d", t.Vector, a.Vector)
	case t.Vector > 0 && !t.NullVector && (a.Vector == 0 || a.NoVector):
		return nil, invalid.Field("teacher", "has no null vector, and wants one of every sample, which the student does not always have")
	case c.guided() && (t.Classes == 0 || a.Classes == 0) && (t.Vector == 0 || a.Vector == 0) && a.Prompts == nil:
		return nil, invalid.Field("guidance", "is %g, and there are no classes to be guided by, no vectors and no prompts", c.Guidance)
	case c.guided() && t.Vector > 0 && !t.NullVector:
		return nil, invalid.Field("guidance", "is %g, and the teacher has no null vector to be guided away from", c.Guidance)
	}
	m = partly{m, t.Classes > 0, t.Vector > 0, t.prompts.null()}
	return c.guide(diffusion.Along(m, path), t)
}

// partly is a model that is told of the conditions that it knows.
type partly struct {
	diffusion.Model
	labels, vectors bool
	empty           *diffusion.Prompt // the prompt of samples that have none; nil: the model takes none
}

// Eval drops the others.
func (m partly) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if m.empty != nil && c.Tokens == nil {
		m.empty.Put(x.Scope(), &c, x.Dim(0))
	}
	if !m.labels {
		c.Labels = nil
	}
	if !m.vectors {
		c.Vector, c.Drop = nil, nil
	}
	return m.Model.Eval(x, at, c)
}

func (c *TeacherConfig) guided() bool { return c.Guidance != 1 || c.told() }

// guide puts a teacher under guidance: classifier-free guidance, or its own if it knows some.
func (c *TeacherConfig) guide(m diffusion.Model, t *Trained) (diffusion.Model, error) {
	s := c.scales()
	if st := t.student; st != nil && st.Told {
		own := st.Scales
		if s[0] < own[0] || s[1] > own[1] {
			return nil, invalid.Field("guidance", "is from %g to %g; the teacher knows scales from %g to %g", s[0], s[1], own[0], own[1])
		}
		width := own[1] - own[0]
		return &student.Retold{Model: m, Offset: (s[0] - own[0]) / width, Factor: (s[1] - s[0]) / width}, nil
	}
	switch built := t.built(); {
	case built == s[0] && built == s[1]:
		return m, nil
	case built != 1:
		return nil, invalid.Field("guidance", "is %g; the teacher has guidance %g in it already", c.Guidance, built)
	case t.Classes > 0 && t.Null < 0 && !t.TakesPrompts():
		return nil, invalid.Field("guidance", "is %g, and the teacher has no null class to be guided away from", c.Guidance)
	}
	return &student.Guided{Of: m, Null: t.Null, Prompt: t.prompts.null(), From: s[0], To: s[1]}, nil
}

// teaching is what a trained model teaches by: of a diffusers folder, what its scheduler trains.
func (t *Trained) teaching() (diffusion.Model, error) {
	switch {
	case t.scheduler != nil:
		plan, err := t.training()
		if err != nil {
			return nil, err
		}
		return plan.Model(t.network(), t.Shape[2], t.outChannels)
	case t.student != nil && t.student.Maps:
		return nil, fmt.Errorf("is a student itself, by %s, which leads to samples at once: there is no way of several steps to learn from", t.student.Method)
	case t.Source != nil:
		return nil, errors.New("starts from other data, not from noise")
	}
	return t.Model, nil
}

// openTeacher opens the model that the objective learns from; nil where there is none.
func (t *Trainer) openTeacher() (diffusion.Model, error) {
	if t.job.Teacher == nil {
		return nil, nil
	}
	return t.job.Teacher(TeacherArg{Device: t.dev, Shape: t.data.Train.Shape(), Classes: t.classes(), Null: nullLabel(t.net), Vector: t.about().Vector, NoVector: nullVector(t.net), Prompts: t.prompts, Warn: t.warn})
}
