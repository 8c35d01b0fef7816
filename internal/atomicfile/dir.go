package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// WriteDir makes the folder at path with what fill puts into the folder that it is given, whole or not at all: that is a temporary one
// beside path, which is renamed when fill is done, and removed if it fails. There must be nothing at path but an empty folder.
//
// Errors of the file system are an [Error] about path or a file in it; an error of fill that is none of those comes back as it is.
func WriteDir(path string, fill func(dir string) error) error {
	path = filepath.Clean(path)
	if err := vacant(path); err != nil {
		return err
	}
	tmp, err := createDir(path)
	if err != nil {
		return describe(path, err)
	}
	done := false
	defer func() { // also when fill panics
		if !done {
			os.RemoveAll(tmp)
		}
	}()
	if err := fill(tmp); err != nil {
		var e *Error
		if errors.As(err, &e) {
			return renamed(e, tmp, path)
		}
		var p *fs.PathError
		if errors.As(err, &p) {
			e, _ := describe(p.Path, p.Err).(*Error)
			return renamed(e, tmp, path)
		}
		return err
	}
	if err := syncDir(tmp); err != nil {
		return describe(path, err)
	}
	if err := vacant(path); err != nil { // somebody may have been quicker
		return err
	}
	os.Remove(path) // an empty folder, which not all systems rename over
	if err := os.Rename(tmp, path); err != nil {
		return describe(path, err)
	}
	done = true
	if err := syncDir(filepath.Dir(path)); err != nil {
		return describe(path, err)
	}
	return nil
}

// vacant is an error if there is anything at path but an empty folder.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return describe(path, err)
	case !info.IsDir():
		return &Error{path, fs.ErrExist, "name a folder that is new or empty"}
	}
	entries, err := os.ReadDir(path)
	switch {
	case err != nil:
		return describe(path, err)
	case len(entries) > 0:
		return &Error{path, syscall.ENOTEMPTY, "name a folder that is new or empty; nothing was changed"}
	}
	return nil
}

// createDir makes a new folder beside path.
func createDir(path string) (string, error) {
	dir, base := filepath.Split(path)
	if len(base) > 200 {
		base = base[:200]
	}
	for range 100 {
		name := fmt.Sprintf("%s.%s%s%016x", dir, base, tempMark, rand.Uint64())
		err := os.Mkdir(name, 0o777)
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
	return "", fs.ErrExist
}

// renamed is an error about a file in the temporary folder, by the name that it would have had.
func renamed(e *Error, tmp, path string) error {
	at := func(s string) string { return strings.ReplaceAll(s, tmp, path) }
	return &Error{at(e.Path), e.Err, at(e.Hint)}
}
