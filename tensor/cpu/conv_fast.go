package cpu

import "github.com/langevin-go/langevin/tensor/backend"

// convFast computes a direction of a convolution with the level's register
// tiles. It reports false, having done nothing, where a result's channels are
// not contiguous: no kernel writes that.
func (d *Device) convFast(kind convKind, p *backend.Conv, y, x, w, bias *backend.View) bool {
	if kind == convWeightGrad {
		t := weightTasks.Get().(*weightTask)
		defer t.release()
		t.shape.set(p, y, x, w)
		t.dw = elements[float32](w)
		t.forward(&t.shape, elements[float32](y), elements[float32](x), nil)
		t.gradient(d)
		return true
	}
	t := convTasks.Get().(*convTask)
	defer t.release()
	s := &t.shape
	s.set(p, y, x, w)
	if kind == convForward {
		if s.yc != 1 && s.cout > 1 {
			return false
		}
		if bias != nil {
			t.bias, t.biasCopy = contiguousFloats(bias, t.biasCopy)
		}
		t.forward(s, elements[float32](y), elements[float32](x), elements[float32](w))
		t.convolve(d)
		return true
	}
	if s.xc != 1 && s.cin > 1 {
		return false
	}
	for i := range points(s.stride) {
		t.backward(s, position(i, s.stride), elements[float32](x), elements[float32](y), elements[float32](w))
		t.convolve(d)
	}
	return true
}
