package tensor

import "github.com/langevin-go/langevin/tensor/backend"

// Conv are the parameters of a convolution. Per spatial axis; the zero values
// of stride, dilation and groups mean 1.
type Conv struct {
	Stride   [3]int
	Dilation [3]int
	PadLo    [3]int // zeros before
	PadHi    [3]int // zeros behind
	Groups   int
}

// Conv2D is the usual square case: one stride and one padding for both axes.
func Conv2D(stride, pad int) Conv {
	return Conv{Stride: [3]int{stride, stride}, PadLo: [3]int{pad, pad}, PadHi: [3]int{pad, pad}}
}

// params are c's for a number of spatial axes, checked.
func (c Conv) params(op string, spatial int) backend.Conv {
	for i := range spatial {
		if c.Stride[i] < 0 || c.Dilation[i] < 0 || c.PadLo[i] < 0 || c.PadHi[i] < 0 || c.Groups < 0 {
			usagePanic(op, "stride %d, dilation %d and padding %d, %d along axis %d, %d groups: want no negative ones", c.Stride[i], c.Dilation[i], c.PadLo[i], c.PadHi[i], i+1, c.Groups)
		}
	}
	p := backend.Conv{Spatial: spatial, Stride: c.Stride, Dilation: c.Dilation, PadLo: c.PadLo, PadHi: c.PadHi, Groups: max(1, c.Groups)}
	for i := range p.Stride {
		p.Stride[i] = max(1, p.Stride[i])
		p.Dilation[i] = max(1, p.Dilation[i])
	}
	return p
}

type convOp struct{}

func (convOp) name() string { return "conv" }
func (convOp) vjp(s *Scope, n *node, grad *Tensor) {
	x, w := n.in[0], n.in[1]
	if x.needs {
		s.add(n, 0, s.convInput(&n.conv, grad, w, x.Shape()))
	}
	if w.needs {
		s.add(n, 1, s.convWeight(&n.conv, x, grad, w.Shape()))
	}
	if len(n.in) > 2 && n.in[2].needs {
		s.add(n, 2, grad.SumTo(n.in[2].Shape()...))
	}
}

// Conv convolves t (N, spatial…, Cin) with w (kernel…, Cin/groups, Cout) and adds b (Cout) or nil.
// One to three spatial axes; channels last. (As everywhere in the field, a cross-correlation.)
func (t *Tensor) Conv(w, b Operand, c Conv) *Tensor {
	const op = "Conv"
	s := t.s
	t.check(op)
	k, bias := w.in(s), operand(s, b)
	if l := highest(t, k, bias); l > 0 {
		y := bilinearDual(highest(t, k), t, k, func(x, w *Tensor) *Tensor { return x.Conv(w, nil, c) })
		if bias != nil {
			y = y.Add(bias)
		}
		return y
	}
	spatial := t.v.Rank - 2
	if spatial < 1 || spatial > 3 || k.v.Rank != spatial+2 {
		shapePanic(op, "(N, 1 to 3 spatial axes, Cin) and (kernel…, Cin/groups, Cout)", t, k)
	}
	p := c.params(op, spatial)
	cin, cout := t.v.Shape[spatial+1], k.v.Shape[spatial+1]
	if cin%p.Groups != 0 || cout%p.Groups != 0 || k.v.Shape[spatial] != cin/p.Groups {
		shapePanic(op, "channels that match and divide by the groups", t, k)
	}
	convOperands(op, t, k, bias, cout)
	out := s.header()
	out.v.DType, out.v.Rank = t.v.DType, t.v.Rank
	out.v.Shape[0], out.v.Shape[spatial+1] = t.v.Shape[0], cout
	for i := range spatial {
		o := p.Out(i, t.v.Shape[i+1], k.v.Shape[i])
		if o < 1 {
			shapePanic(op, "an input no smaller than the kernel", t, k)
		}
		out.v.Shape[i+1] = o
	}
	s.back(out)
	s.conv = p
	if out.Elems() > 0 {
		var bp *backend.View
		if bias != nil {
			bp = &bias.v
		}
		s.dev.ConvForward(&s.conv, &out.v, &t.v, &k.v, bp)
	}
	var n *node
	if bias != nil {
		n = s.record(convOp{}, out, t, k, bias)
	} else {
		n = s.record(convOp{}, out, t, k)
	}
	if n != nil {
		n.conv = p
		var keepX, keepW *Tensor
		if k.needs {
			keepX = t
		}
		if t.needs {
			keepW = k
		}
		n.save(keepX, keepW)
	}
	return out
}

// convOperands checks what all convolutions want of their operands.
func convOperands(op string, t, k, bias *Tensor, channels int) {
	if k.v.DType != t.v.DType {
		dtypePanic(op, t.v.DType, k.v.DType)
	}
	for _, d := range k.v.Shape[:k.v.Rank-2] {
		if d < 1 {
			shapePanic(op, "a kernel of at least one element", t, k)
		}
	}
	if bias != nil && (bias.v.Rank != 1 || bias.v.Shape[0] != channels) {
		shapePanic(op, "a bias of as many elements as the result has channels", t, k, bias)
	}
}

type convInputOp struct{}

func (convInputOp) name() string { return "conv input gradient" }
func (convInputOp) vjp(s *Scope, n *node, grad *Tensor) {
	dy, w := n.in[0], n.in[1]
	if dy.needs {
		s.add(n, 0, grad.Conv(w, nil, convOf(&n.conv)))
	}
	if w.needs {
		s.add(n, 1, s.convWeight(&n.conv, grad, dy, w.Shape()))
	}
}

func convOf(p *backend.Conv) Conv {
	return Conv{Stride: p.Stride, Dilation: p.Dilation, PadLo: p.PadLo, PadHi: p.PadHi, Groups: p.Groups}
}

// convInput is the gradient of a convolution for its input of the given shape:
// the transposed convolution.
func (s *Scope) convInput(p *backend.Conv, dy, w *Tensor, shape []int) *Tensor {
	if l := highest(dy, w); l > 0 {
		q := *p
		return bilinearDual(l, dy, w, func(dy, w *Tensor) *Tensor { return s.convInput(&q, dy, w, shape) })
	}
	dx := s.alloc(dy.v.DType, shape...)
	s.conv = *p
	if dx.Elems() > 0 {
		s.dev.ConvInputGrad(&s.conv, &dx.v, &dy.v, &w.v)
	}
	if n := s.record(convInputOp{}, dx, dy, w); n != nil {
		n.conv = *p
		n.save(dy, w)
	}
	return dx
}

type convWeightOp struct{}

func (convWeightOp) name() string { return "conv weight gradient" }
func (convWeightOp) vjp(s *Scope, n *node, grad *Tensor) {
	x, dy := n.in[0], n.in[1]
	if x.needs {
		s.add(n, 0, s.convInput(&n.conv, dy, grad, x.Shape()))
	}
	if dy.needs {
		s.add(n, 1, x.Conv(grad, nil, convOf(&n.conv)))
	}
}

// convWeight is the gradient of a convolution for its weights: what only VJPs
// compute, whose tensors carry no tangents.
func (s *Scope) convWeight(p *backend.Conv, x, dy *Tensor, shape []int) *Tensor {
	dw := s.alloc(dy.v.DType, shape...)
	s.conv = *p
	if dw.Elems() > 0 {
		s.dev.ConvWeightGrad(&s.conv, &dw.v, &x.v, &dy.v)
	}
	if n := s.record(convWeightOp{}, dw, x, dy); n != nil {
		n.conv = *p
		n.save(x, dy)
	}
	return dw
}

// ConvTranspose is the transposed convolution: t (N, spatial…, Cout) and w
// (kernel…, Cin/groups, Cout) give (N, out…, Cin), where a Conv with these
// parameters maps an input of size out… to t's. b (Cin) is added unless nil.
func (t *Tensor) ConvTranspose(w, b Operand, c Conv, out ...int) *Tensor {
	const op = "ConvTranspose"
	s := t.s
	t.check(op)
	k, bias := w.in(s), operand(s, b)
	spatial := t.v.Rank - 2
	if spatial < 1 || spatial > 3 || k.v.Rank != spatial+2 || len(out) != spatial {
		shapePanic(op, "(N, 1 to 3 spatial axes, Cout), (kernel…, Cin/groups, Cout) and an output size", t, k)
	}
	p := c.params(op, spatial)
	if k.v.Shape[spatial+1] != t.v.Shape[spatial+1] || k.v.Shape[spatial+1]%p.Groups != 0 {
		shapePanic(op, "channels that match and divide by the groups", t, k)
	}
	var shape [5]int
	shape[0], shape[spatial+1] = t.v.Shape[0], k.v.Shape[spatial]*p.Groups
	convOperands(op, t, k, bias, shape[spatial+1])
	for i, o := range out {
		if p.Out(i, o, k.v.Shape[i]) != t.v.Shape[i+1] {
			shapePanic(op, "an output size that the convolution maps back", t, k)
		}
		shape[i+1] = o
	}
	y := s.convInput(&p, t, k, shape[:spatial+2])
	if bias != nil {
		y = y.Add(bias)
	}
	return y
}
