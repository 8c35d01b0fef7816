package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var n []string
	for _, e := range es {
		n = append(n, e.Name())
	}
	return strings.Join(n, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteReplacesAndKeepsPermissions(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.bin")
	if err := os.WriteFile(p, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 1<<20)
	if err := WriteBytes(p, []byte(big)); err != nil {
		t.Fatal(err)
	}
	if content(t, p) != big {
		t.Error("content differs")
	}
	if fi, _ := os.Stat(p); fi.Mode().Perm() != 0o640 {
		t.Errorf("permissions %v, want 0640", fi.Mode().Perm())
	}
	if n := names(t, dir); n != "a.bin" {
		t.Errorf("left behind: %s", n)
	}
}

func TestFailedFillChangesNothing(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a")
	if err := WriteBytes(p, []byte("old")); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	err := Write(p, func(w io.Writer) error {
		if _, err := w.Write(bytes.Repeat([]byte("new"), 1<<18)); err != nil {
			return err
		}
		return mine
	})
	if err != mine {
		t.Errorf("got %v, want fill's own error", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		Write(p, func(w io.Writer) error { panic("fill") })
	}()
	if content(t, p) != "old" || names(t, dir) != "a" {
		t.Errorf("content %q, folder %q", content(t, p), names(t, dir))
	}
}

func TestFillErrorOfTheWriterIsTyped(t *testing.T) {
	var e *Error
	// /dev/full gives ENOSPC on every write; it is a device, so it also covers writing straight.
	if _, err := os.Stat("/dev/full"); err == nil {
		err := WriteBytes("/dev/full", []byte("x"))
		if !errors.As(err, &e) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(e.Hint, "space") {
			t.Errorf("full disk: %v", err)
		}
	}
	err := fillBuffered(failing{}, "p", func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		if err == nil {
			t.Error("the write error did not reach fill")
		}
		return errors.New("wrapped by fill")
	})
	if !errors.As(err, &e) || e.Path != "p" || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "tmp", Err: syscall.ENOSPC}
}

func TestErrorsSayWhatWouldBeRight(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := WriteBytes(file, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "no", "a"), "must exist"},
		{filepath.Join(file, "a"), "must be a folder"},
		{dir, "not a folder"},
	} {
		err := WriteBytes(c.path, []byte("x"))
		var e *Error
		if !errors.As(err, &e) || e.Path != c.path || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), tempMark) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
	if got := describe("d/a", &fs.PathError{Op: "open", Path: "d/tmp", Err: syscall.EACCES}).Error(); got != "write d/a: permission denied: the folder d must be writable" {
		t.Error(got)
	}
}

func TestSymbolicLinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := WriteBytes(target, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteBytes(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&fs.ModeSymlink == 0 || content(t, target) != "new" {
		t.Errorf("link %v %v, target %q", fi, err, content(t, target))
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	f, err := create(filepath.Join(dir, "w.safetensors"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := WriteBytes(filepath.Join(dir, "keep"), nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Sweep(dir), Sweep(filepath.Join(dir, "missing"))); err != nil {
		t.Fatal(err)
	}
	if n := names(t, dir); n != "keep" {
		t.Errorf("left: %s", n)
	}
}

func TestLongName(t *testing.T) {
	p := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	if err := WriteBytes(p, []byte("x")); err != nil || content(t, p) != "x" {
		t.Error(err)
	}
}
