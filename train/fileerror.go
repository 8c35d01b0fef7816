package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// plainError is the operating system's error without the path and the system
// call, which the caller names in its own words.
func plainError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

// noRead says that path, which should be what, cannot be read.
func noRead(path string, err error, what string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such file or folder; want %s", path, what)
	}
	return fmt.Errorf("%s: cannot be read (%w); want %s", path, plainError(err), what)
}

// unwritten adds to an error of writing a run's records what would be right.
func unwritten(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space; a run that had begun goes on with --resume", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: the run's folder must be writable", err)
	}
	return err
}
