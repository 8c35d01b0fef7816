package tensor

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Param is a trainable array (or a buffer that is saved with a model). It lives
// outside of scopes; forward passes only read it, so one network may run in
// many goroutines, a Scope each.
type Param struct {
	Name   string // set from the struct fields that hold it: see nn.Named
	Frozen bool   // no gradient flows to it

	dev backend.Device
	v   backend.View
}

// NewParam makes a parameter of zeros on dev. It panics with a
// *backend.AllocError if the device has no memory for it.
func NewParam(dev backend.Device, dtype DType, shape ...int) *Param {
	p := &Param{dev: dev}
	p.v.DType, p.v.Rank = dtype, len(shape)
	if len(shape) > MaxRank {
		usagePanic("NewParam", "%d axes, at most %d", len(shape), MaxRank)
	}
	copy(p.v.Shape[:], shape)
	p.v.RowMajor()
	mem, err := dev.Alloc(p.v.Elems() * dtype.Size())
	if err != nil {
		panic(err)
	}
	p.v.Mem = mem
	return p
}

// Shape is the size of each axis. The slice is p's own: do not change it.
func (p *Param) Shape() []int { return p.v.Shape[:p.v.Rank] }

// Elems is the number of elements.
func (p *Param) Elems() int { return p.v.Elems() }

// DType is the type of the elements.
func (p *Param) DType() DType { return p.v.DType }

// Device is where p lives.
func (p *Param) Device() backend.Device { return p.dev }

// View is p as devices see it. Writing through it changes p.
func (p *Param) View() *backend.View { return &p.v }

// Set overwrites p with row-major values, converted to p's dtype.
func (p *Param) Set(values []float32) error {
	if len(values) != p.Elems() {
		return fmt.Errorf("parameter %s: %d values for shape %v, which holds %d", p.Name, len(values), p.Shape(), p.Elems())
	}
	if p.v.DType == backend.Float32 {
		p.dev.Upload(p.v.Mem, 0, asBytes(values))
		return nil
	}
	wide := make([]float64, len(values))
	for i, x := range values {
		wide[i] = float64(x)
	}
	return p.Set64(wide)
}

// Set64 overwrites p with row-major values, converted to p's dtype.
func (p *Param) Set64(values []float64) error {
	if len(values) != p.Elems() {
		return fmt.Errorf("parameter %s: %d values for shape %v, which holds %d", p.Name, len(values), p.Shape(), p.Elems())
	}
	switch p.v.DType {
	case backend.Float64:
		p.dev.Upload(p.v.Mem, 0, asBytes(values))
	case backend.Float32:
		narrow := make([]float32, len(values))
		for i, x := range values {
			narrow[i] = float32(x)
		}
		p.dev.Upload(p.v.Mem, 0, asBytes(narrow))
	default:
		return fmt.Errorf("parameter %s: cannot set %v values", p.Name, p.v.DType)
	}
	return nil
}

// CopyTo waits for the device and writes the values, row-major, to dst, which must hold as many; p must be float32.
func (p *Param) CopyTo(dst []float32) {
	if p.v.DType != backend.Float32 || len(dst) != p.Elems() {
		usagePanic("CopyTo", "a parameter of %d elements of %v into a slice of %d float32", p.Elems(), p.v.DType, len(dst))
	}
	p.dev.Download(asBytes(dst), p.v.Mem, 0)
}

// Float32s waits for the device and returns the values, row-major, in a new slice.
func (p *Param) Float32s() []float32 {
	out := make([]float32, p.Elems())
	switch p.v.DType {
	case backend.Float32:
		p.dev.Download(asBytes(out), p.v.Mem, 0)
	case backend.Float64:
		for i, x := range p.Float64s() {
			out[i] = float32(x)
		}
	default:
		usagePanic("Float32s", "a parameter of dtype %v", p.v.DType)
	}
	return out
}

// Float64s waits for the device and returns the values, row-major, in a new slice.
func (p *Param) Float64s() []float64 {
	out := make([]float64, p.Elems())
	switch p.v.DType {
	case backend.Float64:
		p.dev.Download(asBytes(out), p.v.Mem, 0)
	case backend.Float32:
		for i, x := range p.Float32s() {
			out[i] = float64(x)
		}
	default:
		usagePanic("Float64s", "a parameter of dtype %v", p.v.DType)
	}
	return out
}

// Convert changes p's dtype in place, keeping the values. Scopes that have
// already met p must be Reset before they use it again.
func (p *Param) Convert(dtype DType) {
	if dtype == p.v.DType {
		return
	}
	values := p.Float64s()
	q := NewParam(p.dev, dtype, p.Shape()...)
	if err := q.Set64(values); err != nil {
		panic(err)
	}
	p.dev.Free(p.v.Mem)
	p.v = q.v
}

func (p *Param) in(s *Scope) *Tensor { return s.Param(p) }
