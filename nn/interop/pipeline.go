package interop

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn"
)

// Version is the one of diffusers that written folders follow.
const Version = diffusersVersion

// OwnPipeline is the class of pipeline.py, which is written into folders for which diffusers has no pipeline of its own.
const OwnPipeline = "LangevinPipeline"

// ownModule is the file that it is in, without .py.
const ownModule = "pipeline"

//go:embed pipeline.py
var ownCode []byte

// Call is what an [OwnPipeline] holds of how its model is sampled from: what a scheduler's config does not say.
type Call struct {
	Steps      int     `json:"steps"`
	Guidance   float64 `json:"guidance_scale"`
	Eta        float64 `json:"eta"`
	Rederive   bool    `json:"use_clipped_model_output"`
	Even       bool    `json:"even_times"`  // a flow goes in equal steps
	StartScale float64 `json:"start_scale"` // times the scheduler's init_noise_sigma
	Null       *int    `json:"null_label"`  // the class that stands for none; nil: the network has none
}

// Pipeline is what goes into a pipeline's folder beside the network.
type Pipeline struct {
	Class          string // of diffusers; [OwnPipeline]: the one whose code is written too
	SchedulerClass string
	Scheduler      []byte // scheduler_config.json
	Call           Call   // of an OwnPipeline; Null is filled in
}

// ExportPipeline writes a network, a scheduler and what diffusers' DiffusionPipeline.from_pretrained makes a pipeline of, into a folder
// that is there. See [Export].
func ExportPipeline(dir string, m nn.Model, height, width int, p Pipeline) error {
	part, class := "unet", UNet2DModel
	switch m := m.(type) {
	case *nn.DiT:
		part, class = "transformer", DiTTransformer2DModel
	case *nn.UNet:
		if m.Options().TextWidth > 0 {
			return cannot("text_width", m.Options().TextWidth, "a pipeline has no text encoder here")
		}
	}
	index := map[string]any{
		"_class_name": p.Class, "_diffusers_version": diffusersVersion,
		part: []string{"diffusers", class}, "scheduler": []string{"diffusers", p.SchedulerClass},
	}
	if p.Class == OwnPipeline {
		index["_class_name"] = []string{ownModule, OwnPipeline}
		p.Call.Null = nullLabel(m)
		for name, v := range callFields(p.Call) {
			index[name] = v
		}
	}
	text, err := indented(index)
	if err != nil {
		return err
	}
	if err := Export(filepath.Join(dir, part), m, height, width); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "scheduler"), 0o777); err != nil {
		return err
	}
	files := map[string][]byte{filepath.Join("scheduler", schedulerName): p.Scheduler, indexName: text}
	if p.Class == OwnPipeline {
		files[ownModule+".py"] = ownCode
	}
	for name, text := range files {
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// callFields are the members of model_index.json.
func callFields(c Call) map[string]any {
	var m map[string]any
	text, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		panic(fmt.Sprintf("interop: %v", err)) // numbers that JSON does not have
	}
	return m
}

// nullLabel is the label that stands for no class in an exported network; nil: there is none. A DiT without classes has one there.
func nullLabel(m nn.Model) *int {
	if d, ok := m.(*nn.DiT); ok && d.Options().Classes == 0 {
		return new(int)
	}
	if label, ok := m.Conditions().NullLabel(); ok {
		return &label
	}
	return nil
}

// ownCall reads what an OwnPipeline holds.
func (m *fields) ownCall() *Call {
	c := &Call{
		Steps: m.int("steps", 50, 1, maxSteps), Guidance: m.float("guidance_scale", 1), Eta: m.float("eta", 0),
		Rederive: m.bool("use_clipped_model_output", false), Even: m.bool("even_times", false), StartScale: m.float("start_scale", 1),
	}
	for _, v := range []struct {
		name string
		x    float64
	}{{"guidance_scale", c.Guidance}, {"eta", c.Eta}} {
		if !(v.x >= 0) {
			m.fail(v.name, ErrConfig, "must not be negative, is %g", v.x)
		}
	}
	if !(c.StartScale > 0) {
		m.fail("start_scale", ErrConfig, "must be positive, is %g", c.StartScale)
	}
	if n, ok := m.optInt("null_label", 0, maxRows); ok {
		c.Null = &n
	}
	return c
}

// useNull has a network's configuration know its null class, which a UNet2DModel's does not tell from the others.
func (f *Folder) useNull() error {
	if f.Call == nil || f.Call.Null == nil {
		return nil
	}
	null := *f.Call.Null
	if u := f.Config.UNet; u != nil {
		if u.Classes < 2 || null != u.Classes-1 {
			return f.badNull("must be num_class_embeds-1=%d, is %d", u.Classes-1, null)
		}
		u.Classes, u.Null = null, true
		return nil
	}
	if d := f.Config.DiT; null > d.Classes {
		return f.badNull("must be at most num_embeds_ada_norm=%d, is %d", d.Classes, null)
	}
	return nil
}

func (f *Folder) badNull(format string, args ...any) error {
	return badfile.New(filepath.Join(f.Path, indexName), ErrConfig, format, args...).In(`field "null_label"`)
}
