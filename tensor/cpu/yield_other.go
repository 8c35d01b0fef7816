//go:build !linux

package cpu

// yield would let other threads have the processor.
func yield() {}
