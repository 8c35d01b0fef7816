package gorgonia

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"
)

// float64s gives any array's elements.
func float64s(t *testing.T, d *tensor.Dense) []float64 {
	t.Helper()
	switch d.Dtype() {
	case tensor.Float32:
		return widen[float32](t, d)
	case tensor.Float64:
		return widen[float64](t, d)
	case tensor.Int32:
		return widen[int32](t, d)
	case tensor.Int64:
		return widen[int64](t, d)
	case tensor.Int8:
		return widen[int8](t, d)
	case tensor.Uint8:
		return widen[uint8](t, d)
	case tensor.Int:
		return widen[int](t, d)
	}
	t.Fatalf("dtype %v", d.Dtype())
	return nil
}

func widen[T Elem](t *testing.T, d *tensor.Dense) []float64 {
	_, data, err := Slice[T](d)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(data))
	for i, v := range data {
		out[i] = float64(v)
	}
	return out
}

// The files were written by NumPy (testdata/golden.py): read them, and write them again byte for byte.
func TestAgreesWithNumPy(t *testing.T) {
	for _, c := range []struct {
		name  string
		dtype tensor.Dtype
		shape []int
	}{
		{"f4", tensor.Float32, []int{2, 3, 4}},
		{"f8", tensor.Float64, []int{2, 3, 4}},
		{"i4", tensor.Int32, []int{2, 3, 4}},
		{"i8", tensor.Int64, []int{2, 3, 4}},
		{"i1", tensor.Int8, []int{2, 3, 4}},
		{"u1", tensor.Uint8, []int{2, 3, 4}},
		{"vector", tensor.Float32, []int{5}},
		{"scalar", tensor.Float64, []int{}},
		{"aligned", tensor.Float32, nil},
		{"fortran", tensor.Float32, []int{2, 3, 4}},
		{"version2", tensor.Float32, []int{2, 3}},
	} {
		path := "testdata/" + c.name + ".npy"
		d, err := ReadNPY(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if d.Dtype() != c.dtype || c.shape != nil && !slices.Equal([]int(d.Shape()), c.shape) {
			t.Errorf("%s: %v %v", c.name, d.Dtype(), d.Shape())
		}
		for i, v := range float64s(t, d) {
			want := float64(i - 3)
			if c.name == "u1" {
				want = float64(i)
			}
			if v != want {
				t.Errorf("%s[%d] = %v, want %v", c.name, i, v, want)
			}
		}
		if c.name == "fortran" || c.name == "version2" {
			continue
		}
		var out bytes.Buffer
		if err := EncodeNPY(&out, d); err != nil {
			t.Error(err)
			continue
		}
		if want, err := os.ReadFile(path); err != nil || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: written as\n%q, NumPy wrote\n%q (%v)", c.name, out.Bytes(), want, err)
		}
	}
}

// Gorgonia's own reader and writer must agree with ours where they work.
func TestAgreesWithGorgonia(t *testing.T) {
	d := Dense([]int{3, 4}, iota[float32](12))
	var ours, theirs bytes.Buffer
	if err := errors.Join(EncodeNPY(&ours, d), d.WriteNpy(&theirs)); err != nil {
		t.Fatal(err)
	}
	back := new(tensor.Dense)
	if err := back.ReadNpy(&ours); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(float64s(t, back), float64s(t, d)) || !back.Shape().Eq(d.Shape()) {
		t.Errorf("Gorgonia read %v %v", back.Shape(), float64s(t, back))
	}
	back, err := DecodeNPY(&theirs, int64(theirs.Len()), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(float64s(t, back), float64s(t, d)) || !back.Shape().Eq(d.Shape()) {
		t.Errorf("read of Gorgonia's file %v %v", back.Shape(), float64s(t, back))
	}
}

func TestWriteNPYOfAView(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.npy")
	if err := WriteNPY(path, view(t, Dense([]int{3, 4}, iota[float32](12)), nil, tensor.S(1, 3))); err != nil {
		t.Fatal(err)
	}
	d, err := ReadNPY(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := float64s(t, d); !slices.Equal(got, []float64{1, 2, 5, 6, 9, 10}) {
		t.Errorf("got %v", got)
	}
	err = WriteNPY(path, tensor.New(tensor.WithShape(2), tensor.WithBacking([]bool{true, false})))
	if !errors.Is(err, ErrDType) {
		t.Errorf("bool: %v", err)
	}
	if d, err := ReadNPY(path); err != nil || d.Shape().TotalSize() != 6 {
		t.Errorf("the refused array changed the file: %v", err)
	}
}

// npy builds a version 1.0 file.
func npy(dict string, data int) []byte {
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
	return append(append(b, dict...), make([]byte, data)...)
}

func TestRefusesBadNPY(t *testing.T) {
	good := npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8)
	if _, err := DecodeNPY(bytes.NewReader(good), int64(len(good)), "x"); err != nil {
		t.Fatal(err)
	}
	changed := func(at int, v byte) []byte { b := slices.Clone(good); b[at] = v; return b }
	for _, c := range []struct {
		what string
		file []byte
		want string
	}{
		{"empty", nil, "truncated"},
		{"magic", changed(0, 'x'), "not a .npy file"},
		{"version 3", changed(6, 3), "version 3.0"},
		{"header too long", changed(9, 0xff), "truncated"},
		{"version 2 huge", append([]byte(npyMagic), 2, 0, 0, 0, 0, 0x80), "more than"},
		{"header cut", good[:40], "truncated"},
		{"data cut", good[:len(good)-1], "takes 8 bytes after the header, but 7 follow"},
		{"data left over", append(slices.Clone(good), 0), "but 9 follow"},
		{"no dict", npy("", 0), "want {"},
		{"descr twice", npy("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", 8), "twice"},
		{"descr missing", npy("{'fortran_order': False, 'shape': (2,), }", 8), "must have the keys"},
		{"unknown key", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8), "unknown key"},
		{"records", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8), "records"},
		{"order", npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", 8), "want False"},
		{"negative", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8), "integer"},
		{"overflow", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 2), }", 8), "overflows"},
		{"byte overflow", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,), }", 8), "overflows"},
		{"past int", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }", 8), "integer"},
		{"huge claim", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", 8), "takes 4000000000000 bytes"},
		{"no elements", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }", 0), "empty"},
		{"big endian", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8), "astype('<f4')"},
		{"objects", npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", 8), `dtype "|O"`},
		{"text after", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", 8), "more text"},
		{"open string", npy("{'descr", 0), "without an end"},
		{"33 dimensions", npy("{'descr': '<f4', 'fortran_order': False, 'shape': ("+strings.Repeat("1,", 33)+"), }", 4), "32 dimensions"},
	} {
		_, err := DecodeNPY(bytes.NewReader(c.file), int64(len(c.file)), "d/x.npy")
		var e *NPYError
		if !errors.As(err, &e) || !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), "d/x.npy: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.what, err, c.want)
		}
	}
	if _, err := ReadNPY("testdata/missing.npy"); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "testdata/missing.npy: ") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := ReadNPY(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("folder: %v", err)
	}
}

func FuzzDecodeNPY(f *testing.F) {
	for _, name := range []string{"f4", "u1", "fortran", "version2", "scalar"} {
		b, err := os.ReadFile("testdata/" + name + ".npy")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(npy("{'descr': '<i8', 'fortran_order': True, 'shape': (1, 2L), }", 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeNPY(bytes.NewReader(b), int64(len(b)), "fuzz")
		if err != nil {
			var e *NPYError
			if !errors.As(err, &e) || e.Path != "fuzz" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := EncodeNPY(&out, d); err != nil {
			t.Fatal(err)
		}
		first := slices.Clone(out.Bytes())
		again, err := DecodeNPY(&out, int64(out.Len()), "again")
		if err != nil || again.Dtype() != d.Dtype() || !slices.Equal([]int(again.Shape()), []int(d.Shape())) {
			t.Fatalf("read again as %v, %v", again, err)
		}
		var second bytes.Buffer
		if err := EncodeNPY(&second, again); err != nil || !bytes.Equal(second.Bytes(), first) { // bytes, so that NaN compares
			t.Fatalf("elements changed: %v", err)
		}
	})
}
