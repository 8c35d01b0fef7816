package cpu

import (
	"math"
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Computing in bfloat16: numbers that enter a product are rounded, sums are
// float32; see backend.Lowered. Where the processor has instructions for it,
// operands are rounded as they are packed. Elsewhere they are rounded into
// copies, on which the float32 kernels work: the definition, and slow.

// BF16 is the device that computes in bfloat16, on the same memory and threads.
func (d *Device) BF16() backend.Device { return d.lower }

// HasBF16 reports whether products of bfloat16 numbers have kernels of their
// own here. Without, they are slower than those of float32.
func (d *Device) HasBF16() bool { return d.lower.pairs != nil }

// addLower makes the device that BF16 gives; pairs are its kernels, if any.
func (d *Device) addLower(pairs *pairKernel) {
	l := *d
	l.bf16, l.pairs, l.full = true, pairs, d
	d.lower, l.lower = &l, &l
}

// roundBF16 is x as a bfloat16 number: its upper 16 bits, rounded to nearest
// even. Subnormal numbers become zeros, as AVX512_BF16 has it; NaN stays NaN.
func roundBF16(x float32) float32 {
	b := math.Float32bits(x)
	switch {
	case x != x:
		b |= 1 << 22 // quiet, or cutting might leave an infinity
	case b&0x7f800000 == 0:
		b &= 1 << 31
	default:
		b += 0x7fff + b>>16&1
	}
	return math.Float32frombits(b &^ 0xffff)
}

// roundedCopies are scratch for rounded operands.
var roundedCopies = sync.Pool{New: func() any { return new(roundedCopy) }}

// roundedCopy is a dense view of rounded numbers.
type roundedCopy struct {
	buf  []float32
	view backend.View
}

// rounded is a copy of v, rounded to bfloat16; axes that repeat go on repeating.
func rounded(v *backend.View) *roundedCopy {
	c := roundedCopies.Get().(*roundedCopy)
	c.view = backend.View{DType: v.DType, Rank: v.Rank, Shape: v.Shape}
	n := 1
	for i := v.Rank - 1; i >= 0; i-- {
		if v.Stride[i] != 0 {
			c.view.Stride[i] = n
			n *= v.Shape[i]
		}
	}
	c.buf = grow(c.buf, max(1, n))
	c.view.Mem = backend.Memory{Host: unsafe.Pointer(&c.buf[0]), Size: 4 * len(c.buf)}
	if v.Elems() > 0 {
		c.fill(0, 0, v.Off, v)
	}
	return c
}

// fill rounds the elements of v at offset from of the axes from ax on.
func (c *roundedCopy) fill(ax, to, from int, v *backend.View) {
	if ax == v.Rank {
		c.buf[to] = roundBF16(elements[float32](v)[from])
		return
	}
	n := v.Shape[ax]
	if v.Stride[ax] == 0 {
		n = 1
	}
	if ax == v.Rank-1 {
		all := elements[float32](v)
		for i := range n {
			c.buf[to+i] = roundBF16(all[from+i*v.Stride[ax]])
		}
		return
	}
	for i := range n {
		c.fill(ax+1, to+i*c.view.Stride[ax], from+i*v.Stride[ax], v)
	}
}

func (c *roundedCopy) release() {
	c.view = backend.View{}
	roundedCopies.Put(c)
}

// gemmRounded is Gemm by way of rounded copies.
func (d *Device) gemmRounded(c, a, b, bias *backend.View, alpha, beta float64) {
	ra, rb := rounded(a), rounded(b)
	d.full.Gemm(c, &ra.view, &rb.view, bias, alpha, beta)
	ra.release()
	rb.release()
}

// convRounded is a direction of a convolution by way of rounded copies.
func (d *Device) convRounded(kind convKind, result *backend.View, p *backend.Conv, y, x, w, bias *backend.View) {
	operands := [...]**backend.View{&y, &x, &w}
	var copies [3]*roundedCopy
	for i, o := range operands {
		if *o != result {
			copies[i] = rounded(*o)
			*o = &copies[i].view
		}
	}
	d.full.conv(kind, result, p, y, x, w, bias)
	for _, c := range copies {
		if c != nil {
			c.release()
		}
	}
}

// attentionRounded is attention, or its gradient, by way of rounded copies.
func (d *Device) attentionRounded(call *attentionCall, scale float64) {
	c := *call
	c.bf16 = true
	operands := [...]**backend.View{&c.q, &c.k, &c.v, &c.do}
	var copies [4]*roundedCopy
	for i, o := range operands {
		if *o != nil {
			copies[i] = rounded(*o)
			*o = &copies[i].view
		}
	}
	d.full.attention(&c, scale)
	for _, r := range copies {
		if r != nil {
			r.release()
		}
	}
}

// roundRows rounds in place.
func roundRows(x []float32) {
	for i, v := range x {
		x[i] = roundBF16(v)
	}
}
