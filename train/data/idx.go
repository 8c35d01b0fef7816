package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/npz"
)

// IDX names the files of a data set in the IDX format of MNIST
// (http://yann.lecun.com/exdb/mnist), each plain or gzipped.
type IDX struct {
	// Images is a file of unsigned bytes of shape (N,H,W), or (N,H,W,C) with C 1 or 3.
	Images string
	// Labels is a file of N unsigned bytes; empty: the images have no labels.
	Labels string
	// Classes is the number of classes, 1 to 256; 0: one more than the highest label.
	Classes int
}

// OpenIDX reads the files into memory.
func OpenIDX(f IDX) (Source, error) {
	if f.Images == "" {
		return nil, option("the path of the images is empty")
	}
	if f.Classes < 0 || f.Classes > 256 {
		return nil, option("%d classes: want 1 to 256, or 0 to count them", f.Classes)
	}
	images, err := openIDX(f.Images)
	if err != nil {
		return nil, err
	}
	var labels *idx
	if f.Labels != "" {
		if labels, err = openIDX(f.Labels); err != nil {
			return nil, err
		}
	}
	return newIDX(images, labels, f.Classes, 255)
}

// idx is the content of an IDX file of unsigned bytes.
type idx struct {
	path  string
	shape []int
	start int64 // where the elements begin, in the uncompressed file
	data  []byte
}

// newIDX joins images, whose brightest pixel is top, and labels (or nil).
func newIDX(images, labels *idx, classes, top int) (Source, error) {
	s := images.shape
	switch {
	case len(s) == 3:
		s = append(s[:3:3], 1)
	case len(s) != 4 || s[3] != 1 && s[3] != 3:
		return nil, badfile.New(images.path, ErrFormat, "the array has shape %v, want (images, height, width) or (images, height, width, 1 or 3)", s)
	}
	m := &memory{shape: s[1:], size: volume(s[1:]), pixels: images.data, scale: pixelScale(top)}
	if labels == nil {
		return m, nil
	}
	if len(labels.shape) != 1 {
		return nil, badfile.New(labels.path, ErrFormat, "the array has shape %v, want (labels): is it a file of images?", labels.shape)
	}
	if labels.shape[0] != s[0] {
		return nil, badfile.New(labels.path, ErrLabels, "%d labels, but %s has %d images", labels.shape[0], images.path, s[0])
	}
	var err error
	m.labels, m.classes, err = checkLabels(labels.data, classes, labels.path, func(i int) int64 { return labels.start + int64(i) })
	return m, err
}

// checkLabels converts labels, which must lie in 0..classes−1 (classes 0: from
// 0 up to 65,535, the highest deciding). offset is where in the file a label stands.
func checkLabels[T uint8 | int8 | int32 | int64](labels []T, classes int, path string, offset func(i int) int64) ([]int32, int, error) {
	limit := classes
	if classes == 0 {
		limit = 1 << 16
	}
	out := make([]int32, len(labels))
	highest := 0
	for i, l := range labels {
		if int64(l) < 0 || int64(l) >= int64(limit) {
			return nil, 0, badfile.At(path, offset(i), ErrLabels, "label %d of sample %d is out of range: want 0 to %d", l, i, limit-1)
		}
		out[i] = int32(l)
		highest = max(highest, int(l))
	}
	if classes == 0 {
		classes = highest + 1
	}
	return out, classes, nil
}

func openIDX(path string) (*idx, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file; want an IDX file")
	}
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	return readIDX(f, st.Size(), path)
}

// readIDX reads an IDX file of size bytes, gzipped or not.
func readIDX(r io.Reader, size int64, path string) (*idx, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	most := size // of bytes that the file can hold
	var in io.Reader = br
	if magic, _ := br.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, badfile.New(path, ErrFormat, "the gzip header is wrong: %v", err)
		}
		defer z.Close()
		in = &unzipped{z, path}
		most = npz.MostUnpacked(size)
	}
	x := &idx{path: path}
	var head [4]byte
	if err := badfile.Full(in, head[:], path, 0, ErrFormat, "the magic number"); err != nil {
		return nil, err
	}
	if head[0] != 0 || head[1] != 0 || head[3] == 0 || head[3] > 8 {
		return nil, badfile.At(path, 0, ErrFormat, "the magic number is %#x, want %#x for images or %#x for labels: this is not an IDX file", head, []byte{0, 0, 8, 3}, []byte{0, 0, 8, 1})
	}
	if head[2] != 8 {
		return nil, badfile.At(path, 2, ErrFormat, "the elements are of type %#02x, want %#02x (unsigned bytes)", head[2], 8)
	}
	x.shape = make([]int, head[3])
	x.start = 4 + 4*int64(head[3])
	n := int64(1)
	for i := range x.shape {
		var b [4]byte
		if err := badfile.Full(in, b[:], path, 4+4*int64(i), ErrFormat, "the dimensions"); err != nil {
			return nil, err
		}
		d := int64(binary.BigEndian.Uint32(b[:]))
		if d == 0 {
			return nil, badfile.At(path, 4+4*int64(i), ErrFormat, "dimension %d is 0", i)
		}
		x.shape[i] = int(d)
		if n > most/d {
			return nil, badfile.At(path, 4+4*int64(i), ErrFormat, "the dimensions %v promise more than the file can hold: it is truncated or corrupt", x.shape[:i+1])
		}
		n *= d
	}
	var err error
	if x.data, err = io.ReadAll(io.LimitReader(in, n)); err != nil { // grows with what is there, not with what is promised
		return nil, badfile.Read(path, err)
	}
	if got := int64(len(x.data)); got < n {
		return nil, badfile.At(path, x.start+got, ErrFormat, "the file is truncated: an array of shape %v takes %d bytes, it has %d", x.shape, n, got)
	}
	// Reading on to the end also has the gzip checksum checked.
	switch k, err := io.ReadFull(in, head[:1]); {
	case k > 0:
		return nil, badfile.At(path, x.start+n, ErrFormat, "more bytes after an array of shape %v", x.shape)
	case err != io.EOF:
		return nil, badfile.Read(path, err)
	}
	return x, nil
}

// unzipped marks the errors of decompression as errors of format.
type unzipped struct {
	r    io.Reader
	path string
}

func (u *unzipped) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		problem := err.Error()
		if err == io.ErrUnexpectedEOF {
			problem = "truncated"
		}
		err = badfile.New(u.path, ErrFormat, "the gzip data are corrupt: %s", problem)
	}
	return n, err
}
