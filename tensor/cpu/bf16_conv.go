package cpu

import "github.com/langevin-go/langevin/tensor/backend"

// convPairs computes a direction of a convolution in words. It reports false,
// having done nothing, where no kernel does.
func (d *Device) convPairs(kind convKind, p *backend.Conv, y, x, w, bias *backend.View) bool {
	return false
}
