// Package train runs experiments: it turns a YAML file into a data source, a
// network, an objective and an optimiser, trains, writes checkpoints, metrics
// and pictures, and samples from what was trained.
//
// The registries Datasets, Models, Objectives, Optimizers, Schedules and
// Samplers name what a file may ask for. A program of one's own registers more
// and hands over to train/cli.
package train

//go:generate go run ../internal/docgen/configuration ../docs/configuration.md

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/cuda"
	"github.com/langevin-go/langevin/train/config"
)

// Experiment is everything that decides how a run turns out.
type Experiment struct {
	Name        string                                     `yaml:"name" doc:"names the run's folder, runs/NAME; empty: the file's name"`
	Seed        uint64                                     `yaml:"seed" doc:"of all random numbers: initial weights, order of the data, noise, times"`
	Device      string                                     `yaml:"device" doc:"where tensors live: cuda is an NVIDIA GPU, of which no run has been made yet; auto is the CPU until that has been done" oneof:"auto cpu cuda"`
	Precision   string                                     `yaml:"precision" doc:"what matrix products, convolutions and attention compute in while training: with bf16, what enters a product is rounded to bfloat16; sums, weights and all else stay float32" oneof:"float32 bf16"`
	Steps       int64                                      `yaml:"steps" doc:"training steps" range:"[1,inf)"`
	Batch       int                                        `yaml:"batch" doc:"samples a step" range:"[1,inf)"`
	Accumulate  int                                        `yaml:"accumulate" doc:"parts that a step's batch is computed in, one after another: less memory, and the same gradient but for rounding" range:"[1,inf)"`
	Data        config.Variant[DataArg, *Dataset]          `yaml:"data,required" doc:"training data"`
	Loading     Loading                                    `yaml:"loading" doc:"how data are read while training; what is trained on does not depend on it"`
	Flip        bool                                       `yaml:"flip" doc:"mirror each picture left to right with probability one half"`
	Conditional bool                                       `yaml:"conditional" doc:"condition the network on the data's classes and vectors, if they have any"`
	Model       config.Variant[ModelArg, Network]          `yaml:"model,required" doc:"the network"`
	Text        *Text                                      `yaml:"text" doc:"condition the network on captions: how they are read; null: it knows none"`
	Objective   config.Variant[ObjectiveArg, *Job]         `yaml:"objective" doc:"what the network learns"`
	Optim       Optim                                      `yaml:"optim" doc:"how weights change"`
	EMA         *config.Variant[AverageArg, optim.Profile] `yaml:"ema" doc:"moving average of the weights, which is what samples are drawn from; null: none"`
	Init        string                                     `yaml:"init" doc:"initial weights: a run, a checkpoint, or a diffusers folder; empty: random"`
	Sample      Sampling                                   `yaml:"sample" doc:"pictures drawn while training, and the defaults of the sample command"`
	Checkpoint  Checkpointing                              `yaml:"checkpoint" doc:"what can be resumed from"`
	Validation  Validation                                 `yaml:"validation" doc:"loss on held-out data while training"`
	PostHoc     *PostHoc                                   `yaml:"post_hoc" doc:"averages of the weights that are stored on the way, from which the average command makes one of any width afterwards; null: none"`
	MaxTime     time.Duration                              `yaml:"max_time" doc:"how long the train command trains before it writes a checkpoint and ends; the run can be resumed; 0s: to the last step"`
	Record      Recording                                  `yaml:"record" doc:"what is recorded beside the metrics of log_every"`
	LogEvery    int64                                      `yaml:"log_every" doc:"steps between records of metrics" range:"[1,inf)"`
	MaxSkips    int                                        `yaml:"max_skips" doc:"steps in a row with a loss or gradient that is not finite before training stops" range:"[1,inf)"`
}

// SetDefaults sets what most experiments want.
func (e *Experiment) SetDefaults() {
	e.Device, e.Precision = "auto", Float32
	e.Steps, e.Batch, e.LogEvery, e.MaxSkips = 5000, 128, 50, 10
	e.Accumulate, e.Conditional = 1, true
	average := Averages.Default("constant")
	e.EMA = &average
	e.Objective = Objectives.Default("flow")
}

// Validate checks what belongs together.
func (e *Experiment) Validate() error {
	if e.Accumulate > e.Batch {
		return invalid.Field("accumulate", "is %d; a batch of %d samples has no more parts than samples", e.Accumulate, e.Batch)
	}
	if e.MaxTime < 0 {
		return invalid.Field("max_time", "must not be negative, is %v", e.MaxTime)
	}
	return nil
}

// Optim are the settings of optimisation.
type Optim struct {
	LR       float64                                     `yaml:"lr" doc:"peak learning rate" range:"(0,inf)"`
	Rule     config.Variant[OptimArg, optim.Optimizer]   `yaml:"rule" doc:"update rule"`
	Schedule config.Variant[ScheduleArg, optim.Schedule] `yaml:"schedule" doc:"learning rate over time"`
	Clip     float64                                     `yaml:"clip" doc:"largest global norm of the gradient; 0: no clipping" range:"[0,inf)"`
	Decay    string                                      `yaml:"decay" doc:"what weight decay acts on: all parameters, or weights only, which are matrices and kernels, not biases, norms and embedding tables" oneof:"all weights"`
	Groups   []ParamGroup                                `yaml:"groups" doc:"settings for parts of the network; a parameter belongs to the first group that matches its name (see inspect --params), and the others have the settings above"`
}

func (o *Optim) SetDefaults() {
	o.LR, o.Clip, o.Decay = 1e-3, 1, "all"
	o.Rule = Optimizers.Default("adamw")
	o.Schedule = Schedules.Default("cosine")
}

// Checkpointing says when checkpoints are written and how many are kept.
type Checkpointing struct {
	Every     int64 `yaml:"every" doc:"steps between checkpoints; one is always written at the end, and on Ctrl-C" range:"[1,inf)"`
	Keep      int   `yaml:"keep" doc:"newest checkpoints that are kept; 0: all" range:"[0,inf)"`
	KeepEvery int64 `yaml:"keep_every" doc:"checkpoints of steps that this divides are kept, too; 0: none" range:"[0,inf)"`
	Best      bool  `yaml:"best" doc:"keep the checkpoint with the lowest loss on held-out data as best.safetensors (see validation)"`
}

func (c *Checkpointing) SetDefaults() { c.Every, c.Keep = 1000, 2 }

// Loaded is an experiment with the places of its keys, for errors that show later.
type Loaded struct {
	Experiment
	File   string
	places *config.Places
}

// LoadExperiment reads a YAML file and overrides (key.path=value).
func LoadExperiment(file string, overrides []string) (*Loaded, error) {
	l := &Loaded{File: file}
	places, err := config.LoadFile(file, overrides, &l.Experiment)
	if err != nil {
		return nil, err
	}
	return l, l.named(places)
}

// ReadExperiment reads YAML that is not in a file of its own; file is what
// errors call it.
func ReadExperiment(file string, yaml []byte, overrides []string) (*Loaded, error) {
	l := &Loaded{File: file}
	places, err := config.Load(file, yaml, overrides, &l.Experiment)
	if err != nil {
		return nil, err
	}
	return l, l.named(places)
}

// Resolved is the experiment as YAML, every default filled in.
func (l *Loaded) Resolved() ([]byte, error) { return config.Resolved(&l.Experiment) }

// named takes the name of an experiment that has none from its file.
func (l *Loaded) named(places *config.Places) error {
	l.places = places
	if l.Name == "" {
		base := filepath.Base(l.File)
		l.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if strings.ContainsAny(l.Name, `/\`) || l.Name == "." || l.Name == ".." {
		return places.Errorf("name", "must be a plain folder name, is %q", l.Name)
	}
	return nil
}

// at gives an error of building what stands at key that key's place.
func (l *Loaded) at(key string, err error) error {
	if err == nil {
		return nil
	}
	return l.places.Locate(key, err)
}

// device opens the device that the experiment asks for.
func (l *Loaded) device() (backend.Device, error) {
	d, err := OpenDevice(l.Device)
	return d, l.at("device", err)
}

// OpenDevice opens a device by name: auto, cpu or cuda. Of several GPUs cuda is the first that
// the driver shows; CUDA_VISIBLE_DEVICES changes that.
func OpenDevice(name string) (backend.Device, error) {
	switch name {
	case "auto", "cpu", "":
		return cpu.New(cpu.Options{})
	case "cuda":
		d, err := cuda.New(cuda.Options{})
		if err != nil {
			return nil, fmt.Errorf("cuda cannot be used: %w", err)
		}
		return d, nil
	}
	return nil, fmt.Errorf("unknown device %q: want auto, cpu or cuda", name)
}

// openData opens the training data; relative paths are taken from where the program was started.
func (l *Loaded) openData(ctx context.Context) (*Dataset, error) {
	return l.openDataWarning(ctx, nil)
}

// openDataWarning is openData; warn, if set, hears of samples that are passed over.
func (l *Loaded) openDataWarning(ctx context.Context, warn func(format string, args ...any)) (*Dataset, error) {
	d, err := l.Data.Build(DataArg{Ctx: ctx, Dir: ".", Seed: l.Seed, Warn: warn})
	return d, l.at("data", err)
}
