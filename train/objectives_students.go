package train

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// CurriculumArg is empty: these kinds need nothing but their configs.
type CurriculumArg struct{}

// Curricula is the registry of ways to choose the noise levels that consistency objectives compare.
var Curricula = config.NewRegistry[CurriculumArg, student.Curriculum]("curriculum", "Which two noise levels of a trajectory a consistency objective compares, as training goes on.")

// LevelsConfig are the settings of students that are made for a range of noise levels.
type LevelsConfig struct {
	StudentConfig  `yaml:",inline"`
	SigmaData      float64 `yaml:"sigma_data" doc:"standard deviation of the data, for the student's preconditioning; 0: the teacher's, or 0.5 where it has none" range:"[0,inf)"`
	student.Bounds `yaml:",inline"`
}

// SetDefaults is EDM's range.
func (c *LevelsConfig) SetDefaults() {
	c.StudentConfig.SetDefaults()
	c.Bounds.SetDefaults()
}

// ConsistencyPart is what the two ways to train consistency functions share.
type ConsistencyPart struct {
	LevelsConfig `yaml:",inline"`
	Curriculum   config.Variant[CurriculumArg, student.Curriculum] `yaml:"curriculum" doc:"which noise levels are compared"`
	Huber        float64                                           `yaml:"huber" doc:"pseudo-Huber loss of each sample √(‖e‖²+c²)−c with c = huber·√(numbers of a sample), as 0.00054 (Song and Dhariwal 2024); 0: mean squares" range:"[0,inf)"`
	Weighting    string                                            `yaml:"weighting" doc:"how much comparisons count: even; step, by 1/(n−r) of the noise levels; edm, by (n²+s²)/(n·s)², s the standard deviation of the data" oneof:"even step edm"`
}

// defaultSigmaData is EDM's.
const defaultSigmaData = 0.5

func (c *LevelsConfig) sigmaData() float64 {
	if c.SigmaData == 0 {
		return defaultSigmaData
	}
	return c.SigmaData
}

// bounded are the noise levels that the path has: on a table, those of its entries.
func (c *LevelsConfig) bounded(path diffusion.GaussianPath) (student.Bounds, error) {
	b := c.Bounds
	if end := path.At(path.End()).NoiseLevel(); end < b.Max {
		b.Max = end
	}
	lowest := path.At(0).NoiseLevel()
	if table, ok := path.(*diffusion.Table); ok {
		lowest = table.At(1).NoiseLevel()
	}
	b.Min = max(b.Min, lowest)
	if b.Min >= b.Max {
		return b, invalid.Field("sigma_min", "is %g; the path's noise levels end at %g", b.Min, b.Max)
	}
	return b, nil
}

// consistency makes the job but for the teacher.
func (c *ConsistencyPart) consistency(a ObjectiveArg) (*Job, *student.Consistency, error) {
	job, path, kind, err := c.job(a)
	if err != nil {
		return nil, nil, err
	}
	bounds, err := c.bounded(path)
	if err != nil {
		return nil, nil, err
	}
	low, high := path.Time(-math.Log(bounds.Min)), path.Time(-math.Log(bounds.Max))
	if err := checkTimes(path, kind, low, high); err != nil {
		return nil, nil, err
	}
	curriculum, err := c.Curriculum.Build(CurriculumArg{})
	if err != nil {
		return nil, nil, err
	}
	o := &student.Consistency{Base: c.base(a, path, nil), Bounds: bounds, Curriculum: curriculum, Steps: max(1, a.Steps),
		SigmaData: c.sigmaData(), Huber: c.Huber, Weigh: student.Weigh(c.Weighting)}
	of := job.Model
	job.Model = func(net Network) diffusion.Model {
		return student.NewFunction(of(net), o.SigmaData, bounds.Min)
	}
	job.Objective = o
	return job, o, nil
}

// sampling is one step; of several, each begins with noise added to what the one before has led to.
func (c *ConsistencyPart) sampling(s *Sampling) {
	how := sampler.Renoise{Left: c.Min}
	s.Sampler = config.Variant[SamplerArg, sampler.Sampler]{Kind: "renoise", Config: how}
	s.Grid = config.Variant[GridArg, sampler.Grid]{Kind: "angle", Config: sampler.AngleGrid{SigmaData: c.sigmaData(), SigmaMax: c.Max}}
	s.Steps = 1
}

// fill takes what a teacher says.
func (c *LevelsConfig) fill(t TeacherInfo) {
	c.StudentConfig.fill(t)
	if c.SigmaData == 0 {
		c.SigmaData = t.SigmaData
	}
	c.SigmaData = c.sigmaData()
	if b, err := c.bounded(t.Along); err == nil { // else the objective says so
		c.Bounds = b
	}
}

type consistencyDistillationConfig struct {
	TeacherConfig   `yaml:",inline"`
	ConsistencyPart `yaml:",inline"`
	Solver          string  `yaml:"solver" doc:"of the teacher's step between the two levels" oneof:"heun euler"`
	TargetDecay     float64 `yaml:"target_decay" doc:"part that the moving average of the student, which it is compared with, keeps at each step; 0: it is compared with itself" range:"[0,1)"`
}

// SetDefaults takes the paper's choices, with mean squares for its perceptual distance.
func (c *consistencyDistillationConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.ConsistencyPart.SetDefaults()
	c.Curriculum, c.Weighting, c.Solver, c.TargetDecay = Curricula.Default("fixed"), string(student.WeighEven), "heun", 0.95
}

// Of has the teacher filled in.
func (c consistencyDistillationConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	c.fill(t)
	return c, sampledAs(c.ConsistencyPart.sampling, c.TeacherConfig.sampling), nil
}

func (c *consistencyDistillationConfig) build(a ObjectiveArg) (*Job, error) {
	job, o, err := c.consistency(a)
	if err != nil {
		return nil, err
	}
	o.Distill, o.Heun, o.Decay, o.Told = true, c.Solver == "heun", c.TargetDecay, c.told()
	return job, c.taught(job, o.Path, Student{Method: "consistency-distillation", Steps: 1, Maps: true})
}

type consistencyTrainingConfig struct {
	ConsistencyPart `yaml:",inline"`
}

// SetDefaults is iCT.
func (c *consistencyTrainingConfig) SetDefaults() {
	c.ConsistencyPart.SetDefaults()
	c.Curriculum, c.Weighting, c.Huber = Curricula.Default("ict"), string(student.WeighStep), 0.00054
}

// Of has the teacher's path filled in: only its weights are learned from, as the first ones.
func (c consistencyTrainingConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	c.fill(t)
	return c, sampledAs(c.sampling), nil
}

// ProgressiveConfig is one round of progressive distillation.
type ProgressiveConfig struct {
	TeacherConfig `yaml:",inline"`
	StudentConfig `yaml:",inline"`
	TeacherSteps  int                                   `yaml:"teacher_steps" doc:"steps of DDIM in which the teacher samples; the distill command halves them round by round" range:"[2,100000]"`
	Steps         int                                   `yaml:"steps" doc:"steps of the student, which divide the teacher's" range:"[1,100000]"`
	Grid          config.Variant[GridArg, sampler.Grid] `yaml:"grid" doc:"times of the teacher's steps"`
	Thinned       int                                   `yaml:"thinned" doc:"steps of the grid that the teacher's times are taken from at equal distances, in rounds after the first; 0: all" range:"[0,100000]"`
	Weighting     weighting                             `yaml:"weighting" doc:"how much errors count at each time"`
}

// SetDefaults takes the paper's choices.
func (c *ProgressiveConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.StudentConfig.SetDefaults()
	c.TeacherSteps, c.Steps, c.Grid = 64, 1, Grids.Default("auto")
	c.Weighting = Weightings.Default("truncated_snr")
}

// Validate checks the numbers of steps.
func (c *ProgressiveConfig) Validate() error {
	switch {
	case c.Steps >= c.TeacherSteps || c.TeacherSteps%c.Steps != 0:
		return invalid.Field("steps", "must be fewer than teacher_steps=%d and divide them, is %d", c.TeacherSteps, c.Steps)
	case c.Thinned != 0 && c.Thinned%c.TeacherSteps != 0:
		return invalid.Field("thinned", "must be a multiple of teacher_steps=%d, is %d", c.TeacherSteps, c.Thinned)
	}
	return c.TeacherConfig.Validate()
}

// of is how many steps the grid has.
func (c *ProgressiveConfig) of() int { return max(c.Thinned, c.TeacherSteps) }

// Of has the teacher filled in.
func (c ProgressiveConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	c.fill(t)
	return c, sampledAs(c.Sampling), nil
}

// Sampling is DDIM in the student's steps.
func (c ProgressiveConfig) Sampling(s *Sampling) {
	s.Sampler = Samplers.Default("ddim")
	s.Grid = config.Variant[GridArg, sampler.Grid]{Kind: "thinned", Config: thinnedConfig{Of: c.Grid, From: c.of()}}
	s.Steps = c.Steps
	c.sampling(s)
}

func (c *ProgressiveConfig) build(a ObjectiveArg) (*Job, error) {
	job, path, kind, err := c.job(a)
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
	times, err := gridTimes(sampler.Thinned{Of: grid, From: c.of()}, c.TeacherSteps, path, kind, w)
	if err != nil {
		return nil, err
	}
	o := &student.Progressive{Base: c.base(a, path, w), Grid: times, Per: c.TeacherSteps / c.Steps}
	o.Told = c.told()
	job.Objective = o
	return job, c.taught(job, path, Student{Method: "progressive", Steps: c.Steps})
}

// gridTimes are a grid's times, an error unless they fall, and what is predicted at each but the last, 0, determines all that is asked of it.
func gridTimes(g sampler.Grid, steps int, path diffusion.GaussianPath, kind diffusion.Kind, w diffusion.Weighting) ([]float64, error) {
	times, err := g.Times(path, steps)
	if err != nil {
		return nil, invalid.Field("grid", "%v", err)
	}
	last := len(times) - 1
	for i, t := range times[:last] {
		if !(t > times[i+1]) {
			return nil, invalid.Field("grid", "has the time %g twice, or rises there", t)
		}
		if _, of := w.Weight(path.At(t)); of != nil {
			if _, ok := diffusion.TryConvert(kind, of, path.At(t)); !ok {
				return nil, invalid.Field("weighting", "is not finite at time %g, for a network that predicts %v", t, kind)
			}
		}
	}
	if times[last] != 0 {
		return nil, invalid.Field("grid", "ends at %g: must end at 0, at the data", times[last])
	}
	return times, checkTimes(path, kind, times[:last]...)
}

// steadyTimes draw times that do not follow from losses; why not, ends the error.
func steadyTimes(c timeSampling, why string) (diffusion.TimeSampler, error) {
	times, err := c.Build(TimeArg{})
	if err != nil {
		return nil, err
	}
	if _, ok := times.(diffusion.Adaptive); ok {
		return nil, invalid.Field("times", "must not follow from losses (%s)%s", c.Kind, why)
	}
	return times, nil
}

// guidanceConfig is the first stage of guided distillation.
type guidanceConfig struct {
	TeacherConfig `yaml:",inline"`
	StudentConfig `yaml:",inline"`
	Times         timeSampling `yaml:"times" doc:"distribution of training times"`
	Weighting     weighting    `yaml:"weighting" doc:"how much errors count at each time"`
}

// SetDefaults has the network told the scale.
func (c *guidanceConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.StudentConfig.SetDefaults()
	c.GuidanceTo = 5
	c.Times, c.Weighting = Times.Default("uniform"), Weightings.Default("even")
}

// Of has the teacher filled in; its students take as many steps as it does.
func (c guidanceConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	c.fill(t)
	if !c.guided() {
		return nil, nil, invalid.Field("guidance", "is 1: there is nothing to learn that the teacher does not do; set it, or guidance_to")
	}
	return c, sampledAs(func(s *Sampling) {
		s.Sampler, s.Grid, s.Steps = t.Sample.Sampler, t.Sample.Grid, t.Sample.Steps
	}, c.sampling), nil
}

func (c *guidanceConfig) build(a ObjectiveArg) (*Job, error) {
	job, path, kind, err := c.job(a)
	if err != nil {
		return nil, err
	}
	if _, err := steadyTimes(c.Times, " where a teacher is imitated"); err != nil {
		return nil, err
	}
	r := RegressionConfig{Times: c.Times, Shift: 1, Weighting: c.Weighting, ConditionDropout: c.ConditionDropout}
	reg, err := r.job(path, kind, nil, a)
	if err != nil {
		return nil, err
	}
	o := &student.Imitation{Base: student.Base{Regression: *reg.Objective.(*diffusion.Regression), Told: c.told()}}
	job.Objective = o
	return job, c.taught(job, path, Student{Method: "guidance"})
}

func init() {
	config.RegisterOptions(Curricula, "fixed", "Neighbours among a fixed number of levels, all equally often (Song et al. 2023).", student.Curriculum(new(student.Fixed)))
	config.RegisterOptions(Curricula, "ict", "Neighbours among levels whose number doubles in training, by a discretised log-normal distribution (iCT: Song and Dhariwal 2024).", student.Curriculum(new(student.Improved)))
	config.RegisterOptions(Curricula, "ect", "Log-normal levels and ones below that come closer in stages; at first the data (ECT: Geng et al. 2024).", student.Curriculum(new(student.Easy)))

	config.Register(Objectives, "consistency-distillation", "A network that leads to samples in a step, from anywhere on a trajectory: learned from neighbouring points of a teacher's trajectories (Song et al. 2023). Sample with renoise.",
		func(c *consistencyDistillationConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
	config.Register(Objectives, "consistency-training", "The same without a teacher, whose weights may be the first ones: iCT (Song and Dhariwal 2024) or ECT (Geng et al. 2024) by its curriculum. Sample with renoise.",
		func(c *consistencyTrainingConfig, a ObjectiveArg) (*Job, error) {
			job, _, err := c.consistency(a)
			if err == nil {
				job.Student = &Student{Method: "consistency-training", Steps: 1, Scales: [2]float64{1, 1}, Maps: true}
			}
			return job, err
		})
	config.Register(Objectives, "progressive", "Steps of DDIM that each lead where several of the teacher's do, two a round (Salimans and Ho 2022). Sample with ddim on the thinned grid.",
		func(c *ProgressiveConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
	config.Register(Objectives, "guidance", "The guided teacher in one evaluation: of one scale of guidance, or of one that the network is told (Meng et al. 2023, stage one).",
		func(c *guidanceConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
}
