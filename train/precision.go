package train

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Precisions: what a device computes products in; see backend.Lowered.
const (
	Float32 = "float32"
	BF16    = "bf16"
	// AsTrained, of sampling, stands for the experiment's precision.
	AsTrained = "train"
)

// AtPrecision is dev, computing at the precision: float32 or bf16. Memory and
// parameters are the same on both.
func AtPrecision(dev backend.Device, precision string) (backend.Device, error) {
	switch precision {
	case Float32:
		return dev, nil
	case BF16:
		if l, ok := dev.(backend.Lowered); ok {
			return l.BF16(), nil
		}
		return nil, fmt.Errorf("%s cannot compute in bf16: want float32", dev.Name())
	}
	return nil, fmt.Errorf("unknown precision %q: want float32 or bf16", precision)
}

// compute is the device that samples are computed on.
func (d *Drawer) compute() (backend.Device, error) {
	p := d.How.Precision
	if p == AsTrained {
		p = d.Precision
	}
	return AtPrecision(d.Device, p)
}
