package tensor

// slab hands out values from chunks that are kept for the next round, so that
// addresses stay valid and a steady state allocates nothing.
type slab[T any] struct {
	chunks [][]T
	n      int
}

const slabChunk = 256

func (s *slab[T]) next() *T {
	c, i := s.n/slabChunk, s.n%slabChunk
	if c == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	s.n++
	return &s.chunks[c][i]
}

func (s *slab[T]) at(i int) *T { return &s.chunks[i/slabChunk][i%slabChunk] }

func (s *slab[T]) rewind() { s.n = 0 }

// ptrSlab hands out small slices of tensor pointers.
type ptrSlab struct {
	chunks [][]*Tensor
	chunk  int
	used   int
}

func (p *ptrSlab) take(n int) []*Tensor {
	for {
		if p.chunk == len(p.chunks) {
			p.chunks = append(p.chunks, make([]*Tensor, max(1024, n)))
		}
		if c := p.chunks[p.chunk]; p.used+n <= len(c) {
			out := c[p.used : p.used+n : p.used+n]
			p.used += n
			return out
		}
		p.chunk++
		p.used = 0
	}
}

func (p *ptrSlab) rewind() { p.chunk, p.used = 0, 0 }
