package train

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// scmConfig is continuous-time consistency.
type scmConfig struct {
	TeacherConfig `yaml:",inline"`
	StudentConfig `yaml:",inline"`
	Velocity      string       `yaml:"velocity" doc:"which way trajectories go: as the teacher says (sCD), or as the sample at hand does (sCT), for which the teacher gives its weights only" oneof:"teacher data"`
	SigmaData     float64      `yaml:"sigma_data" doc:"standard deviation of the data, for TrigFlow's variable; 0: the teacher's, or 0.5 where it has none" range:"[0,inf)"`
	SigmaMax      float64      `yaml:"sigma_max" doc:"highest noise level, where sampling starts; that of the path's end if it is lower" range:"(0,inf)"`
	Times         timeSampling `yaml:"times" doc:"distribution of training times"`
	WarmUp        float64      `yaml:"warm_up" doc:"part of training in which the term with the network's derivative comes in" range:"[0,1]"`
	Offset        float64      `yaml:"offset" doc:"c of the tangent's normalisation g/(‖g‖+c)" range:"(0,inf)"`
	Norm          string       `yaml:"norm" doc:"of the tangent: of the whole sample, as in the paper, or per number of it (rms)" oneof:"whole rms"`
	Uncertainty   bool         `yaml:"uncertainty" doc:"learn how much noise levels count beside the network"`
}

// SetDefaults takes the paper's choices for distillation.
func (c *scmConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.StudentConfig.SetDefaults()
	c.Velocity, c.SigmaMax, c.WarmUp, c.Offset, c.Norm, c.Uncertainty = "teacher", 80, 0.1, 0.1, "whole", true
	c.Times = Times.Default("log_normal")
	c.Times.Config = diffusion.LogNormal{Mean: -1, Std: 1.4}
}

// Validate checks what belongs together.
func (c *scmConfig) Validate() error {
	if c.Velocity == "data" && c.guided() {
		return invalid.Field("guidance", "is the teacher's, which teaches no velocity where velocity is data")
	}
	return c.TeacherConfig.Validate()
}

func (c *scmConfig) sigmaData() float64 {
	if c.SigmaData == 0 {
		return defaultSigmaData
	}
	return c.SigmaData
}

// Of has the teacher filled in.
func (c scmConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if c.Velocity == "teacher" {
		if err := c.learn(t); err != nil {
			return nil, nil, err
		}
	}
	c.fill(t)
	if c.SigmaData == 0 {
		c.SigmaData = t.SigmaData
	}
	c.SigmaData = c.sigmaData()
	return c, sampledAs(func(s *Sampling) {
		s.Sampler = Samplers.Default("renoise")
		s.Grid = config.Variant[GridArg, sampler.Grid]{Kind: "angle", Config: sampler.AngleGrid{SigmaData: c.SigmaData, SigmaMax: c.SigmaMax}}
		s.Steps = 1
	}, c.sampling), nil
}

func (c *scmConfig) build(a ObjectiveArg) (*Job, error) {
	job, path, kind, err := c.job(a)
	if err != nil {
		return nil, err
	}
	times, err := steadyTimes(c.Times, ", which say nothing of how good a consistency function is")
	if err != nil {
		return nil, err
	}
	most := min(c.SigmaMax, path.At(path.End()).NoiseLevel())
	if err := checkTimes(path, kind, path.Time(-math.Log(most))); err != nil {
		return nil, err
	}
	b := c.base(a, path, nil)
	b.Times, b.Told = times, c.told()
	if c.Uncertainty {
		b.Uncertainty = diffusion.NewUncertainty(a.Device, tensor.Float32, a.Init)
	}
	o := student.NewContinuous(b, c.sigmaData())
	o.Max, o.Steps, o.WarmUp, o.Offset, o.MeanSquare = most, max(1, a.Steps), c.WarmUp, c.Offset, c.Norm == "rms"
	job.Objective = o
	s := Student{Method: "scm", Steps: 1, Scales: [2]float64{1, 1}, Maps: true}
	if c.Velocity == "data" {
		job.Student = &s
		return job, nil
	}
	o.Distill = true
	return job, c.taught(job, path, s)
}

func init() {
	config.Register(Objectives, "scm", "Consistency in continuous time, in TrigFlow's variable (sCM: Lu and Song 2025), from a teacher's trajectories or without. Sample with renoise.",
		func(c *scmConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
}
