package cpu

import (
	"fmt"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/backendtest"
)

// devices are the machine's levels with one and two threads.
func devices(t testing.TB) []*Device {
	var all []*Device
	for l := Go; l <= Best(); l++ {
		for threads := 1; threads <= 2; threads++ {
			d, err := New(Options{Level: &l, Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, d)
		}
	}
	return all
}

// TestCompliance holds every level, with one thread and with two, against the
// float64 truth. The second thread changes no bit (TestThreads), so its runs are short.
func TestCompliance(t *testing.T) {
	for _, d := range devices(t) {
		t.Run(fmt.Sprintf("%v-%d", d.Level(), d.Threads()), func(t *testing.T) {
			backendtest.Run(t, d, backend.Float32)
		})
	}
	t.Run("float64", func(t *testing.T) { backendtest.Run(t, Default(), backend.Float64) })
}
