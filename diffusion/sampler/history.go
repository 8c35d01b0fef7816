package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// History keeps what the model said in earlier steps, or earlier states, through
// the Reset between steps: what multistep samplers are written in. Its memory is
// that of so many states, taken once.
type History struct {
	s      *tensor.Scope
	slots  []*tensor.Param // used as a ring
	points []diffusion.Point
	newest int // slot of the value of age 0
	n      int
}

// History makes a store of the newest so many values, each of the state's shape.
func (r *Run) History(size int) *History {
	h := r.mem.history()
	h.s, h.newest, h.n = r.s, 0, 0
	if len(h.slots) != size {
		h.slots, h.points = make([]*tensor.Param, size), make([]diffusion.Point, size)
	}
	for i := range h.slots {
		h.slots[i], h.points[i] = r.store(), diffusion.Point{}
	}
	return h
}

// Len is how many values are kept by now, at most the size.
func (h *History) Len() int { return h.n }

// Push keeps v, made at p, in place of the oldest value if all slots are taken: a
// tensor that Value gave of that one must not be used any more.
func (h *History) Push(p diffusion.Point, v *tensor.Tensor) {
	if len(h.slots) == 0 {
		return
	}
	h.newest = (h.newest + 1) % len(h.slots)
	h.n = min(h.n+1, len(h.slots))
	h.points[h.newest] = p
	assign.Apply(h.s, nil, h.slots[h.newest:h.newest+1], v)
}

// Clear forgets all values.
func (h *History) Clear() { h.n = 0 }

func (h *History) slot(age int) int { return (h.newest - age + len(h.slots)) % len(h.slots) }

// Value is the value of that age, 0 being the newest.
func (h *History) Value(age int) *tensor.Tensor { return h.s.Param(h.slots[h.slot(age)]) }

// Point is where the value of that age was made.
func (h *History) Point(age int) diffusion.Point { return h.points[h.slot(age)] }
