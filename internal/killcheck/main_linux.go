package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/langevin-go/langevin/internal/tinyrun"
)

func main() {
	if program := os.Getenv(asWatched); program != "" {
		fail(becomeWatched(program))
	}
	kills := flag.Int("kills", 200, "kills, shared out evenly among the strata")
	steps := flag.Int("steps", 120, "training steps of a run")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what is chosen at random")
	program := flag.String("program", "", "langevin, built (default: it is built from this repository)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fail(check(ctx, *kills, *steps, *seed, *program, nil, os.Stdout))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kill-check:", err)
		os.Exit(1)
	}
}

// check kills runs and prints how many of which kind. What a failure was found in stays.
func check(ctx context.Context, kills, steps int, seed uint64, program string, env []string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "killcheck-")
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		}
	}()
	if program == "" {
		program = filepath.Join(dir, "langevin")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/langevin-go/langevin/cmd/langevin").CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	} else if program, err = filepath.Abs(program); err != nil {
		return err
	}
	if err := tinyrun.Prepare(dir, steps); err != nil {
		return err
	}
	h := &harness{dir: dir, program: program, env: env, random: rand.New(rand.NewPCG(seed, 0)), say: out}
	for i := range kills {
		h.left[i%int(strata)]++
	}
	fmt.Fprintf(out, "seed %d ", seed)
	began := time.Now()
	t, err := h.every(ctx)
	fmt.Fprintf(out, "\n\n| killed | times |\n|---|---|\n")
	all := 0
	for s, n := range t.killed {
		fmt.Fprintf(out, "| %s | %d |\n", strataNames[s], n)
		all += n
	}
	fmt.Fprintf(out, "| all | %d |\n\n%d runs of %d steps were finished in %s and left the bytes of an undisturbed one. The kills left %d temporary files and %d torn lines; %d came before the first checkpoint.\n",
		all, t.runs, steps, time.Since(began).Round(time.Second), t.temporary, t.torn, t.sinceStart)
	return err
}
