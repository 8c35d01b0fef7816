package train

import (
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
)

// ObjectiveArg is what an objective is made for.
type ObjectiveArg struct {
	Shape    []int             // of a sample
	Classes  int               // that the network is conditioned on; 0: none
	Levels   int               // equally spaced values of the data from −1 to 1; 0: continuous
	Vector   int               // numbers of the vector that the network is conditioned on; 0: none
	NoVector bool              // the network has a null vector, which stands for none
	Null     int               // the network's label for no class; −1: it has none
	Prompt   *diffusion.Prompt // what stands for no prompt; nil: the network takes none
	Draft    bool              // the network is not made yet: it follows from what the objective says
	Batch    int               // samples a step
	Steps    int64             // of training
	Device   backend.Device
	Twin     func() (Network, []*tensor.Param, error) // makes one more network like the one in training; nil: there is none yet
	Features int                                      // numbers of a feature of the network; 0: it shows none, or there is none yet
	Init     rng.Key                                  // of the first values of what the objective itself learns
}

// dropout drops a part p of the conditions that the network knows a null condition of.
func (a ObjectiveArg) dropout(p float64) diffusion.Dropout {
	if a.Null < 0 && a.Prompt == nil && !a.NoVector {
		return diffusion.Dropout{}
	}
	return diffusion.Dropout{P: p, Classes: a.Null, Prompt: a.Prompt}
}

// Job is an objective together with what the network's outputs mean in it.
type Job struct {
	Objective diffusion.Objective
	// Model is a network as the objective and the samplers see it.
	Model func(Network) diffusion.Model
	// OutChannels is the network's output channels per channel of data; 0: 1.
	OutChannels int
	// InChannels is how many channels of input the network is given; 0: the data's.
	InChannels int
	// Jump tells networks how far a step leads.
	Jump bool
	// Source opens what stands at the path's end in the place of normal noise; nil: normal noise.
	Source func(DataArg) (*Dataset, error)
	// Teacher opens the model that the objective learns from; nil: there is none.
	Teacher func(TeacherArg) (diffusion.Model, error)
	// Student says what the model is, if it is to take few steps, or to know guidance; nil: neither.
	Student *Student
	// Scale tells networks how strong guidance is to be.
	Scale bool
	// Pairs opens what is trained on in the place of the data; nil: the data.
	Pairs func(DataArg) (*Pairs, error)
}

// inShape is the shape of what the network is given for samples of a shape.
func (j *Job) inShape(shape []int) []int {
	shape = append([]int(nil), shape...)
	if j.InChannels > 0 {
		shape[len(shape)-1] = j.InChannels
	}
	return shape
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

type timeSampling = config.Variant[TimeArg, diffusion.TimeSampler]
type weighting = config.Variant[WeightArg, diffusion.Weighting]

// RegressionConfig are the settings that objectives which regress on a prediction share.
type RegressionConfig struct {
	Times                   timeSampling `yaml:"times" doc:"distribution of training times"`
	Shift                   float64      `yaml:"shift" doc:"moves training times towards the noise: t' = kt/(1+(k-1)t) (Esser et al. 2024); 1: not at all. Samplers have a shift of their own" range:"(0,inf)"`
	ShiftTokens             int          `yaml:"shift_tokens" doc:"shift by how many tokens a picture has, by k = exp(mu), mu from 0.5 for 256 to 1.15 for 4096, instead of shift; 0: not so" range:"[0,inf)"`
	Stratified              bool         `yaml:"stratified" doc:"draw one time from each of as many equal slices of the distribution as the batch has samples"`
	Weighting               weighting    `yaml:"weighting" doc:"how much errors count at each time"`
	ConditionDropout        float64      `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
	Uncertainty             bool         `yaml:"uncertainty" doc:"learn the variance of errors at each noise level beside the network, and weigh by its inverse (Karras et al. 2024); the loss is then a log-likelihood, and may be negative"`
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
	shift := c.Shift
	if c.ShiftTokens > 0 {
		if c.Shift != 1 {
			return nil, invalid.Field("shift_tokens", "and shift exclude each other: the tokens say what the shift is")
		}
		shift = diffusion.ShiftOf(c.ShiftTokens)
	}
	if shift != 1 {
		if _, ok := times.(diffusion.Adaptive); ok {
			return nil, invalid.Field("shift", "has no place where times follow from losses (times: %s): leave it 1", c.Times.Kind)
		}
		times = diffusion.Shifted{Of: times, Factor: shift}
	}
	w, err := c.Weighting.Build(WeightArg{})
	if err != nil {
		return nil, err
	}
	r := &diffusion.Regression{Path: path, Times: times, Stratified: c.Stratified, Weighting: w, Noise: c.TrainingNoise}
	if err := r.Check(kind); err != nil {
		return nil, err
	}
	if c.Uncertainty {
		r.Uncertainty = diffusion.NewUncertainty(a.Device, tensor.Float32, a.Init)
	}
	r.Dropout = a.dropout(c.ConditionDropout)
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

func pathNamed(name string) diffusion.GaussianPath {
	if name == "trig" {
		return diffusion.Trig{}
	}
	return diffusion.CondOT{}
}

type ddpmConfig struct {
	Schedule         string               `yaml:"schedule" doc:"noise schedule" oneof:"linear scaled_linear squaredcos_cap_v2 sigmoid laplace exp own"`
	Steps            int                  `yaml:"steps" doc:"entries of the noise schedule" range:"[2,100000]"`
	BetaStart        float64              `yaml:"beta_start" doc:"first variance" range:"(0,1)"`
	BetaEnd          float64              `yaml:"beta_end" doc:"last variance" range:"(0,1)"`
	Betas            []float64            `yaml:"betas" doc:"variances of one's own from the first entry to the last, with schedule own" range:"(0,1]"`
	Interpolate      string               `yaml:"interpolate" doc:"how solvers read sigma/alpha between entries: linear, or linear in its logarithm" oneof:"linear log"`
	ZeroSNR          bool                 `yaml:"zero_terminal_snr" doc:"rescale the schedule so that nothing of the data is left in its last entry (Lin et al. 2024); the network must then predict v or x0"`
	Predict          diffusion.Prediction `yaml:"predict" doc:"what the network's output is"`
	Loss             string               `yaml:"loss" doc:"simple: squared errors of the prediction (L_simple); hybrid: and the variational bound for the variance (L_hybrid of Nichol and Dhariwal 2021); vlb: the bound alone, in bits per dimension" oneof:"simple hybrid vlb"`
	Variance         string               `yaml:"variance" doc:"of the reverse steps: the posterior's (small), that of the forward step (large), or learned in the range between the two, in channels of their own" oneof:"small large learned_range"`
	BoundWeight      float64              `yaml:"bound_weight" doc:"weight of the bound in the hybrid loss" range:"(0,inf)"`
	Levels           int                  `yaml:"levels" doc:"equally spaced values that the data may have from −1 to 1, for the bound: 256 for pictures of 8 bits" range:"[2,65536]"`
	RegressionConfig `yaml:",inline"`
}

func (c *ddpmConfig) SetDefaults() {
	c.Schedule, c.Steps, c.BetaStart, c.BetaEnd = "linear", 1000, 1e-4, 0.02
	c.Interpolate = "linear"
	c.Loss, c.Variance, c.BoundWeight, c.Levels = "simple", "small", 1e-3, 256
	c.Predict = diffusion.Eps
	c.RegressionConfig.SetDefaults()
}

// betas are the schedule's variances.
func (c *ddpmConfig) betas() ([]float64, error) {
	if c.Schedule == "own" {
		return slices.Clone(c.Betas), nil
	}
	return diffusion.Betas(diffusion.BetaSchedule(c.Schedule), c.Steps, c.BetaStart, c.BetaEnd)
}

// bound makes the variational bound the loss, or a part of it.
func (c *ddpmConfig) bound(job *Job) {
	r := *job.Objective.(*diffusion.Regression)
	switch c.Loss {
	case "hybrid":
		job.Objective = &diffusion.Hybrid{Regression: r, Bound: c.BoundWeight, Levels: c.Levels}
	case "vlb":
		job.Objective = &diffusion.VLB{Regression: r, Levels: c.Levels, Large: c.Variance == "large"}
	}
	if c.Variance == "learned_range" {
		job.OutChannels = 2
		fixed := job.Model
		job.Model = func(net Network) diffusion.Model {
			m := fixed(net).(*diffusion.NetModel)
			m.Variance = diffusion.VarianceLearnedRange
			return m
		}
	}
}

func (c *ddpmConfig) Validate() error {
	switch {
	case (c.Schedule == "own") != (len(c.Betas) > 0):
		return invalid.Field("betas", "and schedule own go together: the list is the schedule")
	case c.Schedule == "own" && (len(c.Betas) < 2 || c.Steps != 1000 && c.Steps != len(c.Betas)):
		return invalid.Field("betas", "are %d: want at least 2, and as many as steps, if that is given", len(c.Betas))
	case c.BetaEnd < c.BetaStart:
		return invalid.Field("beta_end", "must not be below beta_start %g, is %g", c.BetaStart, c.BetaEnd)
	case c.Loss == "hybrid" && c.Variance != "learned_range":
		return invalid.Field("loss", "hybrid is for a learned variance: set variance learned_range, or loss vlb or simple")
	case c.Loss == "simple" && c.Variance != "small":
		return invalid.Field("variance", "means nothing to the simple loss, which trains none: set loss hybrid or vlb (samplers have a variance of their own)")
	case c.Loss != "hybrid" && c.BoundWeight != 1e-3:
		return invalid.Field("bound_weight", "is of the hybrid loss; loss is %s", c.Loss)
	case c.ZeroSNR && c.Loss == "vlb":
		return invalid.Field("zero_terminal_snr", "makes the last entry's share of the bound infinite or void: set loss simple")
	case len(c.Betas) > 0 && c.Betas[len(c.Betas)-1] == 1 && (c.Loss == "vlb" || c.Predict != diffusion.V && c.Predict != diffusion.X0):
		return invalid.Field("betas", "end with 1, where no signal is left: that needs predict v or x0, and loss simple or hybrid")
	case c.ZeroSNR && c.Predict != diffusion.V && c.Predict != diffusion.X0:
		return invalid.Field("zero_terminal_snr", "needs predict v or x0: %v says nothing of the data where no signal is left", c.Predict)
	}
	return nil
}

func init() {
	config.Register(Objectives, "ddpm", "Denoising diffusion on a discrete noise schedule (Ho et al. 2020).",
		func(c *ddpmConfig, a ObjectiveArg) (*Job, error) {
			betas, err := c.betas()
			if err != nil {
				return nil, invalid.Field("schedule", "%v", err)
			}
			if c.ZeroSNR {
				betas = diffusion.RescaleZeroSNR(betas)
			}
			between := diffusion.InterpolateLinear
			if c.Interpolate == "log" {
				between = diffusion.InterpolateLog
			}
			table, err := diffusion.NewTable(betas, between)
			if err != nil {
				field := "beta_end"
				if c.Schedule == "own" {
					field = "betas"
				}
				return nil, invalid.Field(field, "%v", err)
			}
			// The network sees the entry's place as a fraction of the table: times in
			// [0,1) as for flows, so that networks need one time scale only.
			n := float64(len(betas))
			job, err := c.job(table, c.Predict, func(p diffusion.Point) float64 { return (p.T - 1) / n }, a)
			if err != nil {
				return nil, err
			}
			c.bound(job)
			return job, nil
		})
}
