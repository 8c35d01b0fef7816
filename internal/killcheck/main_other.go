//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "kill-check: needs Linux, whose seccomp stops a process at a chosen system call")
	os.Exit(1)
}
