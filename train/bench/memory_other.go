//go:build !unix

package bench

import "runtime"

// resetPeak does nothing: what is measured only grows.
func resetPeak() {}

// residentMiB is what Go holds from the system, for systems that do not say in
// one portable way what is resident.
func residentMiB() (now, highest float64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	held := float64(m.Sys-m.HeapReleased) / (1 << 20)
	return held, held
}
