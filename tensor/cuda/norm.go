package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

var (
	normKernel         = kernel{topic: "norm", f32: "norm_f32", f64: "norm_f64"}
	normGradKernel     = kernel{topic: "norm", f32: "norm_grad_f32", f64: "norm_grad_f64"}
	normChannelsKernel = kernel{topic: "norm", f32: "norm_channels_f32", f64: "norm_channels_f64"}
)

// NormForward normalises; see backend.Norm.
func (d *Device) NormForward(p *backend.NormParams, y, mean, rstd, x, scale, shift *backend.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.normOf(p, x, mean, rstd, scale, shift)
	a.y = vectorsOf(y)
	d.overSets(&normKernel, x, a)
}

// NormGrad is the gradient of NormForward; see backend.Norm.
func (d *Device) NormGrad(p *backend.NormParams, dx, dscale, dshift, dy, x, mean, rstd, scale, shift *backend.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.normOf(p, x, mean, rstd, scale, shift)
	a.dy, a.dx, a.dscale, a.dshift = vectorsOf(dy), vectorsOf(dx), vectorsOf(dscale), vectorsOf(dshift)
	d.overSets(&normGradKernel, x, a)
	n, channels := x.Shape[0], x.Shape[2]
	if n*channels == 0 || a.dscale.base == 0 && a.dshift.base == 0 {
		return
	}
	launch(d.core, normChannelsKernel.topic, normChannelsKernel.of(x.DType, false),
		driver.Launch{Grid: [3]int{n, blocks(channels, 32), 1}, Block: 256}, a)
}

func (d *core) normOf(p *backend.NormParams, x, mean, rstd, scale, shift *backend.View) *normParams {
	a := &d.params.norm
	*a = normParams{positions: int64(x.Shape[1]), channels: int64(x.Shape[2]), eps: p.Eps, scaleBase: p.ScaleBase,
		x: vectorsOf(x), mean: vectorsOf(mean), rstd: vectorsOf(rstd), scale: vectorsOf(scale), shift: vectorsOf(shift),
		rms: flag(p.RMS), silu: flag(p.SiLU)}
	if p.Groups == 0 {
		a.layer, a.sets, a.width = 1, a.positions, a.channels
		a.elems = a.channels
	} else {
		a.sets, a.width = int64(p.Groups), a.channels/int64(p.Groups)
		a.elems = a.positions * a.width
	}
	return a
}

// overSets launches a kernel with a block for each set of each sample.
func (d *core) overSets(k *kernel, x *backend.View, a *normParams) {
	if x.Elems() == 0 {
		return
	}
	launch(d, k.topic, k.of(x.DType, false), driver.Launch{Grid: [3]int{x.Shape[0] * int(a.sets), 1, 1}, Block: rowThreads(int(a.elems))}, a)
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// vectorsOf sees (N,P,C), or statistics (N,sets), whose second axis is called positions too.
func vectorsOf(v *backend.View) (r vectors) {
	if r.base = address(v); r.base == 0 {
		return r
	}
	r.sample, r.position = int64(v.Stride[0]), int64(v.Stride[1])
	if v.Rank > 2 {
		r.channel = int64(v.Stride[2])
	}
	return r
}
