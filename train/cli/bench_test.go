package cli

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/langevin-go/langevin/train/bench"
)

// Ctrl-C reaches the processes that measure, too: only the first says so.
func TestBenchSaysOnceThatItWasStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for isChild, want := range map[bool]string{false: "Stopped.\n", true: ""} {
		var out, said bytes.Buffer
		a := &app{Options{Name: "langevin", Stdout: &out, Stderr: &said}}
		err := a.runBench(ctx, bench.Options{Args: []string{"gemm"}, JSON: true}, isChild)
		if !errors.Is(err, errInterrupted) || said.String() != want || out.Len() != 0 {
			t.Errorf("child %t: %v, said %q, want %q", isChild, err, said.String(), want)
		}
	}
}
