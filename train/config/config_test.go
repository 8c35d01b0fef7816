package config

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// The experiment of the tests: every supported type and both kinds of section.

type experiment struct {
	Name    string                            `yaml:"name" doc:"name of the run"`
	Seed    uint64                            `yaml:"seed" doc:"seed of all randomness"`
	Optim   optim                             `yaml:"optim" doc:"the optimiser"`
	Sampler Variant[samplerArg, samplerOut]   `yaml:"sampler" doc:"the sampler"`
	Model   Variant[modelArg, modelOut]       `yaml:"model" doc:"the network"`
	Extra   *Variant[samplerArg, samplerOut]  `yaml:"extra" doc:"a second sampler"`
	Stages  []stage                           `yaml:"stages" doc:"stages of training"`
	Labels  map[string]stage                  `yaml:"labels" doc:"by name"`
	Many    []Variant[samplerArg, samplerOut] `yaml:"many" doc:"samplers to compare"`
	Grid    [][]float64                       `yaml:"grid" doc:"a matrix"`
	Every   time.Duration                     `yaml:"every" doc:"time between checkpoints"`
	Level   level                             `yaml:"level" doc:"how much to say"`
	Clip    *float64                          `yaml:"clip" doc:"gradient norm"`
	EMA     *ema                              `yaml:"ema" doc:"average of the weights"`
	Common  `yaml:",inline"`
	Hidden  func() `yaml:"-"`
}

type Common struct {
	Workers int8 `yaml:"workers" doc:"threads" range:"[0,64]"`
}

func (c *Common) SetDefaults() { c.Workers = 2 }

func (c *Common) Validate() error {
	if c.Workers == 13 {
		return Field("workers", "must not be 13")
	}
	return nil
}

type optim struct {
	LR     float64    `yaml:"lr" doc:"peak learning rate" range:"(0,inf)"`
	Betas  [2]float32 `yaml:"betas" doc:"decay rates" range:"[0,1)"`
	Warmup int        `yaml:"warmup" doc:"steps of warm-up" range:"[0,inf)"`
	Steps  int        `yaml:"steps" doc:"steps in all"`
	Sched  string     `yaml:"schedule" doc:"shape after warm-up" oneof:"constant cosine linear"`
}

func (o *optim) SetDefaults() {
	*o = optim{LR: 1e-3, Betas: [2]float32{0.9, 0.999}, Warmup: 100, Steps: 1000, Sched: "cosine"}
}

func (o *optim) Validate() error {
	var errs []error
	if o.Warmup > o.Steps {
		errs = append(errs, Field("warmup", "must be at most steps (%d), is %d", o.Steps, o.Warmup))
	}
	if o.Betas[0] == o.Betas[1] {
		errs = append(errs, Field("betas[1]", "must differ from betas[0]"))
	}
	return errors.Join(errs...)
}

type stage struct {
	Until int    `yaml:"until" doc:"last step"`
	Path  string `yaml:"path,required" doc:"folder of images"`
}

func (s *stage) SetDefaults() { s.Until = 7 }

type ema struct {
	Decay float64 `yaml:"decay" doc:"rate"`
}

func (e *ema) SetDefaults() { e.Decay = 0.999 }

type level int

func (l level) MarshalText() ([]byte, error) { return []byte([]string{"quiet", "loud"}[l]), nil }

func (l *level) UnmarshalText(b []byte) error {
	switch string(b) {
	case "quiet":
		*l = 0
	case "loud":
		*l = 1
	default:
		return fmt.Errorf("no level")
	}
	return nil
}

func (*level) Choices() []string { return []string{"quiet", "loud"} }

func (e *experiment) SetDefaults() {
	e.Name, e.Every = "run", 5*time.Minute
	e.Sampler = samplers.Default("heun")
	e.Optim.Warmup = 50 // a parent may adjust a part
	e.Grid = [][]float64{}
}

type (
	samplerArg struct{ Dim int }
	samplerOut string
	modelArg   struct{ Side int }
	modelOut   struct{ text string }
)

var (
	samplers = NewRegistry[samplerArg, samplerOut]("sampler", "draws samples")
	models   = NewRegistry[modelArg, modelOut]("model", "predicts")
)

type heun struct {
	Steps int     `yaml:"steps" doc:"steps" range:"[1,inf)"`
	Churn float64 `yaml:"churn" doc:"noise added back"`
}

func (h *heun) SetDefaults() { h.Steps = 18 }

type ddim struct {
	Steps int     `yaml:"steps" doc:"steps" range:"[1,inf)"`
	Eta   float64 `yaml:"eta" doc:"0 is deterministic" range:"[0,1]"`
}

func (d *ddim) SetDefaults() { d.Steps = 50 }

func (d *ddim) Validate() error {
	if d.Eta > 0 && d.Steps < 10 {
		return foreign{"eta"}
	}
	return nil
}

// foreign is an error type of a package that does not know this one.
type foreign struct{ name string }

func (f foreign) Error() string       { return f.name + ": needs at least 10 steps" }
func (f foreign) ConfigField() string { return f.name }

type none struct{}

type unet struct {
	Channels []int                             `yaml:"channels,required" doc:"widths" range:"[1,inf)"`
	Inner    Variant[samplerArg, samplerOut]   `yaml:"inner" doc:"a variant in a variant"`
	Pool     *Variant[samplerArg, samplerOut]  `yaml:"pool" doc:"maybe"`
	List     []Variant[samplerArg, samplerOut] `yaml:"list" doc:"several"`
}

func (u *unet) SetDefaults() {
	u.Channels = []int{32, 64}
	u.Inner = samplers.Default("euler")
}

func init() {
	Register(samplers, "heun", "Heun's method", func(c *heun, a samplerArg) (samplerOut, error) {
		return samplerOut(fmt.Sprintf("heun %d %g dim %d", c.Steps, c.Churn, a.Dim)), nil
	})
	Register(samplers, "ddim", "Song et al. 2021", func(c *ddim, a samplerArg) (samplerOut, error) {
		if a.Dim == 0 {
			return "", Field("eta", "needs a dimension")
		}
		return samplerOut(fmt.Sprintf("ddim %d %g", c.Steps, c.Eta)), nil
	})
	Register(samplers, "euler", "Euler's method", func(*none, samplerArg) (samplerOut, error) { return "euler", nil })
	Register(models, "unet", "a U-Net", func(c *unet, a modelArg) (modelOut, error) {
		return modelOut{fmt.Sprint(c.Channels, a.Side)}, nil
	})
	Register(models, "mlp", "a perceptron", func(*none, modelArg) (modelOut, error) { return modelOut{"mlp"}, nil })
}

// defaults is what an experiment with only the required keys decodes to.
func defaults() experiment {
	e := Defaults[experiment]()
	e.Model = models.Default("mlp")
	return e
}

var inf = math.Inf(1)
