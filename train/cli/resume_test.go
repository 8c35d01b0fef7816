package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// final is what a run must end with, however it got there: the last checkpoint
// (weights, average, optimiser, counters) byte for byte, and the metrics without
// time and wall-clock figures.
func final(t *testing.T, dir train.RunDir) (checkpoint []byte, metrics string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir.Checkpoints(), "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("checkpoints in %s: %v, %v", dir, files, err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(read(t, dir.Metrics()))) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("metrics line %q: %v", line, err)
		}
		delete(v, "time")
		for k := range v {
			if strings.HasPrefix(k, record.WallPrefix) {
				delete(v, k)
			}
		}
		text, _ := json.Marshal(v)
		b.Write(append(text, '\n'))
	}
	return read(t, files[len(files)-1]), b.String()
}

func sameFinal(t *testing.T, got, want train.RunDir) {
	t.Helper()
	gotC, gotM := final(t, got)
	wantC, wantM := final(t, want)
	if !bytes.Equal(gotC, wantC) {
		t.Errorf("the last checkpoint of %s is not that of %s", got, want)
	}
	if gotM != wantM {
		t.Errorf("the metrics are\n%s, want\n%s", gotM, wantM)
	}
}

// leftovers are temporary files in a run's folder.
func leftovers(t *testing.T, dir train.RunDir) []string {
	t.Helper()
	var found []string
	for _, p := range []string{string(dir), dir.Checkpoints(), dir.Samples()} {
		files, err := filepath.Glob(filepath.Join(p, ".*"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, files...)
	}
	return found
}

// started begins a run and waits for its first checkpoint, so that a signal meets it training.
func started(t *testing.T, dir string, run train.RunDir, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := command(dir, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	newest := func() string {
		files, _ := filepath.Glob(filepath.Join(run.Checkpoints(), "step-*"))
		if len(files) == 0 {
			return ""
		}
		return files[len(files)-1]
	}
	was := newest()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for range 10000 {
		if newest() != was {
			return c, &stderr
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no new checkpoint in 10 s\n%s", &stderr)
	return nil, nil
}

func TestSignals(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("there are no such signals on Windows")
	}
	dir := t.TempDir()
	// Every checkpoint is synced to the disk, which is what makes the run long enough to be met.
	write(t, filepath.Join(dir, "a.yaml"), tinyYAML+"\n")
	long := []string{"steps=300", "checkpoint.every=1"}
	succeeds(t, dir, append([]string{"train", "a.yaml", "--run", "whole"}, long...)...)
	run := train.RunDir(filepath.Join(dir, "cut"))
	stopped := 0
	args := append([]string{"train", "a.yaml", "--run", "cut"}, long...)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGINT} {
		c, stderr := started(t, dir, run, args...)
		if err := c.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		err := c.Wait()
		if err == nil {
			break // the machine was quicker
		}
		stopped++
		if code := c.ProcessState.ExitCode(); code != 130 {
			t.Fatalf("%v: exit code %d, want 130\n%s", s, code, stderr)
		}
		for _, want := range []string{"Stopped at step ", "the checkpoint is cut/checkpoints/step-", "To go on: langevin train cut --resume"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: %q is not in\n%s", s, want, stderr)
			}
		}
		_, path, _ := strings.Cut(stderr.String(), "the checkpoint is ")
		path, _, _ = strings.Cut(path, ".\n")
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Errorf("%v: the checkpoint %s: %v", s, path, err)
		}
		args = []string{"train", "cut", "--resume"}
	}
	if stopped == 0 {
		t.Fatal("no signal met the run")
	}
	succeeds(t, dir, "train", "cut", "--resume")
	sameFinal(t, run, train.RunDir(filepath.Join(dir, "whole")))
	if o := succeeds(t, dir, "train", "cut", "--resume"); !strings.Contains(o.stdout, "has all its 300 steps: nothing to do") {
		t.Errorf("resuming a finished run said\n%s", o.stdout)
	}
}

// Kills meet a run anywhere: with a checkpoint every step or two, mostly while one is written.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), tinyYAML)
	r := rand.New(rand.NewPCG(5, uint64(time.Now().UnixNano())))
	for _, every := range []string{"checkpoint.every=1", "checkpoint.every=2"} {
		whole := "whole-" + every[len(every)-1:]
		cut := "cut-" + every[len(every)-1:]
		settings := []string{"steps=250", every}
		succeeds(t, dir, append([]string{"train", "a.yaml", "--run", whole}, settings...)...)
		run := train.RunDir(filepath.Join(dir, cut))
		kills, torn := 0, 0
		for try := 0; ; try++ {
			args := append([]string{"train", "a.yaml", "--run", cut}, settings...)
			if train.IsRun(string(run)) {
				args = []string{"train", cut, "--resume"}
			}
			if try == 8 { // enough
				succeeds(t, dir, args...)
				break
			}
			c := command(dir, args...)
			c.Env = append(c.Env, fmt.Sprintf("GOMAXPROCS=%d", 1+try%3)) // which changes nothing either
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			// The first two die at their start, the others somewhere later.
			wait := time.Duration(r.Int64N(int64(60 * time.Millisecond)))
			if try >= 2 {
				wait += 40 * time.Millisecond
			}
			timer := time.AfterFunc(wait, func() { c.Process.Kill() })
			err := c.Wait()
			timer.Stop()
			if err == nil {
				break
			}
			if c.ProcessState.ExitCode() >= 0 {
				t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), c.ProcessState.ExitCode(), &stderr)
			}
			kills++
			torn += len(leftovers(t, run))
		}
		t.Logf("%s: %d kills, %d temporary files left by them", every, kills, torn)
		if kills < 3 {
			t.Errorf("only %d kills met the run", kills)
		}
		if train.IsRun(string(run)) {
			// What a kill in the middle of writing leaves, whether or not one did:
			for _, p := range []string{run.Checkpoints() + "/.step-00000260.safetensors", run.Samples() + "/.grid-00000260.png", string(run) + "/.config.yaml"} {
				write(t, p+".langevin-tmp-0123456789abcdef", "half")
			}
			succeeds(t, dir, "train", cut, "steps=251", "--resume")
			succeeds(t, dir, "train", whole, "steps=251", "--resume")
		}
		sameFinal(t, run, train.RunDir(filepath.Join(dir, whole)))
		if left := leftovers(t, run); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	}
}

func TestThreadsDoNotMatter(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	write(t, filepath.Join(dir, "digits.yaml"), tinyDigitsYAML)
	for _, file := range []string{"tiny", "digits"} {
		for _, n := range []string{"1", "2", "3"} {
			// Wide enough for kernels to share the work among threads.
			c := command(dir, "train", file+".yaml", "--run", file+n, "model.width=128", "batch=128", "steps=4", "model.depth=2")
			c.Env = append(c.Env, "GOMAXPROCS="+n)
			if o := run(t, c); o.code != 0 {
				t.Fatal(o.stderr)
			}
			sameFinal(t, train.RunDir(filepath.Join(dir, file+n)), train.RunDir(filepath.Join(dir, file+"1")))
		}
	}
}

func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), tinyYAML)
	run := train.RunDir(filepath.Join(dir, "r"))
	c, _ := started(t, dir, run, "train", "a.yaml", "steps=100000", "checkpoint.every=20", "--run", "r")
	defer c.Process.Kill()
	o := langevin(t, dir, "train", "r", "--resume")
	if o.code != 1 || !strings.Contains(o.stderr, "langevin: the run directory r is in use by process ") || len(errorLines(o.stderr)) != 1 {
		t.Errorf("a second process: exit code %d\n%s", o.code, o.stderr)
	}
	// Looking at a run in progress is fine.
	succeeds(t, dir, "sample", "r", "--n", "4", "--out", "x.npy")
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != 130 {
		t.Errorf("the first process: exit code %d, want 130", code)
	}
}
