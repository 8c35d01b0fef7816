package data

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// CSV names a file of comma-separated values, whose first line names its columns, and what these are.
type CSV struct {
	Path    string
	Samples []string // columns of the numbers of a point, at least one
	Vectors []string // columns of the vector that networks are conditioned on; none: there is none
	Label   string   // column of whole numbers; empty: no labels
	Classes int      // number of classes; 0: one more than the highest label
}

// maxCSV bounds the numbers of a file that are kept.
const maxCSV = 1 << 30

// OpenCSV reads the file into memory.
func OpenCSV(f CSV) (Source, error) {
	switch {
	case f.Path == "":
		return nil, option("the path of the file is empty")
	case len(f.Samples) == 0:
		return nil, option("there are no columns of samples: want at least one")
	case f.Classes < 0:
		return nil, option("%d classes: want at least 1, or 0 to count them", f.Classes)
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, badfile.Read(f.Path, err)
	}
	defer file.Close()
	return f.read(file)
}

func (f CSV) read(from io.Reader) (Source, error) {
	r := csv.NewReader(from)
	r.TrimLeadingSpace, r.ReuseRecord = true, true
	header, err := r.Read()
	if err != nil {
		return nil, f.unread(err)
	}
	names := slices.Clone(header)
	for i, n := range names {
		names[i] = strings.TrimSpace(strings.TrimPrefix(n, "\ufeff"))
	}
	find := func(columns []string) ([]int, error) {
		at := make([]int, len(columns))
		for i, c := range columns {
			if at[i] = slices.Index(names, c); at[i] < 0 {
				return nil, badfile.New(f.Path, ErrFormat, "has no column %q; its first line names %s", c, strings.Join(names, ", "))
			}
		}
		return at, nil
	}
	samples, err := find(f.Samples)
	if err != nil {
		return nil, err
	}
	vectors, err := find(f.Vectors)
	if err != nil {
		return nil, err
	}
	var label []int
	if f.Label != "" {
		if label, err = find([]string{f.Label}); err != nil {
			return nil, err
		}
	}
	m := &memory{shape: []int{len(samples)}, size: len(samples)}
	var labels []int64
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, f.unread(err)
		}
		line, _ := r.FieldPos(0)
		for _, part := range []struct {
			to      *[]float32
			columns []int
		}{{&m.floats, samples}, {&m.vectors, vectors}} {
			for _, c := range part.columns {
				v, err := strconv.ParseFloat(strings.TrimSpace(record[c]), 32)
				if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, badfile.New(f.Path, ErrFormat, "line %d, column %s: %q is no finite float32 number", line, names[c], record[c])
				}
				*part.to = append(*part.to, float32(v))
			}
		}
		for _, c := range label {
			k, err := strconv.ParseInt(strings.TrimSpace(record[c]), 10, 32)
			if err != nil {
				return nil, badfile.New(f.Path, ErrLabels, "line %d, column %s: %q is no whole number", line, names[c], record[c])
			}
			labels = append(labels, k)
		}
		if len(m.floats)+len(m.vectors) > maxCSV {
			return nil, badfile.New(f.Path, ErrSize, "has more than %d numbers", maxCSV)
		}
	}
	if len(m.floats) == 0 {
		return nil, badfile.New(f.Path, ErrEmpty, "has no line below the names of its columns")
	}
	if label != nil {
		m.labels, m.classes, err = checkLabels(labels, f.Classes, f.Path, func(int) int64 { return -1 })
	}
	return m, err
}

// unread is an error of package csv, which names the line.
func (f CSV) unread(err error) error {
	if errors.Is(err, io.EOF) {
		return badfile.New(f.Path, ErrEmpty, "is empty: want a line that names the columns")
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return badfile.New(f.Path, ErrFormat, "line %d: %v", parse.Line, parse.Err)
	}
	return badfile.Read(f.Path, err)
}
