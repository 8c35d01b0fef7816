//go:build !amd64

package cpu

// pairs is the level's family of kernels on words, nil for none.
func (l Level) pairs() *pairKernel { return nil }

func hasAMX() bool { return false }
