package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor/backend"
)

// Folder is a folder of diffusers whose configurations have been read.
type Folder struct {
	Path     string
	ModelDir string  // the network's folder: Path itself, or unet or transformer below it
	Config   *Config // the network's

	Pipeline string // class of the pipeline; empty for a single model
	Call     *Call  // of an OwnPipeline; nil: it is none

	// The scheduler's configuration as it stands in the file, for whoever knows
	// schedulers; nil if there is none.
	SchedulerClass string
	SchedulerPath  string
	Scheduler      []byte
}

// IsFolder reports whether dir looks like a folder of diffusers: whether it has a
// model_index.json or a config.json.
func IsFolder(dir string) bool {
	return exists(filepath.Join(dir, indexName)) || exists(filepath.Join(dir, configName))
}

const (
	indexName     = "model_index.json"
	schedulerName = "scheduler_config.json"
)

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Open reads the configurations of a pipeline's or a model's folder.
func Open(dir string) (*Folder, error) {
	f := &Folder{Path: dir, ModelDir: dir}
	var err error
	switch {
	case exists(filepath.Join(dir, indexName)):
		err = f.pipeline()
	case !exists(filepath.Join(dir, configName)):
		err = badfile.New(dir, ErrConfig, "is no folder of diffusers: it has neither %s nor %s", indexName, configName)
	}
	if err != nil {
		return nil, err
	}
	f.Config, err = ReadConfig(filepath.Join(f.ModelDir, configName))
	if err != nil {
		return nil, err
	}
	return f, f.useNull()
}

// Load makes the network with its weights on dev, as f.Config says: whose
// settings that change no weight, such as the time scale, may have been changed.
func (f *Folder) Load(dev backend.Device) (nn.Model, error) {
	w, err := openWeights(f.ModelDir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return f.Config.load(w, dev)
}

// pipeline reads model_index.json: components are pairs [library, class].
func (f *Folder) pipeline() error {
	path := filepath.Join(f.Path, indexName)
	text, err := readBounded(path)
	if err != nil {
		return err
	}
	m, err := parseFields(path, text)
	if err != nil {
		return err
	}
	if f.Pipeline = m.pipelineClass(); f.Pipeline == OwnPipeline {
		f.Call = m.ownCall()
	}
	network := ""
	for _, name := range m.order {
		if strings.HasPrefix(name, "_") || m.m[name].used {
			continue
		}
		class := m.component(name)
		switch name {
		case "unet", "transformer":
			if want := map[string]string{"unet": UNet2DModel, "transformer": DiTTransformer2DModel}[name]; class != want {
				m.refuse(name, "must be a %s", want)
			}
			if network != "" {
				m.refuse(name, "must be the pipeline's only network")
			}
			network = name
		case "scheduler":
			f.SchedulerClass = class
		case "id2label": // names of classes: labels are given as numbers here
		default:
			if class != "" {
				m.refuse(name, "a pipeline must consist of a unet or transformer and a scheduler")
			}
		}
	}
	if network == "" {
		m.fail("unet", ErrUnsupported, "is missing, and so is transformer: one of them must be the pipeline's network")
	}
	if err := m.done("pipeline"); err != nil {
		return err
	}
	f.ModelDir = filepath.Join(f.Path, network)
	if f.SchedulerClass == "" {
		return nil
	}
	f.SchedulerPath = filepath.Join(f.Path, "scheduler", schedulerName)
	f.Scheduler, err = readBounded(f.SchedulerPath)
	return err
}

// pipelineClass is a class of diffusers, or OwnPipeline. Others that come with code of their own are refused: it is not run here.
func (m *fields) pipelineClass() string {
	const name = "_class_name"
	if v := m.m[name]; v == nil || len(v.raw) == 0 || v.raw[0] != '[' {
		return m.string(name, "")
	}
	pair := m.strings(name, nil)
	if m.err == nil && !slices.Equal(pair, []string{ownModule, OwnPipeline}) {
		m.refuse(name, "must be a class of diffusers, or [%q, %q]: programs in the folder are not run here", ownModule, OwnPipeline)
	}
	return OwnPipeline
}

// component is the class of a member of model_index.json, empty if it is null.
func (m *fields) component(name string) string {
	raw := m.take(name)
	if name == "id2label" {
		return ""
	}
	var pair []*string
	if json.Unmarshal(raw, &pair) != nil || string(raw) != "null" && len(pair) != 2 {
		m.refuse(name, "must be a component, a pair of library and class")
		return ""
	}
	if len(pair) == 0 || pair[1] == nil {
		return ""
	}
	return *pair[1]
}
