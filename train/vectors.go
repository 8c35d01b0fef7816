package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/data"
)

// vectorRoom makes space for the vectors of a batch, if the network is conditioned on some.
func (t *Trainer) vectorRoom(b *diffusion.Batch, n int) {
	if size := t.about().Vector; size > 0 {
		b.Vector = make([]float32, n*size)
	}
}

// vectorsFrom writes the vectors of samples from… of a source, one after another, to v.
func vectorsFrom(src data.Conditioned, from int, v []float32) {
	size := src.VectorSize()
	for i := range len(v) / size {
		src.Vector(uint64(from+i), v[i*size:(i+1)*size])
	}
}

// firstVectors are the vectors of n samples of a source of so many as there are, in turn; nil where the model takes none.
func (d *Drawer) firstVectors(src data.Source, n int) ([]float32, error) {
	if d.Vector == 0 {
		return nil, nil
	}
	c, ok := data.VectorsOf(src)
	if !ok || c.VectorSize() != d.Vector {
		return nil, fmt.Errorf("the data have vectors of %d numbers now, the model was trained on %d", data.VectorSize(src), d.Vector)
	}
	v := make([]float32, n*d.Vector)
	for i := range n {
		at := i
		if l := src.Len(); l != data.Infinite {
			at %= l
		}
		c.Vector(uint64(at), v[i*d.Vector:(i+1)*d.Vector])
	}
	return v, nil
}

// checkVectors sees that a request's vectors are as many as its samples, and that there are some where the model needs them.
func (d *Drawer) checkVectors(q Request) error {
	switch {
	case q.Vectors != nil && d.Vector == 0:
		return fmt.Errorf("the model is conditioned on no vector")
	case q.Vectors != nil && len(q.Vectors) != q.N*d.Vector:
		return fmt.Errorf("%d numbers of vectors for %d samples: the model is conditioned on %d for each", len(q.Vectors), q.N, d.Vector)
	case q.Vectors == nil && d.Vector > 0 && !d.NullVector:
		return fmt.Errorf("the model has no null vector: it needs a vector of %d numbers for every sample", d.Vector)
	}
	return nil
}

// vectors adds those of samples from… to what they are to be like.
func (d *Drawer) vectors(q Request, from, n int, other func(s *tensor.Scope) diffusion.Cond) func(s *tensor.Scope) diffusion.Cond {
	if q.Vectors == nil {
		return other
	}
	own := q.Vectors[from*d.Vector : (from+n)*d.Vector]
	return func(s *tensor.Scope) (c diffusion.Cond) {
		if other != nil {
			c = other(s)
		}
		c.Vector = s.Tensor(own, n, d.Vector)
		return c
	}
}

// SetVectors gives the q.N samples the vectors of size numbers in turn.
func (q *Request) SetVectors(v []float32, size int) {
	q.Vectors = make([]float32, 0, q.N*size)
	for i := range q.N {
		at := i % (len(v) / size) * size
		q.Vectors = append(q.Vectors, v[at:at+size]...)
	}
}
