// Command killcheck kills -9 training processes at chosen moments, resumes them, and holds what they leave in the
// end, byte for byte, to a run that was never disturbed. The processes are langevin as users run it: they are stopped at
// system calls from outside (seccomp's user notification), so that a kill falls into the middle of a write, between a write and a rename, or wherever else.
//
//	go run ./internal/killcheck [-kills 200] [-seed N] [-program langevin]
package main
