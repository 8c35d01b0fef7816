package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// status is what became of a mutant.
type status string

const (
	notRun      status = ""
	killed      status = "killed"
	timedOut    status = "timed out" // also noticed
	notCompiled status = "did not compile"
	survived    status = "survived"
)

// runTarget runs the tests on those mutants of a target that have no result yet.
func runTarget(ctx context.Context, o options, t target, ms []*mutant) error {
	store, err := openResults(o.results)
	if err != nil {
		return err
	}
	defer store.close()
	var todo []*mutant
	for _, m := range ms {
		if m.why != "" {
			continue
		}
		if r, ok := store.known[m.key]; ok && !(o.retry && r.Status == survived) {
			m.status, m.by = r.Status, r.By
			continue
		}
		todo = append(todo, m)
	}
	if len(todo) == 0 {
		return nil
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fmt.Fprintf(os.Stderr, "%s: %d of %d mutants to run\n", t.dir, len(todo), len(ms))
	numbered, binaries, err := build(ctx, o, t, todo, tmp)
	if stopped(ctx) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, m := range todo {
		if m.status == notCompiled {
			store.put(m)
		}
	}
	if len(numbered) == 0 {
		return store.err
	}
	for _, s := range t.stages { // the tests must pass on the original
		started := time.Now()
		if st, by, out := runStage(ctx, o, s, binaries[s.dir], 0); st != survived && !stopped(ctx) {
			return fmt.Errorf("%s without a mutant: %s %s\n%s", s.dir, st, by, tail(out))
		}
		fmt.Fprintf(os.Stderr, "%s %s: %.1f s\n", s.dir, s.run, time.Since(started).Seconds())
	}
	return runAll(ctx, o, t, numbered, binaries, store)
}

func stopped(ctx context.Context) bool { return ctx.Err() != nil }

// runAll gives numbered mutants to workers.
func runAll(ctx context.Context, o options, t target, ms []*mutant, binaries map[string]string, store *results) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, done, alive := 0, 0, 0
	for range o.workers {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(ms) || stopped(ctx) {
					return
				}
				m := ms[i]
				st, by := runMutant(ctx, o, t, binaries, i+1)
				if stopped(ctx) {
					return
				}
				mu.Lock()
				m.status, m.by = st, by
				store.put(m)
				if done++; st == survived {
					alive++
					fmt.Fprintln(os.Stderr, "survived:", m)
				}
				if done%50 == 0 || done == len(ms) {
					fmt.Fprintf(os.Stderr, "%s: %d of %d run, %d survived\n", t.dir, done, len(ms), alive)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return store.err
}

// runMutant runs a target's stages until a test fails.
func runMutant(ctx context.Context, o options, t target, binaries map[string]string, n int) (status, string) {
	for _, s := range t.stages {
		if st, by, _ := runStage(ctx, o, s, binaries[s.dir], n); st != survived {
			return st, by
		}
	}
	return survived, ""
}

// runStage runs a test binary on mutant number n, 0 for the original.
func runStage(ctx context.Context, o options, s stage, binary string, n int) (st status, by string, out []byte) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	run := s.run
	if o.run != "" {
		run = o.run
	}
	cmd := exec.CommandContext(ctx, binary, "-test.failfast", "-test.run="+run)
	cmd.Dir = filepath.Join(o.root, filepath.FromSlash(s.dir))
	// One thread each: workers share the processors, and threads change no bit.
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", environment, n), "GOMAXPROCS=1")
	var text capped
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	switch {
	case err == nil:
		return survived, "", nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return timedOut, s.dir, text.Bytes()
	}
	return killed, killer(text.Bytes()), text.Bytes()
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^panic: (.{0,80})`)

// killer is the test that failed, or what it panicked with.
func killer(out []byte) string {
	m := failure.FindSubmatch(out)
	switch {
	case m == nil:
		return "?"
	case len(m[1]) > 0:
		return string(m[1])
	}
	return "panic: " + string(m[2])
}

// capped keeps the beginning of an output: a wrong derivative can have much to say.
type capped struct{ bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	if room := 1<<16 - c.Len(); room > 0 {
		c.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}
