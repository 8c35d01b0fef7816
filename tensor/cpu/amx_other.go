//go:build amd64 && !linux

package cpu

// permitAMX: how other systems give it out is not known here.
func permitAMX() bool { return false }
