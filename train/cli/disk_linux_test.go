package cli_test

import "syscall"

// mountTiny makes a disk of the given size, in memory.
func mountTiny(dir, size string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
}

func unmount(dir string) error { return syscall.Unmount(dir, 0) }
