package testenv

import (
	"runtime"
	"testing"
)

var sink *[64]byte

// What one goroutine of two allocates counts, once every third run too; what only the first runs allocate does not.
func TestAllocs(t *testing.T) {
	NeedsExactAllocs(t)
	work, done := make(chan int), make(chan bool)
	defer close(work)
	go func() {
		for n := range work {
			if n%3 == 0 {
				sink = new([64]byte)
			}
			done <- true
		}
	}()
	threads, n := runtime.GOMAXPROCS(0), 0
	run := func() {
		n++
		work <- n
		<-done
	}
	if got := Allocs(t, run); got == 0 || got > 0.5 {
		t.Errorf("%g allocations a run, want a third", got)
	}
	first := 8
	if got := Allocs(t, func() {
		if first--; first > 0 {
			sink = new([64]byte)
		}
	}); got != 0 {
		t.Errorf("%g allocations a run after the first, want none", got)
	}
	if got := runtime.GOMAXPROCS(0); got != threads {
		t.Errorf("%d threads afterwards, %d before", got, threads)
	}
}
