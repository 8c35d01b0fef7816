package train

import (
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// OptimArg is what an optimiser is made for.
type OptimArg struct{ Params []*tensor.Param }

// ScheduleArg is empty: a schedule needs nothing but its config.
type ScheduleArg struct{}

// Optimizers is the registry of update rules.
var Optimizers = config.NewRegistry[OptimArg, optim.Optimizer]("update rule", "How an optimiser turns gradients into changes of weights.")

// Schedules is the registry of learning-rate schedules.
var Schedules = config.NewRegistry[ScheduleArg, optim.Schedule]("learning-rate schedule", "The factor on the peak learning rate over time.")

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

	config.Register(Schedules, "constant", "Warm-up, then the peak.",
		func(c *optim.Constant, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
	config.Register(Schedules, "cosine", "Warm-up, then half a cosine down to the final part (Loshchilov and Hutter 2017).",
		func(c *optim.Cosine, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
	config.Register(Schedules, "linear", "Warm-up, then a straight line down to the final part.",
		func(c *optim.Linear, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
	config.Register(Schedules, "inverse_sqrt", "Warm-up, then √(warmup/step) (Vaswani et al. 2017).",
		func(c *optim.InverseSqrt, _ ScheduleArg) (optim.Schedule, error) { return c, nil })
}
