package sampler

import (
	"slices"

	"github.com/langevin-go/langevin/tensor"
)

// memory is what the runs of a plan take, one after another. A run takes it piece by piece in an
// order that its sampler determines, so that one like the run before finds all of it there.
type memory struct {
	shape  []int           // of the states
	states []*tensor.Param // each for a state that outlives steps
	past   []*History
	rows   [][]float64 // of the host
	taken  struct{ states, past, rows int }

	host   []float64     // a whole state's values, for a moment
	wide   *tensor.Scope // of a float64 state
	narrow narrowed      // the model of one
}

// rewind makes all of it free for a run with states of that shape.
func (m *memory) rewind(shape []int) {
	if !slices.Equal(m.shape, shape) {
		m.drop()
		m.shape = append(m.shape[:0], shape...)
	}
	m.taken.states, m.taken.past, m.taken.rows = 0, 0, 0
}

// drop gives the states back.
func (m *memory) drop() {
	for _, p := range m.states {
		(*tensor.Kept)(p).Drop()
	}
	m.states = m.states[:0]
}

// close gives everything back.
func (m *memory) close() {
	m.drop()
	if m.wide != nil {
		m.wide.Close()
	}
	*m = memory{}
}

func (m *memory) history() *History {
	return next(&m.past, &m.taken.past, func() *History { return new(History) })
}

// values are x's, until they are next asked for.
func (m *memory) values(x *tensor.Tensor) []float64 {
	m.host = slices.Grow(m.host[:0], x.Elems())[:x.Elems()]
	x.CopyTo(m.host)
	return m.host
}

// store is memory for a state that outlives steps.
func (r *Run) store() *tensor.Param {
	return next(&r.mem.states, &r.mem.taken.states, func() *tensor.Param {
		p := tensor.NewParam(r.s.Device(), r.s.DType(), r.X.Shape()...)
		p.Frozen = true
		return p
	})
}

// floats are n numbers of the host, for the run, of undefined values.
func (r *Run) Floats(n int) []float64 {
	row := next(&r.mem.rows, &r.mem.taken.rows, func() []float64 { return make([]float64, n) })
	if len(row) != n {
		row = make([]float64, n)
		r.mem.rows[r.mem.taken.rows-1] = row
	}
	return row
}

// next is the first of all that was not taken, made if there is none.
func next[T any](all *[]T, taken *int, made func() T) T {
	if *taken == len(*all) {
		*all = append(*all, made())
	}
	*taken++
	return (*all)[*taken-1]
}
