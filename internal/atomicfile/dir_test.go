package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fillTwo puts a file and a folder with a file into dir.
func fillTwo(dir string) error {
	if err := WriteBytes(filepath.Join(dir, "a"), []byte("one")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		return err
	}
	return WriteBytes(filepath.Join(dir, "sub", "b"), []byte("two"))
}

func TestWriteDir(t *testing.T) {
	home := t.TempDir()
	target := filepath.Join(home, "x")
	if err := WriteDir(target, fillTwo); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(target, "a")) + content(t, filepath.Join(target, "sub/b")); got != "onetwo" {
		t.Errorf("got %q", got)
	}
	if got := names(t, home); got != "x" {
		t.Errorf("beside it there is %q", got)
	}
	// An empty folder is taken; anything else is left alone.
	empty := filepath.Join(home, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(empty+"/", fillTwo); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(empty, "a")); got != "one" {
		t.Errorf("got %q", got)
	}
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{target, file} {
		called := false
		err := WriteDir(taken, func(string) error { called = true; return nil })
		var e *Error
		if !errors.As(err, &e) || e.Path != taken || !strings.Contains(err.Error(), "new or empty") || called {
			t.Errorf("%s: got %v, fill called: %v", taken, err, called)
		}
	}
	if content(t, file) != "mine" || content(t, filepath.Join(target, "a")) != "one" {
		t.Error("what was there has changed")
	}
}

func TestWriteDirLeavesNothingHalf(t *testing.T) {
	home := t.TempDir()
	target := filepath.Join(home, "x")
	mine := errors.New("mine")
	if err := WriteDir(target, func(dir string) error { return errors.Join(fillTwo(dir), mine) }); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	// An error about a file below names it as it would have been.
	err := WriteDir(target, func(dir string) error { return WriteBytes(filepath.Join(dir, "none/a"), nil) })
	var e *Error
	if !errors.As(err, &e) || e.Path != filepath.Join(target, "none/a") || strings.Contains(err.Error(), "tmp-") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	err = WriteDir(target, func(dir string) error { return os.Mkdir(filepath.Join(dir, "none/a"), 0o777) })
	if !errors.As(err, &e) || e.Path != filepath.Join(target, "none/a") || strings.Contains(err.Error(), "tmp-") {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() { recover() }()
		WriteDir(target, func(dir string) error { fillTwo(dir); panic("x") })
	}()
	// Somebody is quicker.
	err = WriteDir(target, func(dir string) error {
		if err := os.Mkdir(target, 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(target, "theirs"), nil, 0o666)
	})
	if !errors.As(err, &e) || names(t, target) != "theirs" {
		t.Errorf("got %v, and in the folder %q", err, names(t, target))
	}
	if got := names(t, home); got != "x" {
		t.Errorf("there is %q", got)
	}
	if err := WriteDir(filepath.Join(home, "no/x"), fillTwo); !errors.As(err, &e) || !strings.Contains(err.Error(), "must exist") {
		t.Errorf("got %v", err)
	}
}
