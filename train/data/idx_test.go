package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
)

// idxFile builds an IDX file.
func idxFile(kind byte, data []byte, shape ...uint32) []byte {
	b := []byte{0, 0, kind, byte(len(shape))}
	for _, d := range shape {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestIDX(t *testing.T) {
	dir := t.TempDir()
	pixels := []byte{0, 255, 51, 102, 153, 204, 1, 2, 3, 4, 5, 6}
	for name, file := range map[string][]byte{"plain": idxFile(8, pixels, 2, 2, 3), "zipped": gzipped(t, idxFile(8, pixels, 2, 2, 3)), "four axes": idxFile(8, pixels, 2, 2, 3, 1)} {
		images := write(t, dir, name, file)
		labels := write(t, dir, name+".labels", gzipped(t, idxFile(8, []byte{3, 1}, 2)))
		s, err := OpenIDX(IDX{Images: images, Labels: labels})
		if err != nil {
			t.Fatal(err)
		}
		if s.Len() != 2 || !slices.Equal(s.Shape(), []int{2, 3, 1}) || s.Classes() != 4 {
			t.Errorf("%s: %d of shape %v in %d classes", name, s.Len(), s.Shape(), s.Classes())
		}
		if Levels(s) != 256 {
			t.Errorf("%s: %d levels", name, Levels(s))
		}
		x := make([]float32, 6)
		label, err := s.Sample(0, x)
		// 2·v/255 − 1, in float32
		if want := []float32{-1, 1, 102.0/255 - 1, 204.0/255 - 1, 306.0/255 - 1, 408.0/255 - 1}; err != nil || label != 3 || !near(x, want, 1e-7) {
			t.Errorf("%s: label %d, %v, %v; want %v", name, label, x, err, want)
		}
		if label, _ := s.Sample(1, x); label != 1 {
			t.Errorf("%s: label %d", name, label)
		}
		if s, err := OpenIDX(IDX{Images: images, Labels: labels, Classes: 10}); err != nil || s.Classes() != 10 {
			t.Errorf("%s: %v", name, err)
		}
		if s, err := OpenIDX(IDX{Images: images}); err != nil || s.Classes() != 0 {
			t.Errorf("%s, without labels: %v", name, err)
		}
	}
	rgb := write(t, dir, "rgb", idxFile(8, make([]byte, 24), 2, 2, 2, 3))
	if s, err := OpenIDX(IDX{Images: rgb}); err != nil || !slices.Equal(s.Shape(), []int{2, 2, 3}) {
		t.Errorf("rgb: %v", err)
	}
}

func near(a, b []float32, tol float64) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { d := float64(x - y); return d <= tol && -d <= tol })
}

func TestIDXRefuses(t *testing.T) {
	dir := t.TempDir()
	good := idxFile(8, make([]byte, 8), 2, 2, 2)
	goodLabels := idxFile(8, []byte{0, 1}, 2)
	corrupt := gzipped(t, good)
	corrupt[len(corrupt)-6] ^= 1 // in the checksum
	images := write(t, dir, "good", good)
	labels := write(t, dir, "good-labels", goodLabels)
	for what, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":              {nil, "ends within the magic number"},
		"short magic":        {good[:3], "ends within the magic number"},
		"text":               {[]byte("hello, this is no IDX file"), "magic number"},
		"floats":             {idxFile(13, make([]byte, 32), 2, 2, 2), "0x0d"},
		"no axes":            {idxFile(8, nil), "magic number"},
		"dimensions cut":     {good[:10], "byte 10: the file ends within the dimensions"},
		"dimension 0":        {idxFile(8, nil, 2, 0, 2), "dimension 1 is 0"},
		"two axes":           {idxFile(8, make([]byte, 4), 2, 2), "want (images, height, width)"},
		"two channels":       {idxFile(8, make([]byte, 16), 2, 2, 2, 2), "want (images, height, width)"},
		"labels":             {goodLabels, "want (images, height, width)"},
		"data cut":           {good[:len(good)-1], "takes 8 bytes, it has 7"},
		"data left over":     {append(slices.Clone(good), 0), "byte 24: more bytes"},
		"promise":            {idxFile(8, make([]byte, 8), 1<<31, 1<<31, 1<<31), "promise more than the file can hold"},
		"gzip cut":           {gzipped(t, good)[:20], "truncated"},
		"gzip header cut":    {gzipped(t, good)[:5], "gzip header"},
		"gzip checksum":      {corrupt, "checksum"},
		"gzip short":         {gzipped(t, good[:len(good)-1]), "takes 8 bytes, it has 7"},
		"gzip left over":     {gzipped(t, append(slices.Clone(good), 0)), "more bytes"},
		"gzip bomb":          {gzipped(t, idxFile(8, make([]byte, 20<<20), 20, 1<<10, 1<<10)), "promise more"},
		"gzip bomb promised": {gzipped(t, idxFile(8, nil, 60000, 60000, 60000)), "promise more"},
	} {
		path := write(t, dir, "bad", c.file)
		_, err := OpenIDX(IDX{Images: path, Labels: labels})
		checkFileError(t, what, err, ErrFormat, path, c.want)
	}
	three := write(t, dir, "three", idxFile(8, []byte{0, 1, 2}, 3))
	_, err := OpenIDX(IDX{Images: images, Labels: three})
	checkFileError(t, "three labels", err, ErrLabels, three, "3 labels, but "+images+" has 2 images")
	high := write(t, dir, "high", idxFile(8, []byte{0, 7}, 2))
	_, err = OpenIDX(IDX{Images: images, Labels: high, Classes: 7})
	checkFileError(t, "label 7", err, ErrLabels, high, "byte 9: label 7 of sample 1 is out of range: want 0 to 6")
	_, err = OpenIDX(IDX{Images: images, Labels: images})
	checkFileError(t, "images as labels", err, ErrFormat, images, "is it a file of images?")
	_, err = OpenIDX(IDX{Images: dir + "/missing"})
	checkFileError(t, "missing", err, os.ErrNotExist, dir+"/missing", "no such file")
	if _, err = OpenIDX(IDX{Images: dir}); err == nil {
		t.Error("a folder was read")
	}
	for _, f := range []IDX{{}, {Images: images, Classes: -1}, {Images: images, Classes: 257}} {
		if _, err := OpenIDX(f); !errors.Is(err, ErrOption) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func FuzzReadIDX(f *testing.F) {
	good := idxFile(8, make([]byte, 8), 2, 2, 2)
	f.Add(good)
	f.Add(gzipped(f, good))
	f.Add(idxFile(8, []byte{0, 1}, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := readIDX(bytes.NewReader(b), int64(len(b)), "fuzz")
		if err != nil {
			var e *FileError
			if !errors.As(err, &e) || e.Path != "fuzz" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if volume(x.shape) != len(x.data) {
			t.Fatalf("shape %v with %d bytes", x.shape, len(x.data))
		}
		shape := make([]uint32, len(x.shape))
		for i, d := range x.shape {
			shape[i] = uint32(d)
		}
		if zipped := len(b) > 1 && b[0] == 0x1f; !zipped && !bytes.Equal(idxFile(8, x.data, shape...), b) {
			t.Fatal("written again it is another file")
		}
	})
}
