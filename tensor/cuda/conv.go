package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

var (
	convForwardKernel = kernel{topic: "conv", f32: "conv_forward_f32", f64: "conv_forward_f64", low: "conv_forward_low"}
	convInputKernel   = kernel{topic: "conv", f32: "conv_input_f32", f64: "conv_input_f64", low: "conv_input_low"}
	convWeightKernel  = kernel{topic: "conv", f32: "conv_weight_f32", f64: "conv_weight_f64", low: "conv_weight_low"}
)

// ConvForward computes y = x * w + bias; see backend.Device.
func (d *Device) ConvForward(p *backend.Conv, y, x, w, bias *backend.View) {
	d.conv(&convForwardKernel, y, p, y, x, w, bias)
}

// ConvInputGrad computes dx, the transposed convolution of dy; see backend.Device.
func (d *Device) ConvInputGrad(p *backend.Conv, dx, dy, w *backend.View) {
	d.conv(&convInputKernel, dx, p, dy, dx, w, nil)
}

// ConvWeightGrad computes dw from x and dy; see backend.Device.
func (d *Device) ConvWeightGrad(p *backend.Conv, dw, x, dy *backend.View) {
	d.conv(&convWeightKernel, dw, p, dy, x, dw, nil)
}

// conv computes one of y, x and w, the result, from the others.
func (d *Device) conv(k *kernel, result *backend.View, p *backend.Conv, y, x, w, bias *backend.View) {
	if result.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.params.conv
	a.set(p, y, x, w, bias)
	taps, in, out := product3(a.taps), product3(a.size), product3(a.outSize)
	m, n := int(a.samples)*out, int(a.out)
	switch k {
	case &convInputKernel:
		m, n = int(a.samples)*in, int(a.in)
	case &convWeightKernel:
		m = int(a.in) * taps
	}
	launch(d.core, k.topic, k.of(y.DType, d.low), driver.Launch{
		Grid: [3]int{blocks(m, productTile), blocks(n, productTile), int(a.groups)}, Block: productThreads}, a)
}

func product3(v [3]int32) int { return int(v[0]) * int(v[1]) * int(v[2]) }

// set brings a convolution to three spatial axes: missing ones in front have size 1.
func (a *convParams) set(p *backend.Conv, y, x, w, bias *backend.View) {
	s := p.Spatial
	*a = convParams{
		x: imageOf(x, s), y: imageOf(y, s), w: address(w), bias: address(bias),
		wIn: int64(w.Stride[s]), wOut: int64(w.Stride[s+1]),
		samples: int64(x.Shape[0]), groups: int64(p.Groups),
		in: int64(x.Shape[s+1] / p.Groups), out: int64(y.Shape[s+1] / p.Groups),
		size: [3]int32{1, 1, 1}, outSize: [3]int32{1, 1, 1}, taps: [3]int32{1, 1, 1}, stride: [3]int32{1, 1, 1}, dilation: [3]int32{1, 1, 1},
	}
	if bias != nil {
		a.biasStride = int64(bias.Stride[0])
	}
	for i := range s {
		ax := 3 - s + i
		a.tap[ax] = int64(w.Stride[i])
		a.size[ax], a.outSize[ax], a.taps[ax] = int32(x.Shape[i+1]), int32(y.Shape[i+1]), int32(w.Shape[i])
		a.stride[ax], a.dilation[ax], a.lo[ax] = int32(p.Stride[i]), int32(p.Dilation[i]), int32(p.PadLo[i])
	}
}

func imageOf(v *backend.View, spatial int) (m image) {
	m.base, m.sample, m.channel = address(v), int64(v.Stride[0]), int64(v.Stride[spatial+1])
	for i := range spatial {
		m.space[3-spatial+i] = int64(v.Stride[i+1])
	}
	return m
}
