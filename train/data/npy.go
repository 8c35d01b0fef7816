package data

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	gt "gorgonia.org/tensor"
)

// NPY names the files of a data set in NumPy's format.
type NPY struct {
	// Samples is an array of shape (N,D): points; (N,H,W): grey images; or
	// (N,H,W,C). Elements u1 are pixels 0 to 255, scaled to [−1, 1]; f4 and f8
	// are taken as they are and must be finite.
	Samples string
	// Labels is an array of N integers (u1, i1, i4, i8); empty: no labels.
	Labels string
	// Classes is the number of classes; 0: one more than the highest label.
	Classes int
	// Vectors is an array of shape (N,D), or (N), that networks are conditioned on, as [ReadVectors] reads it; empty: none.
	Vectors string
	// Sequences takes samples of shape (N,T,D) for sequences, of T steps of D numbers, rather than grey images.
	Sequences bool
}

// OpenNPY reads the files into memory.
func OpenNPY(f NPY) (Source, error) {
	if f.Samples == "" {
		return nil, option("the path of the samples is empty")
	}
	if f.Classes < 0 {
		return nil, option("%d classes: want at least 1, or 0 to count them", f.Classes)
	}
	samples, err := readArray(f.Samples)
	if err != nil {
		return nil, err
	}
	var labels, vectors *array
	if f.Vectors != "" {
		if vectors, err = readArray(f.Vectors); err != nil {
			return nil, err
		}
	}
	if f.Labels != "" {
		if labels, err = readArray(f.Labels); err != nil {
			return nil, err
		}
	}
	return fromArrays(samples, labels, vectors, f.Classes, f.Sequences)
}

// array is one of NumPy's, and where it stands.
type array struct {
	*gt.Dense
	where string
}

func readArray(path string) (*array, error) {
	d, err := gorgonia.ReadNPY(path)
	return &array{d, path}, err
}

// fromArrays makes a source of samples, and labels and vectors, or nil.
func fromArrays(samples, labels, vectors *array, classes int, sequences bool) (*memory, error) {
	shape := []int(samples.Shape())
	switch {
	case sequences && len(shape) != 3:
		return nil, badfile.New(samples.where, ErrFormat, "the array has shape %v, want (N,T,D) for sequences", shape)
	case sequences || len(shape) == 2 || len(shape) == 4:
	case len(shape) == 3:
		shape = append(shape[:3:3], 1)
	default:
		return nil, badfile.New(samples.where, ErrFormat, "the array has shape %v, want (N,D), (N,H,W) or (N,H,W,C)", shape)
	}
	m := &memory{shape: append([]int(nil), shape[1:]...), size: volume(shape[1:])}
	var err error
	if samples.Dtype() == gt.Uint8 {
		m.scale = pixelScale(255)
		_, m.pixels, err = gorgonia.Slice[uint8](samples.Dense)
	} else {
		m.floats, err = samples.floats("uint8, float32 or float64", func(i int) string { return fmt.Sprintf("element %d of sample %d", i%m.size, i/m.size) })
	}
	if err != nil {
		return nil, err
	}
	if vectors != nil {
		var n int
		if n, m.vectors, err = vectors.vectors(); err != nil {
			return nil, err
		}
		if n != m.Len() {
			return nil, badfile.New(vectors.where, ErrFormat, "%d vectors, but %s has %d samples", n, samples.where, m.Len())
		}
	}
	if labels == nil {
		return m, nil
	}
	if labels.Dims() != 1 {
		return nil, badfile.New(labels.where, ErrFormat, "the array has shape %v, want (N)", labels.Shape())
	}
	if n := labels.Shape()[0]; n != m.Len() {
		return nil, badfile.New(labels.where, ErrLabels, "%d labels, but %s has %d samples", n, samples.where, m.Len())
	}
	m.labels, m.classes, err = labels.labels(classes)
	return m, err
}

// floats gives the elements of an array of float32 or float64, which must be finite; want says which types may be, and at where one stands.
func (a *array) floats(want string, at func(i int) string) (x []float32, err error) {
	switch a.Dtype() {
	case gt.Float32:
		_, x, err = gorgonia.Slice[float32](a.Dense)
	case gt.Float64:
		var wide []float64
		if _, wide, err = gorgonia.Slice[float64](a.Dense); err == nil {
			x = make([]float32, len(wide))
			for i, v := range wide {
				x[i] = float32(v)
			}
		}
	default:
		return nil, badfile.New(a.where, ErrFormat, "the elements are %v, want %s", a.Dtype(), want)
	}
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		if v-v != 0 {
			return nil, badfile.New(a.where, ErrFormat, "%s is %v: want finite float32 numbers", at(i), v)
		}
	}
	return x, nil
}

func (a *array) labels(classes int) ([]int32, int, error) {
	switch a.Dtype() {
	case gt.Uint8:
		return denseLabels[uint8](a, classes)
	case gt.Int8:
		return denseLabels[int8](a, classes)
	case gt.Int32:
		return denseLabels[int32](a, classes)
	case gt.Int64:
		return denseLabels[int64](a, classes)
	}
	return nil, 0, badfile.New(a.where, ErrFormat, "the labels are %v, want integers (uint8, int8, int32 or int64)", a.Dtype())
}

func denseLabels[T uint8 | int8 | int32 | int64](a *array, classes int) ([]int32, int, error) {
	_, labels, err := gorgonia.Slice[T](a.Dense)
	if err != nil {
		return nil, 0, err
	}
	return checkLabels(labels, classes, a.where, func(int) int64 { return -1 })
}
