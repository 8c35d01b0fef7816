package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// golden.safetensors was written by the Python implementation; golden.json has the values (testdata/golden.py).
func TestReadsWhatPythonWrote(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Shape  []int
		Values []string
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	f, err := Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Names(); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("names %q", got)
	}
	if m := f.Metadata(); len(m) != 2 || m["format"] != "pt" || m["note"] != "line\nbreak" {
		t.Errorf("metadata %q", m)
	}
	for name, w := range want {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(x.Shape, w.Shape) || x.Len() != len(w.Values) {
			t.Errorf("%s: shape %v, want %v", name, x.Shape, w.Shape)
		}
		var got []float64
		switch x.DType {
		case F64, F32, F16, BF16:
			got, err = x.Float64s()
			f32, err32 := x.Float32s()
			if err32 != nil {
				t.Error(err32)
			}
			for i := range got {
				if math.Float32bits(f32[i]) != math.Float32bits(float32(got[i])) {
					t.Errorf("%s[%d] = %v as float32, %v as float64", name, i, f32[i], got[i])
				}
			}
		default:
			var ints []int64
			ints, err = x.Int64s()
			for _, v := range ints {
				got = append(got, float64(v))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range w.Values {
			s = strings.NewReplacer("True", "1", "False", "0").Replace(s)
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			if math.Float64bits(got[i]) != math.Float64bits(v) {
				t.Errorf("%s[%d] = %v, want %v", name, i, got[i], v)
			}
		}
	}
}

// Every half, from the definition (−1)^s·2^(e−15)·(1+f/2¹⁰), and subnormals f·2⁻²⁴.
func TestEveryHalf(t *testing.T) {
	for h := range 1 << 16 {
		e, f := h>>10&31, float64(h&0x3ff)
		want := math.Ldexp(1+f/1024, e-15)
		switch {
		case e == 0:
			want = math.Ldexp(f, -24)
		case e == 31 && f == 0:
			want = math.Inf(1)
		case e == 31:
			want = math.NaN()
		}
		got := float64(Float16(uint16(h)))
		if math.IsNaN(want) && math.IsNaN(got) {
			continue
		}
		if h>>15 == 1 {
			want = -want
		}
		if math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%#04x: %v, want %v", h, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	long := make([]float32, 20000) // more than a chunk
	for i := range long {
		long[i] = float32(i) * 0.1
	}
	entries := []Entry{
		Float32("b.long", []int{100, 200}, long),
		Int64("step", nil, []int64{-3}),
		Float64("a", []int{2}, []float64{math.Pi, math.Inf(-1)}),
		Int32("labels", []int{3}, []int32{1, -2, 3}),
		Bytes("mask", Bool, []int{3}, []byte{1, 0, 1}),
		Float32("empty", []int{0, 7}, nil),
	}
	var first, second bytes.Buffer
	if err := Write(&first, entries, map[string]string{"z": "1", "a": "<\"\n>"}); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(entries)
	if err := Write(&second, entries, map[string]string{"a": "<\"\n>", "z": "1"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the bytes depend on the order of the entries")
	}
	if n := binary.LittleEndian.Uint64(first.Bytes()); n%8 != 0 {
		t.Errorf("header of %d bytes is not aligned", n)
	}
	f, err := New(bytes.NewReader(first.Bytes()), int64(first.Len()), "mem")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range f.Names() {
		if x, _ := f.Tensor(n); x.Begin%int64(x.DType.Size()) != 0 {
			t.Errorf("%s begins at %d, not aligned to %s", n, x.Begin, x.DType)
		}
	}
	x, _ := f.Tensor("b.long")
	if got, err := x.Float32s(); err != nil || !slices.Equal(got, long) || !slices.Equal(x.Shape, []int{100, 200}) {
		t.Errorf("b.long differs: %v", err)
	}
	x, _ = f.Tensor("a")
	if got, err := x.Float64s(); err != nil || !slices.Equal(got, []float64{math.Pi, math.Inf(-1)}) {
		t.Errorf("a = %v, %v", got, err)
	}
	x, _ = f.Tensor("labels")
	if got, err := x.Int64s(); err != nil || !slices.Equal(got, []int64{1, -2, 3}) {
		t.Errorf("labels = %v, %v", got, err)
	}
	x, _ = f.Tensor("mask")
	if got, err := x.Bytes(); err != nil || !bytes.Equal(got, []byte{1, 0, 1}) {
		t.Errorf("mask = %v, %v", got, err)
	}
	if got, err := io.ReadAll(x.Reader()); err != nil || !bytes.Equal(got, []byte{1, 0, 1}) {
		t.Errorf("mask's reader gave %v, %v", got, err)
	}
	if f.Metadata()["a"] != "<\"\n>" {
		t.Errorf("metadata %q", f.Metadata())
	}
}

// file builds a file from a header and a number of data bytes.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestRefusesBadFiles(t *testing.T) {
	const ok = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		what string
		file []byte
		want string // part of the message
	}{
		{"empty", nil, "too few"},
		{"short", make([]byte, 7), "too few"},
		{"huge header", binary.LittleEndian.AppendUint64(nil, 1<<62), "not a safetensors file"},
		{"header past the end", binary.LittleEndian.AppendUint64(nil, 100), "truncated"},
		{"empty header", file("", 0), "must begin with {"},
		{"no brace", file(` {}`, 0), "must begin with {"},
		{"not UTF-8", file("{\"\xff\":1}", 0), "UTF-8"},
		{"JSON cut", file(`{"a":{"dtype":"F32"`, 0), "ends early"},
		{"JSON broken", file(`{"a" 1}`, 0), "JSON"},
		{"text after", file(`{}x`, 0), "byte 10: more text"},
		{"second object", file(`{}{}`, 0), "more text"},
		{"name twice", file(`{`+ok+`,`+ok+`}`, 8), "twice"},
		{"name twice by escape", file(`{`+ok+`,"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8), "twice"},
		{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "twice"},
		{"field twice", file(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "twice"},
		{"metadata number", file(`{"__metadata__":{"a":1}}`, 0), "string"},
		{"metadata list", file(`{"__metadata__":[]}`, 0), "object"},
		{"tensor not object", file(`{"a":3}`, 0), "object"},
		{"field missing", file(`{"a":{"dtype":"F32","shape":[2]}}`, 8), "must have"},
		{"unknown field", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8), "unknown field"},
		{"unknown dtype", file(`{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}`, 8), `unknown dtype "F31"`},
		{"negative dim", file(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8), "integer"},
		{"float dim", file(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8), "integer"},
		{"nested shape", file(`{"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}}`, 8), "number"},
		{"shape overflow", file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0), "overflows"},
		{"hidden overflow", file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}}`, 0), "overflows"},
		{"dim past int63", file(`{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]}}`, 0), "integer"},
		{"wrong span", file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "takes 12 bytes"},
		{"offsets reversed", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8), "data_offsets"},
		{"three offsets", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, 8), "data_offsets"},
		{"hole at start", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "hole"},
		{"hole between", file(`{`+ok+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, 10), `tensor "b": it begins at 9`},
		{"overlap", file(`{`+ok+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[7,8]}}`, 8), "overlap"},
		{"same bytes", file(`{`+ok+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "overlap"},
		{"data truncated", file(`{`+ok+`}`, 7), "truncated"},
		{"data left over", file(`{`+ok+`}`, 9), "1 bytes belong to none"},
	} {
		_, err := New(bytes.NewReader(c.file), int64(len(c.file)), "dir/x.safetensors")
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want a format error", c.what, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "dir/x.safetensors: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q does not say %q", c.what, err, c.want)
		}
	}
}

func TestAcceptsEveryValidForm(t *testing.T) {
	for what, b := range map[string][]byte{
		"nothing":                  file(`{}`, 0),
		"padding":                  file("{}  \n\t ", 0),
		"fields in another order":  file(`{"a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}`, 8),
		"tensors in another order": file(`{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2),
		"empty tensors":            file(`{"z":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[0,9],"data_offsets":[1,1]}}`, 1),
	} {
		if _, err := New(bytes.NewReader(b), int64(len(b)), "f"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestReaderErrors(t *testing.T) {
	if _, err := Open("testdata/missing.safetensors"); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "testdata/missing.safetensors: ") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("folder: %v", err)
	}
	b := file(`{"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}`, 8)
	f, err := New(bytes.NewReader(b), int64(len(b)), "p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensor("b"); !errors.Is(err, ErrNoTensor) || !strings.Contains(err.Error(), `"b"`) {
		t.Error(err)
	}
	x, err := f.Tensor("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Float32s(); !errors.Is(err, ErrDType) || !strings.Contains(err.Error(), "I32") {
		t.Error(err)
	}
	if err := x.ReadFloat32s(make([]float32, 3)); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	// A file that shrinks after it was opened.
	f, err = New(bytes.NewReader(b[:len(b)-3]), int64(len(b)), "p")
	if err != nil {
		t.Fatal(err)
	}
	x, _ = f.Tensor("a")
	if _, err := x.Int64s(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if _, err := x.Bytes(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := []float32{1}
	for what, c := range map[string]struct {
		entries []Entry
		meta    map[string]string
		want    string
	}{
		"name twice":       {[]Entry{Float32("a", []int{1}, one), Float32("a", []int{1}, one)}, nil, "taken"},
		"reserved name":    {[]Entry{Float32("__metadata__", []int{1}, one)}, nil, "taken"},
		"too few":          {[]Entry{Float32("a", []int{2}, one)}, nil, "fewer"},
		"too many":         {[]Entry{Float32("a", []int{0}, one)}, nil, "more"},
		"overflow":         {[]Entry{Float32("a", []int{1 << 62, 4}, one)}, nil, "cannot be stored"},
		"negative":         {[]Entry{Float32("a", []int{-1}, one)}, nil, "cannot be stored"},
		"unknown dtype":    {[]Entry{Bytes("a", "F7", []int{1}, nil)}, nil, "cannot be stored"},
		"name not UTF-8":   {[]Entry{Float32("\xff", []int{1}, one)}, nil, "UTF-8"},
		"string not UTF-8": {nil, map[string]string{"a": "\xff"}, "UTF-8"},
	} {
		err := Write(io.Discard, c.entries, c.meta)
		if !errors.Is(err, ErrArgument) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", what, err, c.want)
		}
	}
	mine := errors.New("mine")
	dir := t.TempDir()
	err := WriteFile(filepath.Join(dir, "a"), []Entry{{"a", U8, []int{2}, func(io.Writer) error { return mine }}}, nil)
	if es, _ := os.ReadDir(dir); err != mine || len(es) != 0 {
		t.Errorf("got %v and %d files, want the source's own error and none", err, len(es))
	}
}

func FuzzNew(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(file(`{"__metadata__":{"k":"v"},"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]}}`, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := New(bytes.NewReader(b), int64(len(b)), "fuzz")
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Path != "fuzz" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		// What was accepted reads in full, and survives being written and read again.
		var entries []Entry
		for _, n := range file.Names() {
			x, err := file.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			data, err := x.Bytes()
			if err != nil || len(data) != x.Len()*x.DType.Size() {
				t.Fatalf("%s: %d bytes, %v", n, len(data), err)
			}
			entries = append(entries, Bytes(n, x.DType, x.Shape, data))
		}
		var out bytes.Buffer
		if err := Write(&out, entries, file.Metadata()); err != nil {
			t.Fatal(err)
		}
		again, err := New(bytes.NewReader(out.Bytes()), int64(out.Len()), "again")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.Names(), file.Names()) || !maps.Equal(again.Metadata(), file.Metadata()) {
			t.Fatal("names or metadata changed")
		}
		for _, e := range entries {
			x, _ := again.Tensor(e.Name)
			a, _ := x.Bytes()
			y, _ := file.Tensor(e.Name)
			b, _ := y.Bytes()
			if x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(a, b) {
				t.Fatalf("%s changed", e.Name)
			}
		}
	})
}
