// Package backend says what a device must do to carry Langevin tensors: hold
// memory, run elementwise programs and reductions, multiply matrices, convolve,
// attend, gather and draw random numbers. Package tensor talks to devices only
// through it; tensor/cpu and tensor/cuda implement it, and backendtest compares
// any implementation with the readable Go kernels.
package backend

import (
	"fmt"
	"unsafe"
)

// MaxRank is the largest number of axes of a tensor. Eight is what patchifying
// a batch of videos needs: (N, T/p, p, H/p, p, W/p, p, C).
const MaxRank = 8

// DType is the type of a tensor's elements.
type DType uint8

const (
	Float32 DType = iota
	Float64
	BFloat16
	Int32
)

// Size is the number of bytes of one element.
func (d DType) Size() int {
	switch d {
	case Float32, Int32:
		return 4
	case Float64:
		return 8
	case BFloat16:
		return 2
	}
	panic(fmt.Sprintf("backend: unknown dtype %d", d))
}

func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	case BFloat16:
		return "bfloat16"
	case Int32:
		return "int32"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Memory is a block of device memory. Host is its address where the host can
// reach it directly (the CPU device), Dev its address on the device otherwise.
type Memory struct {
	Host unsafe.Pointer
	Dev  uintptr
	Size int // bytes
}

// View is a strided window on memory. Strides count elements; a stride of zero
// repeats the axis (broadcasting). It is a description: copying it copies no data.
type View struct {
	Mem    Memory
	Off    int // elements from the start of Mem
	DType  DType
	Rank   int
	Shape  [MaxRank]int
	Stride [MaxRank]int
}

// Elems is the number of elements, 1 for a scalar.
func (v *View) Elems() int {
	n := 1
	for _, d := range v.Shape[:v.Rank] {
		n *= d
	}
	return n
}

// Contiguous reports whether the elements lie densely in row-major order.
func (v *View) Contiguous() bool {
	want := 1
	for i := v.Rank - 1; i >= 0; i-- {
		if v.Shape[i] != 1 && v.Stride[i] != want {
			return false
		}
		want *= v.Shape[i]
	}
	return true
}

// Floats32 is the memory from the view's first element on, for host devices.
func (v *View) Floats32() []float32 {
	return unsafe.Slice((*float32)(v.Mem.Host), v.Mem.Size/4)[v.Off:]
}

// Floats64 is the memory from the view's first element on, for host devices.
func (v *View) Floats64() []float64 {
	return unsafe.Slice((*float64)(v.Mem.Host), v.Mem.Size/8)[v.Off:]
}

// Ints32 is the memory from the view's first element on, for host devices.
func (v *View) Ints32() []int32 {
	return unsafe.Slice((*int32)(v.Mem.Host), v.Mem.Size/4)[v.Off:]
}

// RowMajor fills in the strides of a dense row-major layout.
func (v *View) RowMajor() {
	s := 1
	for i := v.Rank - 1; i >= 0; i-- {
		v.Stride[i] = s
		s *= v.Shape[i]
	}
}
