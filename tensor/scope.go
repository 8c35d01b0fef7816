package tensor

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Mode says whether a Scope records operations for gradients.
type Mode uint8

const (
	Recording Mode = iota // operations on what needs a gradient go on the tape
	Inference             // no tape
)

// Scope owns the temporaries of a computation on one device and, when
// recording, its tape. A Scope belongs to one goroutine; many scopes may share
// a device and parameters.
//
// In a steady state (the same operations between two Resets) nothing is
// allocated: tensors, nodes and memory come from slabs that Reset rewinds.
type Scope struct {
	dev   backend.Device
	dtype DType
	mode  Mode
	quiet int // >0: recording is suspended (inside Grad, NoGrad)
	gen   uint32
	arena arena

	slabs   [quarantine]slab[Tensor]
	nodes   slab[node]
	ptrs    ptrSlab
	params  map[*Param]*Tensor
	gradOut []*Tensor
	leafOut ptrSlab
	touched []*Tensor // leaves that have a gradient, during a gradient computation

	level uint32 // of the innermost JVP

	watch  func(Event) // see Watch; mostly nil
	sweeps int         // gradient computations in progress

	masks DropoutState // of the next one

	// Operands of the device call in progress. They live here, not on the
	// stack, because calls through the Device interface let them escape.
	bview  [maxOperands]backend.View
	bptr   [maxOperands]*backend.View
	outPtr [maxOutputs]*backend.View
	item   [8]byte
	host   []float64 // values on their way to the device
	hostIn [][]float64
	narrow []float32 // the same in float32
	ints   []int32   // indices read back
	flat   []int32   // integers, such as indices of rows, on their way to the device
	scal   [maxScalars]float64
	space  backend.View
	part   backend.View
	conv   backend.Conv
	norm   backend.NormParams
}

// quarantine is the number of Resets before the header of a dead tensor is used
// again. Until then, using it is noticed.
const quarantine = 4

const (
	maxOperands = 16 // inputs of an elementwise program
	maxOutputs  = 8
	maxScalars  = 16
)

// NewScope makes a scope for float32 tensors.
func NewScope(dev backend.Device, mode Mode) *Scope { return NewScopeOf(dev, mode, Float32) }

// NewScopeOf makes a scope whose new tensors have the given dtype: Float32, or
// Float64 for checks.
func NewScopeOf(dev backend.Device, mode Mode, dtype DType) *Scope {
	return &Scope{dev: dev, mode: mode, dtype: dtype, gen: 1, arena: arena{dev: dev}, params: make(map[*Param]*Tensor)}
}

// Device is the device that s computes on.
func (s *Scope) Device() backend.Device { return s.dev }

// DType is the dtype of tensors that s makes.
func (s *Scope) DType() DType { return s.dtype }

// Recording reports whether operations are being recorded.
func (s *Scope) Recording() bool { return s.mode == Recording && s.quiet == 0 }

// Reset gives back everything made in s since the last Reset, and empties the tape.
func (s *Scope) Reset() {
	s.dropTape()
	s.touched = s.touched[:0] // not empty after a panic
	s.arena.reset()
	s.gen++
	if s.gen == 0 {
		s.gen = 1
	}
	s.slabs[s.gen%quarantine].rewind()
	clear(s.params)
	s.leafOut.rewind()
}

// Close gives everything back to the device. s cannot be used afterwards.
func (s *Scope) Close() {
	s.Reset()
	s.arena.close()
}

// MemoryInUse, MemoryPeak and MemoryHeld are bytes: of live tensors now, of live
// tensors at most so far, and taken from the device.
func (s *Scope) MemoryInUse() int { return s.arena.inUse }
func (s *Scope) MemoryPeak() int  { return s.arena.peak }
func (s *Scope) MemoryHeld() int  { return s.arena.total }

// NoGrad runs f without recording: what it makes counts as constant.
func (s *Scope) NoGrad(f func()) {
	s.quiet++
	defer func() { s.quiet-- }()
	f()
}

// SetDropout turns dropout on: masks come from key (stream and up, a stream a
// call). The same key gives the same masks again.
func (s *Scope) SetDropout(key rng.Key) { s.SetDropoutFrom(key, 0) }

// SetDropoutFrom is SetDropout for the part of a batch whose first sample is the
// batch's sample first: it gets the masks that it has in the whole batch.
func (s *Scope) SetDropoutFrom(key rng.Key, first uint64) {
	s.masks = DropoutState{on: true, key: key, first: first}
}

// NoDropout turns dropout off.
func (s *Scope) NoDropout() { s.masks.on = false }

// DropoutState is where a scope is among its dropout masks. Set again on the same scope, it makes what
// follows draw the masks that were drawn after it was taken: for two passes of a network that
// are to drop the same units.
type DropoutState struct {
	on    bool
	key   rng.Key
	first uint64 // the place of sample 0 in the whole batch
	draws uint32 // masks drawn since SetDropout
}

// Dropout is the state of the next mask, SetDropoutState takes the scope back to it.
func (s *Scope) Dropout() DropoutState           { return s.masks }
func (s *Scope) SetDropoutState(at DropoutState) { s.masks = at }

// header makes a tensor without memory.
func (s *Scope) header() *Tensor {
	t := s.slabs[s.gen%quarantine].next()
	*t = Tensor{s: s, gen: s.gen, node: -1}
	return t
}

// alloc makes a dense tensor of undefined contents.
func (s *Scope) alloc(dtype DType, shape ...int) *Tensor {
	t := s.header()
	if len(shape) > MaxRank {
		usagePanic("new tensor", "%d axes, at most %d", len(shape), MaxRank)
	}
	t.v.DType, t.v.Rank = dtype, len(shape)
	copy(t.v.Shape[:], shape)
	s.back(t)
	return t
}

// back gives dense memory to a header whose shape and dtype are set.
func (s *Scope) back(t *Tensor) {
	t.v.RowMajor()
	n := 1
	for _, d := range t.Shape() {
		if d < 0 {
			usagePanic("new tensor", "negative size in shape %v", append([]int(nil), t.Shape()...))
		}
		n *= d
	}
	t.blk = s.arena.alloc(n * t.v.DType.Size())
	t.v.Mem = t.blk.mem
	t.v.Off = t.blk.off / t.v.DType.Size()
}

// like makes a dense tensor of t's shape and dtype, of undefined contents.
func (s *Scope) like(t *Tensor) *Tensor {
	r := s.header()
	r.v = t.v
	s.back(r)
	return r
}

// view makes a tensor that shares t's memory and has, for now, its layout.
func (s *Scope) view(t *Tensor) *Tensor {
	r := s.header()
	r.v, r.blk = t.v, t.blk
	if r.blk != nil {
		r.blk.refs++
	}
	return r
}

// release gives back t's memory; shape and gradient remain.
func (s *Scope) release(t *Tensor) {
	if t.freed {
		return
	}
	t.freed = true
	if t.blk != nil {
		s.arena.unref(t.blk)
		t.blk = nil
	}
}

// Mark remembers a point of the computation for Release.
func (s *Scope) Mark() int { return s.slabs[s.gen%quarantine].n }

// Release gives back the memory of the tensors made since mark, save keep and
// what the tape still needs, and returns keep. Layers call it so that their
// temporaries do not pile up: of an inference pass, none remain; of a
// recording one, those that a gradient is computed from and that are not to be
// computed again (see Recompute).
func (s *Scope) Release(mark int, keep *Tensor) *Tensor {
	sl := &s.slabs[s.gen%quarantine]
	protect(keep, 1)
	defer protect(keep, -1)
	for i := mark; i < sl.n; i++ {
		if t := sl.at(i); t != keep && (t.uses == 0 || t.lean) && t.isGrad == 0 {
			s.release(t)
		}
	}
	return keep
}

// protect counts uses of what a dual tensor consists of.
func protect(t *Tensor, by int32) {
	for ; t != nil && t.level > 0; t = t.under {
		t.under.uses += by
		t.tan.uses += by
		protect(t.tan, by)
	}
}

// Hold keeps t's memory through Grad and Release, until Reset, and returns t.
func (s *Scope) Hold(t *Tensor) *Tensor {
	t.check("Hold")
	t.uses++
	t.lean = false
	return t
}

// Keep makes a constant that survives Reset: a copy of t with memory of its own,
// valid until s is closed or Drop is called.
func (s *Scope) Keep(t *Tensor) *Kept {
	t.check("Keep")
	p := NewParam(s.dev, t.v.DType, t.Shape()...)
	p.Frozen = true
	s.copyInto(&p.v, t)
	return (*Kept)(p)
}

// Kept is a tensor that outlives its scope's Reset. It can be used as an operand
// in any scope of its device.
type Kept Param

func (k *Kept) in(s *Scope) *Tensor { return s.Param((*Param)(k)) }

// Tensor is k in scope s.
func (k *Kept) Tensor(s *Scope) *Tensor { return s.Param((*Param)(k)) }

// Drop gives the memory back.
func (k *Kept) Drop() { k.dev.Free(k.v.Mem); k.v.Mem = backend.Memory{} }

// Param is p as a tensor of s: the same one until the next Reset.
func (s *Scope) Param(p *Param) *Tensor {
	if t, ok := s.params[p]; ok {
		return t
	}
	if !backend.SameMemory(p.dev, s.dev) {
		usagePanic("Param", "parameter %s is on %s, the scope on %s", p.Name, p.dev.Name(), s.dev.Name())
	}
	if p.v.DType != s.dtype && p.v.DType != Int32 {
		usagePanic("Param", "parameter %s is %v, the scope %v", p.Name, p.v.DType, s.dtype)
	}
	t := s.header()
	t.v = p.v
	t.needs = s.mode == Recording && !p.Frozen
	t.uses = 1 // never given back by Release: it is not the arena's
	s.params[p] = t
	return t
}

// Tensor copies row-major values from the host, converted to the scope's dtype.
// The values must be a []float32 or []float64 of the shape's size.
func (s *Scope) Tensor(values any, shape ...int) *Tensor {
	t := s.alloc(s.dtype, shape...)
	n := t.Elems()
	switch x := values.(type) {
	case []float32:
		if len(x) != n {
			usagePanic("Tensor", "%d values for a shape that holds %d", len(x), n)
		}
		if s.dtype == Float32 {
			s.upload(t, asBytes(x))
			break
		}
		wide := make([]float64, n)
		for i, f := range x {
			wide[i] = float64(f)
		}
		s.upload(t, asBytes(wide))
	case []float64:
		if len(x) != n {
			usagePanic("Tensor", "%d values for a shape that holds %d", len(x), n)
		}
		if s.dtype == Float64 {
			s.upload(t, asBytes(x))
			break
		}
		s.narrow = grown(s.narrow, n)
		for i, f := range x {
			s.narrow[i] = float32(f)
		}
		s.upload(t, asBytes(s.narrow))
	default:
		usagePanic("Tensor", "values must be a []float32 or a []float64") // naming the type would make values escape
	}
	return t
}

// TensorOf is a tensor whose elements are f(0), f(1), …, row-major. f must not
// call TensorOf of the same scope.
func (s *Scope) TensorOf(f func(i int) float64, shape ...int) *Tensor {
	s.host = listed(s.host, f, shape)
	return s.Tensor(s.host, shape...)
}

// listed is f(0), f(1), … for a tensor of that shape, in x's memory if that is enough.
func listed[T any](x []T, f func(i int) T, shape []int) []T {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x = grown(x, max(0, n)) // what makes the tensor refuses negative sizes
	for i := range x {
		x[i] = f(i)
	}
	return x
}

// grown is a slice of n elements, x's memory if that is enough.
func grown[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}

// Ints copies row-major integers (labels, indices) from the host.
func (s *Scope) Ints(values []int32, shape ...int) *Tensor {
	t := s.alloc(Int32, shape...)
	if len(values) != t.Elems() {
		usagePanic("Ints", "%d values for a shape that holds %d", len(values), t.Elems())
	}
	s.upload(t, asBytes(values))
	return t
}

// IntsOf is an int32 tensor whose elements are f(0), f(1), …, row-major. f must make
// no tensors in s.
func (s *Scope) IntsOf(f func(i int) int32, shape ...int) *Tensor {
	s.flat = listed(s.flat, f, shape)
	return s.Ints(s.flat, shape...)
}

func (s *Scope) upload(t *Tensor, b []byte) {
	if len(b) > 0 {
		s.dev.Upload(t.v.Mem, t.v.Off*t.v.DType.Size(), b)
	}
}

// Variable copies values as Tensor does and makes the result a leaf that
// gradients flow to: see GradOf.
func (s *Scope) Variable(values any, shape ...int) *Tensor {
	t := s.Tensor(values, shape...)
	t.needs = s.mode == Recording
	return t
}

// Leaf is t as a leaf of its own: the same values, no history, gradients flow to it.
func (s *Scope) Leaf(t *Tensor) *Tensor {
	t.check("Leaf")
	r := s.view(t)
	r.needs = s.mode == Recording
	r.uses = 1
	return r
}

// Full is a tensor of equal elements.
func (s *Scope) Full(value float64, shape ...int) *Tensor {
	t := s.alloc(s.dtype, shape...)
	s.fill(t, value)
	return t
}

// Zeros is a tensor of zeros, Ones one of ones.
func (s *Scope) Zeros(shape ...int) *Tensor { return s.Full(0, shape...) }
func (s *Scope) Ones(shape ...int) *Tensor  { return s.Full(1, shape...) }

// Normal draws N(0,1): row i (axis 0) is sample first+i under key.
func (s *Scope) Normal(key rng.Key, first uint64, shape ...int) *Tensor {
	t := s.alloc(s.dtype, shape...)
	if t.Elems() > 0 {
		s.dev.FillNormal(&t.v, key, first)
	}
	return t
}

// Uniform draws U[0,1): row i (axis 0) is sample first+i under key.
func (s *Scope) Uniform(key rng.Key, first uint64, shape ...int) *Tensor {
	t := s.alloc(s.dtype, shape...)
	if t.Elems() > 0 {
		s.dev.FillUniform(&t.v, key, first)
	}
	return t
}
