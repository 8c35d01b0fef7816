package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// StepsConfig are the settings that objectives of whole steps share.
type StepsConfig struct {
	Path             string       `yaml:"path" doc:"interpolation between data and noise: condot (straight lines) or trig (a quarter circle)" oneof:"condot trig"`
	Times            timeSampling `yaml:"times" doc:"distribution of training times; of steps, of both ends"`
	ConditionDropout float64      `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
}

// SetDefaults is MeanFlow's choice of times.
func (c *StepsConfig) SetDefaults() {
	c.Path, c.ConditionDropout = "condot", 0.1
	c.Times = Times.Default("logit_normal")
	times := c.Times.Config.(diffusion.LogitNormal)
	times.Mean = -0.4
	c.Times.Config = times
}

// job makes the regression, and the model of networks that are told how far a step leads.
func (c *StepsConfig) job(a ObjectiveArg) (*Job, error) {
	r := RegressionConfig{Times: c.Times, Shift: 1, ConditionDropout: c.ConditionDropout, Weighting: Weightings.Default("even")}
	job, err := r.job(pathNamed(c.Path), diffusion.Velocity, nil, a)
	if err != nil {
		return nil, err
	}
	plain := job.Model
	job.Jump = true
	job.Model = func(net Network) diffusion.Model {
		m := plain(net).(*diffusion.NetModel)
		m.Jumps = true
		return m
	}
	return job, nil
}

// CouplingPart is what of them learns from data alone, without a teacher.
type CouplingPart struct {
	Coupling config.Variant[CouplingArg, flow.Coupling] `yaml:"coupling" doc:"which noise goes with which data"`
}

// SetDefaults couples nothing.
func (c *CouplingPart) SetDefaults() { c.Coupling = Couplings.Default("independent") }

// coupling makes it.
func (c *CouplingPart) coupling(a ObjectiveArg) (flow.Coupling, error) {
	return couplingFor(c.Coupling, a)
}

type meanFlowConfig struct {
	StepsConfig          `yaml:",inline"`
	CouplingPart         `yaml:",inline"`
	flow.MeanFlowOptions `yaml:",inline"`
}

func (c *meanFlowConfig) SetDefaults() {
	c.StepsConfig.SetDefaults()
	c.CouplingPart.SetDefaults()
	c.MeanFlowOptions.SetDefaults()
}

type shortcutConfig struct {
	PairsConfig          `yaml:",inline"`
	StepsConfig          `yaml:",inline"`
	CouplingPart         `yaml:",inline"`
	flow.ShortcutOptions `yaml:",inline"`
}

func (c *shortcutConfig) SetDefaults() {
	c.PairsConfig.SetDefaults()
	c.StepsConfig.SetDefaults()
	c.CouplingPart.SetDefaults()
	c.Times = Times.Default("uniform")
	c.ShortcutOptions.SetDefaults()
}

func (c shortcutConfig) withPairs(dir string) any { c.Pairs = dir; return c }

// Of has the teacher filled in, whose pairs stand for data and noise that have nothing to do with each other: the flow whose
// steps are learned is then straighter than the teacher's.
func (c shortcutConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	begin := c.stepsLike(t)
	return c, func(e *Experiment) {
		begin(e)
		if t.Told { // pairs are of one scale, and a network that is told of none has another shape
			e.Init = ""
		}
		e.Flip = false // a mirrored sample is not where its start leads
		jumps(&e.Sample)
	}, nil
}

type flowMapConfig struct {
	StepsConfig         `yaml:",inline"`
	CouplingPart        `yaml:",inline"`
	flow.FlowMapOptions `yaml:",inline"`
}

func (c *flowMapConfig) SetDefaults() {
	c.StepsConfig.SetDefaults()
	c.CouplingPart.SetDefaults()
	c.FlowMapOptions.SetDefaults()
}

type consistencyConfig struct {
	Times                   timeSampling `yaml:"times" doc:"distribution of training times"`
	ConditionDropout        float64      `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
	flow.ConsistencyOptions `yaml:",inline"`
}

// SetDefaults is the paper's.
func (c *consistencyConfig) SetDefaults() {
	c.Times, c.ConditionDropout = Times.Default("uniform"), 0.1
	c.ConsistencyOptions.SetDefaults()
}

func init() {
	config.Register(Objectives, "consistency_flow", "Consistency flow matching: straight flows by velocities that agree along lines, in a few segments (Yang et al. 2024): sample with euler and as many steps as segments.",
		func(c *consistencyConfig, a ObjectiveArg) (*Job, error) {
			r := RegressionConfig{Times: c.Times, Shift: 1, ConditionDropout: c.ConditionDropout, Weighting: Weightings.Default("even")}
			job, err := r.job(diffusion.CondOT{}, diffusion.Velocity, nil, a)
			if err != nil {
				return nil, err
			}
			reg := job.Objective.(*diffusion.Regression)
			if reg.Observes() {
				return nil, invalid.Field("times", "must not follow from losses here: take uniform, or another in time")
			}
			job.Objective = &flow.Consistency{Regression: *reg, ConsistencyOptions: c.ConsistencyOptions}
			return job, nil
		})
	config.Register(Objectives, "mean_flow", "Mean velocities over steps of any length, from scratch, for one step or few (Geng et al. 2025): sample with jump.",
		func(c *meanFlowConfig, a ObjectiveArg) (*Job, error) {
			if c.Guidance != 1 && a.Prompt != nil {
				return nil, invalid.Field("guidance", "is %g; what is learned as guidance is away from no class, and the network takes prompts: guide its samples instead", c.Guidance)
			}
			if !a.Draft && c.Guidance != 1 && a.Null < 0 {
				return nil, invalid.Field("guidance", "is %g; the network has no class for no condition, from which it could be guided away", c.Guidance)
			}
			job, err := c.job(a)
			if err != nil {
				return nil, err
			}
			coupling, err := c.coupling(a)
			if err != nil {
				return nil, err
			}
			job.Objective = &flow.MeanFlow{Base: student.Base{Regression: *job.Objective.(*diffusion.Regression)}, MeanFlowOptions: c.MeanFlowOptions, Coupling: coupling, Null: a.Null}
			return job, nil
		})
	config.Register(Objectives, "shortcut", "Steps of 1, 1/2, 1/4, … of the path, each learned from two of half its length (Frans et al. 2025): sample with jump and as many steps as a power of two.",
		func(c *shortcutConfig, a ObjectiveArg) (*Job, error) {
			job, err := c.job(a)
			if err != nil {
				return nil, err
			}
			coupling, err := c.coupling(a)
			if err != nil {
				return nil, err
			}
			job.Objective = &flow.Shortcut{Regression: *job.Objective.(*diffusion.Regression), ShortcutOptions: c.ShortcutOptions, Coupling: coupling}
			switch {
			case (c.Pairs != "" || c.Teacher != "") && c.Coupling.Kind != "independent":
				return nil, invalid.Field("coupling", "is %s; pairs of a teacher's are coupled already", c.Coupling.Kind)
			case c.Pairs != "" || c.Teacher != "":
				c.paired(job, "shortcut", 1)
			case c.Guidance != 1:
				return nil, invalid.Field("guidance", "is that of pairs, and there are none: it is for the distill command")
			}
			return job, nil
		})
	config.Register(Objectives, "flow_map", "Steps of any length by the Lagrangian condition of flow maps (Boffi et al. 2025): sample with jump.",
		func(c *flowMapConfig, a ObjectiveArg) (*Job, error) {
			job, err := c.job(a)
			if err != nil {
				return nil, err
			}
			coupling, err := c.coupling(a)
			if err != nil {
				return nil, err
			}
			job.Objective = &flow.FlowMap{Regression: *job.Objective.(*diffusion.Regression), FlowMapOptions: c.FlowMapOptions, Coupling: coupling}
			return job, nil
		})
}
