package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

var (
	softmaxKernel     = kernel{topic: "softmax", f32: "softmax_f32", f64: "softmax_f64"}
	softmaxGradKernel = kernel{topic: "softmax", f32: "softmax_grad_f32", f64: "softmax_grad_f64"}
)

// SoftmaxForward is softmax along the last axis; see backend.Softmax.
func (d *Device) SoftmaxForward(y, x *backend.View) {
	if x.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.params.softmax
	a.xStride, a.yStride = inner(x), inner(y)
	d.alongRows(&softmaxKernel, x, []*operand{&a.x, &a.y}, []*backend.View{x, y})
}

// SoftmaxGrad is the gradient of SoftmaxForward; see backend.Softmax.
func (d *Device) SoftmaxGrad(dx, dy, y *backend.View) {
	if y.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.params.softmax
	a.yStride, a.dyStride, a.dxStride = inner(y), inner(dy), inner(dx)
	d.alongRows(&softmaxGradKernel, y, []*operand{&a.y, &a.dy, &a.dx}, []*backend.View{y, dy, dx})
}

func inner(v *backend.View) int64 { return int64(v.Stride[v.Rank-1]) }

// alongRows launches a kernel with a block for each row, that is, for each point of all axes but the last.
func (d *core) alongRows(k *kernel, of *backend.View, ops []*operand, views []*backend.View) {
	a := &d.params.softmax
	last := of.Rank - 1
	a.n = int64(of.Shape[last])
	var s spacer
	s.start(&a.rows)
	for i, o := range ops {
		s.add(o, views[i])
	}
	count := 1
	for ax, n := range of.Shape[:last] {
		s.axis(ax, n)
		count *= n
	}
	launch(d, k.topic, k.of(of.DType, false), driver.Launch{Grid: [3]int{count, 1, 1}, Block: rowThreads(int(a.n))}, a)
}

// rowThreads is the size of a block that goes through n elements together.
func rowThreads(n int) int { return power(blocks(n, 4), 32, 512) }
