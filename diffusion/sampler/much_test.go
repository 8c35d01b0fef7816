package sampler

import "testing"

// much leaves a test out where tests are to be short, as under the race detector and under emulation: it computes much, in one
// goroutine, and alike everywhere.
func much(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("computes much, and nothing that is concurrent")
	}
}
