//go:build !js && !wasip1 && !plan9

package record

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary play the process that holds a run directory.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RECORD_TEST_LOCK"); dir != "" {
		if _, err := LockDir(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("locked")
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts a process that locks dir and gives its first line of output.
func hold(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "RECORD_TEST_LOCK="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	return cmd, strings.TrimSpace(line)
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	cmd, line := hold(t, dir)
	if line != "locked" {
		t.Fatalf("the holder says %q", line)
	}
	_, err := LockDir(dir)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid || locked.Dir != dir || time.Since(locked.From) > time.Minute {
		t.Fatalf("got %#v", err)
	}
	if msg := err.Error(); !strings.Contains(msg, fmt.Sprintf("process %d since", cmd.Process.Pid)) || !strings.Contains(msg, dir) {
		t.Errorf("the message is %s", msg)
	}

	// kill -9 leaves the file behind; it must not be in the way.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	l, err := LockDir(dir)
	if err != nil {
		t.Fatalf("after kill -9: %v", err)
	}
	if _, line := hold(t, dir); !strings.Contains(line, fmt.Sprintf("process %d since", os.Getpid())) {
		t.Errorf("the second process says %q", line)
	}
	for range 2 {
		if err := l.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	if _, line := hold(t, dir); line != "locked" {
		t.Errorf("after Unlock: %q", line)
	}
}

func TestLockErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := LockDir(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	// A holder that has not yet written who it is.
	if err := os.WriteFile(filepath.Join(dir, lockName), []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if e := holder("D", f); e.PID != 0 || !strings.Contains(e.Error(), "run directory D is in use by another process") {
		t.Errorf("got %v", e)
	}
}
