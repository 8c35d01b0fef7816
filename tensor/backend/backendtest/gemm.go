package backendtest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// dotBound bounds the error of a sum of k products in any order, and of a few
// operations on it: mag is the sum of the magnitudes.
func dotBound(k int, mag float64, dt backend.DType) float64 {
	return float64(k+6)*unit(dt)*mag + 4*tiny(dt)
}

// gemmShapes draws batch axes, those of a and b (broadcast where 1), and m, n, k.
func (c *choices) gemmShapes() (full, as, bs []int, m, n, k int) {
	for range c.pick(3) {
		full = append(full, 1+c.pick(3))
	}
	as, bs = c.thin(full), c.thin(full)
	m, n, k = c.size(140), c.size(140), c.size(300)
	for m*n*k > 1<<20 {
		k = k/2 + 1
		m = m/2 + 1
	}
	return full, as, bs, m, n, k
}

func join(a []int, b ...int) []int { return append(append([]int(nil), a...), b...) }

func gemm(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	full, as, bs, m, n, k := c.gemmShapes()
	alpha, beta := 1.0, 0.0
	if c.flip() {
		alpha = 0.75
	}
	if c.flip() {
		beta = []float64{1, -0.5}[c.pick(2)]
	}
	aa, ba := newArray(join(as, m, k)...), newArray(join(bs, k, n)...)
	aa.v, ba.v = c.normals(len(aa.v), 1), c.normals(len(ba.v), 1)
	av, bv := b.factor(b.input(aa, join(full, m, k)...)), b.factor(b.input(ba, join(full, k, n)...))
	var biasView *backend.View
	bias := newArray(n)
	if c.flip() {
		o := b.normal(1, n)
		biasView, bias = o.view, o.array
	}
	shape := join(full, m, n)
	var out *operand
	if beta == 0 {
		out = b.output(shape...)
	} else {
		was := newArray(shape...)
		was.v = c.normals(len(was.v), 1)
		out = b.add(dt, layout(c.pick(int(layouts))), was, shape)
	}
	was := append([]float64(nil), out.v...)
	d.Gemm(out.view, av.view, bv.view, biasView, alpha, beta)

	truth, bound := make([]float64, len(was)), make([]float64, len(was))
	each(shape, func(i []int) {
		r := len(full)
		sum, mag := 0.0, 0.0
		ai, bi := append([]int(nil), i...), append([]int(nil), i...)
		for p := range k {
			ai[r+1], bi[r] = p, p
			x := av.get(ai...) * bv.get(bi...)
			sum += x
			mag += math.Abs(x)
		}
		at := out.at(i...)
		old := 0.0
		if beta != 0 {
			old = was[at]
		}
		add := bias.get(i[r+1])
		truth[at] = alpha*sum + beta*old + add
		bound[at] = b.dotBound(k, math.Abs(alpha)*mag+math.Abs(beta*old)+math.Abs(add))
	})
	b.check(fmt.Sprintf("gemm %v m %d n %d k %d alpha %v beta %v bias %v, a %s, b %s", full, m, n, k,
		alpha, beta, biasView != nil, describe(av.view), describe(bv.view)), out, truth, bound)
	return b.finish()
}

// gemmRows checks that a row of c has the same bits whatever m is.
func gemmRows(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	m, n, k := 2+c.pick(70), c.positive(140), c.positive(600)
	av, bv, bias := b.normal(1, m, k), b.normal(1, k, n), b.normal(1, n)
	whole, part := b.outputIn(dense, m, n), b.outputIn(dense, m, n)
	d.Gemm(whole.view, av.view, bv.view, bias.view, 1, 0)
	for lo := 0; lo < m; {
		hi := min(m, lo+1+c.pick(m))
		d.Gemm(narrow(part.view, 0, lo, hi), narrow(av.view, 0, lo, hi), bv.view, bias.view, 1, 0)
		lo = hi
	}
	b.same(fmt.Sprintf("rows of a product of m %d, n %d, k %d", m, n, k), whole, part)
	return b.finish()
}

// narrow is the part [lo, hi) of an axis.
func narrow(v *backend.View, axis, lo, hi int) *backend.View {
	w := *v
	w.Off += lo * w.Stride[axis]
	w.Shape[axis] = hi - lo
	return &w
}

// same fails unless two outputs of the same layout agree bit for bit.
func (b *bench) same(what string, x, y *operand) {
	_, err := x.fetch()
	if err == nil {
		_, err = y.fetch()
	}
	if err != nil {
		b.fail(fmt.Errorf("%s: %w", what, err))
		return
	}
	p, q := make([]byte, len(x.host)), make([]byte, len(y.host))
	b.d.Download(p, x.view.Mem, 0)
	b.d.Download(q, y.view.Mem, 0)
	if !bytes.Equal(p, q) {
		i := firstDifference(p, q) / b.dt.Size()
		b.fail(fmt.Errorf("%s: bits depend on the batch: element %d of %s: %v and %v", what, i-x.view.Off, describe(x.view),
			get(p[i*b.dt.Size():], b.dt), get(q[i*b.dt.Size():], b.dt)))
	}
}
