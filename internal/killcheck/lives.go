//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/langevin-go/langevin/internal/tinyrun"
)

// harness kills runs until each stratum has had its share.
type harness struct {
	dir     string   // with experiment.yaml; runs are made below it
	program string   // langevin
	env     []string // of it, besides this process's
	random  *rand.Rand
	left    [strata]int // kills that are still wanted
	say     io.Writer
}

// tally is what has been done.
type tally struct {
	killed     [strata]int
	runs       int // that were finished and compared
	temporary  int // files that kills left half written
	torn       int // lines of metrics
	sinceStart int // kills after which there was no checkpoint to go on from
}

// every makes runs, kills them, resumes them to their end, and compares what they left with an undisturbed one.
func (h *harness) every(ctx context.Context) (t tally, err error) {
	if err := h.plain("train", tinyrun.File, "--run", "whole"); err != nil {
		return t, err
	}
	want, err := result(filepath.Join(h.dir, "whole"))
	if err != nil {
		return t, err
	}
	for h.wanted() > 0 {
		run := filepath.Join(h.dir, "run")
		for {
			if err := ctx.Err(); err != nil {
				return t, err
			}
			killed, err := h.life(run, &t)
			if err != nil {
				return t, err
			}
			if !killed {
				break
			}
		}
		got, err := result(run)
		if err == nil {
			err = same(got, want)
		}
		if err != nil {
			return t, fmt.Errorf("run %d, in %s: %w", t.runs+1, run, err)
		}
		t.runs++
		if err := os.RemoveAll(run); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (h *harness) wanted() (n int) {
	for _, k := range h.left {
		n += k
	}
	return n
}

// aim chooses a stratum that has not had its share, and which of its moments.
func (h *harness) aim() (s stratum, nth int) {
	if h.wanted() == 0 {
		return strata, 0
	}
	for s = stratum(h.random.IntN(int(strata))); h.left[s] == 0; s = stratum(h.random.IntN(int(strata))) {
	}
	most := 4
	if s == otherFiles {
		most = 25
	}
	return s, 1 + h.random.IntN(most)
}

// life starts or resumes the run and kills it where the aim says; false if it came to its end before that.
func (h *harness) life(run string, t *tally) (killed bool, err error) {
	args := []string{"train", tinyrun.File, "--run", filepath.Base(run)}
	if _, err := os.Stat(filepath.Join(run, "config.yaml")); err == nil {
		args = []string{"train", filepath.Base(run), "--resume"}
	}
	from := newest(run)
	at, nth := h.aim()
	c := h.command(args...)
	c.Env = append(c.Env, fmt.Sprintf("GOMAXPROCS=%d", 1+h.random.IntN(3))) // which changes nothing
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	share := h.random.Float64()
	delay := time.Duration(h.random.Int64N(int64(150 * time.Millisecond)))
	var mu sync.Mutex // over what both the watcher and the timer decide
	var timer *time.Timer
	dead := false
	var failed error
	kill := func() {
		mu.Lock()
		defer mu.Unlock()
		if !dead {
			dead = c.Process.Signal(unix.SIGKILL) == nil
		}
	}
	err = watch(c, func(call call) bool {
		if at == anyTime && timer == nil {
			timer = time.AfterFunc(delay, kill)
		}
		s, ok := moment(call, run)
		if !ok || s != at {
			return true
		}
		if nth--; nth != 0 {
			return true
		}
		if call.nr == unix.SYS_WRITE {
			if n := uint64(share * float64(call.args[2])); n > 0 {
				failed = call.writeInPart(n)
			}
		}
		kill()
		return false
	})
	if timer != nil {
		timer.Stop()
	}
	var exit *exec.ExitError
	switch {
	case failed != nil:
		return false, failed
	case err == nil:
		return false, wellSaid(said.String(), from, true)
	case errors.As(err, &exit) && exit.ExitCode() < 0 && dead:
		h.left[at]--
		t.killed[at]++
		h.note(run, t)
		return true, wellSaid(said.String(), from, false)
	}
	return false, fmt.Errorf("langevin %s: %w\n%s", strings.Join(args, " "), err, &said)
}

// note looks at what a kill left.
func (h *harness) note(run string, t *tally) {
	for _, pattern := range []string{"*/.*" + tempMark + "*", ".*" + tempMark + "*"} {
		files, _ := filepath.Glob(filepath.Join(run, pattern))
		t.temporary += len(files)
	}
	if b, err := os.ReadFile(filepath.Join(run, "metrics.jsonl")); err == nil && len(b) > 0 && b[len(b)-1] != '\n' {
		t.torn++
	}
	if newest(run) == "" {
		t.sinceStart++
	}
	fmt.Fprint(h.say, ".")
}

// newest is the name of the newest checkpoint; "" if there is none.
func newest(run string) string {
	files, _ := filepath.Glob(filepath.Join(run, "checkpoints", "step-*.safetensors"))
	if len(files) == 0 {
		return ""
	}
	return filepath.Base(files[len(files)-1])
}

// wellSaid is an error if a process warned, or did not go on from the newest checkpoint that there was.
func wellSaid(said, from string, whole bool) error {
	if from != "" && !strings.Contains(said, "nothing to do") {
		var step int64
		fmt.Sscanf(from, "step-%d", &step)
		if want := fmt.Sprintf("(going on from step %d)", step); !strings.Contains(said, want) && (whole || strings.Contains(said, "parameters;")) {
			return fmt.Errorf("a process found %s and did not say %q:\n%s", from, want, said)
		}
	}
	for line := range strings.Lines(said) {
		if strings.Contains(line, "warning") && !strings.Contains(line, "has no checkpoint yet") {
			return fmt.Errorf("a process warned: %s", line)
		}
	}
	return nil
}

func (h *harness) command(args ...string) *exec.Cmd {
	c := exec.Command(h.program, args...)
	c.Dir = h.dir
	c.Env = append(os.Environ(), h.env...)
	return c
}

// plain runs langevin unwatched.
func (h *harness) plain(args ...string) error {
	if out, err := h.command(args...).CombinedOutput(); err != nil {
		return fmt.Errorf("langevin %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
