package train

import (
	"slices"

	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// OptimArg is what an optimiser is made for.
type OptimArg struct {
	Params []*tensor.Param
	Tables []*tensor.Param // of them or others: embedding tables, which are no matrices to multiply with
}

// ScheduleArg is empty: a schedule needs nothing but its config.
type ScheduleArg struct{}

// Optimizers is the registry of update rules.
var Optimizers = config.NewRegistry[OptimArg, optim.Optimizer]("update rule", "How an optimiser turns gradients into changes of weights.")

// Schedules is the registry of learning-rate schedules.
var Schedules = config.NewRegistry[ScheduleArg, optim.Schedule]("learning-rate schedule", "The factor on the peak learning rate over time.")

// AverageArg is empty: a moving average needs nothing but its config.
type AverageArg struct{}

// Averages is the registry of moving averages.
var Averages = config.NewRegistry[AverageArg, optim.Profile]("moving average", "How much earlier weights count in the moving average.")

// muonConfig is Muon for matrices, AdamW for the rest.
type muonConfig struct {
	optim.MuonConfig `yaml:",inline"`
	Adam             muonAdam `yaml:"adam" doc:"AdamW, for what is no matrix: biases, norms, embedding tables"`
}

type muonAdam struct {
	LR    float64 `yaml:"lr" doc:"factor on the learning rate" range:"(0,inf)"`
	Beta1 float64 `yaml:"beta1" doc:"decay of the mean of gradients" range:"[0,1)"`
	Beta2 float64 `yaml:"beta2" doc:"decay of the mean of squared gradients" range:"[0,1)"`
	Eps   float64 `yaml:"eps" doc:"added to the root of the second moment" range:"(0,inf)"`
}

func (c *muonAdam) SetDefaults() { *c = muonAdam{1, 0.9, 0.95, 1e-8} }

// newMuon divides the parameters between the two rules.
func newMuon(c *muonConfig, a OptimArg) (optim.Optimizer, error) {
	var matrices, others []*tensor.Param
	for _, p := range a.Params {
		if optim.IsMatrix(p.Shape()) && !slices.Contains(a.Tables, p) {
			matrices = append(matrices, p)
		} else {
			others = append(others, p)
		}
	}
	muon, err := optim.NewMuon(matrices, c.MuonConfig)
	if err != nil {
		return nil, err
	}
	adam := optim.NewAdamW(others, optim.AdamConfig{Beta1: c.Adam.Beta1, Beta2: c.Adam.Beta2, Eps: c.Adam.Eps, WeightDecay: c.WeightDecay})
	return optim.NewGroups(a.Params, optim.Group{Params: matrices, Rule: muon, LR: 1}, optim.Group{Params: others, Rule: adam, LR: c.Adam.LR})
}

// adamWConfig differs from Adam in its default weight decay only.
type adamWConfig struct {
	optim.AdamConfig `yaml:",inline"`
}

func (c *adamWConfig) SetDefaults() {
	c.AdamConfig.SetDefaults()
	c.WeightDecay = 0.01
}

func init() {
	config.Register(Optimizers, "adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019).",
		func(c *adamWConfig, a OptimArg) (optim.Optimizer, error) {
			return optim.NewAdamW(a.Params, c.AdamConfig), nil
		})
	config.Register(Optimizers, "adam", "Adam (Kingma and Ba 2015); weight decay is added to the gradient.",
		func(c *optim.AdamConfig, a OptimArg) (optim.Optimizer, error) {
			return optim.NewAdam(a.Params, *c), nil
		})
	config.Register(Optimizers, "sgd", "Gradient descent with momentum, as in torch.",
		func(c *optim.SGDConfig, a OptimArg) (optim.Optimizer, error) { return optim.NewSGD(a.Params, *c), nil })
	config.Register(Optimizers, "lion", "Sign of a mean of gradients (Chen et al. 2023): learning rates of a third to a tenth of AdamW's.",
		func(c *optim.LionConfig, a OptimArg) (optim.Optimizer, error) {
			return optim.NewLion(a.Params, *c), nil
		})
	config.Register(Optimizers, "muon", "Orthogonalised mean of gradients for matrices and kernels (Jordan 2024), AdamW for the rest. First and last layers do better with AdamW: give them to it by optim.groups.", newMuon)
	config.Register(Optimizers, "adafactor", "Second moments by row and column, steps relative to a parameter's size (Shazeer and Stern 2018): learning rates from 0.01 on.",
		func(c *optim.AdafactorConfig, a OptimArg) (optim.Optimizer, error) {
			return optim.NewAdafactor(a.Params, *c), nil
		})
	config.Register(Optimizers, "schedule_free", "AdamW whose own averaging takes the place of schedule and moving average (Defazio et al. 2024): wants optim.schedule constant and ema null.",
		func(c *optim.ScheduleFreeConfig, a OptimArg) (optim.Optimizer, error) {
			return optim.NewScheduleFree(a.Params, *c), nil
		})

	config.Register(Averages, "constant", "A constant decay, so that weights of 1/(1−decay) steps count.",
		func(c *optim.EMAConfig, _ AverageArg) (optim.Profile, error) { return *c, nil })
	config.Register(Averages, "power", "A power of the step (Karras et al. 2024): the average's length grows with training, to which it is relative.",
		func(c *optim.PowerEMA, _ AverageArg) (optim.Profile, error) { return *c, nil })

	config.Register(Schedules, "constant", "Warm-up, then the peak.",
		func(c *optim.Constant, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
	config.Register(Schedules, "cosine", "Warm-up, then half a cosine down to the final part (Loshchilov and Hutter 2017).",
		func(c *optim.Cosine, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
	config.Register(Schedules, "linear", "Warm-up, then a straight line down to the final part.",
		func(c *optim.Linear, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
	config.Register(Schedules, "inverse_sqrt", "Warm-up, then √(warmup/step) (Vaswani et al. 2017).",
		func(c *optim.InverseSqrt, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
}
