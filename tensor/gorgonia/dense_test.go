package gorgonia

import (
	"errors"
	"slices"
	"testing"

	"gorgonia.org/tensor"
)

func iota[T Elem](n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(i)
	}
	return s
}

func sharesMemory[T Elem](t *testing.T) {
	t.Helper()
	for _, shape := range [][]int{{}, {1}, {6}, {2, 3}, {1, 6}, {6, 1}, {3, 1, 2}, {1, 1, 1}} {
		n, _ := volume(shape)
		data := iota[T](n)
		d := Dense(shape, data)
		if !slices.Equal([]int(d.Shape()), shape) {
			t.Fatalf("%v: Gorgonia has shape %v", shape, d.Shape())
		}
		gotShape, got, err := Slice[T](d)
		if err != nil || !slices.Equal(gotShape, shape) || len(got) != n {
			t.Fatalf("%v: got shape %v, %d elements, %v", shape, gotShape, len(got), err)
		}
		if &got[0] != &data[0] {
			t.Fatalf("%v: the elements were copied", shape)
		}
		got[n-1] = 99
		if data[n-1] != 99 {
			t.Fatalf("%v: a write through the array does not reach the slice", shape)
		}
	}
}

func TestSharesMemory(t *testing.T) {
	t.Run("float32", sharesMemory[float32])
	t.Run("float64", sharesMemory[float64])
	t.Run("int32", sharesMemory[int32])
	t.Run("int64", sharesMemory[int64])
	t.Run("int", sharesMemory[int])
	t.Run("int8", sharesMemory[int8])
	t.Run("uint8", sharesMemory[uint8])
}

// An operation of Gorgonia's must see the values that we put there.
func TestGorgoniaComputesOnOurMemory(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	sum, err := Dense([]int{2, 3}, data).Sum(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := Slice[float32](sum); err != nil || !slices.Equal(got, []float32{6, 15}) {
		t.Errorf("row sums %v, %v", got, err)
	}
}

func TestDensePanicsOnWrongShape(t *testing.T) {
	for _, shape := range [][]int{{2}, {}, {-1, -3}, {0}, {1 << 62, 4}} {
		func() {
			defer func() {
				var e *Error
				if err, _ := recover().(error); !errors.As(err, &e) || !errors.Is(err, ErrShape) {
					t.Errorf("%v: recovered %v", shape, err)
				}
			}()
			Dense(shape, []float32{1, 2, 3})
		}()
	}
}

func view(t *testing.T, d *tensor.Dense, s ...tensor.Slice) *tensor.Dense {
	t.Helper()
	v, err := d.Slice(s...)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*tensor.Dense)
}

func TestViewsAndTransposes(t *testing.T) {
	base := func() *tensor.Dense { return Dense([]int{3, 4}, iota[float32](12)) }
	lazy := base()
	if err := lazy.T(); err != nil {
		t.Fatal(err)
	}
	moved := base()
	if err := errors.Join(moved.T(), moved.Transpose()); err != nil {
		t.Fatal(err)
	}
	cube := Dense([]int{2, 3, 2}, iota[float32](12))
	if err := cube.T(2, 0, 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what       string
		d          *tensor.Dense
		contiguous bool
		shape      []int
		data       []float32
	}{
		{"rows 1 to 2", view(t, base(), tensor.S(1, 3)), true, []int{2, 4}, []float32{4, 5, 6, 7, 8, 9, 10, 11}},
		{"one row", view(t, base(), tensor.S(1)), true, []int{4}, []float32{4, 5, 6, 7}},
		{"columns 1 to 2", view(t, base(), nil, tensor.S(1, 3)), false, []int{3, 2}, []float32{1, 2, 5, 6, 9, 10}},
		{"one column", view(t, base(), nil, tensor.S(2)), false, []int{3}, []float32{2, 6, 10}},
		{"transposed lazily", lazy, false, []int{4, 3}, []float32{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		{"transposed in memory", moved, true, []int{4, 3}, []float32{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		{"axes rolled", cube, false, []int{2, 2, 3}, []float32{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}},
		{"column-major", tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float32{0, 1, 2, 3, 4, 5})), false, []int{2, 3}, []float32{0, 1, 2, 3, 4, 5}},
	} {
		shape, data, err := Slice[float32](c.d)
		if c.contiguous {
			if err != nil || !slices.Equal(shape, c.shape) || !slices.Equal(data, c.data) {
				t.Errorf("%s: Slice gave %v %v, %v", c.what, shape, data, err)
			}
		} else if !errors.Is(err, ErrNotContiguous) {
			t.Errorf("%s: Slice gave %v %v, %v; want ErrNotContiguous", c.what, shape, data, err)
		}
		shape, data, err = Copy[float32](c.d)
		if err != nil || !slices.Equal(shape, c.shape) || !slices.Equal(data, c.data) {
			t.Errorf("%s: Copy gave %v %v, %v; want %v %v", c.what, shape, data, err, c.shape, c.data)
			continue
		}
		data[0] = -1
		if at, err := c.d.At(make([]int, len(shape))...); err != nil || at == float32(-1) {
			t.Errorf("%s: Copy shares memory (%v, %v)", c.what, at, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	if _, _, err := Slice[float64](Dense([]int{1}, []float32{1})); !errors.Is(err, ErrDType) {
		t.Error(err)
	}
	masked := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, 2}, []bool{true, false}))
	if _, _, err := Slice[float32](masked); !errors.Is(err, ErrMasked) {
		t.Error(err)
	}
	if _, _, err := Copy[float32](masked); !errors.Is(err, ErrMasked) {
		t.Error(err)
	}
}
