package backendtest

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor/backend"
)

// batch checks that a sample's forward results have the same bits alone as
// among others, for everything that samples go through.
func batch(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	n := 2 + c.pick(4)
	kinds := []func(n int) (string, *operand, *operand){b.batchConv, b.batchAttention, b.batchReduce}
	if _, ok := d.(backend.Norm); ok {
		kinds = append(kinds, b.batchNorm)
	}
	if _, ok := d.(backend.Softmax); ok {
		kinds = append(kinds, b.batchSoftmax)
	}
	what, whole, part := kinds[c.pick(len(kinds))](n)
	b.same(what, whole, part)
	return b.finish()
}

// sample is sample i of a tensor, as a batch of one.
func sample(o *operand, i int) *backend.View {
	if o == nil {
		return nil
	}
	return narrow(o.view, 0, i, i+1)
}

func (b *bench) batchConv(n int) (string, *operand, *operand) {
	k := b.conv()
	k.x[0], k.y[0] = n, n
	x, w := b.normal(1, k.x...), b.normal(1, k.w...)
	whole, part := b.outputIn(dense, k.y...), b.outputIn(dense, k.y...)
	b.d.ConvForward(&k.p, whole.view, x.view, w.view, nil)
	for i := range n {
		b.d.ConvForward(&k.p, sample(part, i), sample(x, i), w.view, nil)
	}
	return "convolution " + k.String(), whole, part
}

func (b *bench) batchAttention(n int) (string, *operand, *operand) {
	t, h, d := b.positive(70), 1+b.pick(3), []int{8, 20, 64}[b.pick(3)]
	q, k, v := b.normal(1, n, t, h, d), b.normal(1, n, t, h, d), b.normal(1, n, t, h, d)
	whole, part := b.outputIn(dense, n, t, h, d), b.outputIn(dense, n, t, h, d)
	b.d.Attention(whole.view, nil, q.view, k.view, v.view, nil, 0.3)
	for i := range n {
		b.d.Attention(sample(part, i), nil, sample(q, i), sample(k, i), sample(v, i), nil, 0.3)
	}
	return "attention of " + describe(q.view), whole, part
}

func (b *bench) batchReduce(n int) (string, *operand, *operand) {
	shape := append([]int{n}, b.positive(40), b.positive(3000))
	to := []int{n, 1, shape[2]}
	if b.flip() {
		to = []int{n, shape[1], 1}
	}
	if b.flip() {
		to = []int{n, 1, 1}
	}
	x := b.normal(1, shape...)
	whole, part := b.outputIn(dense, to...), b.outputIn(dense, to...)
	space := *x.view
	b.d.Reduce(backend.Sum, nil, whole.view, &space, []*backend.View{x.view}, nil)
	space.Shape[0] = 1
	for i := range n {
		b.d.Reduce(backend.Sum, nil, sample(part, i), &space, []*backend.View{sample(x, i)}, nil)
	}
	return fmt.Sprintf("sum of %s to %v", describe(x.view), to), whole, part
}

func (b *bench) batchNorm(n int) (string, *operand, *operand) {
	p := backend.NormParams{Eps: 1e-5, SiLU: b.flip(), RMS: b.flip(), ScaleBase: 1}
	pos, ch := b.positive(300), b.positive(200)
	sets := pos
	if b.flip() {
		p.Groups, sets = 4, 4
		ch = ch/4*4 + 4
	}
	x, scale, shift := b.normal(1, n, pos, ch), b.normal(1, n, 1, ch), b.normal(1, n, 1, ch)
	whole, part := b.outputIn(dense, n, pos, ch), b.outputIn(dense, n, pos, ch)
	mean, rstd := b.outputIn(dense, n, sets), b.outputIn(dense, n, sets)
	norm := b.d.(backend.Norm)
	norm.NormForward(&p, whole.view, mean.view, rstd.view, x.view, scale.view, shift.view)
	for i := range n {
		norm.NormForward(&p, sample(part, i), sample(mean, i), sample(rstd, i), sample(x, i), sample(scale, i), sample(shift, i))
	}
	return fmt.Sprintf("norm %+v of %s", p, describe(x.view)), whole, part
}

func (b *bench) batchSoftmax(n int) (string, *operand, *operand) {
	x := b.normal(3, n, b.positive(20), b.positive(2000))
	whole, part := b.outputIn(dense, x.shape...), b.outputIn(dense, x.shape...)
	soft := b.d.(backend.Softmax)
	soft.SoftmaxForward(whole.view, x.view)
	for i := range n {
		soft.SoftmaxForward(sample(part, i), sample(x, i))
	}
	return "softmax of " + describe(x.view), whole, part
}
