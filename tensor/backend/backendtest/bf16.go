package backendtest

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// A device that computes in bfloat16 (backend.Lowered) is held against float64
// products of operands rounded to bfloat16, so within float32's bounds, but for
// two things: what attention rounds within itself has a relative error of
// bfloat16's unit roundoff, and products and sums below float32's smallest
// normal number may become zero, as AVX512_BF16 has it.

const (
	// unitBF16 is bfloat16's unit roundoff: 8 significant bits, one of them implicit.
	unitBF16 = 0x1p-8
	// flushed bounds what becomes zero of one product or sum, the other factor
	// being less than 64.
	flushed = 0x1p-126 * 64
)

// low reports whether the device rounds what enters a product.
func (b *bench) low() bool {
	l, ok := b.d.(backend.Lowered)
	return ok && b.dt == backend.Float32 && l.BF16() == b.d
}

// bf16 is x rounded to bfloat16, to nearest even; subnormal numbers count as zero.
func bf16(x float64) float64 {
	f := float32(x)
	bits := math.Float32bits(f)
	switch {
	case f != f:
		return x
	case math.Abs(x) < 0x1p-126:
		return math.Copysign(0, x)
	}
	if rest := bits & 0xffff; rest > 0x8000 || rest == 0x8000 && bits&0x10000 != 0 {
		bits += 0x10000
	}
	return float64(math.Float32frombits(bits &^ 0xffff))
}

// factor makes o, on the device already, count as an operand of products: its
// plain form becomes what enters them.
func (b *bench) factor(o *operand) *operand {
	if b.low() {
		for i, x := range o.v {
			o.v[i] = bf16(x)
		}
	}
	return o
}

// within is the relative error of what a kernel rounds within itself.
func (b *bench) within() float64 {
	if b.low() {
		return unitBF16
	}
	return 0
}

// dotBound is dotBound for a product on the device.
func (b *bench) dotBound(k int, mag float64) float64 {
	bound := dotBound(k, mag, b.dt)
	if b.low() {
		bound += float64(k+1) * flushed
	}
	return bound
}
