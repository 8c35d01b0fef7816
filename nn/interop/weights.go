package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
)

// The names of a model's files.
const (
	configName  = "config.json"
	weightsName = "diffusion_pytorch_model.safetensors"
)

// Load makes the network of a folder with a config.json and its weights, on dev.
// Tensors that are missing, surplus or of a wrong shape are a *nn.LoadError; nothing
// is allocated before they have been compared.
func Load(dir string, dev backend.Device) (nn.Model, *Config, error) {
	c, err := ReadConfig(filepath.Join(dir, configName))
	if err != nil {
		return nil, nil, err
	}
	f, err := openWeights(dir)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	m, err := c.load(f, dev)
	return m, c, err
}

// openWeights finds the weights; if there are only others, it says what to do.
func openWeights(dir string) (*safetensors.File, error) {
	path := filepath.Join(dir, weightsName)
	if _, err := os.Stat(path); err == nil {
		return safetensors.Open(path)
	}
	for _, other := range []struct{ pattern, hint string }{
		{"diffusion_pytorch_model.bin", "a pickle, which is a program and is not run here: save the model with safe_serialization=True"},
		{"diffusion_pytorch_model.*.safetensors", "a variant: copy it under that name"},
		{"diffusion_pytorch_model-*.safetensors", "a part of several: save the model with a larger max_shard_size"},
	} {
		if found, _ := filepath.Glob(filepath.Join(dir, other.pattern)); len(found) > 0 {
			return nil, badfile.New(path, ErrUnsupported, "is not there; there is %s, %s", filepath.Base(found[0]), other.hint)
		}
	}
	return safetensors.Open(path)
}

func (c *Config) load(f *safetensors.File, dev backend.Device) (nn.Model, error) {
	names := theirNames(f, c)
	if err := c.compare(f, names); err != nil {
		return nil, err
	}
	m, err := c.New(nn.NewBlankInit(dev))
	if err != nil {
		return nil, err
	}
	ss, err := slots(m)
	if err != nil {
		return nil, err
	}
	for _, s := range ss {
		values, err := join(s, func(name string) ([]float32, error) {
			t, err := f.Tensor(names[name])
			if err != nil {
				return nil, err
			}
			return t.Float32s()
		})
		if err != nil {
			return nil, err
		}
		if err := s.param.Set(values); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// theirNames maps today's name of every tensor to its name in the file.
func theirNames(f *safetensors.File, c *Config) map[string]string {
	names := map[string]string{}
	for _, n := range f.Names() {
		names[today(n, c)] = n
	}
	return names
}

// today is the present name of a tensor, empty for one that is not a weight.
func today(name string, c *Config) string {
	if c.DiT != nil {
		if slices.Contains(ditIgnored, name) {
			return ""
		}
		return name
	}
	parts := strings.Split(name, ".")
	if i := len(parts) - 2; i > 0 && slices.Contains(parts, "attentions") {
		if now := unetAliases[parts[i]]; now != "" {
			parts[i] = now
		}
	}
	return strings.Join(parts, ".")
}

// compare checks names and shapes against those of a network of the same
// configuration that is made without memory.
func (c *Config) compare(f *safetensors.File, names map[string]string) error {
	m, err := c.New(nn.NewBlankInit(shapesOnly{}))
	if err != nil {
		return err
	}
	ss, err := slots(m)
	if err != nil {
		return err
	}
	e := &nn.LoadError{Path: f.Path()}
	known := map[string]bool{"": true}
	for _, s := range ss {
		want := s.shape()
		for _, name := range s.theirs {
			known[name] = true
			t, err := f.Tensor(names[name])
			switch {
			case err != nil:
				e.Missing = append(e.Missing, name)
			case !slices.Equal(t.Shape, want):
				e.Misshapen = append(e.Misshapen, fmt.Sprintf("%s is %v, want %v", name, t.Shape, want))
			}
		}
	}
	for now, name := range names {
		if !known[now] {
			e.Surplus = append(e.Surplus, name)
		}
	}
	slices.Sort(e.Surplus)
	return e.OrNil()
}

// shapesOnly is a device without memory: networks made on it have names and shapes only.
type shapesOnly struct{ backend.Device }

func (shapesOnly) Name() string                       { return "none" }
func (shapesOnly) Alloc(int) (backend.Memory, error)  { return backend.Memory{}, nil }
func (shapesOnly) Free(backend.Memory)                {}
func (shapesOnly) Upload(backend.Memory, int, []byte) {}

// entries are the tensors of a network as diffusers names and lays them out.
func entries(m nn.Model) ([]safetensors.Entry, error) {
	ss, err := slots(m)
	if err != nil {
		return nil, err
	}
	var out []safetensors.Entry
	for _, s := range ss {
		if s.param.DType() != tensor.Float32 {
			return nil, fmt.Errorf("parameter %s is %v: only float32 is exported", s.name, s.param.DType())
		}
		parts, err := split(s, s.param.Float32s())
		if err != nil {
			return nil, err
		}
		for _, name := range s.theirs {
			shape, values := slices.Clone(s.shape()), parts[name]
			if d, ok := m.(*nn.DiT); ok && strings.HasSuffix(name, ditClassTable) && !d.Options().Null {
				shape[0]++ // the null class, which nothing asks for
				values = append(values, make([]float32, shape[1])...)
			}
			for _, n := range s.copies(name) {
				out = append(out, safetensors.Float32(n, shape, values))
			}
		}
	}
	if d, ok := m.(*nn.DiT); ok && d.Options().Classes == 0 {
		width := d.Options().Width
		for i := range d.Options().Depth {
			name := fmt.Sprintf("transformer_blocks.%d.norm1.emb.%s", i, ditClassTable)
			out = append(out, safetensors.Float32(name, []int{2, width}, make([]float32, 2*width)))
		}
	}
	return out, nil
}

// copies are the names of a tensor there: one, or one a block.
func (s slot) copies(name string) []string {
	if !strings.Contains(name, "*") {
		return []string{name}
	}
	var out []string
	for i := range s.blocks {
		out = append(out, strings.Replace(name, "*", fmt.Sprint(i), 1))
	}
	return out
}
