package cpu

import "syscall"

// yield lets other threads have the processor.
func yield() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
