package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The archives were written by Python's tarfile (testdata/shards.py), in both of its formats, one with a long name.
func TestTarAsPythonWroteIt(t *testing.T) {
	g := shardsGolden(t)
	for _, memory := range []int64{0, -1} {
		p := asTheyAre
		p.Memory = memory
		s, err := OpenTar(context.Background(), Tar{Path: "testdata/tar/train-{000000..000001}.tar", Pictures: p, Labels: Auto, Captions: "json.text"})
		g.check(t, "cls", s, err, func(k int) []string { return g.Captions[k][:1] })
		s, err = OpenTar(context.Background(), Tar{Path: "testdata/tar", Pictures: p, Labels: "json.n", Image: "png"})
		g.check(t, "json", s, err, nil)
		if s, err := OpenTar(context.Background(), Tar{Path: "testdata/tar", Pictures: p}); err != nil || s.Classes() != 0 {
			t.Errorf("without labels: %v", err)
		}
	}
	s, err := OpenTar(context.Background(), Tar{Path: "testdata/tar", Pictures: asTheyAre, Labels: "cls", Classes: 5})
	if err != nil || s.Classes() != 5 {
		t.Errorf("five classes: %v", err)
	}
}

// entry is a file of an archive.
type entry struct {
	name string
	kind byte
	body []byte
}

func makeTar(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.body)), Mode: 0o600}
		if e.kind == tar.TypeSymlink || e.kind == tar.TypeLink {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTarRefuses(t *testing.T) {
	pic := encodePNG(t, gradient(4, 3, 9))
	good := makeTar(t, entry{"a.png", tar.TypeReg, pic}, entry{"a.cls", tar.TypeReg, []byte("1\n")})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(good)
	z.Close()
	broken := bytes.Clone(good)
	broken[1024+300] ^= 1 // in the second header
	for what, c := range map[string]struct {
		file []byte
		tar  Tar
		kind error
		want string
	}{
		"empty":          {makeTar(t), Tar{}, ErrEmpty, "has no samples"},
		"no picture":     {makeTar(t, entry{"a.cls", tar.TypeReg, []byte("1")}), Tar{}, ErrFormat, `sample "a": has no picture among its files .cls`},
		"two pictures":   {makeTar(t, entry{"a.png", tar.TypeReg, pic}, entry{"a.jpg", tar.TypeReg, pic}), Tar{}, ErrFormat, "two pictures, .png and .jpg"},
		"twice":          {makeTar(t, entry{"a.png", tar.TypeReg, pic}, entry{"a.PNG", tar.TypeReg, pic}), Tar{}, ErrFormat, "two files .png"},
		"no label":       {makeTar(t, entry{"a.png", tar.TypeReg, pic}), Tar{Labels: "cls"}, ErrLabels, "has no label (cls)"},
		"bad label":      {makeTar(t, entry{"a.png", tar.TypeReg, pic}, entry{"a.cls", tar.TypeReg, []byte("cat")}), Tar{Labels: "cls"}, ErrFormat, `is "cat": want a whole number`},
		"label too high": {good, Tar{Labels: "cls", Classes: 1}, ErrLabels, "label 1 of sample 0 is out of range"},
		"no caption":     {good, Tar{Captions: "txt"}, ErrEmpty, "has no caption (txt)"},
		"no json":        {makeTar(t, entry{"a.png", tar.TypeReg, pic}, entry{"a.json", tar.TypeReg, []byte("[1]")}), Tar{Captions: "json.text"}, ErrFormat, "holds no object"},
		"long text":      {makeTar(t, entry{"a.png", tar.TypeReg, pic}, entry{"a.txt", tar.TypeReg, make([]byte, maxTarJSON+1)}), Tar{Captions: "txt"}, ErrSize, "bytes: want at most"},
		"above":          {makeTar(t, entry{"../a.png", tar.TypeReg, pic}), Tar{}, ErrFormat, "leaves the archive"},
		"within":         {makeTar(t, entry{"x/../../a.png", tar.TypeReg, pic}), Tar{}, ErrFormat, "leaves the archive"},
		"absolute":       {makeTar(t, entry{"/a.png", tar.TypeReg, pic}), Tar{}, ErrFormat, "leaves the archive"},
		"link":           {makeTar(t, entry{"a.png", tar.TypeSymlink, nil}), Tar{}, ErrFormat, "is a link"},
		"hard link":      {makeTar(t, entry{"a.png", tar.TypeLink, nil}), Tar{}, ErrFormat, "is a link"},
		"pipe":           {makeTar(t, entry{"a.png", tar.TypeFifo, nil}), Tar{}, ErrFormat, "a device"},
		"zipped":         {zipped.Bytes(), Tar{}, ErrFormat, "must be unpacked"},
		"no archive":     {bytes.Repeat([]byte("hello "), 200), Tar{}, ErrFormat, "this is no tar archive"},
		"bad checksum":   {broken, Tar{}, ErrFormat, "byte 512: what follows is no entry"},
		"cut in a file":  {good[:530], Tar{}, ErrFormat, "does not fit into the file: it is truncated"},
		"cut header":     {good[:1100], Tar{}, ErrFormat, "truncated after this"},
		"bad picture":    {makeTar(t, entry{"a.png", tar.TypeReg, pic[:40]}), Tar{}, ErrFormat, "a.png: the picture"},
	} {
		path := write(t, t.TempDir(), "x.tar", c.file)
		c.tar.Path, c.tar.Pictures = path, asTheyAre
		_, err := OpenTar(context.Background(), c.tar)
		want := path
		if what == "bad picture" {
			want += ": a.png"
		}
		checkFileError(t, what, err, c.kind, want, c.want)
	}
	path := write(t, t.TempDir(), "x.tar", good)
	p := asTheyAre
	p.MaxFile = 20
	_, err := OpenTar(context.Background(), Tar{Path: path, Pictures: p})
	checkFileError(t, "large", err, ErrSize, path, "the picture a.png has")
	if _, err := OpenTar(context.Background(), Tar{Path: path, Pictures: asTheyAre, Classes: -1}); !errors.Is(err, ErrOption) {
		t.Errorf("got %v", err)
	}
	if _, err := OpenTar(context.Background(), Tar{Path: filepath.Join(t.TempDir(), "no.tar"), Pictures: asTheyAre}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// What is no part of a sample is passed over: folders, hidden files and those without an ending.
	path = write(t, t.TempDir(), "x.tar", makeTar(t, entry{"d/", tar.TypeDir, nil}, entry{"d/README", tar.TypeReg, []byte("x")}, entry{"d/.hidden", tar.TypeReg, nil}, entry{"d/a.png", tar.TypeReg, pic}))
	if s, err := OpenTar(context.Background(), Tar{Path: path, Pictures: asTheyAre, Labels: Auto}); err != nil || s.Len() != 1 || s.Classes() != 0 {
		t.Errorf("got %v", err)
	}
}

func FuzzTar(f *testing.F) {
	for _, name := range []string{"testdata/tar/train-000000.tar", "testdata/tar/train-000001.tar"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(makeTar(f, entry{"../a.png", tar.TypeReg, nil}, entry{"b.png", tar.TypeSymlink, nil}))
	f.Fuzz(func(t *testing.T, b []byte) {
		o := Tar{Labels: "cls", Captions: "json.text"}
		err := o.index(bytes.NewReader(b), int64(len(b)), "fuzz", func(s tarSample) bool {
			if s.at < 0 || s.size < 0 || s.at+s.size > int64(len(b)) {
				t.Fatalf("a picture at %d of %d bytes, in a file of %d", s.at, s.size, len(b))
			}
			return true
		})
		var e *FileError
		if err != nil && (!errors.As(err, &e) || e.Path != "fuzz") {
			t.Fatalf("untyped error %v", err)
		}
	})
}
