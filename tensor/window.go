package tensor

import "math"

type windowsOp struct{}

func (windowsOp) name() string { return "windows" }

func (windowsOp) vjp(s *Scope, n *node, grad *Tensor) {
	axis, step, dilation := n.ints[0], n.ints[1], n.ints[2]
	size := n.in[0].v.Shape[axis]
	var sum *Tensor
	for tap := range grad.v.Shape[axis+1] {
		g := grad.Slice(axis+1, tap, tap+1).Squeeze(axis + 1)
		if !s.Recording() {
			s.addToSlice(n, 0, g, axis, tap*dilation, step)
			continue
		}
		sum = plus(sum, g.unslice(axis, tap*dilation, step, size))
	}
	if sum != nil {
		s.add(n, 0, sum)
	}
}

// Windows is the windows of size elements, step apart, along an axis: (…,D,…)
// becomes (…,W,size,…). The elements of a window are dilation apart. It is a
// view, in which windows overlap. (torch.Tensor.unfold puts the windows' axis last.)
func (t *Tensor) Windows(axis, size, step, dilation int) *Tensor {
	const op = "Windows"
	t.check(op)
	axis = t.axis(op, axis)
	d := t.v.Shape[axis]
	if size < 1 || step < 1 || dilation < 1 || d < (size-1)*dilation+1 || t.v.Rank == MaxRank {
		usagePanic(op, "windows of %d elements %d apart, each %d on, along axis %d of shape %v", size, dilation, step, axis, append([]int(nil), t.Shape()...))
	}
	if t.level > 0 {
		return linear1(t, func(t *Tensor) *Tensor { return t.Windows(axis, size, step, dilation) })
	}
	r := t.s.view(t)
	v := &r.v
	copy(v.Shape[axis+1:], t.v.Shape[axis:t.v.Rank])
	copy(v.Stride[axis+1:], t.v.Stride[axis:t.v.Rank])
	v.Rank++
	v.Shape[axis], v.Stride[axis] = (d-(size-1)*dilation-1)/step+1, step*t.v.Stride[axis]
	v.Shape[axis+1], v.Stride[axis+1] = size, dilation*t.v.Stride[axis]
	if n := t.s.record(windowsOp{}, r, t); n != nil {
		n.ints[0], n.ints[1], n.ints[2] = axis, step, dilation
	}
	return r
}

// Pool are the parameters of a pooling over the one to three spatial axes of (N, spatial…, C).
type Pool struct {
	Kernel     [3]int // 0: 1
	Stride     [3]int // 0: the kernel's size
	Dilation   [3]int // 0: 1
	PadLo      [3]int // before
	PadHi      [3]int // behind
	ExcludePad bool   // averages are over what is not padding
}

// Pool2D is the usual square case.
func Pool2D(kernel, stride, pad int) Pool {
	return Pool{Kernel: [3]int{kernel, kernel}, Stride: [3]int{stride, stride}, PadLo: [3]int{pad, pad}, PadHi: [3]int{pad, pad}}
}

// axis is what happens along spatial axis i of size d, checked.
func (p *Pool) axis(op string, i, d int) (kernel, stride, dilation int) {
	kernel = max(1, p.Kernel[i])
	stride, dilation = p.Stride[i], max(1, p.Dilation[i])
	if stride == 0 {
		stride = kernel
	}
	if p.PadLo[i] < 0 || p.PadHi[i] < 0 || stride < 0 {
		usagePanic(op, "stride %d and padding %d, %d along axis %d", stride, p.PadLo[i], p.PadHi[i], i+1)
	}
	if span := (kernel-1)*dilation + 1; d+p.PadLo[i]+p.PadHi[i] < span || max(p.PadLo[i], p.PadHi[i]) >= span && span > 1 {
		usagePanic(op, "windows of %d with padding %d, %d along axis %d of size %d: want a window within, and some of the input in each", span, p.PadLo[i], p.PadHi[i], i+1, d)
	}
	return kernel, stride, dilation
}

func (t *Tensor) spatial(op string) int {
	t.check(op)
	if t.v.Rank < 3 || t.v.Rank > 5 {
		shapePanic(op, "(N, 1 to 3 spatial axes, C)", t)
	}
	return t.v.Rank - 2
}

// AvgPool is the mean of each window. Windows that would reach beyond the padding are left out.
func (t *Tensor) AvgPool(p Pool) *Tensor {
	const op = "AvgPool"
	spatial := t.spatial(op)
	if y := t.avgTiles(p, spatial); y != nil {
		return y
	}
	for i := range spatial { // the mean over a box is that of means along its axes
		d := t.v.Shape[i+1]
		kernel, stride, dilation := p.axis(op, i, d)
		lo, hi := p.PadLo[i], p.PadHi[i]
		y := t.Pad(i+1, lo, hi).Windows(i+1, kernel, stride, dilation)
		if !p.ExcludePad || lo == 0 && hi == 0 {
			t = y.Mean(i + 2)
			continue
		}
		column := [MaxRank]int{y.v.Shape[i+1], 1, 1, 1, 1, 1, 1, 1}
		t = y.Sum(i + 2).Mul(t.s.TensorOf(func(o int) float64 {
			count := 0
			for tap := range kernel {
				if at := o*stride + tap*dilation - lo; at >= 0 && at < d {
					count++
				}
			}
			return 1 / float64(count)
		}, column[:t.v.Rank-i-1]...))
	}
	return t
}

// avgTiles is AvgPool where windows lie side by side: one mean. Otherwise it is nil.
func (t *Tensor) avgTiles(p Pool, spatial int) *Tensor {
	var shape, axes [MaxRank]int
	n := 1
	shape[0] = t.v.Shape[0]
	y := t
	for i := range spatial {
		d := t.v.Shape[i+1]
		kernel, stride, dilation := p.axis("AvgPool", i, d)
		if stride != kernel || dilation != 1 && kernel > 1 || p.PadLo[i] != 0 || p.PadHi[i] != 0 {
			return nil
		}
		if d%kernel != 0 {
			y = y.Slice(i+1, 0, d/kernel*kernel)
		}
		shape[n] = d / kernel
		n++
		if kernel > 1 {
			shape[n] = kernel
			axes[n] = 1
			n++
		}
	}
	shape[n] = t.v.Shape[t.v.Rank-1]
	var over [MaxRank]int
	k := 0
	for i, is := range axes {
		if is == 1 {
			over[k] = i
			k++
		}
	}
	if k == 0 {
		return t
	}
	return y.Reshape(shape[:n+1]...).Mean(over[:k]...)
}

// MaxPool is the largest element of each window; padding never is. Windows that would reach beyond the
// padding are left out. Elements that attain the maximum share the gradient.
func (t *Tensor) MaxPool(p Pool) *Tensor {
	const op = "MaxPool"
	for i := range t.spatial(op) { // the maximum over a box is that of maxima along its axes
		kernel, stride, dilation := p.axis(op, i, t.v.Shape[i+1])
		if kernel == 1 && stride == 1 {
			continue
		}
		t = t.PadWith(math.Inf(-1), i+1, p.PadLo[i], p.PadHi[i]).Windows(i+1, kernel, stride, dilation).Max(i + 2)
	}
	return t
}

// AdaptiveAvgPool averages to the given spatial sizes: output i of n is over the
// elements ⌊i·d/n⌋ to ⌈(i+1)·d/n⌉−1 of d, as in PyTorch.
func (t *Tensor) AdaptiveAvgPool(size ...int) *Tensor {
	return t.adaptivePool("AdaptiveAvgPool", size, (*Tensor).MeanKeep)
}

// AdaptiveMaxPool takes the maxima of the same windows as AdaptiveAvgPool.
func (t *Tensor) AdaptiveMaxPool(size ...int) *Tensor {
	return t.adaptivePool("AdaptiveMaxPool", size, (*Tensor).MaxKeep)
}

func (t *Tensor) adaptivePool(op string, size []int, fold func(t *Tensor, axes ...int) *Tensor) *Tensor {
	if len(size) != t.spatial(op) {
		usagePanic(op, "%d sizes for shape %v", len(size), append([]int(nil), t.Shape()...))
	}
	for i, n := range size {
		d := t.v.Shape[i+1]
		if n < 1 || d < 1 {
			usagePanic(op, "size %d from %d along axis %d", n, d, i+1)
		}
		if d%n == 0 {
			t = fold(t.Windows(i+1, d/n, d/n, 1), i+2).Squeeze(i + 2)
			continue
		}
		parts := t.s.ptrs.take(n)
		for k := range parts {
			parts[k] = fold(t.Slice(i+1, k*d/n, ((k+1)*d+n-1)/n), i+1)
		}
		t = Concat(i+1, parts...)
	}
	return t
}
