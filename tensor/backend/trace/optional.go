package trace

import "github.com/langevin-go/langevin/tensor/backend"

// wrap makes a recorded device that has the optional interfaces of dev and no
// others: whoever asks for one must get the answer that dev would give.
func (t *Tracer) wrap(dev backend.Device) backend.Device {
	d := &device{Device: dev, t: t}
	l, ok := dev.(backend.Lowered)
	if !ok {
		return d.with(nil)
	}
	low := new(lowered)
	other := l.BF16()
	if other == dev {
		d.bf16 = true
		low.dev = d.with(low)
		return low.dev
	}
	low.dev = (&device{Device: other, t: t, bf16: true}).with(low)
	return d.with(low)
}

// lowered is a recorded device's backend.Lowered. The forms of a device share one.
type lowered struct{ dev backend.Device }

func (l *lowered) BF16() backend.Device { return l.dev }

// with is d with its other optional interfaces and, unless it is nil, l.
func (d *device) with(l *lowered) backend.Device {
	n, isNorm := d.Device.(backend.Norm)
	s, isSoftmax := d.Device.(backend.Softmax)
	norms, softmaxes := norm{d, n}, softmax{d, s}
	switch {
	case l != nil && isNorm && isSoftmax:
		return &struct {
			*device
			norm
			softmax
			*lowered
		}{d, norms, softmaxes, l}
	case l != nil && isNorm:
		return &struct {
			*device
			norm
			*lowered
		}{d, norms, l}
	case l != nil && isSoftmax:
		return &struct {
			*device
			softmax
			*lowered
		}{d, softmaxes, l}
	case l != nil:
		return &struct {
			*device
			*lowered
		}{d, l}
	case isNorm && isSoftmax:
		return &struct {
			*device
			norm
			softmax
		}{d, norms, softmaxes}
	case isNorm:
		return &struct {
			*device
			norm
		}{d, norms}
	case isSoftmax:
		return &struct {
			*device
			softmax
		}{d, softmaxes}
	}
	return d
}

// norm records a device's backend.Norm.
type norm struct {
	d  *device
	of backend.Norm
}

// Operations at an element: mean 1, variance 3, (x−mean)·rstd 2, scale and shift
// 2, x·sigmoid(x) 2. Of the gradient: x̂ 2, dy·scale 1, its two means 3, dx 4,
// dscale 2, dshift 1, and through x·sigmoid(x) 6.
const (
	normOps, normGradOps = 8, 13
	siluOps, siluGradOps = 2, 6
)

func (n norm) NormForward(p *backend.NormParams, y, mean, rstd, x, scale, shift *backend.View) {
	start, ok := n.d.now()
	n.of.NormForward(p, y, mean, rstd, x, scale, shift)
	if ok {
		ops := int64(normOps)
		if p.SiLU {
			ops += siluOps
		}
		n.d.done(normKey(NormForward, p, x), cost{flops: ops * int64(x.Elems()),
			read: bytesOf(x, scale, shift), written: bytesOf(y, mean, rstd)}, start)
	}
}

func (n norm) NormGrad(p *backend.NormParams, dx, dscale, dshift, dy, x, mean, rstd, scale, shift *backend.View) {
	start, ok := n.d.now()
	n.of.NormGrad(p, dx, dscale, dshift, dy, x, mean, rstd, scale, shift)
	if ok {
		ops := int64(normGradOps)
		if p.SiLU {
			ops += siluGradOps
		}
		n.d.done(normKey(NormGrad, p, x), cost{flops: ops * int64(x.Elems()),
			read: bytesOf(dy, x, mean, rstd, scale, shift), written: bytesOf(dx, dscale, dshift)}, start)
	}
}

// softmax records a device's backend.Softmax.
type softmax struct {
	d  *device
	of backend.Softmax
}

// Operations at an element: maximum, difference, exponential, sum, quotient; of
// the gradient: product and sum, difference and product.
const softmaxOps, softmaxGradOps = 5, 4

func (s softmax) SoftmaxForward(y, x *backend.View) {
	start, ok := s.d.now()
	s.of.SoftmaxForward(y, x)
	if ok {
		k := key{op: SoftmaxForward}
		k.shape(x)
		s.d.done(k, cost{flops: softmaxOps * int64(x.Elems()), read: bytesOf(x), written: bytesOf(y)}, start)
	}
}

func (s softmax) SoftmaxGrad(dx, dy, y *backend.View) {
	start, ok := s.d.now()
	s.of.SoftmaxGrad(dx, dy, y)
	if ok {
		k := key{op: SoftmaxGrad}
		k.shape(y)
		s.d.done(k, cost{flops: softmaxGradOps * int64(y.Elems()), read: bytesOf(dy, y), written: bytesOf(dx)}, start)
	}
}
