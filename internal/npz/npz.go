// Package npz reads and writes NumPy's archives of arrays: zip files of .npy files, as numpy.savez and
// numpy.savez_compressed write them. It trusts nothing: an array takes no more memory than its compressed bytes can hold.
package npz

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	gt "gorgonia.org/tensor"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// Bounds of what a packed file may unpack to, where all of it is held in memory. Pictures of digits take a fifth of their bytes
// packed, masks a fiftieth; what takes less than a two-hundredth, and is not small, was made to fill the memory.
const (
	maxRatio   = 200
	alwaysFits = 16 << 20
)

// MostUnpacked is how many bytes so many packed ones may stand for.
func MostUnpacked(packed int64) int64 {
	if packed > math.MaxInt64/maxRatio {
		return math.MaxInt64
	}
	return max(alwaysFits, maxRatio*packed)
}

// Archive is an open archive.
type Archive struct {
	path string
	by   map[string]*zip.File
}

// New reads the directory of an archive of size bytes; path names it in errors, which are of internal/badfile's type.
func New(r io.ReaderAt, size int64, path string) (*Archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		if errors.Is(err, zip.ErrFormat) {
			return nil, badfile.New(path, badfile.ErrFormat, "this is no .npz file, or it is truncated")
		}
		return nil, badfile.New(path, badfile.ErrFormat, "the .npz file cannot be decoded: %v", err)
	}
	a := &Archive{path: path, by: map[string]*zip.File{}}
	for _, m := range z.File {
		if name, ok := strings.CutSuffix(m.Name, ".npy"); ok && a.by[name] == nil {
			a.by[name] = m
		}
	}
	return a, nil
}

// Open reads the directory of the file at path. The caller closes it after the last array.
func Open(path string) (*Archive, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, badfile.Read(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file; want a .npz file")
	}
	var a *Archive
	if err == nil {
		a, err = New(f, info.Size(), path)
	}
	if err != nil {
		f.Close()
		return nil, nil, badfile.Read(path, err)
	}
	return a, f, nil
}

// Has reports whether there is an array of that name.
func (a *Archive) Has(name string) bool { return a.by[name] != nil }

// Names are those of the arrays, in order, at most 30 of them.
func (a *Archive) Names() []string {
	var names []string
	for n := range a.by {
		names = append(names, n)
	}
	slices.Sort(names)
	return names[:min(len(names), 30)]
}

// Array is one of an archive's, and where it stands.
type Array struct {
	*gt.Dense
	Where string // for errors
}

// Read reads an array, checksum included.
func (a *Archive) Read(name string) (Array, error) {
	m := a.by[name]
	if m == nil {
		return Array{}, badfile.New(a.path, badfile.ErrFormat, "has no array %q; it has %s", name, strings.Join(a.Names(), ", "))
	}
	where := fmt.Sprintf("%s: %s", a.path, m.Name)
	size := m.UncompressedSize64
	if m.Method == zip.Store && size != m.CompressedSize64 {
		return Array{}, badfile.New(where, badfile.ErrFormat, "%d bytes promise to be %d, and are not packed", m.CompressedSize64, size)
	}
	if m.CompressedSize64 > math.MaxInt64/2 || size > uint64(MostUnpacked(int64(m.CompressedSize64))) {
		return Array{}, badfile.New(where, badfile.ErrFormat, "%d packed bytes promise to be %d: more than %d times as many (an array that is so should be saved by numpy.savez)", m.CompressedSize64, size, maxRatio)
	}
	r, err := m.Open()
	if err != nil {
		return Array{}, badfile.New(where, badfile.ErrFormat, "cannot be unpacked: %v", err)
	}
	defer r.Close()
	in := bufio.NewReaderSize(&unpacked{r, where}, 1<<16)
	if _, err := in.Peek(int(min(size, 1<<16))); err != nil { // before as much is made room for as is promised
		return Array{}, badfile.Read(where, err)
	}
	d, err := gorgonia.DecodeNPY(in, int64(size), where)
	if err != nil {
		return Array{}, err
	}
	if _, err := in.Read(make([]byte, 1)); err != io.EOF { // to the end, where the checksum is compared
		return Array{}, badfile.Read(where, err)
	}
	return Array{d, where}, nil
}

// unpacked marks errors of decompression as errors of format.
type unpacked struct {
	r     io.Reader
	where string
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		err = badfile.New(u.where, badfile.ErrFormat, "cannot be unpacked: %v", err)
	}
	return n, err
}

// Entry is an array to be written: its elements' type, such as <f4, its shape, and what writes its elements, row-major.
type Entry struct {
	Name  string
	DType string
	Shape []int
	Data  func(w io.Writer) error
}

// Write writes an archive, uncompressed as numpy.savez does, whole or not at all.
func Write(path string, arrays ...Entry) error {
	return atomicfile.Write(path, func(to io.Writer) error {
		z := zip.NewWriter(to)
		for _, e := range arrays {
			f, err := z.CreateHeader(&zip.FileHeader{Name: e.Name + ".npy", Method: zip.Store})
			if err != nil {
				return err
			}
			head, err := gorgonia.NPYHeader(e.DType, e.Shape)
			if err != nil {
				return err
			}
			if _, err := f.Write(head); err != nil {
				return err
			}
			if err := e.Data(f); err != nil {
				return err
			}
		}
		return z.Close()
	})
}
