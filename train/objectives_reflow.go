package train

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// reflowConfig is rectification.
type reflowConfig struct {
	PairsConfig      `yaml:",inline"`
	Times            timeSampling `yaml:"times" doc:"distribution of training times; noise: only the start, to learn one step"`
	Huber            float64      `yaml:"huber" doc:"pseudo-Huber loss of each sample √(‖e‖²+c²)−c with c = huber·√(numbers of a sample), as 0.00054 (Song and Dhariwal 2024; Lee et al. 2024); 0: squared errors" range:"[0,inf)"`
	Weighting        weighting    `yaml:"weighting" doc:"how much errors count at each time"`
	SigmaData        float64      `yaml:"sigma_data" doc:"the network is preconditioned as an EDM of that standard deviation of the data, so that it can begin as a trained one: x/(1−t) at noise level t/(1−t) (Lee et al. 2024); 0: it predicts the velocity" range:"[0,inf)"`
	SigmaMax         float64      `yaml:"sigma_max" doc:"highest noise level that such a network is told, also where it is higher: that of its training" range:"(0,inf)"`
	ConditionDropout float64      `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition" range:"[0,1]"`
}

// SetDefaults is rectified flow's regression on pairs.
func (c *reflowConfig) SetDefaults() {
	c.PairsConfig.SetDefaults()
	c.Times, c.Weighting = Times.Default("uniform"), Weightings.Default("even")
	c.SigmaMax, c.ConditionDropout = 80, 0.1
}

// Validate checks what belongs together.
func (c *reflowConfig) Validate() error {
	if c.SigmaData > 0 && c.Weighting.Kind != "even" {
		return invalid.Field("weighting", "must be even, in the velocity, where sigma_data preconditions the network")
	}
	return nil
}

// edmInput is EDM's, within the levels of its training: at the path's end all is noise.
func (c *reflowConfig) edmInput(p diffusion.Point) float64 {
	return math.Log(min(p.NoiseLevel(), c.SigmaMax)) / 4
}

func (c reflowConfig) withPairs(dir string) any { c.Pairs = dir; return c }

// Of has the teacher filled in. Its weights are the student's first ones where they are those of a velocity on straight lines, or
// of EDM's.
func (c reflowConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	straight := t.Predicts == diffusion.Velocity && diffusion.SamePath(t.Along, diffusion.CondOT{})
	levels, edm := t.Along.(diffusion.EDM)
	if edm && t.SigmaData > 0 && c.SigmaData == 0 {
		c.SigmaData, c.SigmaMax = t.SigmaData, levels.SigmaMax
	}
	return c, func(e *Experiment) {
		if t.Told || !straight && !(edm && t.SigmaData > 0) { // pairs are of one scale, and a network that is told of none has another shape
			e.Init = ""
		}
		e.Flip = false // a mirrored sample is not where its start leads
		e.Sample.Sampler, e.Sample.Grid, e.Sample.Steps = Samplers.Default("euler"), Grids.Default(autoKind), 1
	}, nil
}

func init() {
	config.Register(Objectives, "reflow", "Rectified flow's second and later rounds: straight lines between starts and the samples that a model leads them to (Liu et al. 2023).",
		func(c *reflowConfig, a ObjectiveArg) (*Job, error) {
			if c.Pairs == "" && c.Teacher == "" {
				return nil, invalid.Field("pairs", "is required: a folder of starts and the samples that a model leads them to, as the reflow command makes it")
			}
			path := diffusion.CondOT{}
			var kind diffusion.Kind = diffusion.Velocity
			var input func(diffusion.Point) float64
			if c.SigmaData > 0 {
				kind, input = diffusion.Preconditioned{SigmaData: c.SigmaData}, c.edmInput
			}
			r := RegressionConfig{Times: c.Times, Shift: 1, ConditionDropout: c.ConditionDropout, Weighting: c.Weighting}
			job, err := r.job(path, kind, input, a)
			if err != nil {
				return nil, err
			}
			reg := job.Objective.(*diffusion.Regression)
			if c.SigmaData > 0 {
				reg.Weighting = diffusion.Even{In: diffusion.Velocity}
				if err := reg.Check(kind); err != nil {
					return nil, err
				}
			}
			job.Objective = &flow.Reflow{Regression: *reg, Huber: c.Huber}
			c.paired(job, "reflow", 1)
			return job, nil
		})
	config.RegisterOptions(Times, "noise", "The path's end alone, where all is noise.", diffusion.TimeSampler(new(diffusion.AtEnd)))
}
