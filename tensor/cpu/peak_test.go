package cpu

import (
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

func TestPeakIsOfKernelsThatAreThere(t *testing.T) {
	for _, l := range Levels() {
		d := testDevice(t, l, 2)
		for threads := 1; threads <= 3; threads++ {
			if got := d.Peak(backend.Float32, threads); (got > 0) != (l != Go) {
				t.Errorf("%v, %d threads: %g operations a second", l, threads, got)
			}
		}
		if got := d.Peak(backend.BFloat16, 1); (got > 0) != d.HasBF16() {
			t.Errorf("%v: %g operations a second in bfloat16", l, got)
		}
		if got := d.Peak(backend.Float64, 1); got != 0 {
			t.Errorf("%v: %g operations a second in float64, for which there is no kernel", l, got)
		}
		if got := d.Peak(backend.Float32, 0); got != 0 {
			t.Errorf("%v: no thread makes %g operations a second", l, got)
		}
	}
}
