package cuda

import (
	"testing"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/backendtest"
)

// emulated is a device whose kernels run on the host.
func emulated(t testing.TB, o Options) *Device {
	t.Helper()
	o.Driver = emulate.Open(t)
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestDevice is the compliance suite, on the very kernels that a GPU runs.
func TestDevice(t *testing.T) {
	d := emulated(t, Options{})
	backendtest.Run(t, d, backend.Float32)
	backendtest.RunEvery(t, d, 4, backend.Float64)
}

// TestBF16 is what of it differs in bfloat16.
func TestBF16(t *testing.T) { backendtest.RunProducts(t, emulated(t, Options{}).BF16(), 3) }

// TestAttentionPieces is attention in pieces of few queries of a sample, and of few samples.
func TestAttentionPieces(t *testing.T) {
	d := emulated(t, Options{})
	d.unfused = true
	for _, bytes := range []int{1, 3000, 60000} {
		d.scores = bytes
		backendtest.RunChecks(t, d, 6, "Attention", "AttentionGrad")
	}
}
