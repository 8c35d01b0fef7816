// Package tensor is a small autodiff layer over interchangeable devices.
//
// A Scope owns a device's temporaries and, when recording, the tape; a Tensor
// is a strided view that belongs to a Scope; a Param is a trainable array that
// lives outside of scopes and is bound to the Scope of the tensor it meets.
//
//	s := tensor.NewScope(dev, tensor.Recording)
//	defer s.Close()
//	loss := s.Tensor(x, n, 2).MatMul(w).Sub(s.Tensor(y, n, 1)).Square().Mean()
//	grads := s.Grad(loss, []*tensor.Param{w})
//	...
//	s.Reset()
//
// Operations are methods. A wrong shape or dtype is a bug of the caller and
// panics with a *ShapeError or *UsageError.
package tensor

import (
	enc "encoding/binary" // binary is taken, by operations of two operands
	"fmt"
	"math"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// DType is the type of a tensor's elements.
type DType = backend.DType

const (
	Float32 = backend.Float32
	Float64 = backend.Float64
	Int32   = backend.Int32
)

// MaxRank is the largest number of axes.
const MaxRank = backend.MaxRank

// Tensor is a strided view of an array in a Scope. It is valid until its
// Scope's next Reset or Close (or until Grad or Release has given its memory
// back); using it later panics.
type Tensor struct {
	v      backend.View
	s      *Scope
	blk    *block // memory, shared among views; nil: memory is not the arena's, or was given back
	gen    uint32 // the scope's generation at birth; 0: dead
	node   int32  // index of the node that made it; −1: a leaf
	uses   int32  // tape nodes whose VJP reads the data
	needs  bool   // a gradient may flow to it
	freed  bool   // memory was given back; shape and gradient remain
	owned  bool   // as a gradient: nobody else refers to it, may be added to in place
	temp   bool   // a byproduct that only a VJP reads
	lean   bool   // may be given back though the tape needs it: see Recompute
	isGrad int32  // number of tensors whose gradient it is
	gap    gap    // as a gradient: what is still to be written
	grad   *Tensor

	// Forward mode: see forward.go.
	level      uint32  // 0: no tangent
	under, tan *Tensor // the value at lower levels, and the tangent
}

// Operand is what a binary operation accepts on its right: a *Tensor or a *Param.
type Operand interface {
	in(s *Scope) *Tensor
}

func (t *Tensor) in(s *Scope) *Tensor {
	t.check("operand")
	if t.s != s {
		usagePanic("operand", "the tensors belong to two scopes")
	}
	return t
}

// check panics if t's data can no longer be used.
func (t *Tensor) check(op string) {
	if t.gen != t.s.gen {
		usagePanic(op, "stale tensor %v: its scope was reset or closed since (Keep what must outlive it)", t.Shape())
	}
	if t.freed {
		usagePanic(op, "the memory of tensor %v was given back by Grad or Release (Keep it before)", t.Shape())
	}
}

// Scope is the scope that t belongs to.
func (t *Tensor) Scope() *Scope { return t.s }

// Shape is the size of each axis. The slice is t's own: do not change it.
func (t *Tensor) Shape() []int { return t.v.Shape[:t.v.Rank] }

// Rank is the number of axes.
func (t *Tensor) Rank() int { return t.v.Rank }

// Dim is the size of axis i; negative i count from the end.
func (t *Tensor) Dim(i int) int { return t.v.Shape[t.axis("Dim", i)] }

// Elems is the number of elements.
func (t *Tensor) Elems() int { return t.v.Elems() }

// DType is the type of the elements.
func (t *Tensor) DType() DType { return t.v.DType }

// NeedsGrad reports whether a gradient may flow to t.
func (t *Tensor) NeedsGrad() bool { return t.needs }

func (t *Tensor) axis(op string, i int) int {
	j := i
	if j < 0 {
		j += t.v.Rank
	}
	if j < 0 || j >= t.v.Rank {
		usagePanic(op, "axis %d of a tensor of shape %v", i, t.Shape())
	}
	return j
}

// View is t as devices see it, for kernels of other packages.
func (t *Tensor) View() *backend.View {
	t.check("View")
	return &t.v
}

// Item waits for the device and returns the only element.
func (t *Tensor) Item() float64 {
	if t.Elems() != 1 {
		shapePanic("Item", "a single element", t)
	}
	t.check("Item")
	b := &t.s.item
	n := t.v.DType.Size()
	t.s.dev.Download(b[:n], t.v.Mem, t.v.Off*n)
	switch t.v.DType {
	case backend.Float32:
		return float64(math.Float32frombits(enc.NativeEndian.Uint32(b[:])))
	case backend.Float64:
		return math.Float64frombits(enc.NativeEndian.Uint64(b[:]))
	case backend.Int32:
		return float64(int32(enc.NativeEndian.Uint32(b[:])))
	}
	usagePanic("Item", "dtype %v", t.v.DType)
	return math.NaN()
}

// CopyTo waits for the device and writes t's elements, row-major, to dst, which
// must be a []float32, []float64 or []int32 of t's length; floating types are converted.
func (t *Tensor) CopyTo(dst any) {
	t.check("CopyTo")
	c := t.Contiguous()
	n := c.Elems()
	switch d := dst.(type) {
	case []float32:
		if len(d) != n {
			usagePanic("CopyTo", "%d elements into a slice of %d", n, len(d))
		}
		switch c.v.DType {
		case backend.Float32:
			c.download(asBytes(d))
		case backend.Float64:
			t.s.host = grown(t.s.host, n)
			c.download(asBytes(t.s.host))
			for i, x := range t.s.host {
				d[i] = float32(x)
			}
		default:
			usagePanic("CopyTo", "%v into []float32", c.v.DType)
		}
	case []float64:
		if len(d) != n {
			usagePanic("CopyTo", "%d elements into a slice of %d", n, len(d))
		}
		switch c.v.DType {
		case backend.Float64:
			c.download(asBytes(d))
		case backend.Float32:
			t.s.narrow = grown(t.s.narrow, n)
			c.download(asBytes(t.s.narrow))
			for i, x := range t.s.narrow {
				d[i] = float64(x)
			}
		default:
			usagePanic("CopyTo", "%v into []float64", c.v.DType)
		}
	case []int32:
		if len(d) != n || c.v.DType != backend.Int32 {
			usagePanic("CopyTo", "%d %v elements into a []int32 of %d", n, c.v.DType, len(d))
		}
		c.download(asBytes(d))
	default:
		usagePanic("CopyTo", "the destination must be a []float32, a []float64 or a []int32") // naming its type would make it escape
	}
}

// Float32s is t's elements, row-major, in a new slice.
func (t *Tensor) Float32s() []float32 {
	d := make([]float32, t.Elems())
	t.CopyTo(d)
	return d
}

// Float64s is t's elements, row-major, in a new slice.
func (t *Tensor) Float64s() []float64 {
	d := make([]float64, t.Elems())
	t.CopyTo(d)
	return d
}

func (t *Tensor) download(b []byte) {
	if len(b) > 0 {
		t.s.dev.Download(b, t.v.Mem, t.v.Off*t.v.DType.Size())
	}
}

func asBytes[T float32 | float64 | int32](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(*new(T))))
}

func (t *Tensor) String() string {
	return fmt.Sprintf("Tensor%v %v", t.Shape(), t.v.DType)
}
