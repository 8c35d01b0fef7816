package cpu

import (
	"runtime"
	"syscall"
)

// yield lets other goroutines have the thread, and other threads the processor: the one that is
// waited for may be behind this one on the same.
func yield() {
	runtime.Gosched()
	syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
}
