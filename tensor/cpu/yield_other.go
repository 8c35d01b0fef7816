//go:build !linux

package cpu

import "runtime"

// yield lets other goroutines have the thread.
func yield() { runtime.Gosched() }
