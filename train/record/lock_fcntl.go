//go:build aix || (solaris && !illumos)

package record

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the POSIX lock of a whole file, for systems without flock(2). It
// belongs to the process.
func tryLock(f *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lk)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EAGAIN):
			return errBusy
		default:
			return err
		}
	}
}
