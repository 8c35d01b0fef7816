package cpu

import (
	"math"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// program is a whole plan in one kernel: it computes the results at n points
// and keeps what is between in registers. slots are the plan's, of which it
// reads inputs and writes results; uniforms are the uniform slots' values.
type program[T real] func(slots **T, uniforms *T, n int)

// kernels are what runs plans at a level: a kernel for each operation, and one
// for the whole of some plans.
type kernels[T real] struct {
	ops   [backend.NumOpcodes]kernel[T]
	whole func(*plan) program[T]
}

// The plain kernels. Those of one to three operands are built from the
// operation itself, those that are only arithmetic are loops of their own.

func unary[T real](f func(T) T) kernel[T] {
	return func(dst, a, _, _ *T, n int) {
		d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
		for i, v := range x {
			d[i] = f(v)
		}
	}
}

// through computes in float64 and rounds.
func through[T real](f func(float64) float64) kernel[T] {
	return unary(func(x T) T { return T(f(float64(x))) })
}

func binary[T real](f func(a, b T) T) kernel[T] {
	return func(dst, a, b, _ *T, n int) {
		d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
		for i, v := range x {
			d[i] = f(v, y[i])
		}
	}
}

func truth[T real](b bool) T {
	if b {
		return 1
	}
	return 0
}

func addKernel[T real](dst, a, b, _ *T, n int) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i, v := range x {
		d[i] = v + y[i]
	}
}

func subKernel[T real](dst, a, b, _ *T, n int) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i, v := range x {
		d[i] = v - y[i]
	}
}

func mulKernel[T real](dst, a, b, _ *T, n int) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i, v := range x {
		d[i] = v * y[i]
	}
}

func divKernel[T real](dst, a, b, _ *T, n int) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i, v := range x {
		d[i] = v / y[i]
	}
}

// mulAddKernel rounds twice on every machine, so that its bits are the same everywhere.
func mulAddKernel[T real](dst, a, b, c *T, n int) {
	d, x, y, z := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n), unsafe.Slice(c, n)
	for i, v := range x {
		d[i] = T(v*y[i]) + z[i]
	}
}

func selectKernel[T real](dst, a, b, c *T, n int) {
	d, x, y, z := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n), unsafe.Slice(c, n)
	for i, v := range x {
		if v != 0 {
			d[i] = y[i]
		} else {
			d[i] = z[i]
		}
	}
}

func fillKernel[T real](dst, a, _, _ *T, n int) { fillSlice(unsafe.Slice(dst, n), *a) }

// goKernels are the plain kernels of all operations.
func goKernels[T real]() (k [backend.NumOpcodes]kernel[T]) {
	k[backend.OpAdd], k[backend.OpSub], k[backend.OpMul], k[backend.OpDiv] = addKernel[T], subKernel[T], mulKernel[T], divKernel[T]
	k[backend.OpScalar] = fillKernel[T]
	k[backend.OpMulAdd], k[backend.OpSelect] = mulAddKernel[T], selectKernel[T]
	k[backend.OpMin] = binary(func(a, b T) T { return min(a, b) })
	k[backend.OpMax] = binary(func(a, b T) T { return max(a, b) })
	k[backend.OpLess] = binary(func(a, b T) T { return truth[T](a < b) })
	k[backend.OpLessEq] = binary(func(a, b T) T { return truth[T](a <= b) })
	k[backend.OpEq] = binary(func(a, b T) T { return truth[T](a == b) })
	k[backend.OpPow] = binary(func(a, b T) T { return T(math.Pow(float64(a), float64(b))) })
	k[backend.OpNeg] = unary(func(a T) T { return -a })
	k[backend.OpRecip] = unary(func(a T) T { return 1 / a })
	for op := backend.OpAdd; op < backend.NumOpcodes; op++ {
		if k[op] == nil { // the functions of one argument
			k[op] = through[T](func(x float64) float64 { return op.Eval(x, 0, 0) })
		}
	}
	return k
}

var (
	goKernels32 = kernels[float32]{goKernels[float32](), func(*plan) program[float32] { return nil }}
	goKernels64 = kernels[float64]{goKernels[float64](), func(*plan) program[float64] { return nil }}
)

// kernels64 are the float64 kernels: plain Go at every level.
func kernels64(*Device) *kernels[float64] { return &goKernels64 }
