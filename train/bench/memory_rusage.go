//go:build unix && !linux

package bench

import (
	"runtime"
	"syscall"
)

// resetPeak does nothing: the highest resident memory is that since the start of the process.
func resetPeak() {}

// residentMiB is the highest resident memory so far, also for now, which these
// systems tell no process of itself through getrusage(2).
func residentMiB() (now, highest float64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	unit := 1024.0 // bytes of ru_maxrss
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		unit = 1
	}
	highest = float64(u.Maxrss) * unit / (1 << 20)
	return highest, highest
}
