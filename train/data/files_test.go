package data

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file in dir and gives its path.
func write(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkFileError makes sure that an error is one line, of the kind, and names the path and what is wanted.
func checkFileError(t *testing.T, what string, err, kind error, path, want string) {
	t.Helper()
	var e *FileError
	if !errors.As(err, &e) || !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want a FileError of kind %v", what, err, kind)
		return
	}
	if s := err.Error(); e.Path != path || !strings.HasPrefix(s, path+": ") || !strings.Contains(s, want) || strings.Contains(s, "\n") {
		t.Errorf("%s: %q, want it to name %s and say %q", what, s, path, want)
	}
}
