package bench

import (
	"bytes"
	"os"
	"strconv"
)

// resetPeak makes the present resident memory the highest so far. Where /proc
// cannot be written the highest since the start of the process stays, which is no less.
func resetPeak() {
	const highWaterMark = "5" // proc(5), /proc/pid/clear_refs
	_ = os.WriteFile("/proc/self/clear_refs", []byte(highWaterMark), 0)
}

// residentMiB is the resident memory now and at its highest. It is the memory
// map's own figure, because that of getrusage(2) includes the program that this
// process was before exec.
func residentMiB() (now, highest float64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		kib, _ := strconv.ParseFloat(string(bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" kB"))), 64)
		switch string(name) {
		case "VmRSS":
			now = kib / 1024
		case "VmHWM":
			highest = kib / 1024
		}
	}
	return now, highest
}
