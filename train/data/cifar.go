package data

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// CIFAR describes the binary version of CIFAR-10 or CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html), unpacked:
// 32×32 pictures in colour, with a part held out, the test set.
type CIFAR struct {
	// Dir is the folder with the .bin files; which of the two sets it is shows in their names.
	Dir string
	// Coarse takes CIFAR-100's 20 superclasses in place of its 100 classes.
	Coarse bool
}

const cifarPixels = 32 * 32 * 3

// maxCIFAR bounds the pictures of a file: the real ones have 10,000 or 50,000.
const maxCIFAR = 1 << 20

// OpenCIFAR reads the files into memory; heldout is the test set, or nil if its file is not there.
func OpenCIFAR(c CIFAR) (train, heldout Source, err error) {
	if c.Dir == "" {
		return nil, nil, option("the path of the folder is empty")
	}
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(c.Dir, name))
		return err == nil
	}
	f := cifarFiles{labels: 1, classes: 10, names: "batches.meta.txt", test: "test_batch.bin",
		train: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}}
	switch {
	case has("train.bin"):
		f = cifarFiles{labels: 2, at: 1, classes: 100, names: "fine_label_names.txt", test: "test.bin", train: []string{"train.bin"}}
		if c.Coarse {
			f.at, f.classes, f.names = 0, 20, "coarse_label_names.txt"
		}
	case !has(f.train[0]):
		return nil, nil, badfile.New(c.Dir, ErrEmpty, "has neither data_batch_1.bin (CIFAR-10) nor train.bin (CIFAR-100): want the folder that the binary version unpacks to")
	case c.Coarse:
		return nil, nil, option("CIFAR-10 has no coarse classes")
	}
	if train, err = f.open(c.Dir, f.train); err != nil {
		return nil, nil, err
	}
	if has(f.test) {
		if heldout, err = f.open(c.Dir, []string{f.test}); err != nil {
			return nil, nil, err
		}
	}
	return train, heldout, nil
}

// cifarFiles says how the files of a set are called and made.
type cifarFiles struct {
	labels, at int // bytes of labels before a picture, and which of them is taken
	classes    int
	names      string
	train      []string
	test       string
}

func (f cifarFiles) open(dir string, files []string) (Source, error) {
	m := &memory{shape: []int{32, 32, 3}, size: cifarPixels, scale: pixelScale(255), classes: f.classes}
	for _, name := range files {
		path := filepath.Join(dir, name)
		b, err := readWhole(path, nil, int64(maxCIFAR*(f.labels+cifarPixels)))
		if err != nil {
			return nil, err
		}
		if err := f.add(m, b, path); err != nil {
			return nil, err
		}
	}
	var err error
	m.names, err = f.classNames(filepath.Join(dir, f.names))
	return m, err
}

// add appends a file's pictures, which are stored channel by channel.
func (f cifarFiles) add(m *memory, b []byte, path string) error {
	record := f.labels + cifarPixels
	if len(b) == 0 || len(b)%record != 0 {
		return badfile.At(path, int64(len(b)/record*record), ErrFormat, "the file has %d bytes: want a multiple of %d (labels and a picture of 32×32×3)", len(b), record)
	}
	for at := 0; at < len(b); at += record {
		label := b[at+f.at]
		if int(label) >= f.classes {
			return badfile.At(path, int64(at+f.at), ErrLabels, "label %d is out of range: want 0 to %d", label, f.classes-1)
		}
		m.labels = append(m.labels, int32(label))
		planes := b[at+f.labels : at+record]
		for i := range 32 * 32 {
			m.pixels = append(m.pixels, planes[i], planes[1024+i], planes[2048+i])
		}
	}
	return nil
}

// classNames reads a name a line; nil where there is no such file.
func (f cifarFiles) classNames(path string) ([]string, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer file.Close()
	var names []string
	lines := bufio.NewScanner(file)
	for lines.Scan() && len(names) <= f.classes {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			names = append(names, name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, badfile.Read(path, err)
	}
	if len(names) != f.classes || slices.Contains(names, "") {
		return nil, badfile.New(path, ErrFormat, "has %d names of classes: want %d", len(names), f.classes)
	}
	return names, nil
}
