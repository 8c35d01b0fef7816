package data

import (
	"math"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	gt "gorgonia.org/tensor"
)

// Conditioned is a source whose samples have vectors that networks can be conditioned on.
type Conditioned interface {
	Source
	// VectorSize is the length of a vector.
	VectorSize() int
	// Vector writes the vector of sample i, below Len, to v, which has VectorSize numbers.
	Vector(i uint64, v []float32)
}

// VectorsOf is the source, if its samples have vectors.
func VectorsOf(s Source) (c Conditioned, ok bool) {
	if c, ok = s.(Conditioned); ok {
		return c, c.VectorSize() > 0
	}
	if part, is := s.(wrapper); is {
		if of, ok := VectorsOf(part.source()); ok {
			return conditionedPart{part, of}, true
		}
	}
	return nil, false
}

// VectorSize is the length of the samples' vectors; 0: they have none.
func VectorSize(s Source) int {
	if c, ok := VectorsOf(s); ok {
		return c.VectorSize()
	}
	return 0
}

// conditionedPart is samples of a source with vectors.
type conditionedPart struct {
	wrapper
	of Conditioned
}

func (s conditionedPart) VectorSize() int { return s.of.VectorSize() }

func (s conditionedPart) Vector(i uint64, v []float32) { s.of.Vector(s.at(i), v) }

// Vectors writes the vectors of the samples from a position on to v, one after another, of a source that has them.
func (l *Loader) Vectors(cursor uint64, v []float32) {
	c, ok := VectorsOf(l.source)
	if !ok {
		panic("data: vectors of a source without any")
	}
	size := c.VectorSize()
	for k := range len(v) / size {
		index, _ := l.order.At(cursor + uint64(k))
		c.Vector(index, v[k*size:(k+1)*size])
	}
}

// VectorSize is the length of a sample's vector; 0: there are none.
func (m *memory) VectorSize() int {
	if m.Len() == 0 {
		return 0
	}
	return len(m.vectors) / m.Len()
}

// Vector writes that of sample i.
func (m *memory) Vector(i uint64, v []float32) {
	copy(v, m.vectors[int(i)*len(v):])
}

// ReadVectors reads an .npy array (N,D), or (N), of float32 or float64 numbers, which must be finite, as N vectors.
func ReadVectors(path string) (n int, v []float32, err error) {
	d, err := gorgonia.ReadNPY(path)
	if err != nil {
		return 0, nil, err
	}
	if d.Dims() != 1 && d.Dims() != 2 {
		return 0, nil, badfile.New(path, ErrFormat, "the array has shape %v, want (N,D) or (N)", d.Shape())
	}
	switch d.Dtype() {
	case gt.Float32:
		_, v, err = gorgonia.Slice[float32](d)
	case gt.Float64:
		var wide []float64
		if _, wide, err = gorgonia.Slice[float64](d); err == nil {
			v = make([]float32, len(wide))
			for i, x := range wide {
				v[i] = float32(x)
			}
		}
	default:
		return 0, nil, badfile.New(path, ErrFormat, "the elements are %v, want float32 or float64", d.Dtype())
	}
	if err != nil {
		return 0, nil, err
	}
	n = d.Shape()[0]
	for i, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			size := len(v) / n
			return 0, nil, badfile.New(path, ErrFormat, "element %d of vector %d is %v: want finite float32 numbers", i%size, i/size, x)
		}
	}
	return n, v, nil
}
