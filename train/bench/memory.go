package bench

import (
	"math"
	"runtime/debug"
)

// memoryWatch knows the resident memory at some time.
type memoryWatch struct{ before float64 }

// watchMemory gives garbage back, so that steps cannot live in what building
// left behind, and begins to watch.
func watchMemory() memoryWatch {
	debug.FreeOSMemory()
	resetPeak()
	now, _ := residentMiB()
	return memoryWatch{now}
}

// peak is the highest resident memory since minus that at the beginning, and the
// highest, in MiB to a tenth; 0 where the system does not say.
func (w memoryWatch) peak() (above, highest float64) {
	_, highest = residentMiB()
	tenth := func(x float64) float64 { return math.Round(10*x) / 10 }
	return tenth(max(0, highest-w.before)), tenth(highest)
}
