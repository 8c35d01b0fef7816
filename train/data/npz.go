package data

import (
	"io"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/npz"
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
	z, err := npz.New(r, size, f.Path)
	if err != nil {
		return nil, err
	}
	if len(z.Names()) == 0 {
		return nil, badfile.New(f.Path, ErrEmpty, "has no arrays")
	}
	open := func(name string, auto ...string) (*array, error) {
		if name == Auto {
			i := slices.IndexFunc(auto, z.Has)
			if i < 0 {
				return nil, nil
			}
			name = auto[i]
		}
		if name == "" {
			return nil, nil
		}
		a, err := z.Read(name)
		return &array{a.Dense, a.Where}, err
	}
	samples, err := open(f.Samples, "samples", "images", "x", "arr_0")
	if err != nil {
		return nil, err
	}
	if samples == nil {
		return nil, badfile.New(f.Path, ErrFormat, "has no array samples, images, x or arr_0: say which of %s the samples are", strings.Join(z.Names(), ", "))
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
