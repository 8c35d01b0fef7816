//go:build !linux || nocuda || !(amd64 || arm64)

// Package emulate runs the GPU's kernels on the host, for tests. This binary cannot.
package emulate

import (
	"testing"

	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// Counts are what lives in the stand-in for libcuda.
type Counts struct {
	Memory, HostMemory, Streams, Events, Graphs, Launches, Contexts, Modules int
}

// Path skips the test.
func Path(t testing.TB) string {
	t.Helper()
	t.Skip("kernels are not tested: this binary cannot load libraries (see package driver)")
	return ""
}

// Open skips the test.
func Open(t testing.TB) driver.Driver {
	t.Helper()
	Path(t)
	return nil
}

// Count skips the test.
func Count(t testing.TB) Counts {
	t.Helper()
	Open(t)
	return Counts{}
}

// Setting is something about the stand-in that tests change.
type Setting uintptr

const (
	Devices Setting = iota
	Memory
	Failing
)

// Set skips the test.
func Set(t testing.TB, _ Setting, _ uintptr) {
	t.Helper()
	Open(t)
}
