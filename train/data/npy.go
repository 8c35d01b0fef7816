package data

import (
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
}

// OpenNPY reads the files into memory.
func OpenNPY(f NPY) (Source, error) {
	if f.Samples == "" {
		return nil, option("the path of the samples is empty")
	}
	if f.Classes < 0 {
		return nil, option("%d classes: want at least 1, or 0 to count them", f.Classes)
	}
	d, err := gorgonia.ReadNPY(f.Samples)
	if err != nil {
		return nil, err
	}
	shape := []int(d.Shape())
	switch len(shape) {
	case 2, 4:
	case 3:
		shape = append(shape[:3:3], 1)
	default:
		return nil, badfile.New(f.Samples, ErrFormat, "the array has shape %v, want (N,D), (N,H,W) or (N,H,W,C)", shape)
	}
	m := &memory{shape: append([]int(nil), shape[1:]...), size: volume(shape[1:])}
	switch d.Dtype() {
	case gt.Uint8:
		m.scale = pixelScale(255)
		_, m.pixels, err = gorgonia.Slice[uint8](d)
	case gt.Float32:
		_, m.floats, err = gorgonia.Slice[float32](d)
	case gt.Float64:
		var x []float64
		if _, x, err = gorgonia.Slice[float64](d); err == nil {
			m.floats = make([]float32, len(x))
			for i, v := range x {
				m.floats[i] = float32(v)
			}
		}
	default:
		return nil, badfile.New(f.Samples, ErrFormat, "the elements are %v, want uint8, float32 or float64", d.Dtype())
	}
	if err != nil {
		return nil, err
	}
	for i, v := range m.floats {
		if v-v != 0 {
			return nil, badfile.New(f.Samples, ErrFormat, "element %d of sample %d is %v: want finite float32 numbers", i%m.size, i/m.size, v)
		}
	}
	if f.Vectors != "" {
		var n int
		if n, m.vectors, err = ReadVectors(f.Vectors); err != nil {
			return nil, err
		}
		if n != m.Len() {
			return nil, badfile.New(f.Vectors, ErrFormat, "%d vectors, but %s has %d samples", n, f.Samples, m.Len())
		}
	}
	if f.Labels == "" {
		return m, nil
	}
	m.labels, m.classes, err = npyLabels(f, m.Len())
	return m, err
}

// npyLabels reads n labels.
func npyLabels(f NPY, n int) (labels []int32, classes int, err error) {
	d, err := gorgonia.ReadNPY(f.Labels)
	if err != nil {
		return nil, 0, err
	}
	if d.Dims() != 1 {
		return nil, 0, badfile.New(f.Labels, ErrFormat, "the array has shape %v, want (N)", d.Shape())
	}
	if d.Shape()[0] != n {
		return nil, 0, badfile.New(f.Labels, ErrLabels, "%d labels, but %s has %d samples", d.Shape()[0], f.Samples, n)
	}
	switch d.Dtype() {
	case gt.Uint8:
		return denseLabels[uint8](d, f)
	case gt.Int8:
		return denseLabels[int8](d, f)
	case gt.Int32:
		return denseLabels[int32](d, f)
	case gt.Int64:
		return denseLabels[int64](d, f)
	}
	return nil, 0, badfile.New(f.Labels, ErrFormat, "the labels are %v, want integers (uint8, int8, int32 or int64)", d.Dtype())
}

func denseLabels[T uint8 | int8 | int32 | int64](d *gt.Dense, f NPY) ([]int32, int, error) {
	_, labels, err := gorgonia.Slice[T](d)
	if err != nil {
		return nil, 0, err
	}
	return checkLabels(labels, f.Classes, f.Labels, func(int) int64 { return -1 })
}
