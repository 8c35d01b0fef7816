package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// ObjectiveArg is what an objective is made for.
type ObjectiveArg struct {
	Shape  []int             // of a sample
	Null   int               // the network's label for no class; −1: it has none
	Prompt *diffusion.Prompt // what stands for no prompt; nil: the network takes none
	Batch  int               // samples a step
}

// Job is an objective together with what the network's outputs mean in it.
type Job struct {
	Objective diffusion.Objective
	// Model is a network as the objective and the samplers see it.
	Model func(Network) diffusion.Model
	// OutChannels is the network's output channels per channel of data; 0: 1.
	OutChannels int
}

func (j *Job) outChannels(shape []int) int { return shape[len(shape)-1] * max(1, j.OutChannels) }

// Objectives is the registry of training objectives. A program of one's own adds to it before cli.Main.
var Objectives = config.NewRegistry[ObjectiveArg, *Job]("objective", "What the network learns, and along which path from data to noise.")

// TimeArg and WeightArg are empty: these kinds need nothing but their configs.
type (
	TimeArg   struct{}
	WeightArg struct{}
)

// Times is the registry of distributions of training times, Weightings that of loss weights.
var (
	Times      = config.NewRegistry[TimeArg, diffusion.TimeSampler]("time distribution", "How training times are drawn. 0 is data.")
	Weightings = config.NewRegistry[WeightArg, diffusion.Weighting]("weighting", "How much an error counts at each time.")
)

// CouplingArg is empty: a coupling needs nothing but its config.
type CouplingArg struct{}

// Couplings is the registry of couplings of data and noise.
var Couplings = config.NewRegistry[CouplingArg, flow.Coupling]("coupling", "Which noise goes with which data.")

type timeSampling = config.Variant[TimeArg, diffusion.TimeSampler]
type weighting = config.Variant[WeightArg, diffusion.Weighting]

// RegressionConfig are the settings that objectives which regress on a prediction share.
type RegressionConfig struct {
	Times                   timeSampling `yaml:"times" doc:"distribution of training times"`
	Shift                   float64      `yaml:"shift" doc:"moves training times towards the noise: t' = kt/(1+(k-1)t) (Esser et al. 2024); 1: not at all. Samplers have a shift of their own" range:"(0,inf)"`
	Stratified              bool         `yaml:"stratified" doc:"draw one time from each of as many equal slices of the distribution as the batch has samples"`
	Weighting               weighting    `yaml:"weighting" doc:"how much errors count at each time"`
	ConditionDropout        float64      `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
	diffusion.TrainingNoise `yaml:",inline"`
}

// SetDefaults is uniform times and even weights.
func (c *RegressionConfig) SetDefaults() {
	c.Times, c.Weighting = Times.Default("uniform"), Weightings.Default("even")
	c.ConditionDropout, c.Shift = 0.1, 1
}

// job makes the objective on a path for a network that predicts kind.
func (c *RegressionConfig) job(path diffusion.GaussianPath, kind diffusion.Kind, input func(diffusion.Point) float64, a ObjectiveArg) (*Job, error) {
	times, err := c.Times.Build(TimeArg{})
	if err != nil {
		return nil, err
	}
	if c.Shift != 1 {
		times = diffusion.Shifted{Of: times, Factor: c.Shift}
	}
	w, err := c.Weighting.Build(WeightArg{})
	if err != nil {
		return nil, err
	}
	if table, ok := path.(*diffusion.Table); ok {
		if err := diffusion.CheckWeights(w, kind, table); err != nil {
			return nil, err
		}
	}
	r := &diffusion.Regression{Path: path, Times: times, Stratified: c.Stratified, Weighting: w, Noise: c.TrainingNoise}
	if a.Null >= 0 || a.Prompt != nil {
		r.Dropout = diffusion.Dropout{P: c.ConditionDropout, Classes: a.Null, Prompt: a.Prompt}
	}
	return &Job{Objective: r, Model: ModelOf(path, kind, input)}, nil
}

// ModelOf says what a network's outputs mean.
func ModelOf(path diffusion.GaussianPath, kind diffusion.Kind, input func(diffusion.Point) float64) func(Network) diffusion.Model {
	return func(net Network) diffusion.Model {
		return &diffusion.NetModel{
			Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
				return net.Forward(x, t, nn.Cond(c))
			},
			Along: path, Predicts: kind, TimeInput: input,
		}
	}
}

type flowConfig struct {
	Path             string                                     `yaml:"path" doc:"interpolation between data and noise: condot (straight lines) or trig (a quarter circle)" oneof:"condot trig"`
	Predict          diffusion.Prediction                       `yaml:"predict" doc:"what the network's output is"`
	Coupling         config.Variant[CouplingArg, flow.Coupling] `yaml:"coupling" doc:"which noise goes with which data"`
	RegressionConfig `yaml:",inline"`
}

func (c *flowConfig) SetDefaults() {
	c.Path, c.Predict = "condot", diffusion.Velocity
	c.Coupling = Couplings.Default("independent")
	c.RegressionConfig.SetDefaults()
}

type ddpmConfig struct {
	Schedule         string               `yaml:"schedule" doc:"noise schedule" oneof:"linear scaled_linear squaredcos_cap_v2 sigmoid"`
	Steps            int                  `yaml:"steps" doc:"entries of the noise schedule" range:"[2,100000]"`
	BetaStart        float64              `yaml:"beta_start" doc:"first variance" range:"(0,1)"`
	BetaEnd          float64              `yaml:"beta_end" doc:"last variance" range:"(0,1)"`
	ZeroSNR          bool                 `yaml:"zero_terminal_snr" doc:"rescale the schedule so that nothing of the data is left in its last entry (Lin et al. 2024); the network must then predict v or x0"`
	Predict          diffusion.Prediction `yaml:"predict" doc:"what the network's output is"`
	RegressionConfig `yaml:",inline"`
}

func (c *ddpmConfig) SetDefaults() {
	c.Schedule, c.Steps, c.BetaStart, c.BetaEnd = "linear", 1000, 1e-4, 0.02
	c.Predict = diffusion.Eps
	c.RegressionConfig.SetDefaults()
}

func (c *ddpmConfig) Validate() error {
	switch {
	case c.BetaEnd < c.BetaStart:
		return invalid.Field("beta_end", "must not be below beta_start %g, is %g", c.BetaStart, c.BetaEnd)
	case c.ZeroSNR && c.Predict != diffusion.V && c.Predict != diffusion.X0:
		return invalid.Field("zero_terminal_snr", "needs predict v or x0: %v says nothing of the data where no signal is left", c.Predict)
	}
	return nil
}

func init() {
	config.Register(Objectives, "flow", "Flow matching on a continuous path (Lipman et al. 2023; rectified flow, Liu et al. 2023).",
		func(c *flowConfig, a ObjectiveArg) (*Job, error) {
			var path diffusion.GaussianPath = diffusion.CondOT{}
			if c.Path == "trig" {
				path = diffusion.Trig{}
			}
			coupling, err := c.Coupling.Build(CouplingArg{})
			if err != nil {
				return nil, err
			}
			job, err := c.job(path, c.Predict, nil, a)
			if err != nil {
				return nil, err
			}
			job.Objective = &flow.CFM{Regression: *job.Objective.(*diffusion.Regression), Coupling: coupling}
			return job, nil
		})
	config.Register(Objectives, "ddpm", "Denoising diffusion on a discrete noise schedule (Ho et al. 2020).",
		func(c *ddpmConfig, a ObjectiveArg) (*Job, error) {
			betas, err := diffusion.Betas(diffusion.BetaSchedule(c.Schedule), c.Steps, c.BetaStart, c.BetaEnd)
			if err != nil {
				return nil, invalid.Field("schedule", "%v", err)
			}
			if c.ZeroSNR {
				betas = diffusion.RescaleZeroSNR(betas)
			}
			table, err := diffusion.NewTable(betas, diffusion.InterpolateLinear)
			if err != nil {
				return nil, invalid.Field("beta_end", "%v", err)
			}
			// The network sees the entry's place as a fraction of the table: times in
			// [0,1) as for flows, so that networks need one time scale only.
			n := float64(c.Steps)
			return c.job(table, c.Predict, func(p diffusion.Point) float64 { return (p.T - 1) / n }, a)
		})

	config.Register(Couplings, "independent", "Noise is drawn for each sample on its own.",
		func(*struct{}, CouplingArg) (flow.Coupling, error) { return flow.Independent{}, nil })
	config.RegisterOptions(Couplings, "ot", "Exact optimal transport within each batch, for the squared distance (Tong et al. 2024; Pooladian et al. 2023). With classes it biases the noise that each is paired with.", flow.Coupling(new(flow.OT)))
}
