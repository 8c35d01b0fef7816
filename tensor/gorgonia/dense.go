// Package gorgonia is the border to gorgonia.org/tensor: arrays come and go as
// *tensor.Dense without a copy, and .npy files are read into and written from them.
//
// Only data sets, results and users' own arrays pass here. Packages that merely
// run a model do not import this one.
package gorgonia

import (
	"errors"
	"fmt"
	"math"
	"slices"

	// gorgonia.org/tensor panics at start unless this module, which vouches that
	// the running Go does not move memory, is newer than the version it asks for
	// itself. The import holds go.mod's pin in place.
	_ "go4.org/unsafe/assume-no-moving-gc"
	"gorgonia.org/tensor"
)

// Elem is an element type that both sides know.
type Elem interface {
	float32 | float64 | int32 | int64 | int | int8 | uint8
}

// Kinds of [Error], for errors.Is.
var (
	ErrShape         = errors.New("wrong shape")
	ErrDType         = errors.New("wrong dtype")
	ErrNotContiguous = errors.New("not contiguous")
	ErrMasked        = errors.New("masked")
	ErrNotOnHost     = errors.New("not in host memory")
)

// Error says what is wrong with an array and what would be right.
type Error struct {
	Op      string // the function of this package
	Problem string
	Kind    error // one of the Err variables
}

func (e *Error) Error() string { return "gorgonia." + e.Op + ": " + e.Problem }
func (e *Error) Unwrap() error { return e.Kind }

// Dense makes a Gorgonia array of the shape, row-major, that shares data's
// memory: ownership passes to it. An empty shape is a scalar. It panics with an
// [*Error] if data does not have exactly the elements of the shape, or has none,
// which Gorgonia cannot represent.
func Dense[T Elem](shape []int, data []T) *tensor.Dense {
	n, ok := volume(shape)
	if !ok || n != len(data) || n == 0 {
		panic(&Error{Op: "Dense", Kind: ErrShape, Problem: fmt.Sprintf("shape %v does not hold %d elements (at least 1 is needed)", shape, len(data))})
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// volume is the product of the dimensions; false if one is negative or it overflows.
func volume(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Slice gives the shape and the elements, in row-major order, of d without a
// copy: whoever writes to one writes to the other. The array must have elements
// of type T (ErrDType), lie in host memory (ErrNotOnHost), have no mask
// (ErrMasked) and be contiguous in row-major order (ErrNotContiguous): for a
// transposed or sliced array see [Copy].
func Slice[T Elem](d *tensor.Dense) (shape []int, data []T, err error) {
	shape, data, err = memory[T]("Slice", d)
	if err != nil {
		return nil, nil, err
	}
	n, _ := volume(shape)
	if n > len(data) || !rowMajor(shape, d.Strides()) {
		return nil, nil, &Error{Op: "Slice", Kind: ErrNotContiguous,
			Problem: fmt.Sprintf("shape %v with strides %v is not contiguous in row-major order: use Copy", shape, d.Strides())}
	}
	return shape, data[:n:n], nil
}

// Copy is like [Slice] with new memory, and takes views and transposed arrays too.
func Copy[T Elem](d *tensor.Dense) (shape []int, data []T, err error) {
	if shape, data, err = Slice[T](d); err == nil {
		return shape, slices.Clone(data), nil
	}
	if !errors.Is(err, ErrNotContiguous) {
		return nil, nil, err
	}
	shape, data, err = memory[T]("Copy", d)
	if err != nil {
		return nil, nil, err
	}
	strides := d.Strides()
	if n, _ := volume(shape); len(strides) != len(shape) || last(shape, strides) >= len(data) {
		return nil, nil, &Error{Op: "Copy", Kind: ErrShape,
			Problem: fmt.Sprintf("shape %v (%d elements) with strides %v does not fit the %d elements in memory", shape, n, strides, len(data))}
	}
	return shape, gather(shape, strides, data), nil
}

// memory gives the shape and the memory as it lies there, if it can be read as elements of type T.
func memory[T Elem](op string, d *tensor.Dense) ([]int, []T, error) {
	if !d.IsNativelyAccessible() {
		return nil, nil, &Error{Op: op, Kind: ErrNotOnHost, Problem: "the array is not in host memory: copy it there first"}
	}
	data, ok := elements[T](d)
	if !ok {
		var want T
		return nil, nil, &Error{Op: op, Kind: ErrDType, Problem: fmt.Sprintf("the array has elements of type %v, want %T", d.Dtype(), want)}
	}
	if d.IsMasked() {
		return nil, nil, &Error{Op: op, Kind: ErrMasked, Problem: "the array has a mask: fill or drop it first"}
	}
	return slices.Clone([]int(d.Shape())), data, nil
}

// last is the index in memory of the last element.
func last(shape, strides []int) int {
	at := 0
	for i, d := range shape {
		at += (d - 1) * strides[i]
	}
	return at
}

// gather copies the elements at the given strides into row-major order.
func gather[T any](shape, strides []int, data []T) []T {
	n, _ := volume(shape)
	out := make([]T, n)
	index := make([]int, len(shape))
	from := 0
	for to := range out {
		out[to] = data[from]
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			from += strides[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= index[axis] * strides[axis]
			index[axis] = 0
		}
	}
	return out
}

// elements is the array's memory as it lies there, if its elements are of type T.
func elements[T Elem](d *tensor.Dense) (data []T, ok bool) {
	switch out := any(&data).(type) {
	case *[]float32:
		if ok = d.Dtype() == tensor.Float32; ok {
			*out = d.Float32s()
		}
	case *[]float64:
		if ok = d.Dtype() == tensor.Float64; ok {
			*out = d.Float64s()
		}
	case *[]int32:
		if ok = d.Dtype() == tensor.Int32; ok {
			*out = d.Int32s()
		}
	case *[]int64:
		if ok = d.Dtype() == tensor.Int64; ok {
			*out = d.Int64s()
		}
	case *[]int:
		if ok = d.Dtype() == tensor.Int; ok {
			*out = d.Ints()
		}
	case *[]int8:
		if ok = d.Dtype() == tensor.Int8; ok {
			*out = d.Int8s()
		}
	case *[]uint8:
		if ok = d.Dtype() == tensor.Uint8; ok {
			*out = d.Uint8s()
		}
	}
	return data, ok
}

// rowMajor tells whether elements follow each other without gaps, the last axis
// fastest. The stride of an axis of size 1 does not matter. Gorgonia gives a
// view of one element, and a view of a column, fewer strides than dimensions.
func rowMajor(shape, strides []int) bool {
	n, _ := volume(shape)
	if n <= 1 {
		return true
	}
	if len(strides) != len(shape) {
		return false
	}
	want := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}
