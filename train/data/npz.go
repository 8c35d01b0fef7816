package data

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// NPZ names the arrays of a data set in one file, as numpy.savez and numpy.savez_compressed write it.
type NPZ struct {
	Path string
	// Samples, Labels and Vectors are the arrays' names; what may be in them says [NPY]. [Auto]: samples, images, x or arr_0;
	// labels, label or y, if there is one. Labels and Vectors may be empty: none.
	Samples, Labels, Vectors string
	// Classes is the number of classes; 0: one more than the highest label.
	Classes int
	// Sequences is [NPY]'s.
	Sequences bool
}

// OpenNPZ reads the arrays into memory.
func OpenNPZ(f NPZ) (Source, error) {
	if f.Path == "" {
		return nil, option("the path of the file is empty")
	}
	if f.Classes < 0 {
		return nil, option("%d classes: want at least 1, or 0 to count them", f.Classes)
	}
	file, s, err := openShard(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return f.read(file, s.size)
}

func (f NPZ) read(r io.ReaderAt, size int64) (Source, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		if errors.Is(err, zip.ErrFormat) {
			return nil, badfile.New(f.Path, ErrFormat, "this is no .npz file, or it is truncated")
		}
		return nil, badfile.New(f.Path, ErrFormat, "the .npz file cannot be decoded: %v", err)
	}
	by := map[string]*zip.File{}
	var names []string
	for _, m := range z.File {
		if name, ok := strings.CutSuffix(m.Name, ".npy"); ok && by[name] == nil {
			by[name] = m
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if names = names[:min(len(names), 30)]; len(names) == 0 {
		return nil, badfile.New(f.Path, ErrEmpty, "has no arrays")
	}
	open := func(name string, auto ...string) (*array, error) {
		if name == Auto {
			i := slices.IndexFunc(auto, func(n string) bool { return by[n] != nil })
			if i < 0 {
				return nil, nil
			}
			name = auto[i]
		}
		if name == "" {
			return nil, nil
		}
		m := by[name]
		if m == nil {
			return nil, badfile.New(f.Path, ErrFormat, "has no array %q; it has %s", name, strings.Join(names, ", "))
		}
		return readMember(m, f.Path)
	}
	samples, err := open(f.Samples, "samples", "images", "x", "arr_0")
	if err != nil {
		return nil, err
	}
	if samples == nil {
		return nil, badfile.New(f.Path, ErrFormat, "has no array samples, images, x or arr_0: say which of %s the samples are", strings.Join(names, ", "))
	}
	labels, err := open(f.Labels, "labels", "label", "y")
	if err != nil {
		return nil, err
	}
	vectors, err := open(f.Vectors)
	if err != nil {
		return nil, err
	}
	return fromArrays(samples, labels, vectors, f.Classes, f.Sequences)
}

// readMember reads an array of a zip file, checksum included.
func readMember(m *zip.File, path string) (*array, error) {
	where := fmt.Sprintf("%s: %s", path, m.Name)
	size := m.UncompressedSize64
	most := m.CompressedSize64
	if m.Method == zip.Deflate && most < math.MaxInt64/deflateRatio {
		most = most*deflateRatio + deflateRatio
	}
	if size > most || size > math.MaxInt64/2 {
		return nil, badfile.New(where, ErrFormat, "%d bytes promise to be %d: more than they can hold", m.CompressedSize64, size)
	}
	r, err := m.Open()
	if err != nil {
		return nil, badfile.New(where, ErrFormat, "cannot be unpacked: %v", err)
	}
	defer r.Close()
	in := &unpacked{r, where}
	d, err := gorgonia.DecodeNPY(in, int64(size), where)
	if err != nil {
		return nil, err
	}
	if _, err := in.Read(make([]byte, 1)); err != io.EOF { // to the end, where the checksum is compared
		return nil, badfile.Read(where, err)
	}
	return &array{d, where}, nil
}

// unpacked marks errors of decompression as errors of format.
type unpacked struct {
	r     io.Reader
	where string
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		err = badfile.New(u.where, ErrFormat, "cannot be unpacked: %v", err)
	}
	return n, err
}
