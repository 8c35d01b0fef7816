package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// Sizes of product.cuh.
const (
	productTile    = 64
	productThreads = 256
)

// maxGrid is the largest grid in its second and third direction.
const maxGrid = 65535

var gemmKernel = kernel{topic: "gemm", f32: "gemm_f32", f64: "gemm_f64", low: "gemm_low"}

// Gemm computes c = alpha·a·b + beta·c + bias; see backend.Device.
func (d *Device) Gemm(c, a, b, bias *backend.View, alpha, beta float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gemm(c, a, b, bias, alpha, beta)
}

// GemmSum computes c = a·b and the sums of b's columns; see backend.Device.
func (d *Device) GemmSum(c, sums, a, b *backend.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gemm(c, a, b, nil, 1, 0)
	if sums.Elems() == 0 {
		return
	}
	row := *sums // (N) seen as (1,N)
	row.Rank, row.Shape[0], row.Shape[1], row.Stride[0], row.Stride[1] = 2, 1, sums.Shape[0], 0, sums.Stride[0]
	d.reduce(backend.Sum, nil, &row, b, []*backend.View{b}, nil)
}

func (d *Device) gemm(c, a, b, bias *backend.View, alpha, beta float64) {
	if c.Elems() == 0 {
		return
	}
	p := &d.params.gemm
	r := c.Rank
	m, n := c.Shape[r-2], c.Shape[r-1]
	p.m, p.n, p.k, p.batches, p.axes = int64(m), int64(n), int64(a.Shape[r-1]), 1, 0
	p.c, p.a, p.b = matrixOf(c), matrixOf(a), matrixOf(b)
	for ax, size := range c.Shape[:r-2] {
		if size == 1 {
			continue
		}
		i := p.axes
		p.axes++
		p.batches *= int64(size)
		p.batch[i] = int64(size)
		p.c.batch[i], p.a.batch[i], p.b.batch[i] = int64(c.Stride[ax]), int64(a.Stride[ax]), int64(b.Stride[ax])
	}
	p.alpha, p.beta, p.bias, p.biasStride = alpha, beta, 0, 0
	if bias != nil {
		p.bias, p.biasStride = address(bias), int64(bias.Stride[0])
	}
	launch(d.core, gemmKernel.topic, gemmKernel.of(c.DType, d.low), driver.Launch{
		Grid: [3]int{blocks(m, productTile), blocks(n, productTile), min(int(p.batches), maxGrid)}, Block: productThreads}, p)
}

func matrixOf(v *backend.View) matrix {
	return matrix{base: address(v), row: int64(v.Stride[v.Rank-2]), col: int64(v.Stride[v.Rank-1])}
}
