//go:build !amd64 && !arm64

package cpu

// micro is the level's family of tile kernels: none here.
func (l Level) micro() *microKernel { return nil }
