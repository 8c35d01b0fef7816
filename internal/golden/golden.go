// Package golden reads, in tests, the results of other programs that this folder's
// scripts wrote; see README.md.
package golden

import (
	"encoding/json"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// File is a golden file. What it does not hold fails the test.
type File struct {
	T testing.TB
	f *safetensors.File
}

// Open opens a file until the test ends.
func Open(t testing.TB, path string) File {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return File{t, f}
}

// JSON decodes an entry of the metadata.
func (g File) JSON(key string, to any) {
	g.T.Helper()
	if err := json.Unmarshal([]byte(g.f.Metadata()[key]), to); err != nil {
		g.T.Fatalf("%s: %v", key, err)
	}
}

// Text is an entry of the metadata that is no JSON of this package's: a file's text.
func (g File) Text(key string) string {
	g.T.Helper()
	text, ok := g.f.Metadata()[key]
	if !ok {
		g.T.Fatalf("no %s in the metadata", key)
	}
	return text
}

// Has reports whether there is a tensor of that name.
func (g File) Has(name string) bool { return g.f.Has(name) }

// Floats are the numbers of a tensor, in float64.
func (g File) Floats(name string) []float64 {
	g.T.Helper()
	v, err := g.tensor(name).Float64s()
	if err != nil {
		g.T.Fatal(err)
	}
	return v
}

// Floats32 are the numbers of a tensor, in float32.
func (g File) Floats32(name string) []float32 {
	g.T.Helper()
	v, err := g.tensor(name).Float32s()
	if err != nil {
		g.T.Fatal(err)
	}
	return v
}

// Shape is that of a tensor.
func (g File) Shape(name string) []int {
	g.T.Helper()
	return g.tensor(name).Shape
}

// Ints are the numbers of a tensor of integers.
func (g File) Ints(name string) []int64 {
	g.T.Helper()
	v, err := g.tensor(name).Int64s()
	if err != nil {
		g.T.Fatal(err)
	}
	return v
}

func (g File) tensor(name string) *safetensors.Tensor {
	g.T.Helper()
	e, err := g.f.Tensor(name)
	if err != nil {
		g.T.Fatal(err)
	}
	return e
}
