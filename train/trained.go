package train

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/train/config"
)

// Trained is a model that can be sampled from.
type Trained struct {
	Drawer
	Path   string // what was opened
	File   string // where the weights are
	Step   int64  // training steps that made it; 0: not known
	Params []*tensor.Param
	Net    Network // nil: the model is a mixture's perfect one
	Exp    *Loaded // nil: not trained here
	EMA    bool    // the weights are the moving average

	Notes []string // what was assumed

	job *Job // nil: not trained here

	// Of a diffusers folder:
	ModelClass     string
	SchedulerClass string
	scheduler      []byte        // scheduler_config.json
	call           *interop.Call // how a folder that we have exported is sampled from; nil: another's
	samplerName    string        // that was chosen; "": the config's own
	schedulerFile  string
	outChannels    int
}

// network is the network as models call it.
func (t *Trained) network() diffusion.Network {
	return func(x, time *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
		return t.Net.Forward(x, time, nn.Cond(c))
	}
}

// Open opens what can be sampled from: a run (its newest checkpoint), a
// checkpoint file, or a folder that diffusers has written.
func Open(path string, warn func(format string, args ...any)) (*Trained, error) {
	return openOn(nil, path, warn)
}

// openOn opens on a device; nil: the one that the run's config asks for.
func openOn(dev backend.Device, path string, warn func(format string, args ...any)) (*Trained, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, noRead(path, err, wantModel)
	}
	if info.IsDir() && !IsRun(path) {
		return openDiffusers(dev, path)
	}
	c, err := openSaved(path, warn)
	if err != nil {
		return nil, err
	}
	return openTrained(dev, path, c)
}

// openSaved opens a run's newest checkpoint, or a checkpoint file.
func openSaved(path string, warn func(format string, args ...any)) (*checkpoint, error) {
	if IsRun(path) {
		return newestOf(path, warn)
	}
	if info, err := os.Stat(path); err != nil {
		return nil, noRead(path, err, "a run's folder or a checkpoint (.safetensors)")
	} else if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, and not that of a run (no config.yaml)", path)
	}
	return openCheckpoint(path)
}

// wantModel is what can be opened.
const wantModel = "a run's folder, a checkpoint (.safetensors), or a folder that diffusers has written"

// newestOf opens the newest whole checkpoint of a run.
func newestOf(run string, warn func(format string, args ...any)) (*checkpoint, error) {
	c, err := newestCheckpoint(RunDir(run).Checkpoints(), warn)
	if err == nil && c == nil {
		err = fmt.Errorf("%s has no checkpoint yet: the first is written after checkpoint.every steps, or on Ctrl-C", run)
	}
	return c, err
}

// openTrained builds the model of a checkpoint and closes the file.
func openTrained(dev backend.Device, path string, c *checkpoint) (*Trained, error) {
	defer c.Close()
	exp := &Loaded{File: c.path}
	places, err := config.Load(c.path+" (config)", c.config, nil, &exp.Experiment)
	if err != nil {
		return nil, err
	}
	exp.places = places
	t := &Trained{Path: path, File: c.path, Step: c.state.Step, Exp: exp}
	t.Shape, t.Classes, t.How, t.Precision = c.state.Shape, c.state.Classes, exp.Sample, exp.Precision
	if t.Device = dev; dev == nil {
		if t.Device, err = exp.device(); err != nil {
			return nil, err
		}
	}
	if exp.Text != nil && c.tokenizer == nil {
		return nil, fmt.Errorf("%s: the checkpoint has no tokenizer: its metadata has no %q", c.path, tokensKey)
	}
	if t.prompts, err = exp.prompter(nil, c.tokenizer); err != nil {
		return nil, err
	}
	var job *Job
	if job, t.Net, t.Params, err = exp.build(t.Device, c.state.about, t.prompts); err != nil {
		return nil, err
	}
	t.encoder, _ = t.Net.(*nn.Prompted)
	t.Null, t.Vector, t.NullVector = nullLabel(t.Net), c.state.Vector, nullVector(t.Net)
	source, err := exp.openSource(context.Background(), job, t.Shape)
	if err != nil {
		return nil, err
	}
	t.Source = source.forSampling()
	prefix := c.weights()
	t.EMA = prefix == emaPrefix || c.state.Bare == bareAverage
	if err := c.load(group{prefix: prefix, params: t.Params}); err != nil {
		return nil, err
	}
	freeze(t.Params)
	t.job, t.Model, t.student = job, job.Model(t.Net), job.Student
	t.How.Sampler = t.How.samplerOn(t.Model.Path()) // so that its keys can be overridden
	return t, nil
}

// freeze makes weights constants: gradients that steer samples are by the state alone.
func freeze(params []*tensor.Param) {
	for _, p := range params {
		p.Frozen = true
	}
}

// loadInitial sets a network's weights from a run, a checkpoint or a diffusers folder.
func loadInitial(path string, net Network, params []*tensor.Param, warn func(format string, args ...any)) error {
	info, err := os.Stat(path)
	if err != nil {
		return noRead(path, err, wantModel)
	}
	if info.IsDir() && !IsRun(path) {
		return loadDiffusersInto(path, net)
	}
	c, err := openSaved(path, warn)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.load(group{prefix: c.weights(), params: params, absent: nn.Additions(net)})
}

// ofRun reports whether a path leads to a run or a checkpoint, and not to a diffusers folder.
func ofRun(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (!info.IsDir() || IsRun(path))
}

// weights is the prefix of the weights to use: the average's, if there is one.
func (c *checkpoint) weights() string {
	if c.state.Bare != "" {
		return ""
	}
	for _, name := range c.file.Names() {
		if !c.raw && strings.HasPrefix(name, emaPrefix) {
			return emaPrefix
		}
	}
	return modelPrefix
}
