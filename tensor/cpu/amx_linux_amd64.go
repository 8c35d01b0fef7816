package cpu

import "syscall"

// permitAMX asks Linux for the use of AMX's registers, for all threads of the process: those
// of a thread that uses them take 8 KiB (Documentation/arch/x86/xstate.rst).
func permitAMX() bool {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM
	_, _, err := syscall.Syscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return err == 0
}
