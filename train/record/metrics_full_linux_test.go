package record

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// writeUntilFull is the life of a process that may write only 100 bytes, which
// stands for a full disk: the second record fits in part.
func writeUntilFull(path string) {
	signal.Ignore(unix.SIGXFSZ)
	m, err := OpenMetrics(path, -1)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100, Max: 100})
	}
	for step := int64(1); err == nil && step < 9; step++ {
		err = m.Write(step, V("a long enough name of a loss", 0.5))
	}
	fmt.Println(err)
}

func TestMetricsOnFullDisk(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "m")
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "RECORD_TEST_FULL="+path)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "file too large") || !strings.Contains(string(out), path) {
		t.Fatalf("the process says %s, %v", out, err)
	}
	if got := read(t, path); wholeLines(got) != 1 || !strings.HasSuffix(got, "}\n") {
		t.Errorf("left %q", got)
	}
}
func init() {
	if path := os.Getenv("RECORD_TEST_FULL"); path != "" {
		writeUntilFull(path)
		os.Exit(0)
	}
}
