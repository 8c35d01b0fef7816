package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// checkArrays compares a source with what testdata/arrays.py wrote; value says what byte v stands for.
func checkArrays(t *testing.T, what string, s Source, err error, value func(v int) float32) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if s.Len() != 3 || volume(s.Shape()) != 24 || s.Shape()[0] != 2 || s.Shape()[2] != 3 {
		t.Errorf("%s: %d samples of %v", what, s.Len(), s.Shape())
		return
	}
	for n := range 3 {
		x, label := sample(t, s, n)
		for i, v := range x {
			if want := value(24*n + i); v != want {
				t.Errorf("%s: element %d of sample %d is %g, want %g", what, i, n, v, want)
				return
			}
		}
		if s.Classes() > 0 && label != n%2 {
			t.Errorf("%s: label %d of sample %d", what, label, n)
		}
		if l, err := Label(s, uint64(n), x); l != label || err != nil {
			t.Errorf("%s: label %d alone, %v", what, l, err)
		}
	}
}

func pixel(v int) float32  { return float32(2*v)/255 - 1 }
func number(v int) float32 { return float32(v) }

func TestNPZAsNumPyWroteIt(t *testing.T) {
	for _, name := range []string{"testdata/arrays.npz", "testdata/arrays-compressed.npz"} {
		s, err := OpenNPZ(NPZ{Path: name, Samples: Auto, Labels: Auto, Vectors: "points"})
		checkArrays(t, name, s, err, pixel)
		v := make([]float32, 2)
		c, ok := VectorsOf(s)
		if !ok || s.Classes() != 2 || Levels(s) != 256 {
			t.Fatalf("%s: %v, %d classes", name, ok, s.Classes())
		}
		if c.Vector(2, v); v[0] != 2 || v[1] != 1 {
			t.Errorf("%s: vector %v", name, v)
		}
		if s, err = OpenNPZ(NPZ{Path: name, Samples: "points"}); err != nil || s.Classes() != 0 || volume(s.Shape()) != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A member of a zip file.
type zipped struct {
	name   string
	body   []byte
	method uint16
}

func makeZip(t testing.TB, members ...zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: m.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeNPY[T gorgonia.Elem](t testing.TB, shape []int, data []T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gorgonia.EncodeNPY(&b, gorgonia.Dense(shape, data)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNPZRefuses(t *testing.T) {
	points := encodeNPY(t, []int{2, 2}, []float32{1, 2, 3, 4})
	good := makeZip(t, zipped{"samples.npy", points, zip.Store}, zipped{"labels.npy", encodeNPY(t, []int{2}, []int64{0, 5}), zip.Deflate})
	flipped := bytes.Clone(good)
	flipped[bytes.Index(good, points)+len(points)-2] ^= 1
	// A stored member that claims to be longer unpacked.
	lie := bytes.Clone(good)
	at := bytes.LastIndex(lie, []byte("samples.npy")) - 46 // its entry in the directory: the unpacked size stands 24 bytes in
	lie[at+27] = 0x7f
	packedLie := bytes.Clone(good)
	at = bytes.LastIndex(packedLie, []byte("labels.npy")) - 46
	packedLie[at+25] = 0x7f // 32 KiB
	for what, c := range map[string]struct {
		file   []byte
		npz    NPZ
		member string
		kind   error
		want   string
	}{
		"text":         {[]byte("hello there, this is text"), NPZ{Samples: Auto}, "", ErrFormat, "this is no .npz file"},
		"cut":          {good[:len(good)-30], NPZ{Samples: Auto}, "", ErrFormat, "this is no .npz file, or it is truncated"},
		"empty":        {makeZip(t), NPZ{Samples: Auto}, "", ErrEmpty, "has no arrays"},
		"no such":      {good, NPZ{Samples: "data"}, "", ErrFormat, `has no array "data"; it has labels, samples`},
		"none":         {makeZip(t, zipped{"q.npy", points, zip.Store}), NPZ{Samples: Auto}, "", ErrFormat, "say which of q the samples are"},
		"checksum":     {flipped, NPZ{Samples: Auto}, ": samples.npy", ErrFormat, "checksum error"},
		"lie":          {lie, NPZ{Samples: Auto}, ": samples.npy", ErrFormat, "and are not packed"},
		"bomb":         {makeZip(t, zipped{"samples.npy", encodeNPY(t, []int{20, 1 << 20}, make([]uint8, 20<<20)), zip.Deflate}), NPZ{Samples: Auto}, ": samples.npy", ErrFormat, "more than 200 times as many"},
		"packed lie":   {packedLie, NPZ{Samples: Auto, Labels: Auto}, ": labels.npy", ErrFormat, "cannot be unpacked: unexpected EOF"},
		"label range":  {good, NPZ{Samples: Auto, Labels: Auto, Classes: 3}, ": labels.npy", ErrLabels, "label 5 of sample 1 is out of range"},
		"other labels": {makeZip(t, zipped{"x.npy", points, zip.Store}, zipped{"y.npy", encodeNPY(t, []int{3}, []int64{0, 1, 2}), zip.Store}), NPZ{Samples: Auto, Labels: Auto}, ": y.npy", ErrLabels, "3 labels, but"},
		"no array":     {makeZip(t, zipped{"x.npy", []byte("text"), zip.Store}), NPZ{Samples: Auto}, ": x.npy", nil, ""},
	} {
		path := write(t, t.TempDir(), "x.npz", c.file)
		c.npz.Path = path
		_, err := OpenNPZ(c.npz)
		if c.kind == nil {
			if err == nil {
				t.Errorf("%s: no error", what)
			}
			continue
		}
		checkFileError(t, what, err, c.kind, path+c.member, c.want)
	}
	if _, err := OpenNPZ(NPZ{}); !errors.Is(err, ErrOption) {
		t.Errorf("got %v", err)
	}
	if _, err := OpenNPZ(NPZ{Path: "x", Classes: -1}); !errors.Is(err, ErrOption) {
		t.Errorf("got %v", err)
	}
}

func FuzzNPZ(f *testing.F) {
	for _, name := range []string{"testdata/arrays.npz", "testdata/arrays-compressed.npz"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NPZ{Path: "fuzz", Samples: Auto, Labels: Auto}.read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			var e *FileError
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if _, err := s.Sample(uint64(s.Len()-1), make([]float32, volume(s.Shape()))); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSafetensorsAsPythonWroteThem(t *testing.T) {
	const path = "testdata/arrays.safetensors"
	for _, memory := range []int64{0, 71, -1} {
		for what, c := range map[string]struct {
			o     Safetensors
			value func(int) float32
		}{
			"planes": {Safetensors{Samples: "samples", Labels: Auto, Vectors: "vectors"}, pixel},
			"last":   {Safetensors{Samples: "last", ChannelsLast: true}, pixel},
			"double": {Safetensors{Samples: "double", Labels: "labels"}, number},
			"half":   {Safetensors{Samples: "half"}, number},
		} {
			c.o.Path, c.o.Memory = path, memory
			s, err := OpenSafetensors(c.o)
			checkArrays(t, what, s, err, c.value)
			if err != nil {
				continue
			}
			if Streams(s) != (memory != 0) || (s.Classes() == 2) != (c.o.Labels != "") || VectorSize(s) != 2*len(c.o.Vectors)/7 || (Levels(s) == 256) != (c.value(0) == -1) {
				t.Errorf("%s, memory %d: streams %v, %d classes, vectors of %d", what, memory, Streams(s), s.Classes(), VectorSize(s))
			}
			if v := make([]float32, 2); c.o.Vectors != "" {
				if of, _ := VectorsOf(s); true {
					if of.Vector(1, v); v[0] != 1 || v[1] != 0.5 {
						t.Errorf("vector %v", v)
					}
				}
			}
		}
		s, err := OpenSafetensors(Safetensors{Path: "testdata/arrays-bf16.safetensors", Samples: "samples", Memory: memory})
		checkArrays(t, "bf16", s, err, number)
		s, err = OpenSafetensors(Safetensors{Path: "testdata/arrays-bf16.safetensors", Samples: "grey", Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		if x, _ := sample(t, s, 1); len(s.Shape()) != 3 || x[3] != 24+9 {
			t.Errorf("grey: %v of %v", x, s.Shape())
		}
	}
}

func TestSafetensorsRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	nan := []float32{1, 2, 3, 4}
	nan[3] /= 0
	err := safetensors.WriteFile(path, []safetensors.Entry{safetensors.Float32("x", []int{2, 2}, []float32{1, 2, 3, 4}), safetensors.Float32("nan", []int{2, 2}, nan),
		safetensors.Int64("labels", []int{3}, []int64{0, 1, 2}), safetensors.Float32("flat", []int{4}, nan), safetensors.Float32("none", []int{0, 2}, nil), safetensors.Int64("minus", []int{2}, []int64{0, -1})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		o    Safetensors
		kind error
		want string
	}{
		"no such":     {Safetensors{Samples: "y"}, safetensors.ErrNoTensor, ""},
		"flat":        {Safetensors{Samples: "flat"}, ErrFormat, `tensor "flat": has shape [4], want (N,D)`},
		"empty":       {Safetensors{Samples: "none"}, ErrEmpty, "no samples"},
		"integers":    {Safetensors{Samples: "minus"}, ErrFormat, "want (N,D)"},
		"labels":      {Safetensors{Samples: "x", Labels: "labels"}, ErrLabels, "has shape [3], want (2)"},
		"label range": {Safetensors{Samples: "x", Labels: "minus"}, ErrLabels, "label -1 of sample 1"},
		"vectors":     {Safetensors{Samples: "x", Vectors: "flat"}, ErrFormat, "want (2,D)"},
		"not finite":  {Safetensors{Samples: "x", Vectors: "nan"}, ErrFormat, "element 3 is +Inf"},
	} {
		c.o.Path = path
		_, err := OpenSafetensors(c.o)
		checkFileError(t, what, err, c.kind, path, c.want)
	}
	s, err := OpenSafetensors(Safetensors{Path: path, Samples: "nan"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Sample(1, make([]float32, 2))
	checkFileError(t, "sample", err, ErrFormat, path, "element 1 of sample 1 is +Inf")
	for _, o := range []Safetensors{{Samples: "x"}, {Path: path}, {Path: path, Samples: "x", Classes: -1}} {
		if _, err := OpenSafetensors(o); !errors.Is(err, ErrOption) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// cifarFile makes n pictures, whose byte i of picture k is i/4 + k.
func cifarFile(n, labels int) []byte {
	var b []byte
	for k := range n {
		for l := range labels {
			b = append(b, byte((k+l)%10))
		}
		for i := range cifarPixels {
			b = append(b, byte(i/4+k))
		}
	}
	return b
}

func TestCIFAR(t *testing.T) {
	dir := t.TempDir()
	for k := range 5 {
		write(t, dir, "data_batch_"+string(rune('1'+k))+".bin", cifarFile(3, 1))
	}
	write(t, dir, "batches.meta.txt", []byte("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"))
	train, held, err := OpenCIFAR(CIFAR{Dir: dir})
	if err != nil || held != nil || train.Len() != 15 || train.Classes() != 10 || ClassNames(train)[9] != "truck" || Levels(train) != 256 {
		t.Fatalf("%v, %v", train, err)
	}
	write(t, dir, "test_batch.bin", cifarFile(2, 1))
	if _, held, err = OpenCIFAR(CIFAR{Dir: dir}); err != nil || held.Len() != 2 {
		t.Fatalf("%v, %v", held, err)
	}
	x, label := sample(t, held, 1)
	for _, at := range [][3]int{{0, 0, 0}, {0, 5, 1}, {31, 31, 2}, {7, 9, 0}} { // channel by channel in the file
		i := 1024*at[2] + 32*at[0] + at[1]
		if got := x[(32*at[0]+at[1])*3+at[2]]; got != pixel(int(byte(i/4+1))) {
			t.Errorf("pixel %v is %g", at, got)
		}
	}
	if label != 1 {
		t.Errorf("label %d", label)
	}

	hundred := t.TempDir()
	write(t, hundred, "train.bin", cifarFile(4, 2))
	for _, c := range []struct {
		coarse         bool
		classes, third int
	}{{false, 100, 3}, {true, 20, 2}} {
		train, held, err := OpenCIFAR(CIFAR{Dir: hundred, Coarse: c.coarse})
		if err != nil || held != nil || train.Classes() != c.classes || ClassNames(train) != nil {
			t.Fatalf("%v, %v", train, err)
		}
		if _, label := sample(t, train, 2); label != c.third {
			t.Errorf("coarse %v: label %d", c.coarse, label)
		}
	}
	_, _, err = OpenCIFAR(CIFAR{Dir: dir, Coarse: true})
	if !errors.Is(err, ErrOption) {
		t.Errorf("coarse CIFAR-10: %v", err)
	}
	if _, _, err = OpenCIFAR(CIFAR{}); !errors.Is(err, ErrOption) {
		t.Errorf("no path: %v", err)
	}
	_, _, err = OpenCIFAR(CIFAR{Dir: t.TempDir()})
	if !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty folder: %v", err)
	}
	for what, c := range map[string]struct {
		name string
		file []byte
		kind error
		want string
	}{
		"cut":   {"train.bin", cifarFile(2, 2)[:4000], ErrFormat, "byte 3074: the file has 4000 bytes: want a multiple of 3074"},
		"empty": {"train.bin", nil, ErrFormat, "has 0 bytes"},
		"label": {"train.bin", append([]byte{0, 100}, make([]byte, cifarPixels)...), ErrLabels, "byte 1: label 100 is out of range"},
		"names": {"fine_label_names.txt", []byte("a\nb\n"), ErrFormat, "has 2 names of classes: want 100"},
	} {
		dir := t.TempDir()
		write(t, dir, "train.bin", cifarFile(1, 2))
		path := write(t, dir, c.name, c.file)
		_, _, err := OpenCIFAR(CIFAR{Dir: dir})
		checkFileError(t, what, err, c.kind, path, c.want)
	}
	write(t, hundred, "test.bin", []byte{1})
	_, _, err = OpenCIFAR(CIFAR{Dir: hundred})
	checkFileError(t, "test", err, ErrFormat, filepath.Join(hundred, "test.bin"), "has 1 bytes")
}

func FuzzCIFAR(f *testing.F) {
	f.Add(cifarFile(1, 1))
	f.Add(cifarFile(2, 1)[:3080])
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &memory{size: cifarPixels}
		err := cifarFiles{labels: 1, classes: 10}.add(m, b, "fuzz")
		var e *FileError
		if err != nil && (!errors.As(err, &e) || e.Path != "fuzz") {
			t.Fatalf("untyped error %v", err)
		}
		if err == nil && (m.Len() != len(b)/3073 || len(m.labels) != m.Len()) {
			t.Fatalf("%d pictures, %d labels of %d bytes", m.Len(), len(m.labels), len(b))
		}
	})
}
