package nn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
)

// LoadError says how a file's tensors differ from a model's parameters.
type LoadError struct {
	Path      string
	Missing   []string // parameters that the file lacks
	Surplus   []string // tensors that the model has no parameter for
	Misshapen []string // name, shape in the file, shape wanted
}

func (e *LoadError) Error() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"missing", e.Missing}, {"surplus", e.Surplus}, {"of wrong shape", e.Misshapen}} {
		if len(p.names) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", len(p.names), p.what, abbreviate(p.names)))
		}
	}
	return e.Path + ": the tensors are not this network's: " + strings.Join(parts, "; ")
}

// OrNil is e if something differs.
func (e *LoadError) OrNil() error {
	if len(e.Missing)+len(e.Surplus)+len(e.Misshapen) == 0 {
		return nil
	}
	return e
}

// abbreviate lists at most eight names: one wrong setting can shift hundreds.
func abbreviate(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Save writes the parameters of a model to a safetensors file, whole or not at
// all, under the names of [NamedParams], with metadata.
func Save(path string, model any, metadata map[string]string) error {
	return safetensors.WriteFile(path, Entries(model), metadata)
}

// Entries are the parameters of a model as tensors to be written. Values are read
// when the entry is made.
func Entries(model any) []safetensors.Entry {
	var es []safetensors.Entry
	for _, n := range NamedParams(model) {
		shape := slices.Clone(n.Param.Shape())
		if n.Param.DType() == tensor.Float64 {
			es = append(es, safetensors.Float64(n.Name, shape, n.Param.Float64s()))
		} else {
			es = append(es, safetensors.Float32(n.Name, shape, n.Param.Float32s()))
		}
	}
	return es
}

// Load reads the parameters of a model from a file that Save wrote. Every
// parameter must be there, in its shape, and nothing else: otherwise the error is
// a *LoadError and the model is as it was.
func Load(path string, model any) error { return LoadPrefix(path, "", model) }

// LoadPrefix is Load from those tensors of a file whose names begin with prefix. Of a training
// run's checkpoint, "model." are the weights and "ema." their moving average.
func LoadPrefix(path, prefix string, model any) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return LoadFrom(f, prefix, model)
}

// LoadFrom is LoadPrefix from an open file.
func LoadFrom(f *safetensors.File, prefix string, model any) error {
	params := NamedParams(model)
	e := &LoadError{Path: f.Path()}
	known := map[string]bool{}
	for _, n := range params {
		name := prefix + n.Name
		known[name] = true
		t, err := f.Tensor(name)
		switch {
		case err != nil:
			e.Missing = append(e.Missing, name)
		case !slices.Equal(t.Shape, n.Param.Shape()):
			e.Misshapen = append(e.Misshapen, fmt.Sprintf("%s is %v, want %v", name, t.Shape, n.Param.Shape()))
		}
	}
	for _, name := range f.Names() {
		if strings.HasPrefix(name, prefix) && !known[name] {
			e.Surplus = append(e.Surplus, name)
		}
	}
	if err := e.OrNil(); err != nil {
		return err
	}
	return readAll(f, prefix, params)
}

// readAll reads every tensor before it sets any parameter, so that a file that
// cannot be read leaves the model as it was.
func readAll(f *safetensors.File, prefix string, params []Named) error {
	values := make([]any, len(params))
	for i, n := range params {
		t, err := f.Tensor(prefix + n.Name)
		if err != nil {
			return err
		}
		if n.Param.DType() == tensor.Float64 {
			values[i], err = t.Float64s()
		} else {
			values[i], err = t.Float32s()
		}
		if err != nil {
			return err
		}
	}
	for i, n := range params {
		var err error
		switch v := values[i].(type) {
		case []float32:
			err = n.Param.Set(v)
		case []float64:
			err = n.Param.Set64(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
