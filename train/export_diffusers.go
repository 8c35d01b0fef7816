package train

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/interop"
)

// Exported is what a pipeline's folder consists of.
type Exported struct {
	Pipeline  string // class; interop.OwnPipeline: the folder has its code
	Network   string
	Scheduler string
	Steps     int
	Guidance  float64
	Classes   int
}

// ExportDiffusers writes the model of a run or checkpoint, its moving average if it has one and raw is false, as the folder of a pipeline that
// diffusers loads: the network, the scheduler that makes the steps of the run as how changes it, and what a call begins with. dir must be new or an
// empty folder; it is written whole or not at all. What diffusers has no equivalent of is an error that names it.
func ExportDiffusers(from string, raw bool, dir string, how Choice, warn func(format string, args ...any)) (*Exported, error) {
	c, err := openSaved(from, warn)
	if err != nil {
		return nil, err
	}
	if raw {
		if err := c.useRaw(); err != nil {
			c.Close()
			return nil, err
		}
	}
	dev, err := OpenDevice("cpu")
	if err != nil {
		c.Close()
		return nil, err
	}
	t, err := openTrained(dev, from, c)
	if err != nil {
		return nil, err
	}
	if err := t.Choose(how); err != nil {
		return nil, err
	}
	p, err := t.pipeline()
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be a pipeline of diffusers: %w", from, err)
	}
	err = atomicfile.WriteDir(dir, func(tmp string) error {
		return interop.ExportPipeline(tmp, t.Net, t.Shape[0], t.Shape[1], *p)
	})
	if err != nil {
		if !isFileError(err) {
			err = fmt.Errorf("%s: cannot be a pipeline of diffusers: %w", from, err)
		}
		return nil, err
	}
	e := &Exported{Pipeline: p.Class, Scheduler: p.SchedulerClass, Steps: t.How.Steps, Guidance: p.Call.Guidance, Classes: t.Classes}
	e.Network = interop.UNet2DModel
	if _, ok := t.Net.(*nn.DiT); ok {
		e.Network = interop.DiTTransformer2DModel
	}
	return e, nil
}

// pipeline is what goes beside the network, or an error about what has no equivalent in diffusers.
func (t *Trained) pipeline() (*interop.Pipeline, error) {
	if err := t.checkPlain(); err != nil {
		return nil, err
	}
	model, scale, err := t.plainModel()
	if err != nil {
		return nil, err
	}
	how, grid, err := t.plan()
	if err != nil {
		return nil, err
	}
	w := schedule.Wanted{
		Path: model.Along, Predicts: model.Predicts, Variance: model.Variance, Name: t.SamplerKind(), Sampler: how, Grid: grid, Clip: t.How.Clip,
		TimeInput: func(p diffusion.Point) float64 {
			if model.TimeInput == nil {
				return scale * p.T
			}
			return scale * model.TimeInput(p)
		},
	}
	if c, ok := t.Exp.Objective.Config.(ddpmConfig); ok && c.Schedule != "own" {
		w.Betas, w.ZeroSNR = &schedule.Betas{BetaSchedule: c.Schedule, BetaStart: c.BetaStart, BetaEnd: c.BetaEnd}, c.ZeroSNR
	}
	if g, ok := t.How.Grid.Config.(sampler.KarrasGrid); ok {
		w.Rho = g.Rho
	}
	f, err := schedule.Find(w)
	if err != nil {
		return nil, err
	}
	p := &interop.Pipeline{Class: interop.OwnPipeline, SchedulerClass: f.Scheduler.Class(), Call: interop.Call{
		Steps: len(grid) - 1, Guidance: 1, Eta: f.Eta, Rederive: f.Rederive, Even: f.Even, StartScale: t.startScale(grid[0]) / f.InitScale,
	}}
	if t.Classes > 0 && t.Null >= 0 {
		p.Call.Guidance = t.How.EffectiveScale()
	}
	if p.Scheduler, err = schedule.Encode(f.Scheduler, interop.Version); err != nil {
		return nil, err
	}
	if class := t.stockPipeline(f, p.Call.StartScale); class != "" {
		p.Class = class
	}
	return p, nil
}

// stockPipeline is the class of diffusers whose loop is the run's as it stands; "": there is none. Those are for networks
// without conditions, and for two schedulers.
func (t *Trained) stockPipeline(f *schedule.Found, start float64) string {
	u, ok := t.Net.(*nn.UNet)
	if !ok || start != 1 || u.Options().Classes > 0 || u.Options().Vector > 0 {
		return ""
	}
	plain := u.Options().OutChannels == u.Options().InChannels
	switch s := f.Scheduler.(type) {
	case *schedule.DDPM:
		if plain || strings.HasPrefix(s.VarianceType, "learned") {
			return "DDPMPipeline"
		}
	case *schedule.DDIM:
		if plain && f.Eta == 0 && !f.Rederive {
			return "DDIMPipeline"
		}
	}
	return ""
}

// plainModel is the network as a model that one of diffusers' schedulers may go with, and its factor on the time.
func (t *Trained) plainModel() (model *diffusion.NetModel, scale float64, err error) {
	switch net := t.Net.(type) {
	case *nn.UNet:
		scale = net.Options().TimeScale
	case *nn.DiT:
		scale = net.Options().TimeScale
	default:
		return nil, 0, invalid.Field("model", "is %s, for which diffusers has no class: want unet or dit", t.Exp.Model.Kind)
	}
	model, ok := t.Model.(*diffusion.NetModel)
	if !ok || model.Jumps || t.student != nil && (t.student.Maps || t.student.Told) {
		return nil, 0, invalid.Field("objective", "is %s: no scheduler of diffusers knows what its network means; want ddpm, flow or edm, or a student that predicts as those do", t.Exp.Objective.Kind)
	}
	return model, scale, nil
}

// checkPlain refuses what a run has besides a network and a scheduler.
func (t *Trained) checkPlain() error {
	var plain Sampling
	plain.SetDefaults()
	how := &t.How
	switch {
	case t.Exp.Text != nil:
		return invalid.Field("text", "conditions the network on prompts: a folder has no place for our text encoders; the package nn/interop writes the network alone")
	case t.Source != nil:
		return invalid.Field("objective.source", "is what the flow starts from: pipelines start from normal noise")
	case len(t.Shape) != 3:
		return invalid.Field("data", "have shape %v: pipelines are for images", t.Shape)
	case how.Brownian:
		return invalid.Field("brownian", "has no equivalent: export with brownian=false")
	case how.Float64:
		return invalid.Field("float64_state", "has no equivalent: export with float64_state=false")
	case how.Scaling != plain.Scaling:
		return invalid.Field("eps_scaling", "has no equivalent: leave its keys as they are by default")
	case how.Classifier != nil:
		return invalid.Field("classifier_guidance", "has no equivalent: export with classifier_guidance=null")
	case how.Cost != nil:
		return invalid.Field("cost", "has no equivalent: export with cost=null")
	case len(how.Constraints) > 0:
		return invalid.Field("constraints", "have no equivalent: export with constraints=[]")
	}
	g, p := &how.Guidance, &plain.Guidance
	for _, v := range []struct {
		name, right string
		same        bool
	}{
		{"guidance_from", "0", g.From == p.From},
		{"guidance_to", "1", g.To == p.To},
		{"guidance_sigma_from", "0", g.SigmaFrom == p.SigmaFrom},
		{"guidance_sigma_to", "0", g.SigmaTo == p.SigmaTo},
		{"guidance_schedule", "constant", reflect.DeepEqual(g.Over, p.Over)},
		{"guidance_rule", "cfg", g.Rule.Kind == p.Rule.Kind},
		{"guidance_rescale", "0", g.Rescale == p.Rescale},
		{"guidance_negative", "null", g.Negative == nil},
		{"guidance_with", "[]", len(g.With) == 0},
		{"autoguidance", "null", g.Auto == nil},
	} {
		if !v.same {
			return invalid.Field(v.name, "has no equivalent: export with %s=%s", v.name, v.right)
		}
	}
	return nil
}

// isFileError reports whether an error is of the file system.
func isFileError(err error) bool {
	_, ok := err.(*atomicfile.Error)
	return ok
}

// LoadingCode is Python that loads a folder of e and draws from it.
func (e *Exported) LoadingCode(dir string) string {
	trust := ""
	if e.Pipeline == interop.OwnPipeline {
		trust = ", trust_remote_code=True"
	}
	call := fmt.Sprintf("batch_size=4, num_inference_steps=%d", e.Steps)
	switch {
	case e.Pipeline == interop.OwnPipeline && e.Classes > 0:
		call = "class_labels=[0, 1]"
	case e.Pipeline == interop.OwnPipeline:
		call = "batch_size=4"
	}
	return fmt.Sprintf("from diffusers import DiffusionPipeline\npipe = DiffusionPipeline.from_pretrained(%q%s)\nimages = pipe(%s).images\n", filepath.ToSlash(dir), trust, call)
}
