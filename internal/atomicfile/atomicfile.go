// Package atomicfile writes whole files: a reader sees the old content or the
// new one, never a part of it, whatever happens on the way (an error, a full
// disk, a kill, a power cut).
//
// The new content goes to a temporary file in the same folder, which is synced
// and then renamed over the old file; the folder is synced last, so that the
// name lasts too. On an error the temporary file is removed. Only a process
// that is killed leaves one behind: see [Sweep].
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Error says which file could not be written, why, and what would be right.
type Error struct {
	Path string
	Err  error // of the operating system, or of the function that filled the file
	Hint string
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("write %s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("write %s: %v: %s", e.Path, e.Err, e.Hint)
}

func (e *Error) Unwrap() error { return e.Err }

// Write replaces the file at path by what fill writes, buffered. An existing
// file keeps its permissions, a new one gets 0666 less the umask; a symbolic
// link is followed. Where path is a device or a pipe, fill writes straight to it.
//
// Errors of the file system are an [Error]; an error of fill that is not one
// of its writer's comes back as it is. Either way path has its old content.
func Write(path string, fill func(w io.Writer) error) error {
	target, perm, direct, err := resolve(path)
	if err != nil {
		return describe(path, err)
	}
	if direct {
		return writeDirect(path, target, fill)
	}
	tmp, err := create(target, perm)
	if err != nil {
		return describe(path, err)
	}
	done := false
	defer func() { // also when fill panics
		if !done {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := fillBuffered(tmp, path, fill); err != nil {
		return err
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return describe(path, err)
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return describe(path, err)
	}
	done = true
	if err := syncDir(filepath.Dir(target)); err != nil {
		return describe(path, err)
	}
	return nil
}

// WriteBytes replaces the file at path by data. See [Write].
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// resolve follows symbolic links and looks at what is there already.
func resolve(path string) (target string, perm fs.FileMode, direct bool, err error) {
	target, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, 0o666, false, nil // a missing folder shows when the temporary file is created
	}
	if err != nil {
		return "", 0, false, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return "", 0, false, err
	}
	if info.IsDir() {
		return "", 0, false, syscall.EISDIR
	}
	return target, info.Mode().Perm(), !info.Mode().IsRegular(), nil
}

const tempMark = ".langevin-tmp-"

// create opens a new file beside target. os.CreateTemp would give it 0600 for ever.
func create(target string, perm fs.FileMode) (*os.File, error) {
	dir, base := filepath.Split(target)
	if len(base) > 200 { // names have at most 255 bytes on most file systems
		base = base[:200]
	}
	for range 100 {
		name := fmt.Sprintf("%s.%s%s%016x", dir, base, tempMark, rand.Uint64())
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fs.ErrExist
}

// fillBuffered runs fill and tells its own errors from the file system's.
func fillBuffered(f io.Writer, path string, fill func(w io.Writer) error) error {
	w := &stickyWriter{w: f}
	b := bufio.NewWriterSize(w, 1<<18)
	err := fill(b)
	if err == nil {
		err = b.Flush()
	}
	if w.err != nil {
		return describe(path, w.err)
	}
	return err
}

// stickyWriter remembers the first error of the writer below.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// writeDirect writes to the device target, which the caller calls path.
func writeDirect(path, target string, fill func(w io.Writer) error) error {
	f, err := os.OpenFile(target, os.O_WRONLY, 0)
	if err != nil {
		return describe(path, err)
	}
	if err := fillBuffered(f, path, fill); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return describe(path, err)
	}
	return nil
}

// syncDir makes a rename in dir durable. Some file systems and systems cannot
// sync a folder; there the rename is as durable as they make it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) { // a folder may be writable and not readable
			return nil
		}
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// describe strips the temporary file's name from err and says what would be right.
func describe(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		err = l.Err
	}
	dir := filepath.Dir(path)
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		hint = fmt.Sprintf("the folder %s must be writable", dir)
	case errors.Is(err, fs.ErrNotExist):
		hint = fmt.Sprintf("the folder %s must exist", dir)
	case errors.Is(err, syscall.ENOTDIR):
		hint = fmt.Sprintf("%s must be a folder", dir)
	case errors.Is(err, syscall.EISDIR):
		hint = "name a file, not a folder"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "free some space or choose another disk; nothing was changed"
	}
	return &Error{Path: path, Err: err, Hint: hint}
}

// Sweep removes the temporary files that killed processes left in dir. Call it
// only for a folder in which no other process writes. A missing folder is no error.
func Sweep(dir string) error { return sweep(dir, ".") }

// SweepOf is Sweep for the file at path alone: others may write other files in its folder.
func SweepOf(path string) error {
	return sweep(filepath.Dir(path), "."+filepath.Base(path)+tempMark)
}

func sweep(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if n := e.Name(); strings.HasPrefix(n, prefix) && strings.Contains(n, tempMark) && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
