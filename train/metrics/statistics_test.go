package metrics

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/npz"
)

// What pytorch-fid writes, and others in float32, is read, and the Fréchet distance to it is torch-fidelity's.
func TestStatisticsOfOthers(t *testing.T) {
	g := readGolden(t)
	x, y := NewGaussian(g.x()), NewGaussian(g.y())
	tr := x.totalVariance() + y.totalVariance()
	// Roots of eigenvalues, theirs of a product that is not symmetric: condition numbers are below 1e4.
	near(t, "points", Frechet(x, y), g.Theirs.FID, 1e4*eps*tr)
	for name, tol := range map[string]float64{"stats": 1e4 * eps * tr, "stats-float32": 20 * 0x1p-24 * tr} {
		s, err := ReadStatistics("testdata/" + name + ".npz")
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, Frechet(s.Gaussian, y), g.Theirs.FID, tol)
		if s.N != 0 || s.Points.D != 0 || s.Network != "" {
			t.Errorf("%s: %d points, %d dimensions of features, of %q", name, s.N, s.Points.D, s.Network)
		}
	}
}

func TestStatisticsComeBack(t *testing.T) {
	p := normal(50, 4, 1, 2, 3)
	want := &Statistics{Gaussian: NewGaussian(p), Points: p, N: 70, Network: "inception", Hash: "abc", Path: filepath.Join(t.TempDir(), "s.npz")}
	if err := WriteStatistics(want.Path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadStatistics(want.Path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Mean, want.Mean) || !reflect.DeepEqual(got.Cov.RawSymmetric().Data, full(want)) || !reflect.DeepEqual(got.Points, want.Points) ||
		got.N != 70 || got.Network != "inception" || got.Hash != "abc" || got.Path != want.Path {
		t.Errorf("read %+v, wrote %+v", got, want)
	}
	want.Points = Points{}
	if err := WriteStatistics(want.Path, want); err != nil {
		t.Fatal(err)
	}
	if got, err = ReadStatistics(want.Path); err != nil || got.Points.D != 0 {
		t.Errorf("without features: %+v, %v", got, err)
	}
}

func full(s *Statistics) []float64 {
	var v []float64
	for i := range s.Mean {
		for j := range s.Mean {
			v = append(v, s.Cov.At(i, j))
		}
	}
	return v
}

// npzOf is an archive of float64 arrays and bytes.
func npzOf(t testing.TB, arrays map[string]any, shapes map[string][]int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.npz")
	var entries []npz.Entry
	for name, v := range arrays {
		e := npz.Entry{Name: name, Shape: shapes[name]}
		switch v := v.(type) {
		case []float64:
			e.DType, e.Data = "<f8", func(w io.Writer) error { return writeFloat64s(w, v) }
		case string:
			e.DType, e.Data = "|u1", func(w io.Writer) error { _, err := w.Write([]byte(v)); return err }
		}
		entries = append(entries, e)
	}
	if err := npz.Write(path, entries...); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(b []byte) (*Statistics, error) {
	a, err := npz.New(bytes.NewReader(b), int64(len(b)), "d/s.npz")
	if err != nil {
		return nil, err
	}
	return readStatistics(a, "d/s.npz")
}

func TestBadStatisticsAreNamed(t *testing.T) {
	nan := 0.0
	nan /= nan
	mu, sigma := []float64{1, 2}, []float64{2, 1, 1, 2}
	ok := map[string][]int{"mu": {2}, "sigma": {2, 2}, "langevin": {2}, "features": {1, 2}}
	for name, c := range map[string]struct {
		arrays map[string]any
		shapes map[string][]int
		want   string
	}{
		"none":          {map[string]any{"a": mu}, map[string][]int{"a": {2}}, `has no array "mu"`},
		"no covariance": {map[string]any{"mu": mu}, ok, `has no array "sigma"`},
		"mean's shape":  {map[string]any{"mu": sigma, "sigma": sigma}, map[string][]int{"mu": {2, 2}, "sigma": {2, 2}}, "mu.npy: the array has shape [2 2], want (d)"},
		"shape":         {map[string]any{"mu": mu, "sigma": sigma}, map[string][]int{"mu": {2}, "sigma": {4}}, "sigma.npy: the array has shape [4], want (2, 2): mu has 2 numbers"},
		"NaN":           {map[string]any{"mu": []float64{1, nan}, "sigma": sigma}, ok, "mu.npy: element 1 is NaN"},
		"variance":      {map[string]any{"mu": mu, "sigma": []float64{2, 0, 0, -1}}, ok, "the variance of feature 1 is -1"},
		"symmetry":      {map[string]any{"mu": mu, "sigma": []float64{2, 1, 0.9, 2}}, ok, "elements (1, 0) and (0, 1) are 0.9 and 1"},
		"bytes":         {map[string]any{"mu": "ab", "sigma": sigma}, ok, "the elements are uint8, want float32 or float64"},
		"about":         {map[string]any{"mu": mu, "sigma": sigma, "langevin": "{x"}, ok, "langevin.npy: cannot be read"},
		"format":        {map[string]any{"mu": mu, "sigma": sigma, "langevin": "{}"}, ok, "has format 0"},
		"features":      {map[string]any{"mu": mu, "sigma": sigma, "features": mu}, ok, "features.npy: is float64 of shape (1, 2), want float32 of (n, 2)"},
	} {
		_, err := read(npzOf(t, c.arrays, c.shapes))
		var e *FileError
		if !errors.As(err, &e) || !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), "d/s.npz: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := ReadStatistics("testdata/none.npz"); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "testdata/none.npz: ") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := ReadStatistics("testdata/golden.json"); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "no .npz file") {
		t.Errorf("another file: %v", err)
	}
	if _, err := ReadStatistics(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
}

func FuzzStatistics(f *testing.F) {
	for _, name := range []string{"testdata/stats.npz", "testdata/stats-float32.npz"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(npzOf(f, map[string]any{"mu": []float64{1}, "sigma": []float64{2}, "langevin": `{"format":1,"features":"inception","hash":"x","n":5}`}, map[string][]int{"mu": {1}, "sigma": {1, 1}, "langevin": {51}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := read(b)
		if err != nil {
			var e *FileError
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if d := len(s.Mean); d < 1 || s.Cov.SymmetricDim() != d || s.Points.D != 0 && s.Points.D != d || s.totalVariance() < 0 {
			t.Fatalf("%d means, a covariance of %d, features of %d", d, s.Cov.SymmetricDim(), s.Points.D)
		}
	})
}
