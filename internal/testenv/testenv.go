// Package testenv says what tests run under.
package testenv

import "testing"

// NeedsExactAllocs skips a test that counts allocations where the count means
// nothing: under the race detector sync.Pool drops what it is given at random.
func NeedsExactAllocs(t testing.TB) {
	t.Helper()
	if Race {
		t.Skip("allocations cannot be counted under the race detector")
	}
}
