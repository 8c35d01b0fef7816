package cpu

import (
	"math"
	"unsafe"
)

// normKernels are the inner loops of normalisation and softmax on n elements
// that lie side by side. The Go versions say what each computes.
type normKernels[T real] struct {
	sum     func(a *T, n int) T
	largest func(a *T, n int) T
	add     kernel[T]

	// squares is Σ(a−mean)²; addDeviations adds x−m and its square to sum and
	// squares, element by element.
	squares       func(a *T, n int, mean T) T
	addDeviations func(sum, squares, x, m *T, n int)
	// row is y = (x−mean)·rstd·g + b, channels y = (x−m)·a + b.
	row      func(y, x, g, b *T, n int, mean, rstd T)
	channels func(y, x, m, a, b *T, n int)
	// silu is a·σ(a); siluGrad is a·silu′(b).
	silu, siluGrad kernel[T]
	// channelsSilu is silu of channels' y; channelsSiluGrad is dy·silu′ of it.
	channelsSilu     func(y, x, m, a, b *T, n int)
	channelsSiluGrad func(dz, dy, x, m, a, b *T, n int)

	// sums adds dz to shift and dz·h to scale, h = (x−mean)·rstd, and gives Σdz·g and Σdz·g·h.
	sums func(dz, x, g, shift, scale *T, n int, mean, rstd T) (s1, s2 T)
	// gradRow is dx = rstd·(dz·g − m1 − h·m2), gradChannels dx = dz·a + (x−m)·q + r.
	gradRow      func(dx, dz, x, g *T, n int, mean, rstd, m1, m2 T)
	gradChannels func(dx, dz, x, a, q, m, r *T, n int)
	// addProducts adds dz to sum and dz·(x−m) to dot.
	addProducts func(sum, dot, dz, x, m *T, n int)

	// expSum is dst = e^(a−top), and its sum; scale dst = a·s; dot Σa·b.
	expSum      func(dst, a *T, n int, top T) T
	scale       func(dst, a *T, n int, s T)
	dot         func(a, b *T, n int) T
	softmaxGrad func(dx, dy, y *T, n int, dot T) // y·(dy−dot)
}

// goNorm are the plain versions. Products are rounded before they are added,
// so that the bits are the same on every machine.
func goNorm[T real]() *normKernels[T] {
	return &normKernels[T]{
		sum: sumFold[T], largest: maxFold[T], add: addKernel[T],
		squares: goSquares[T], addDeviations: goAddDeviations[T], row: goNormRow[T], channels: goNormChannels[T],
		silu: unary(silu[T]), siluGrad: binary(siluGrad[T]), channelsSilu: goNormSilu[T], channelsSiluGrad: goNormSiluGrad[T],
		sums: goNormSums[T], gradRow: goNormGradRow[T], gradChannels: goNormGradChannels[T], addProducts: goAddProducts[T],
		expSum: goExpSum[T], scale: goScale[T], dot: goDot[T], softmaxGrad: goSoftmaxGrad[T],
	}
}

var (
	goNorm32 = goNorm[float32]()
	goNorm64 = goNorm[float64]()
)

// normKernels64 are the float64 kernels: plain Go at every level.
func normKernels64(*Device) *normKernels[float64] { return goNorm64 }

func sigmoid[T real](x T) T { return T(1 / (1 + math.Exp(-float64(x)))) }

func silu[T real](x T) T { return x * sigmoid(x) }

func siluGrad[T real](dy, z T) T {
	s := sigmoid(z)
	return dy * s * (1 + T(z*(1-s)))
}

// goSquares adds in four lanes.
func goSquares[T real](a *T, n int, mean T) T {
	var s [4]T
	for i, v := range unsafe.Slice(a, n) {
		v -= mean
		s[i&3] += T(v * v)
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}

func goAddDeviations[T real](sum, squares, x, m *T, n int) {
	s, q, mean := unsafe.Slice(sum, n), unsafe.Slice(squares, n), unsafe.Slice(m, n)
	for i, v := range unsafe.Slice(x, n) {
		v -= mean[i]
		s[i] += v
		q[i] += T(v * v)
	}
}

func goNormRow[T real](y, x, g, b *T, n int, mean, rstd T) {
	out, gamma, beta := unsafe.Slice(y, n), unsafe.Slice(g, n), unsafe.Slice(b, n)
	for i, v := range unsafe.Slice(x, n) {
		out[i] = T((v-mean)*rstd*gamma[i]) + beta[i]
	}
}

func goNormChannels[T real](y, x, m, a, b *T, n int) {
	out, mean, gamma, beta := unsafe.Slice(y, n), unsafe.Slice(m, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i, v := range unsafe.Slice(x, n) {
		out[i] = T((v-mean[i])*gamma[i]) + beta[i]
	}
}

func goNormSilu[T real](y, x, m, a, b *T, n int) {
	goNormChannels(y, x, m, a, b, n)
	out := unsafe.Slice(y, n)
	for i, z := range out {
		out[i] = silu(z)
	}
}

func goNormSiluGrad[T real](dz, dy, x, m, a, b *T, n int) {
	out, d := unsafe.Slice(dz, n), unsafe.Slice(dy, n)
	h, mean, gamma, beta := unsafe.Slice(x, n), unsafe.Slice(m, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i, v := range h {
		out[i] = siluGrad(d[i], T((v-mean[i])*gamma[i])+beta[i])
	}
}

func goNormSums[T real](dz, x, g, shift, scale *T, n int, mean, rstd T) (s1, s2 T) {
	gamma, sh, sc := unsafe.Slice(g, n), unsafe.Slice(shift, n), unsafe.Slice(scale, n)
	h := unsafe.Slice(x, n)
	var lanes1, lanes2 [4]T
	for i, d := range unsafe.Slice(dz, n) {
		hat := (h[i] - mean) * rstd
		sh[i] += d
		sc[i] += T(d * hat)
		d *= gamma[i]
		lanes1[i&3] += d
		lanes2[i&3] += T(d * hat)
	}
	return (lanes1[0] + lanes1[2]) + (lanes1[1] + lanes1[3]), (lanes2[0] + lanes2[2]) + (lanes2[1] + lanes2[3])
}

func goNormGradRow[T real](dx, dz, x, g *T, n int, mean, rstd, m1, m2 T) {
	out, d, gamma := unsafe.Slice(dx, n), unsafe.Slice(dz, n), unsafe.Slice(g, n)
	for i, v := range unsafe.Slice(x, n) {
		out[i] = rstd * (T(d[i]*gamma[i]) - m1 - T((v-mean)*rstd*m2))
	}
}

func goNormGradChannels[T real](dx, dz, x, a, q, m, r *T, n int) {
	out, d, ca, cq, cm, cr := unsafe.Slice(dx, n), unsafe.Slice(dz, n), unsafe.Slice(a, n), unsafe.Slice(q, n), unsafe.Slice(m, n), unsafe.Slice(r, n)
	for i, v := range unsafe.Slice(x, n) {
		out[i] = T(d[i]*ca[i]) + (T((v-cm[i])*cq[i]) + cr[i])
	}
}

func goAddProducts[T real](sum, dot, dz, x, m *T, n int) {
	s, p, d, mean := unsafe.Slice(sum, n), unsafe.Slice(dot, n), unsafe.Slice(dz, n), unsafe.Slice(m, n)
	for i, v := range unsafe.Slice(x, n) {
		s[i] += d[i]
		p[i] += T(d[i] * (v - mean[i]))
	}
}

func goExpSum[T real](dst, a *T, n int, top T) (sum T) {
	out := unsafe.Slice(dst, n)
	for i, v := range unsafe.Slice(a, n) {
		out[i] = T(math.Exp(float64(v - top)))
		sum += out[i]
	}
	return sum
}

func goScale[T real](dst, a *T, n int, s T) {
	out := unsafe.Slice(dst, n)
	for i, v := range unsafe.Slice(a, n) {
		out[i] = v * s
	}
}

func goDot[T real](a, b *T, n int) T {
	y := unsafe.Slice(b, n)
	var s [4]T
	for i, v := range unsafe.Slice(a, n) {
		s[i&3] += T(v * y[i])
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}

func goSoftmaxGrad[T real](dx, dy, y *T, n int, dot T) {
	out, d := unsafe.Slice(dx, n), unsafe.Slice(dy, n)
	for i, v := range unsafe.Slice(y, n) {
		out[i] = v * (d[i] - dot)
	}
}
