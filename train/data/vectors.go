package data

import (
	"fmt"

	"github.com/langevin-go/langevin/internal/badfile"
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
	if l.vectors == nil {
		panic("data: vectors of a source without any")
	}
	size := l.vectors.VectorSize()
	for k := range len(v) / size {
		index, _ := l.order.At(cursor + uint64(k))
		l.vectors.Vector(index, v[k*size:(k+1)*size])
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
	a, err := readArray(path)
	if err != nil {
		return 0, nil, err
	}
	return a.vectors()
}

func (a *array) vectors() (n int, v []float32, err error) {
	if a.Dims() != 1 && a.Dims() != 2 {
		return 0, nil, badfile.New(a.where, ErrFormat, "the array has shape %v, want (N,D) or (N)", a.Shape())
	}
	n = a.Shape()[0]
	size := volume(a.Shape()) / max(1, n)
	v, err = a.floats("float32 or float64", func(i int) string { return fmt.Sprintf("element %d of vector %d", i%size, i/size) })
	return n, v, err
}
