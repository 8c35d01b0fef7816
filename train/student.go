package train

import (
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// Student is what a job of distillation says of the model that it makes.
type Student struct {
	Method  string
	Teacher string     // "": none is asked in training
	Steps   int        // of sampling that it is made for
	Scales  [2]float64 // of guidance that it has in it, from 1 to 1 where it has none
	Told    bool       // the network is told which of the scales; else they are the same
	Fixed   bool       // it knows the times of so many steps only, or of parts of them
	Maps    bool       // it leads to samples at once and knows no velocities: it cannot be a teacher
}

// checkSampler refuses samplers that follow trajectories where there are none. Those of programs of one's own may know better.
func (s *Student) checkSampler(kind string) error {
	if s == nil || !s.Maps || kind == "renoise" || !slices.ContainsFunc(sampler.Samplers, func(e sampler.Entry[sampler.Sampler]) bool { return e.Name == kind }) {
		return nil
	}
	return invalid.Field("sampler", "must be renoise, is %s: the student leads to samples at once (%s), there is no trajectory to go along", kind, s.Method)
}

// Method is the config of an objective that makes students. The distill command has the teacher filled in.
type Method interface {
	// Of is the config for a teacher, what follows from it for the experiment (how students are sampled from, how they
	// begin), and an error where the method has no use for such a teacher.
	Of(t TeacherInfo) (cfg any, how func(*Experiment), err error)
}

// sampledAs has students sampled as some settings say.
func sampledAs(settings ...func(*Sampling)) func(*Experiment) {
	return func(e *Experiment) {
		for _, set := range settings {
			set(&e.Sample)
		}
	}
}

// TeacherInfo is what a method learns of its teacher before the student is made.
type TeacherInfo struct {
	Path      string                             // what was opened
	Along     diffusion.GaussianPath             // from data to noise
	Predicts  diffusion.Kind                     // what its network does
	Like      config.Variant[ObjectiveArg, *Job] // the objective whose path and prediction its network has
	Model     config.Variant[ModelArg, Network]  // the network
	SigmaData float64                            // the standard deviation of data that it is preconditioned for; 0: it is not
	Built     float64                            // scale of guidance that it has in it; 1: none
	Told      bool                               // it is told a scale of guidance
	Sample    Sampling                           // how it is sampled from
}

type objective = config.Variant[ObjectiveArg, *Job]

// StudentConfig are the settings that objectives of students share.
type StudentConfig struct {
	Like             *objective `yaml:"like" doc:"an objective of diffusion or flow matching with the path and the prediction of the student, the only settings of it that count here; null: the teacher's, which the distill command fills in"`
	ConditionDropout float64    `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
}

// SetDefaults is the usual dropout.
func (c *StudentConfig) SetDefaults() { c.ConditionDropout = 0.1 }

// job is the student as a model that predicts what a teacher of that kind does, and the path.
func (c *StudentConfig) job(a ObjectiveArg) (*Job, diffusion.GaussianPath, diffusion.Kind, error) {
	if c.Like == nil {
		return nil, nil, nil, invalid.Field("like", "is required where nothing fills it in: an objective with the path and the prediction of the student, as {kind: flow}")
	}
	base, err := c.Like.Build(a)
	if err != nil {
		return nil, nil, nil, invalid.Field("like", "cannot be used: %v", err)
	}
	if base.Student != nil && base.Student.Maps {
		return nil, nil, nil, invalid.Field("like", "must be an objective of diffusion or flow matching, is %s", c.Like.Kind)
	}
	if base.Source != nil {
		return nil, nil, nil, invalid.Field("like", "starts from other data, not from noise")
	}
	m := base.Model(nil)
	path := m.Path()
	switch path.(type) {
	case flow.Interpolant, *flow.Interpolant, *flow.GeodesicPath:
		return nil, nil, nil, invalid.Field("like", "has a path on which the data do not follow from what is predicted: want one between data and noise alone, in flat space")
	}
	return &Job{Model: base.Model, OutChannels: base.OutChannels, InChannels: base.InChannels, Jump: base.Jump}, path, m.Kind(), nil
}

// base is the part that objectives of students share.
func (c *StudentConfig) base(a ObjectiveArg, path diffusion.GaussianPath, w diffusion.Weighting) student.Base {
	b := student.Base{Regression: diffusion.Regression{Path: path, Weighting: w}}
	b.Dropout = a.dropout(c.ConditionDropout)
	return b
}

// fill has a teacher's objective stand for one that was not given.
func (c *StudentConfig) fill(t TeacherInfo) {
	if c.Like == nil {
		like := t.Like
		c.Like = &like
	}
}

// checkTimes is an error if at one of some times a prediction does not determine the data or the noise.
func checkTimes(path diffusion.GaussianPath, kind diffusion.Kind, times ...float64) error {
	for _, t := range times {
		for _, k := range []diffusion.Kind{diffusion.X0, diffusion.Eps} {
			if _, ok := diffusion.TryConvert(kind, k, path.At(t)); !ok {
				return invalid.Field("like", "predicts %v, which at time %g, where the student's steps begin, says nothing of %v", kind, t, k)
			}
		}
	}
	return nil
}

// describe says what made the student, and for what.
func (s *Student) describe() string {
	text := "by " + s.Method
	if s.Teacher != "" {
		text += " from " + s.Teacher
	}
	switch {
	case s.Told:
		text += fmt.Sprintf(", told guidance from %g to %g", s.Scales[0], s.Scales[1])
	case s.Scales[0] != 1:
		text += fmt.Sprintf(", guidance %g built in", s.Scales[0])
	}
	switch {
	case s.Maps && s.Fixed && s.Steps > 1:
		text += fmt.Sprintf(", made for %d steps or a part of them, with noise in between", s.Steps)
	case s.Maps && s.Fixed:
		text += ", made for 1 step, to samples at once"
	case s.Maps:
		text += ", made for 1 step or few, with noise in between"
	case s.Steps == 1:
		text += ", made for 1 step"
	case s.Steps > 1:
		text += fmt.Sprintf(", made for %d steps", s.Steps)
	default:
		text += ", made for the teacher's steps, of one evaluation each"
	}
	return text
}
