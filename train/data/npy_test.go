package data

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/gorgonia"
)

func npyFile[T gorgonia.Elem](t *testing.T, name string, data []T, shape ...int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := gorgonia.WriteNPY(path, gorgonia.Dense(shape, data)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNPY(t *testing.T) {
	labels := npyFile(t, "labels.npy", []int64{2, 0}, 2)
	for _, c := range []struct {
		path  string
		shape []int
		first []float32
	}{
		{npyFile(t, "points.npy", []float32{1, 2, 3, 4}, 2, 2), []int{2}, []float32{1, 2}},
		{npyFile(t, "double.npy", []float64{1, 0.5, 3, 4}, 2, 2), []int{2}, []float32{1, 0.5}},
		{npyFile(t, "grey.npy", []uint8{0, 255, 0, 0}, 2, 1, 2), []int{1, 2, 1}, []float32{-1, 1}},
		{npyFile(t, "rgb.npy", []uint8{0, 255, 51, 0, 0, 0}, 2, 1, 1, 3), []int{1, 1, 3}, []float32{-1, 1, 102.0/255 - 1}},
		{npyFile(t, "floats.npy", []float32{9, 8, 7, 6}, 2, 1, 2), []int{1, 2, 1}, []float32{9, 8}},
	} {
		s, err := OpenNPY(NPY{Samples: c.path, Labels: labels})
		if err != nil {
			t.Error(err)
			continue
		}
		x := make([]float32, len(c.first))
		label, err := s.Sample(0, x)
		if s.Len() != 2 || !slices.Equal(s.Shape(), c.shape) || s.Classes() != 3 || label != 2 || err != nil || !near(x, c.first, 1e-7) {
			t.Errorf("%s: %d of %v in %d classes, first %v of class %d, %v", c.path, s.Len(), s.Shape(), s.Classes(), x, label, err)
		}
	}
	for _, path := range []string{npyFile(t, "u1.npy", []uint8{2, 0}, 2), npyFile(t, "i1.npy", []int8{2, 0}, 2), npyFile(t, "i4.npy", []int32{2, 0}, 2)} {
		if s, err := OpenNPY(NPY{Samples: npyFile(t, "p.npy", []float32{1, 2}, 2, 1), Labels: path, Classes: 3}); err != nil || s.Classes() != 3 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNPYRefuses(t *testing.T) {
	points := npyFile(t, "points.npy", []float32{1, 2, 3, 4}, 2, 2)
	vector := npyFile(t, "vector.npy", []float32{1, 2}, 2)
	ints := npyFile(t, "ints.npy", []int32{1, 2}, 2, 1)
	nan := npyFile(t, "nan.npy", []float32{1, 2, 3, float32(math.NaN())}, 2, 2)
	big := npyFile(t, "big.npy", []float64{1, 2, 1e300, 3}, 2, 2)
	three := npyFile(t, "three.npy", []int64{1, 2, 3}, 3)
	negative := npyFile(t, "negative.npy", []int64{1, -1}, 2)
	floats := npyFile(t, "floats.npy", []float64{1, 1}, 2)
	for _, c := range []struct {
		f          NPY
		kind       error
		path, want string
	}{
		{NPY{Samples: vector}, ErrFormat, vector, "want (N,D)"},
		{NPY{Samples: ints}, ErrFormat, ints, "want uint8, float32 or float64"},
		{NPY{Samples: nan}, ErrFormat, nan, "element 1 of sample 1 is NaN"},
		{NPY{Samples: big}, ErrFormat, big, "element 0 of sample 1 is +Inf"},
		{NPY{Samples: points, Labels: three}, ErrLabels, three, "3 labels, but " + points + " has 2 samples"},
		{NPY{Samples: points, Labels: points}, ErrFormat, points, "want (N)"},
		{NPY{Samples: points, Labels: negative}, ErrLabels, negative, "label -1 of sample 1 is out of range"},
		{NPY{Samples: points, Labels: floats}, ErrFormat, floats, "want integers"},
		{NPY{Samples: "missing.npy"}, os.ErrNotExist, "missing.npy", "no such file"},
	} {
		_, err := OpenNPY(c.f)
		checkFileError(t, c.want, err, c.kind, c.path, c.want)
	}
	high := npyFile(t, "high.npy", []uint8{0, 3}, 2)
	_, err := OpenNPY(NPY{Samples: points, Labels: high, Classes: 3})
	checkFileError(t, "label 3", err, ErrLabels, high, "want 0 to 2")
	for _, f := range []NPY{{}, {Samples: points, Classes: -1}} {
		if _, err := OpenNPY(f); !errors.Is(err, ErrOption) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
