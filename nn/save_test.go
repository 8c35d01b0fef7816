package nn

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func smallMLP(seed uint64) *MLP {
	var o MLPOptions
	o.SetDefaults()
	o.Dim, o.Width, o.Depth = 2, 3, 2
	return must(NewMLP(NewInit(cpu.Default(), rng.Key{Seed: seed}), o))
}

func values(m any) (v []float64) {
	for _, p := range Params(m) {
		v = append(v, p.Float64s()...)
	}
	return v
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
		a, b := smallMLP(1), smallMLP(2)
		Convert(a, dtype)
		Convert(b, dtype)
		if err := Save(path, a, map[string]string{"step": "7"}); err != nil {
			t.Fatal(err)
		}
		if err := Load(path, b); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(values(a), values(b)) {
			t.Errorf("%v: other values came back", dtype)
		}
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["step"] != "7" || !f.Has("layers.2.bias") {
		t.Errorf("metadata %v, names %v", f.Metadata(), f.Names())
	}
}

func TestLoadErrorsNameTensorsAndChangeNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	edit := func(f func(name string) (string, []int)) {
		var es []safetensors.Entry
		for _, e := range Entries(smallMLP(1)) {
			if e.Name, e.Shape = f(e.Name); e.Name != "" {
				n := 1
				for _, d := range e.Shape {
					n *= d
				}
				es = append(es, safetensors.Float32(e.Name, e.Shape, make([]float32, n)))
			}
		}
		if err := safetensors.WriteFile(path, es, nil); err != nil {
			t.Fatal(err)
		}
	}
	shapes := map[string][]int{}
	for _, n := range NamedParams(smallMLP(1)) {
		shapes[n.Name] = n.Param.Shape()
	}
	edit(func(name string) (string, []int) {
		switch name {
		case "layers.0.bias":
			return "", nil
		case "layers.1.weight":
			return name, []int{3, 4}
		case "layers.2.bias":
			return "layer.2.bias", shapes[name]
		}
		return name, shapes[name]
	})
	m := smallMLP(3)
	before := values(m)
	err := Load(path, m)
	var e *LoadError
	if !errors.As(err, &e) || !slices.Equal(e.Missing, []string{"layers.0.bias", "layers.2.bias"}) || !slices.Equal(e.Surplus, []string{"layer.2.bias"}) || !slices.Equal(e.Misshapen, []string{"layers.1.weight is [3 4], want [3 3]"}) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{path, "2 missing (layers.0.bias, layers.2.bias)", "1 surplus (layer.2.bias)", "1 of wrong shape"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	if !slices.Equal(values(m), before) {
		t.Error("a failed Load changed the model")
	}
	if err := Load(filepath.Join(dir, "nothing"), m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-5], 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Load(path, m); !errors.Is(err, safetensors.ErrFormat) {
		t.Errorf("truncated: got %v", err)
	}
	es := []safetensors.Entry{}
	for _, n := range NamedParams(m) {
		es = append(es, safetensors.Int32(n.Name, n.Param.Shape(), make([]int32, n.Param.Elems())))
	}
	if err := safetensors.WriteFile(path, es, nil); err != nil {
		t.Fatal(err)
	}
	if err := Load(path, m); !errors.Is(err, safetensors.ErrDType) {
		t.Errorf("integers: got %v", err)
	}
	if !slices.Equal(values(m), before) {
		t.Error("a failed Load changed the model")
	}
}

func TestLoadFromAPrefix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	a, ema := smallMLP(1), smallMLP(2)
	var es []safetensors.Entry
	es = append(es, Entries(a)...)
	for _, e := range Entries(ema) {
		e.Name = "ema." + e.Name
		es = append(es, e)
	}
	if err := safetensors.WriteFile(path, es, nil); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := smallMLP(3)
	if err := LoadFrom(f, "ema.", b); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values(b), values(ema)) {
		t.Error("other values came back")
	}
}

func TestLongLoadErrorsAreAbbreviated(t *testing.T) {
	var names []string
	for range 100 {
		names = append(names, "x")
	}
	if s := (&LoadError{Path: "p", Missing: names}).Error(); !strings.Contains(s, "100 missing") || !strings.Contains(s, "and 92 more") || len(s) > 200 {
		t.Errorf("got %q", s)
	}
}
