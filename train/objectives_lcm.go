package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// lcmConfig is latent consistency distillation.
type lcmConfig struct {
	TeacherConfig `yaml:",inline"`
	StudentConfig `yaml:",inline"`
	Skips         int     `yaml:"skips" doc:"equally distant times of the path, between neighbours among which the teacher makes a step of DDIM" range:"[2,100000]"`
	SigmaData     float64 `yaml:"sigma_data" doc:"s of c_skip = s²/(τ²+s²) and c_out = τ/√(τ²+s²)" range:"(0,inf)"`
	TimeScale     float64 `yaml:"time_scale" doc:"τ at the path's end: the paper's factor 10 on a thousand timesteps" range:"(0,inf)"`
	Huber         float64 `yaml:"huber" doc:"c of the pseudo-Huber loss √(e²+c²)−c of each number" range:"(0,inf)"`
	TargetDecay   float64 `yaml:"target_decay" doc:"part that the moving average of the student, which it is compared with, keeps at each step; 0: it is compared with itself" range:"[0,1)"`
}

// SetDefaults takes the choices of the paper and its code.
func (c *lcmConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.StudentConfig.SetDefaults()
	c.Skips, c.SigmaData, c.TimeScale, c.Huber, c.TargetDecay = 50, 0.5, 1e4, 0.001, 0.95
}

// Of has the teacher filled in.
func (c lcmConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	c.fill(t)
	return c, sampledAs(func(s *Sampling) {
		s.Sampler, s.Grid, s.Steps = Samplers.Default("renoise"), Grids.Default("auto"), 4
	}, c.sampling), nil
}

func (c *lcmConfig) build(a ObjectiveArg) (*Job, error) {
	job, path, kind, err := c.job(a)
	if err != nil {
		return nil, err
	}
	if diffusion.PriorStd(path.At(path.End())) > 2 {
		return nil, invalid.Field("like", "has a path whose time is the noise level, or nearly: of equally distant times hardly any is near the data; take consistency-distillation")
	}
	for j := range c.Skips {
		if err := checkTimes(path, kind, path.End()*float64(j+1)/float64(c.Skips)); err != nil {
			return nil, err
		}
	}
	lowest := path.End() / 1000 // below it nothing is drawn but the data themselves
	if _, ok := path.(*diffusion.Table); ok {
		lowest = 1
	}
	o := &student.Consistency{Base: c.base(a, path, nil), Bounds: student.Bounds{Min: path.At(lowest).NoiseLevel()}, Curriculum: &student.Skips{Path: path, Count: c.Skips},
		Steps: max(1, a.Steps), Distill: true, Huber: c.Huber, Each: true, Weigh: student.WeighEven, Decay: c.TargetDecay}
	o.Told = c.told()
	of := job.Model
	job.Model = func(net Network) diffusion.Model {
		return &student.LatentFunction{Of: of(net), SigmaData: c.SigmaData, Scale: c.TimeScale}
	}
	job.Objective = o
	return job, c.taught(job, path, Student{Method: "lcm", Steps: 4, Maps: true})
}

func init() {
	config.Register(Objectives, "lcm", "Latent consistency distillation (Luo et al. 2023): a consistency function learned along steps of DDIM that skip many times, with guidance built in or told. Sample with renoise.",
		func(c *lcmConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
}
