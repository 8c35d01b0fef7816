package cpu

import "github.com/langevin-go/langevin/tensor/backend"

func kernels32(*Device) *[backend.NumOpcodes]kernel[float32] { return &goKernels32 }

func folds32(*Device) *folds[float32] { return &goFolds32 }
