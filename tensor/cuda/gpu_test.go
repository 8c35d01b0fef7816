package cuda

import (
	"os"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/backendtest"
)

// TestGPU is what emulated devices are held to, on the GPU that the driver shows; see internal/gpucheck.
func TestGPU(t *testing.T) {
	if os.Getenv("LANGEVIN_GPU") == "" {
		t.Skip("no GPU is asked for: make gpu-check, or LANGEVIN_GPU=1, tests on the one that is there")
	}
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Log(d.Name())
	t.Run("operations", func(t *testing.T) { backendtest.Run(t, d, backend.Float32) })
	t.Run("float64", func(t *testing.T) { backendtest.RunEvery(t, d, 4, backend.Float64) })
	t.Run("bf16", func(t *testing.T) { backendtest.RunProducts(t, d.BF16(), 1) })
	for _, k := range tasks {
		t.Run("training "+k.name, func(t *testing.T) { trainsAsCPU(t, d, k, 3) })
	}
}
