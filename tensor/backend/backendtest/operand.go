package backendtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// array is the plain form of a tensor: row-major, float64.
type array struct {
	shape []int
	v     []float64
}

func newArray(shape ...int) *array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return &array{shape, make([]float64, n)}
}

// at is the position of an element; axes of size 1 are broadcast.
func (a *array) at(idx ...int) int {
	o := 0
	for i, d := range a.shape {
		o *= d
		if d > 1 {
			o += idx[i]
		}
	}
	return o
}

func (a *array) get(idx ...int) float64 { return a.v[a.at(idx...)] }

// each visits the points of shape in row-major order.
func each(shape []int, f func(idx []int)) {
	idx := make([]int, len(shape))
	for _, d := range shape {
		if d == 0 {
			return
		}
	}
	for {
		f(idx)
		i := len(shape) - 1
		for ; i >= 0; i-- {
			if idx[i]++; idx[i] < shape[i] {
				break
			}
			idx[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

// guard is the number of elements before and after a view that must stay as they were.
const guard = 37

// operand is a tensor on the device, in some layout, amid guard words.
type operand struct {
	*array
	view *backend.View
	d    backend.Device
	host []byte // all its memory, as uploaded
	pos  []int  // where each element lies in memory, row-major
}

// layout is how an operand lies in memory.
type layout uint8

const (
	dense  layout = iota // row-major, nothing between
	offset               // dense, not at the start of its alignment
	padded               // gaps after rows
	turned               // axes permuted
	layouts
)

// Memory around the elements: NaN beside inputs, so that reading it shows in
// results, and a number beside outputs, so that any arithmetic on it shows.
var (
	poison = math.NaN()
	fence  = 12345.678
)

// place puts values on the device in the given layout, amid words of around.
// Axes of size 1 in a.shape that are larger in shape are broadcast by stride 0.
func (c *choices) place(d backend.Device, dt backend.DType, l layout, a *array, shape []int, around float64) (*operand, error) {
	o := &operand{array: a, d: d, view: &backend.View{DType: dt, Rank: len(shape)}}
	order := c.rnd.Perm(len(shape)) // of axes in memory, fastest first
	if l != turned {
		for i := range order {
			order[i] = len(shape) - 1 - i
		}
	}
	n := 1
	for _, ax := range order {
		o.view.Shape[ax] = shape[ax]
		if a.shape[ax] == shape[ax] {
			o.view.Stride[ax] = n
			n *= a.shape[ax]
			if l == padded {
				n += c.pick(4)
			}
		}
	}
	o.view.Off = guard - guard%16
	if l != dense {
		o.view.Off = guard + c.pick(7)
	}
	size := dt.Size()
	o.host = make([]byte, (o.view.Off+n+guard)*size)
	for i := 0; i < len(o.host); i += size {
		put(o.host[i:], dt, around)
	}
	each(a.shape, func(idx []int) {
		at := o.view.Off
		for i, j := range idx {
			at += j * o.view.Stride[i]
		}
		put(o.host[at*size:], dt, a.v[len(o.pos)])
		a.v[len(o.pos)] = get(o.host[at*size:], dt) // as rounded
		o.pos = append(o.pos, at)
	})
	mem, err := d.Alloc(len(o.host))
	if err != nil {
		return nil, err
	}
	o.view.Mem = mem
	d.Upload(mem, 0, o.host)
	return o, nil
}

func put(b []byte, dt backend.DType, v float64) {
	switch dt {
	case backend.Float32:
		binary.NativeEndian.PutUint32(b, math.Float32bits(float32(v)))
	case backend.Float64:
		binary.NativeEndian.PutUint64(b, math.Float64bits(v))
	case backend.Int32:
		binary.NativeEndian.PutUint32(b, uint32(int32(v)))
	default:
		panic("backendtest: no such dtype: " + dt.String())
	}
}

func get(b []byte, dt backend.DType) float64 {
	switch dt {
	case backend.Float32:
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(b)))
	case backend.Float64:
		return math.Float64frombits(binary.NativeEndian.Uint64(b))
	}
	return float64(int32(binary.NativeEndian.Uint32(b)))
}

// fetch downloads the elements. It fails where anything beside them has changed.
func (o *operand) fetch() ([]float64, error) {
	now := make([]byte, len(o.host))
	o.d.Download(now, o.view.Mem, 0)
	size := o.view.DType.Size()
	out := make([]float64, len(o.pos))
	for i, p := range o.pos {
		out[i] = get(now[p*size:], o.view.DType)
		copy(now[p*size:(p+1)*size], o.host[p*size:])
	}
	if i := firstDifference(now, o.host); i >= 0 {
		return nil, fmt.Errorf("memory outside the output was written: element %d of %d, view starts at %d, %s",
			i/size, len(now)/size, o.view.Off, describe(o.view))
	}
	return out, nil
}

// untouched fails if the operand's memory has changed at all.
func (o *operand) untouched() error {
	now := make([]byte, len(o.host))
	o.d.Download(now, o.view.Mem, 0)
	if i := firstDifference(now, o.host); i >= 0 {
		return fmt.Errorf("an input was written at byte %d, %s", i, describe(o.view))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

func describe(v *backend.View) string {
	return fmt.Sprintf("%v%v stride %v off %d", v.DType, v.Shape[:v.Rank], v.Stride[:v.Rank], v.Off)
}

// bench gathers the operands of one case and remembers the first failure.
type bench struct {
	*choices
	d   backend.Device
	dt  backend.DType
	ops []*operand
	in  []*operand
	err error
}

func (b *bench) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// add places an operand that the device may write.
func (b *bench) add(dt backend.DType, l layout, a *array, shape []int) *operand {
	return b.addAmid(fence, dt, l, a, shape)
}

func (b *bench) addAmid(around float64, dt backend.DType, l layout, a *array, shape []int) *operand {
	o, err := b.place(b.d, dt, l, a, shape, around)
	if err != nil {
		b.fail(err)
		panic(err) // a test machine without memory: nothing sensible is left to do
	}
	b.ops = append(b.ops, o)
	return o
}

// input places values in a random layout, broadcast to shape.
func (b *bench) input(a *array, shape ...int) *operand {
	o := b.addAmid(poison, b.dt, layout(b.pick(int(layouts))), a, shape)
	b.in = append(b.in, o)
	return o
}

// normal is an input of N(0,1)·scale.
func (b *bench) normal(scale float64, shape ...int) *operand {
	a := newArray(shape...)
	a.v = b.normals(len(a.v), scale)
	return b.input(a, shape...)
}

// output makes room for a result in a random layout, filled with NaN.
func (b *bench) output(shape ...int) *operand {
	return b.outputIn(layout(b.pick(int(layouts))), shape...)
}

func (b *bench) outputIn(l layout, shape ...int) *operand {
	a := newArray(shape...)
	for i := range a.v {
		a.v[i] = math.NaN()
	}
	return b.add(b.dt, l, a, shape)
}

// check compares an output with the truth within the bounds, an absolute error an element.
func (b *bench) check(what string, o *operand, truth, bound []float64) {
	got, err := o.fetch()
	if err != nil {
		b.fail(fmt.Errorf("%s: %w", what, err))
		return
	}
	for i, g := range got {
		if !close(g, truth[i], bound[i], b.dt) {
			b.fail(fmt.Errorf("%s: element %d of %s is %v, want %v ± %.3g", what, i, describe(o.view), g, truth[i], bound[i]))
			return
		}
	}
}

// finish checks the inputs, frees all memory and gives the first failure.
func (b *bench) finish() error {
	if err := b.d.Sync(); err != nil {
		b.fail(err)
	}
	for _, o := range b.in {
		if err := o.untouched(); err != nil {
			b.fail(err)
		}
	}
	for _, o := range b.ops {
		b.d.Free(o.view.Mem)
	}
	return b.err
}
