// Package testenv says what tests run under.
package testenv

import "testing"

// Allocs is how many allocations a run makes once it is warm, on all goroutines.
func Allocs(t testing.TB, run func()) float64 {
	t.Helper()
	NeedsExactAllocs(t)
	for range 5 {
		run()
	}
	return testing.AllocsPerRun(20, run)
}

// NeedsExactAllocs skips a test that counts allocations where the count means
// nothing: under the race detector sync.Pool drops what it is given at random.
func NeedsExactAllocs(t testing.TB) {
	t.Helper()
	if Race {
		t.Skip("allocations cannot be counted under the race detector")
	}
}
