package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// dmd2Config is distribution matching distillation.
type dmd2Config struct {
	TeacherConfig `yaml:",inline"`
	StudentConfig `yaml:",inline"`
	Steps         int                                   `yaml:"steps" doc:"steps in which the student samples, with noise in between; it is trained on what it makes itself in those before" range:"[1,1000]"`
	Grid          config.Variant[GridArg, sampler.Grid] `yaml:"grid" doc:"times of the student's steps"`
	Times         timeSampling                          `yaml:"times" doc:"distribution of the times of noise on samples at which distributions are compared"`
	Critic        string                                `yaml:"critic" doc:"the score of the student's samples: that of a network of its own, or none (sds: score distillation, which leads to modes; for what it shows)" oneof:"network sds"`
	CriticSteps   int                                   `yaml:"critic_steps" doc:"steps of training, all of which the critic makes, for one of the student's" range:"[1,1000]"`
	CriticRate    float64                               `yaml:"critic_rate" doc:"factor on the learning rate of the critic" range:"(0,inf)"`
	Weighting     weighting                             `yaml:"weighting" doc:"how much the critic's errors count at each time"`
	Adversarial   *dmd2Adversarial                      `yaml:"adversarial" doc:"have the student pass for data, too, by a head on the critic's features that tells noised samples from noised data; null: no data are used"`
}

// dmd2Adversarial is the term that data have a part in.
type dmd2Adversarial struct {
	Weight float64 `yaml:"weight" doc:"of -ln D(samples) in the student's loss" range:"(0,inf)"`
	Judge  float64 `yaml:"judge" doc:"of the judge's own loss, -ln D(data) - ln(1-D(samples)), beside the critic's" range:"(0,inf)"`
}

// SetDefaults are the weights of the paper's code for ImageNet.
func (c *dmd2Adversarial) SetDefaults() { c.Weight, c.Judge = 3e-3, 1e-2 }

// Validate checks what belongs together.
func (c *dmd2Config) Validate() error {
	if c.Adversarial != nil && c.Critic != "network" {
		return invalid.Field("adversarial", "is judged by the critic's features, and critic %s has no network", c.Critic)
	}
	return c.TeacherConfig.Validate()
}

// SetDefaults takes the paper's choices; its uniform times are, as noise levels, next to log-normal on every path.
func (c *dmd2Config) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.StudentConfig.SetDefaults()
	c.Steps, c.Grid, c.Critic, c.CriticSteps, c.CriticRate = 4, Grids.Default(autoKind), "network", 5, 1
	c.Times, c.Weighting = Times.Default("log_normal"), Weightings.Default("even")
	c.Times.Config = diffusion.LogNormal{Mean: 0, Std: 1.8}
}

// Of has the teacher filled in.
func (c dmd2Config) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	c.fill(t)
	return c, sampledAs(func(s *Sampling) {
		s.Sampler, s.Grid, s.Steps = Samplers.Default("renoise"), c.Grid, c.Steps
	}, c.sampling), nil
}

func (c *dmd2Config) build(a ObjectiveArg) (*Job, error) {
	job, path, kind, err := c.job(a)
	if err != nil {
		return nil, err
	}
	times, err := steadyTimes(c.Times, ", which are the critic's")
	if err != nil {
		return nil, err
	}
	w, err := c.Weighting.Build(WeightArg{})
	if err != nil {
		return nil, err
	}
	grid, err := c.Grid.Build(GridArg{})
	if err != nil {
		return nil, err
	}
	steps, err := gridTimes(grid, c.Steps, path, kind, w)
	if err != nil {
		return nil, err
	}
	b := c.base(a, path, w)
	b.Times, b.Told = times, c.told()
	o := &student.Matching{Base: b, Steps: steps[:len(steps)-1], Every: c.CriticSteps, Pace: c.CriticRate}
	if c.Critic == "network" {
		of := job.Model
		var critic Network
		o.Twin = func() (diffusion.Model, []*tensor.Param) {
			net, params := a.twin("critic.")
			critic = net
			return of(net), params
		}
		if c.Adversarial != nil {
			if err := a.canJudge(of); err != nil {
				return nil, err
			}
			o.Adversarial, o.JudgeWeight = c.Adversarial.Weight, c.Adversarial.Judge
			o.Judge = func() (student.Judge, []*tensor.Param) { return a.judgeOn(critic, of) }
		}
	}
	job.Objective = o
	return job, c.taught(job, path, Student{Method: "dmd2", Steps: c.Steps, Maps: true, Fixed: true})
}

func init() {
	config.Register(Objectives, "dmd2", "Samples of a few steps with the teacher's distribution, by the difference of its score and that of a second network, which learns the student's (DMD2: Yin et al. 2024), with its adversarial term or without; or score distillation. Sample with renoise.",
		func(c *dmd2Config, a ObjectiveArg) (*Job, error) { return c.build(a) })
}
