package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Helpers for the tests of the matrix kernels: views of any layout with guard
// words around and between their elements, and definitions in float64.

func testDevice(t testing.TB, l Level, threads int) *Device {
	t.Helper()
	d, err := New(Options{Level: &l, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// guard fills memory that a kernel must not write: a NaN, so that reading it shows too.
const guard = 0x7fc0beef

// arrangement says how loosely a test view lies in memory.
type arrangement int

const (
	dense      arrangement = iota // row-major, no gaps
	padded                        // innermost contiguous, gaps between rows, offset
	transposed                    // any order of axes, gaps anywhere, offset
)

// place makes a view of the shape, its memory all guard words.
func place(r *rand.Rand, dt backend.DType, how arrangement, shape ...int) *backend.View {
	v := &backend.View{DType: dt, Rank: len(shape)}
	copy(v.Shape[:], shape)
	order := make([]int, len(shape))
	for i := range order {
		order[i] = len(shape) - 1 - i
	}
	if how == transposed {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	size := 1
	for i, ax := range order {
		if how == transposed || how == padded && i > 0 {
			size += r.IntN(3)
		}
		v.Stride[ax] = size
		size *= max(1, shape[ax])
	}
	front, back := 32, 32
	if how != dense {
		v.Off = r.IntN(40)
		front += v.Off
	}
	v.Off = front
	n := front + size + back
	b := make([]uint64, (n*dt.Size()+7)/8+8)
	p := unsafe.Pointer(&b[0])
	p = unsafe.Add(p, (64-uintptr(p)%64)%64)
	v.Mem = backend.Memory{Host: p, Size: n * dt.Size()}
	for i := range n {
		setRaw(v, i, guard)
	}
	return v
}

func setRaw(v *backend.View, i int, bits uint32) {
	if v.DType == backend.Float64 {
		elements[float64](v)[i] = math.Float64frombits(uint64(bits) << 32)
	} else {
		elements[float32](v)[i] = math.Float32frombits(bits)
	}
}

func isGuard(v *backend.View, i int) bool {
	if v.DType == backend.Float64 {
		return math.Float64bits(elements[float64](v)[i]) == guard<<32
	}
	return math.Float32bits(elements[float32](v)[i]) == guard
}

func offsetOf(v *backend.View, idx ...int) int {
	o := v.Off
	for ax, i := range idx {
		o += i * v.Stride[ax]
	}
	return o
}

// each calls f with every index of the view.
func each(v *backend.View, f func(idx []int)) {
	if v.Elems() == 0 {
		return
	}
	idx := make([]int, v.Rank)
	for {
		f(idx)
		ax := v.Rank - 1
		for ; ax >= 0; ax-- {
			if idx[ax]++; idx[ax] < v.Shape[ax] {
				break
			}
			idx[ax] = 0
		}
		if ax < 0 {
			return
		}
	}
}

func at(v *backend.View, idx ...int) float64 {
	if v.DType == backend.Float64 {
		return elements[float64](v)[offsetOf(v, idx...)]
	}
	return float64(elements[float32](v)[offsetOf(v, idx...)])
}

func put(v *backend.View, x float64, idx ...int) {
	if v.DType == backend.Float64 {
		elements[float64](v)[offsetOf(v, idx...)] = x
	} else {
		elements[float32](v)[offsetOf(v, idx...)] = float32(x)
	}
}

// fill draws N(0,1), now and then a value of the special ones.
func fill(r *rand.Rand, v *backend.View, special ...float64) *backend.View {
	each(v, func(idx []int) {
		x := r.NormFloat64()
		if len(special) > 0 && r.IntN(50) == 0 {
			x = special[r.IntN(len(special))]
		}
		put(v, x, idx...)
	})
	return v
}

func eps(dt backend.DType) float64 {
	if dt == backend.Float64 {
		return 1.0 / (1 << 53)
	}
	return 1.0 / (1 << 24)
}

// value is a result of a definition: the number, and the sum of the
// magnitudes that were added up for it. A sum of n products in any order is
// off by at most n·eps·mag (Higham, Accuracy and Stability, 3.1).
type value struct{ x, mag float64 }

func (v *value) add(x float64) { v.x += x; v.mag += math.Abs(x) }

// compare checks v against the definition, with terms roundings a value, and
// that nothing outside the view was written.
func compare(v *backend.View, terms int, want func(idx []int) value) error {
	inside := make([]bool, v.Mem.Size/v.DType.Size())
	var err error
	each(v, func(idx []int) {
		inside[offsetOf(v, idx...)] = true
		w, got := want(idx), at(v, idx...)
		bound := float64(terms) * eps(v.DType) * w.mag
		ok := math.Abs(got-w.x) <= bound
		if math.IsNaN(w.x) || math.IsInf(w.x, 0) {
			ok = got == w.x || math.IsNaN(got) && math.IsNaN(w.x)
		}
		if !ok && err == nil {
			err = fmt.Errorf("at %v: got %g, want %g ± %.2g", idx, got, w.x, bound)
		}
	})
	for i, in := range inside {
		if !in && !isGuard(v, i) && err == nil {
			err = fmt.Errorf("element %d of memory, outside the view (offset %d, strides %v), was written", i, v.Off, v.Stride[:v.Rank])
		}
	}
	return err
}

// pick chooses one of the sizes.
func pick(r *rand.Rand, sizes ...int) int { return sizes[r.IntN(len(sizes))] }

func cloneMemory(v *backend.View) unsafe.Pointer {
	words := append([]uint32{}, unsafe.Slice((*uint32)(v.Mem.Host), v.Mem.Size/4)...)
	return unsafe.Pointer(unsafe.SliceData(words))
}
