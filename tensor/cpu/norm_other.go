//go:build !amd64

package cpu

func normKernels32(*Device) *normKernels[float32] { return goNorm32 }
