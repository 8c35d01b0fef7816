package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/train"
)

// on is a command line whose CUDA driver is the library at path.
func on(path, dir string, args ...string) *exec.Cmd {
	c := command(dir, args...)
	c.Env = append(c.Env, "LANGEVIN_LIBCUDA="+path)
	return c
}

// TestNoCUDA: without a driver doctor says why in a line, and asking for CUDA is
// an error that says where and why.
func TestNoCUDA(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	o := run(t, on("not-there.so", dir, "train", "tiny.yaml", "device=cuda"))
	if o.code != 1 || len(errorLines(o.stderr)) != 1 || !strings.Contains(o.stderr, "device=cuda: device: cuda cannot be used: no CUDA: ") {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
	o = run(t, on("not-there.so", dir, "doctor"))
	if o.code != 0 || !regexp.MustCompile(`(?m)^cuda +(no driver was found: not-there.so|not supported on|this binary was built without)`).MatchString(o.stdout) {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// TestCUDA trains, resumes, samples and runs doctor on an emulated device.
func TestCUDA(t *testing.T) {
	lib := emulate.Path(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	must := func(args ...string) output {
		t.Helper()
		o := run(t, on(lib, dir, args...))
		if o.code != 0 {
			t.Fatalf("langevin %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
		}
		return o
	}
	must("train", "tiny.yaml", "device=cuda", "--run", "whole")
	// Going on from the last checkpoint but one ends where the run ended.
	if err := os.CopyFS(filepath.Join(dir, "parts"), os.DirFS(filepath.Join(dir, "whole"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "parts/checkpoints/step-00000040.safetensors")); err != nil {
		t.Fatal(err)
	}
	if o := must("train", "parts", "--resume"); !strings.Contains(o.stdout+o.stderr, "36") {
		t.Errorf("it did not go on from step 36:\n%s%s", o.stdout, o.stderr)
	}
	sameFinal(t, train.RunDir(filepath.Join(dir, "parts")), train.RunDir(filepath.Join(dir, "whole")))
	must("sample", "whole", "--n", "4")
	o := must("doctor")
	for _, part := range []string{"driver for CUDA 11.8", "no run on a GPU has been made", "emulation 0, 4 multiprocessors of capability 8.0, 1.0 GiB", "matrix product 512³: equal to plain Go"} {
		if !strings.Contains(o.stdout, part) {
			t.Errorf("doctor does not say %q:\n%s", part, o.stdout)
		}
	}
}
