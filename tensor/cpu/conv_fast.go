package cpu

import "github.com/langevin-go/langevin/tensor/backend"

// convFast computes a direction of a convolution with the level's register
// tiles. It reports false, having done nothing, where a result's channels are
// not contiguous: no kernel writes that.
func (d *Device) convFast(kind convKind, p *backend.Conv, y, x, w, bias *backend.View) bool {
	t := convTasks.Get().(*convTask)
	defer t.release()
	s := &t.shape
	s.set(p, y, x, w)
	if t.convGemm(d, kind, y, x, w, bias) {
		return true
	}
	switch kind {
	case convForward:
		if s.yc != 1 && s.cout > 1 {
			return false
		}
		if bias != nil {
			t.bias, t.biasCopy = contiguousFloats(bias, t.biasCopy)
		}
		t.forward(s, elements[float32](y), elements[float32](x), elements[float32](w))
		t.convolve(d)
	case convInputGrad:
		if s.xc != 1 && s.cin > 1 {
			return false
		}
		for i := range points(s.stride) {
			t.backward(s, position(i, s.stride), elements[float32](x), elements[float32](y), elements[float32](w))
			t.convolve(d)
		}
	case convWeightGrad:
		g := weightTasks.Get().(*weightTask)
		defer g.release()
		g.dw = elements[float32](w)
		g.forward(s, elements[float32](y), elements[float32](x), nil)
		if !g.smallWeights(d, g.dw) && !g.winogradWeights(d, g.dw) {
			g.gradient(d)
		}
	}
	return true
}
