//go:build !amd64

package cpu

func kernels32(*Device) *kernels[float32] { return &goKernels32 }

// wholes are kernels of whole plans, of which there are none.
type wholes struct{}

func wholeOf(*plan) wholes { return wholes{} }

func folds32(*Device) *folds[float32] { return &goFolds32 }
