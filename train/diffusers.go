package train

import (
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// defaultScheduler is what a single model without a scheduler is sampled with: DDPMScheduler's own defaults.
const defaultScheduler = `{"_class_name": "DDPMScheduler"}`

// openDiffusers opens a folder that diffusers has written.
func openDiffusers(dev backend.Device, path string) (*Trained, error) {
	if !interop.IsFolder(path) {
		return nil, fmt.Errorf("%s is neither a run (no config.yaml) nor a diffusers folder (no model_index.json or config.json)", path)
	}
	f, err := interop.Open(path)
	if err != nil {
		return nil, err
	}
	t := &Trained{Path: path, File: f.ModelDir, ModelClass: f.Config.Class, scheduler: f.Scheduler, schedulerFile: f.SchedulerPath, call: f.Call}
	if t.scheduler == nil {
		t.scheduler, t.schedulerFile = []byte(defaultScheduler), "DDPMScheduler's defaults"
		t.Notes = append(t.Notes, fmt.Sprintf("%s has no scheduler: taking DDPMScheduler's defaults (1000 steps, linear betas 1e-4 to 0.02, epsilon prediction)", path))
	}
	t.Precision = Float32
	if t.Device = dev; dev == nil {
		if t.Device, err = OpenDevice("auto"); err != nil {
			return nil, err
		}
	}
	if t.Net, err = f.Load(t.Device); err != nil {
		return nil, err
	}
	t.Params = nn.Params(t.Net)
	freeze(t.Params)
	t.How.SetDefaults()
	cond := t.Net.Conditions()
	if cond.TextWidth > 0 {
		return nil, fmt.Errorf("%s: the network (%s) wants prompts encoded to vectors of %d numbers, and the folder has no text encoder: train it further with model: {kind: diffusers} and a text section, or use the package nn from a program of your own", path, t.ModelClass, cond.TextWidth)
	}
	t.Classes = cond.Classes
	t.Null = nullLabel(t.Net)
	if f.Call != nil && f.Call.Null == nil { // its row is there, and was never trained
		t.Null = -1
	}
	t.Number = cond.Vector > 0 && cond.VectorEmbed == "time"
	h, w := f.Config.Height, f.Config.Width
	if h == 0 || w == 0 {
		return nil, fmt.Errorf("%s: config.json has no sample_size, so that it is not known how large samples are", f.ModelDir)
	}
	in, out := channelsOf(f.Config)
	t.Shape, t.outChannels = []int{h, w, in}, out
	return t, nil
}

// channelsOf are the channels of a configuration's input and output.
func channelsOf(c *interop.Config) (in, out int) {
	if c.UNet != nil {
		return c.UNet.InChannels, c.UNet.OutChannels
	}
	return c.DiT.InChannels, c.DiT.OutChannels
}

type diffusersModelConfig struct {
	Path string `yaml:"path,required" doc:"folder of a pipeline or a model that diffusers has written"`
}

func init() {
	config.Register(Models, "diffusers", "The network of a diffusers folder (UNet2DModel, UNet2DConditionModel or DiTTransformer2DModel) with its weights, to train on from.",
		func(c *diffusersModelConfig, a ModelArg) (Network, error) {
			f, err := c.open(a)
			if err != nil {
				return nil, err
			}
			return f.Load(a.Device)
		})
}

// open reads the folder's configurations for training on data as a says.
func (c *diffusersModelConfig) open(a ModelArg) (*interop.Folder, error) {
	f, err := interop.Open(c.Path)
	if err != nil {
		return nil, err
	}
	in, out := channelsOf(f.Config)
	switch classes := classesOf(f.Config); {
	case len(a.Shape) != 3 || a.Shape[2] != in:
		return nil, invalid.Field("path", "has a network for images of %d channels; the data have shape %v", in, a.Shape)
	case out != a.OutChannels:
		return nil, invalid.Field("path", "has a network with %d output channels; the objective wants %d", out, a.OutChannels)
	case f.Config.UNet != nil && f.Config.UNet.Vector > 0:
		return nil, invalid.Field("path", "has a network whose class_embed_type makes it want a vector of every sample; data give classes only")
	case a.Classes > classes:
		return nil, invalid.Field("path", "has a network for %d classes; the data have %d", classes, a.Classes)
	}
	// Objectives give times in [0,1]; these networks count a thousand steps.
	if f.Config.UNet != nil {
		f.Config.UNet.TimeScale *= 1000
	} else {
		f.Config.DiT.TimeScale *= 1000
	}
	return f, nil
}

// adopt puts, for a model of kind diffusers, the network that the folder
// describes, with every setting, and the folder's weights as the initial ones:
// the run and its checkpoints then do without the folder.
func (t *Trainer) adopt() error {
	c, ok := t.exp.Model.Config.(diffusersModelConfig)
	if !ok {
		return nil
	}
	shape := t.data.Train.Shape()
	job, err := t.exp.Objective.Build(ObjectiveArg{Shape: shape, Levels: data.Levels(t.data.Train), Null: -1, Draft: true, Batch: t.exp.Batch, Steps: t.exp.Steps, Device: t.dev})
	if err != nil {
		return t.exp.at("objective", err)
	}
	f, err := c.open(ModelArg{Shape: shape, Classes: t.classes(), Vector: t.about().Vector, OutChannels: job.outChannels(shape)})
	if err != nil {
		return t.exp.at("model", err)
	}
	t.exp.Model = describedNetwork(f.Config)
	if t.exp.Init == "" {
		t.exp.Init, t.initKey = c.Path, "model.path"
	}
	return nil
}

// describedNetwork is the network of a config.json as configs of our own name it.
func describedNetwork(c *interop.Config) config.Variant[ModelArg, Network] {
	if c.UNet != nil {
		return config.Variant[ModelArg, Network]{Kind: "unet", Config: *c.UNet}
	}
	return config.Variant[ModelArg, Network]{Kind: "dit", Config: *c.DiT}
}

func classesOf(c *interop.Config) int {
	if c.UNet != nil {
		return c.UNet.Classes
	}
	return c.DiT.Classes
}

// loadDiffusersInto sets a network's weights from a diffusers folder of the same architecture.
func loadDiffusersInto(path string, net Network) error {
	if p, ok := net.(*nn.Prompted); ok { // the text encoder is another folder's
		net = p.Model
	}
	f, err := interop.Open(path)
	if err != nil {
		return err
	}
	dev, err := OpenDevice("auto")
	if err != nil {
		return err
	}
	from, err := f.Load(dev)
	if err != nil {
		return err
	}
	want, have := nn.NamedParams(net), nn.NamedParams(from)
	theirs := make(map[string]nn.Named, len(have))
	for _, n := range have {
		theirs[n.Name] = n
	}
	e, added := &nn.LoadError{Path: path}, nn.Additions(net)
	for _, n := range want {
		switch h, ok := theirs[n.Name]; {
		case !ok && slices.Contains(added, n.Param):
		case !ok:
			e.Missing = append(e.Missing, n.Name)
		case !equalShape(h.Param.Shape(), n.Param.Shape()):
			e.Misshapen = append(e.Misshapen, fmt.Sprintf("%s is %v, want %v", n.Name, h.Param.Shape(), n.Param.Shape()))
		}
		delete(theirs, n.Name)
	}
	for _, n := range have {
		if _, left := theirs[n.Name]; left {
			e.Surplus = append(e.Surplus, n.Name)
		}
	}
	if err := e.OrNil(); err != nil {
		return err
	}
	byName := make(map[string]nn.Named, len(have))
	for _, n := range have {
		byName[n.Name] = n
	}
	for _, n := range want {
		from, ok := byName[n.Name]
		if !ok { // an addition
			continue
		}
		if err := n.Param.Set(from.Param.Float32s()); err != nil {
			return err
		}
	}
	return nil
}
