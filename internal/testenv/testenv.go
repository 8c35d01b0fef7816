// Package testenv says what tests run under.
package testenv

import (
	"math"
	"runtime"
	"testing"
)

// Allocs is how many allocations a run makes once it is warm, on all goroutines: alone on one
// thread or beside every worker of a device's pool, whichever makes more. (testing.AllocsPerRun leaves the program one
// thread, on which the workers hardly get a turn, and rounds down.) It is the least of some rounds: a kernel may
// find the free list of another thread empty once or twice, a worker may meet its largest part late; what
// allocates in every run does so in every round.
func Allocs(t testing.TB, run func()) float64 {
	t.Helper()
	NeedsExactAllocs(t)
	const warm, rounds, runs = 5, 20, 3
	least := func() float64 {
		for range warm {
			run()
		}
		n := math.Inf(1)
		for i := 0; i < rounds && n > 0; i++ {
			n = min(n, counted(runs, run))
		}
		return n
	}
	beside := least()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return max(beside, least())
}

// counted is the mean of what some runs allocate.
func counted(runs int, run func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		run()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(runs)
}

// NeedsExactAllocs skips a test that counts allocations where the count means
// nothing: under the race detector sync.Pool drops what it is given at random.
func NeedsExactAllocs(t testing.TB) {
	t.Helper()
	if Race {
		t.Skip("allocations cannot be counted under the race detector")
	}
}
