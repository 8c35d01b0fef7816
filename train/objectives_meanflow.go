package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/train/config"
)

// meanFlowStudentConfig is a mean flow that learns from a teacher's velocity.
type meanFlowStudentConfig struct {
	TeacherConfig     `yaml:",inline"`
	StepsConfig       `yaml:",inline"`
	flow.MeanFlowLoss `yaml:",inline"`
}

// SetDefaults takes MeanFlow's choices, but for times and the part of samples with a step: a teacher's velocity varies less than that
// of the sample at hand, and the ends of the path are what one step is about (docs/distillation.md has what it makes).
func (c *meanFlowStudentConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.StepsConfig.SetDefaults()
	c.MeanFlowLoss.SetDefaults()
	c.Times, c.Ratio = Times.Default("uniform"), 0.5
}

// Validate checks ranges.
func (c *meanFlowStudentConfig) Validate() error {
	if err := c.MeanFlowLoss.Validate(); err != nil {
		return err
	}
	return c.TeacherConfig.Validate()
}

// Of has the teacher filled in.
func (c meanFlowStudentConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	begin := c.stepsLike(t)
	return c, func(e *Experiment) {
		begin(e)
		jumps(&e.Sample)
		c.sampling(&e.Sample)
	}, nil
}

// stepsLike takes the teacher's path where its weights are those of a velocity along it, from which the student then
// begins: of other teachers the network's answers mean something else, and the student begins anew.
func (c *StepsConfig) stepsLike(t TeacherInfo) (begin func(*Experiment)) {
	for _, name := range []string{"condot", "trig"} {
		if t.Predicts == diffusion.Velocity && diffusion.SamePath(t.Along, pathNamed(name)) {
			c.Path = name
			return func(*Experiment) {}
		}
	}
	return func(e *Experiment) { e.Init = "" }
}

// jumps is one step, of the whole path.
func jumps(s *Sampling) {
	s.Sampler, s.Steps = Samplers.Default("jump"), 1
	s.Grid = config.Variant[GridArg, sampler.Grid]{Kind: "uniform", Config: sampler.UniformGrid{Shift: 1}}
}

func (c *meanFlowStudentConfig) build(a ObjectiveArg) (*Job, error) {
	job, err := c.job(a)
	if err != nil {
		return nil, err
	}
	if _, err := steadyTimes(c.Times, " where a teacher's velocity is learned"); err != nil {
		return nil, err
	}
	r := *job.Objective.(*diffusion.Regression)
	job.Objective = &flow.MeanFlow{Base: student.Base{Regression: r, Told: c.told()}, MeanFlowOptions: flow.MeanFlowOptions{MeanFlowLoss: c.MeanFlowLoss, MeanFlowGuidance: flow.MeanFlowGuidance{Guidance: 1, To: 1}}, Null: a.Null}
	return job, c.taught(job, pathNamed(c.Path), Student{Method: "meanflow", Steps: 1})
}

func init() {
	config.Register(Objectives, "meanflow", "A mean flow (Geng et al. 2025) whose instantaneous velocity is a teacher's, in place of the sample's at hand, which varies more: mean_flow from a teacher. Sample with jump.",
		func(c *meanFlowStudentConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
}
