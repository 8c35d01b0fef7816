package data

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func csvFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table.csv")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Columns are found by name, in any order, with spaces, quotes and a byte order mark.
func TestCSV(t *testing.T) {
	path := csvFile(t, "\ufeffid, y, angle, x, kind\n7, 1.5, 0.25, -2, 1\n8, \"2\", 1e-1, 3, 0\n\n9, 0, 0, 0, 3\n")
	s, err := OpenCSV(CSV{Path: path, Samples: []string{"x", "y"}, Vectors: []string{"angle", "id", "x"}, Label: "kind"})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := VectorsOf(s)
	if !ok || s.Len() != 3 || s.Classes() != 4 || !slices.Equal(s.Shape(), []int{2}) || c.VectorSize() != 3 || Levels(s) != 0 {
		t.Fatalf("%d samples of %v in %d classes", s.Len(), s.Shape(), s.Classes())
	}
	x, v := make([]float32, 2), make([]float32, 3)
	label, err := s.Sample(1, x)
	c.Vector(1, v)
	if err != nil || label != 0 || !slices.Equal(x, []float32{3, 2}) || !slices.Equal(v, []float32{0.1, 8, 3}) {
		t.Errorf("%v of class %d with %v, %v", x, label, v, err)
	}
	plain, err := OpenCSV(CSV{Path: path, Samples: []string{"x"}})
	if err != nil || plain.Classes() != 0 || VectorSize(plain) != 0 {
		t.Errorf("without vectors and labels: %v", err)
	}
}

func TestCSVRefuses(t *testing.T) {
	good := CSV{Samples: []string{"x"}, Vectors: []string{"a"}, Label: "k"}
	for text, want := range map[string][]string{
		"":                         {"empty"},
		"x,a,k\n":                  {"no line"},
		"x,b,k\n1,2,3\n":           {`no column "a"`, "x, b, k"},
		"x,a,k\n1,2,0\n1,zwei,0\n": {"line 3", "column a", "zwei"},
		"x,a,k\n1,NaN,0\n":         {"line 2", "column a"},
		"x,a,k\n1e99,1,0\n":        {"line 2", "column x"},
		"x,a,k\n1,2,0.5\n":         {"line 2", "column k", "whole"},
		"x,a,k\n1,2,-1\n":          {"label -1"},
		"x,a,k\n1,2\n":             {"line 2", "fields"},
		"x,a,k\n1,\"2,0\n":         {"line"},
	} {
		f := good
		f.Path = csvFile(t, text)
		_, err := OpenCSV(f)
		var file *FileError
		if !errors.As(err, &file) || file.Path != f.Path {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q is not in %q", text, w, err)
			}
		}
	}
	for _, f := range []CSV{{}, {Path: "x.csv"}, {Path: "x.csv", Samples: []string{"x"}, Classes: -1}, {Path: filepath.Join(t.TempDir(), "none.csv"), Samples: []string{"x"}}} {
		if _, err := OpenCSV(f); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

// Vectors go with their samples: through a split, and in the order in which they are read.
func TestVectorsGoWithTheirSamples(t *testing.T) {
	const n = 30
	x, v := make([]float32, 2*n), make([]float64, 3*n)
	for i := range n {
		x[2*i] = float32(i)
		v[3*i], v[3*i+2] = 10*float64(i), -float64(i)
	}
	s, err := OpenNPY(NPY{Samples: npyFile(t, "x.npy", x, n, 2), Vectors: npyFile(t, "v.npy", v, n, 3)})
	if err != nil {
		t.Fatal(err)
	}
	train, heldout, err := Holdout(s, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []Source{train, heldout} {
		l, err := NewLoader(part, Options{Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		m := 2*part.Len() + 3
		got, vectors := make([]float32, 2*m), make([]float32, 3*m)
		if err := l.Batch(5, got, make([]int32, m)); err != nil {
			t.Fatal(err)
		}
		l.Vectors(5, vectors)
		for i := range m {
			if k := got[2*i]; vectors[3*i] != 10*k || vectors[3*i+1] != 0 || vectors[3*i+2] != -k {
				t.Fatalf("sample %g has the vector %v", k, vectors[3*i:3*i+3])
			}
		}
	}
	if _, ok := VectorsOf(Draw(Moons{}, 1, false)); ok {
		t.Error("moons have vectors")
	}
	one, err := OpenNPY(NPY{Samples: npyFile(t, "x.npy", x, n, 2), Vectors: npyFile(t, "v.npy", make([]float32, n), n)})
	if err != nil || VectorSize(one) != 1 {
		t.Errorf("a number for each: %v", err)
	}
}

func TestVectorsRefuse(t *testing.T) {
	samples := npyFile(t, "x.npy", []float32{1, 2}, 2, 1)
	for name, path := range map[string]string{
		"one too few":   npyFile(t, "v.npy", []float32{1}, 1, 1),
		"not finite":    npyFile(t, "v.npy", []float32{1, float32(math.Inf(1))}, 2, 1),
		"whole numbers": npyFile(t, "v.npy", []int32{1, 2}, 2, 1),
		"three axes":    npyFile(t, "v.npy", []float32{1, 2}, 2, 1, 1),
		"no file":       filepath.Join(t.TempDir(), "none.npy"),
	} {
		_, err := OpenNPY(NPY{Samples: samples, Vectors: path})
		if err == nil || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a table has in it, reading it gives samples that are finite, or an error that names the file.
func FuzzCSV(f *testing.F) {
	for _, text := range []string{"x,a,k\n1,2,0\n-1e3,0.5,2\n", "x,a,k\n", "", "a,x\n1\n", "\ufeffk,x,a\n\"1\",2,3\n", "x,a,k\n1,NaN,0\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := CSV{Path: "t.csv", Samples: []string{"x"}, Vectors: []string{"a"}, Label: "k"}
		s, err := c.read(strings.NewReader(text))
		if err != nil {
			var file *FileError
			if !errors.As(err, &file) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		x, v := make([]float32, 1), make([]float32, 1)
		for i := range s.Len() {
			label, err := s.Sample(uint64(i), x)
			s.(Conditioned).Vector(uint64(i), v)
			if err != nil || label < 0 || label >= s.Classes() || x[0]-x[0] != 0 || v[0]-v[0] != 0 {
				t.Fatalf("%q: sample %d is %v of class %d with %v, %v", text, i, x, label, v, err)
			}
		}
	})
}
